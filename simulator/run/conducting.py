"""The running part of a run: traffic, faults and gateways in real time."""

import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from simulator.city.layout import City
from simulator.city.traffic import CityTraffic
from simulator.faults.conductor import Conductor
from simulator.faults.delivery import Delivery
from simulator.faults.schedule import LASTING, SINGLE, SLICES, Schedule
from simulator.fleet.feed import CityFeed, gateway_of_sensor
from simulator.fleet.fleet import Fleet
from simulator.fleet.pace import REAL_TIME
from simulator.run.dashboard import Dashboard, View
from simulator.run.interruption import Interruption
from simulator.run.options import RunOptions
from simulator.run.rolling import Rolling
from simulator.run.series import Recorder, cpu_s
from simulator.run.soak import Soak
from simulator.run.target import Target
from simulator.verification.alerts import declared_exclusions
from simulator.verification.judging import FEED_TAIL_S, make_oracle
from simulator.verification.oracle import Oracle
from simulator.verification.witnesses import Witness, Witnesses

EXCLUSIONS_EVERY_S: Final = 60  # of readings; the oracle needs to know before it condenses a window


class Conducted:
    """What came of the running part."""

    def __init__(
        self,
        oracle: Oracle,
        feed: CityFeed,
        faults: Conductor,
        recorder: Recorder,
        start_ms: int,
        rolling: Rolling,
        soak: Soak,
    ) -> None:
        self.oracle = oracle
        self.feed = feed
        self.faults = faults
        self.recorder = recorder
        self.start_ms = start_ms
        self.began_s = time.monotonic()
        self.rolling = rolling
        self.soak = soak
        self.realtime_factor = 0.0
        self.cpu_cores = 0.0


def conduct(
    options: RunOptions,
    city: City,
    traffic: CityTraffic,
    fleet: Fleet,
    target: Target,
    planned: Schedule,
    console: Console,
    interruption: Interruption,
    witnesses: Sequence[Witness] = (),
) -> Conducted:
    """Bring the readings, until their time is over or the run is interrupted, and have done to it what is planned."""
    start_ms = (int(fleet.pace.now_s()) + 1) * 1000
    lateness_s = -(-options.lateness_ms // 1000)
    oracle = make_oracle(
        city, window_s=options.window_s, lateness_ms=options.lateness_ms, keeps_hours=target.lake is not None
    )
    slices = SLICES if options.speed == REAL_TIME else 1
    delivery = Delivery(
        planned.struck,
        options.seed,
        gateway_of_sensor(city),
        start_ms,
        options.duration_s,
        options.window_s,
        lateness_s,
        slices,
    )
    feed = CityFeed(
        city, traffic, delivery, Witnesses((oracle, *witnesses)), start_ms, slices, first_seconds=fleet.first_seconds
    )
    if options.speed == REAL_TIME:  # at any other a latency would be of two clocks
        fleet.meter.latency_until_s = start_ms / 1000 + options.duration_s - lateness_s - 1
    with Dashboard(console) as dashboard:
        faults = Conductor(
            planned,
            fleet,
            target.network,
            start_ms,
            window_ms=1000 * options.window_s,
            lateness_ms=options.lateness_ms,
            now_s=fleet.pace.now_s,
            tell=dashboard.tell,
        )
        fleet.on_poll = faults.act
        soak = Soak(options, fleet, target, dashboard.tell)
        rolling = Rolling(options, city, fleet, target, oracle)
        recorder = Recorder(options, fleet, feed, target.events, start_ms)
        conducted = Conducted(oracle, feed, faults, recorder, start_ms, rolling, soak)

        asked_for = {fault.name for fault in options.faults.faults}
        of_readings = [
            one.fault
            for one in planned.struck
            if one.fault.name in asked_for and one.fault.kind not in LASTING | SINGLE
        ]

        def on_second(second: int) -> None:
            interruption.can_finish()
            if second % EXCLUSIONS_EVERY_S == 0:
                oracle.exclusions = declared_exclusions(target.events.events())
                rolling.judge_when_due(fleet.uncertain)
            soak.on_second(second)
            for real in fleet.real:
                real.measure()
            recorder.take(second + 1.0)
            active = [f"{fault} {gateway}" for fault, gateway in faults.active()]
            active += [fault.name for fault in of_readings if fault.active(second)]
            dashboard.show(View(recorder.latest, options.duration_s, recorder.latency_s(), recorder.backlog(), active))

        def is_over() -> bool:
            is_over = interruption.asked or target.is_spent
            if is_over:
                faults.end()
                recorder.cut(feed.seconds)
                oracle.last_delivery_ms = start_ms + 1000 * (feed.seconds + FEED_TAIL_S)
                ended_s = start_ms / 1000 + feed.seconds
                fleet.meter.latency_until_s = min(fleet.meter.latency_until_s, ended_s - lateness_s - 1)
            return is_over

        began_cpu_s = cpu_s() + fleet.shards_cpu_s()
        conducted.realtime_factor = fleet.run(feed, start_ms, on_second, is_over)

        def after_the_last_reading() -> None:
            faults.act()
            recorder.take_when_due()

        fleet.on_poll = after_the_last_reading
        conducted.cpu_cores = (cpu_s() + fleet.shards_cpu_s() - began_cpu_s) / fleet.pace.elapsed_s()
        if not target.answers_at_once:
            fleet.pace.start(REAL_TIME)
    return conducted
