"""Long outages and short budgets: every reading arrives exactly once, in windows as sent or in coarser ones."""

from collections.abc import Callable

import pytest

from tests.unit.aggregator.bench import FakeCloud, Gateway, Reading, check_windows, segment, settings

HOUR_MS = 3_600_000
WINDOW_MS = 150_000
SENSORS = (10, 20)


class Outage:
    """A gateway with windows of 150 s, in each of which each sensor tells once."""

    def __init__(self, cloud: FakeCloud | None = None, **changes: object) -> None:
        calm = [segment(1, 10, 11, free_flow_kmh=1.0), segment(2, 20, 21, free_flow_kmh=1.0)]  # never congested
        configured = settings(
            segments=calm, window_seconds=150, reading_interval_ms=WINDOW_MS, correction_seconds=300, **changes
        )
        self.gateway = Gateway(configured, cloud)
        self.told: set[Reading] = set()

    def live(self, hours: float) -> None:
        for _ in range(round(hours * HOUR_MS / WINDOW_MS)):
            readings = [Reading(sensor, self.gateway.wall_ms) for sensor in SENSORS]
            self.gateway.receive(*readings)
            self.told |= set(readings)
            self.gateway.pass_time(WINDOW_MS)

    def check(self) -> dict[int, int]:
        """How many windows came, by their length."""
        windows = self.gateway.cloud.windows(self.gateway.finish())
        check_windows(windows, self.told, interval_ms=WINDOW_MS)
        lengths = [window.window_ms for window in windows]
        return {length_ms: lengths.count(length_ms) for length_ms in sorted(set(lengths))}


def unavailable(cloud: FakeCloud) -> None:
    cloud.reachable = False


def silent(cloud: FakeCloud) -> None:
    cloud.weather.loss = 1.0


@pytest.mark.parametrize(("closed", "hours"), [(unavailable, 45), (silent, 72)])
def test_days_without_the_cloud_arrive_whole_the_older_part_coarser(
    closed: Callable[[FakeCloud], None], hours: int
) -> None:
    outage = Outage()
    outage.live(0.5)
    closed(outage.gateway.cloud)
    outage.live(hours)
    waiting = [header for header in outage.gateway.store.outbox.headers() if header.kind == "windows"]
    assert len(waiting) < 0.9 * hours * HOUR_MS / WINDOW_MS
    outage.gateway.cloud.reachable, outage.gateway.cloud.weather.loss = True, 0.0
    outage.live(0.5)
    lengths = outage.check()
    statistics = outage.gateway.pipeline.statistics(outage.gateway.wall_ms)
    assert lengths[300_000] > 100
    assert statistics.windows == lengths[WINDOW_MS] + 2 * lengths[300_000]
    assert statistics.uplink.merged == 2 * lengths[300_000]
    assert statistics.uplink.given_up == 0
