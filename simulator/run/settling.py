"""The end of a run: waiting until all that was under way has arrived."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from aggregator.settings import CORRECTION_DELAY_MS, MIN_IDLE_GRACE_MS
from simulator.fleet.fleet import Fleet
from simulator.run.options import RunOptions
from simulator.run.target import Events
from simulator.verification.judging import FEED_TAIL_S
from simulator.verification.oracle import AlertTruth
from simulator.verification.windows import READING_INTERVAL_MS

PATIENCE_S: Final = 240.0  # a message whose acknowledgement was lost is sent again after 30, 60, 120 s
ALLOWANCE_S: Final = 300.0  # of the run's time for settling; what takes longer goes on with the machine's
ANSWER_S: Final = 3.0  # for what closes last to reach the table


def last_results_s(options: RunOptions, start_ms: int, now_s: float) -> float:
    """The run's time by which the gateways have sent all that they ever will, if every sensor is silent from now on.

    Silence closes the window of the last readings some time after its end; corrections wait for their companions. A
    machine that is behind hands the last readings over later, and silence begins then.
    """
    window_ms = options.window_s * 1000
    feed_end_s = start_ms / 1000 + options.duration_s + FEED_TAIL_S
    last_end_ms = -(-(start_ms + 1000 * options.duration_s) // window_ms) * window_ms
    closed_s = (last_end_ms + options.lateness_ms + MIN_IDLE_GRACE_MS) / 1000 + max(0.0, now_s - feed_end_s)
    return max(closed_s + READING_INTERVAL_MS / 1000, now_s + CORRECTION_DELAY_MS / 1000) + ANSWER_S


def settle(
    options: RunOptions,
    fleet: Fleet,
    start_ms: int,
    starts_ms: Mapping[str, Collection[int]],
    alerts_due: list[AlertTruth],
    events: Events,
) -> bool:
    """Wait until all windows are closed, all is acknowledged and the expected events have come; False if they do not.

    `starts_ms` are those of the windows with readings, by gateway.

    A process that was killed near the end comes back first: readings wait for it, and silence begins after them. As
    long as there is progress nobody gives up: how fast it is, the machine decides.
    """
    back = _wait_for(fleet, lambda: sum(real.waiting for real in fleet.real))
    fleet.serve(last_results_s(options, start_ms, fleet.pace.now_s()) - fleet.pace.now_s())
    # Lost readings may have changed the alerts of a process that was interrupted: nobody waits for those.
    interrupted = {s.number for gateway in fleet.gateways if gateway.was_interrupted for s in gateway.plan.segments}
    expected = sum(alert.segment_number not in interrupted for alert in alerts_due)

    def left() -> int:
        return fleet.under_way(starts_ms, options.sensor_summary_s) + max(0, expected - events.count)

    while back and left():
        back = _wait_for(fleet, left)
        fleet.serve(ANSWER_S)  # a process may have waited for an acknowledgement before it sends a correction
    return back


def _wait_for(fleet: Fleet, left: Callable[[], int]) -> bool:
    """Serve the fleet until nothing is left; False if it does not get less for `PATIENCE_S`."""
    least, since_s = left(), fleet.pace.now_s()
    while now_left := left():
        if now_left < least:
            least, since_s = now_left, fleet.pace.now_s()
        elif fleet.pace.now_s() > since_s + PATIENCE_S:
            return False
        fleet.serve(0.5)
    return True
