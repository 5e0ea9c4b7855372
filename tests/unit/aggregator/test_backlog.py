"""Long outages and short budgets: every reading arrives exactly once, in windows as sent or in coarser ones."""

import json
from collections.abc import Callable

import pytest

from roadside.runtime.outbox import OutboxLimits
from roadside.runtime.uplink_settings import UplinkSettings
from tests.unit.aggregator.rig import READINGS, FakeCloud, Gateway, Reading, check_windows, last_editions, settings

HOUR_MS = 3_600_000
WINDOW_MS = 150_000
SENSORS = (10, 20)


class Outage:
    """A gateway with windows of 150 s, in each of which each sensor tells once."""

    def __init__(self, limits: OutboxLimits | None = None) -> None:
        configured = settings(window_seconds=150, reading_interval_ms=WINDOW_MS, correction_seconds=300)
        self.gateway = Gateway(configured, limits=limits)
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


@pytest.mark.parametrize(
    ("closed", "hours", "limits"), [(unavailable, 18, OutboxLimits(max_age_ms=48 * HOUR_MS)), (silent, 72, None)]
)
def test_days_without_the_cloud_arrive_whole_the_older_part_coarser(
    closed: Callable[[FakeCloud], None], hours: int, limits: OutboxLimits | None
) -> None:
    outage = Outage(limits)
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


def test_a_full_disk_drains_itself_when_the_cloud_is_back() -> None:
    outage = Outage()
    unavailable(outage.gateway.cloud)
    outage.live(5)
    outage.gateway.fill_disk()
    outage.live(1)
    assert len(outage.gateway.pipeline._results) > 0
    outage.gateway.cloud.reachable = True
    outage.gateway.pass_time(60_000)
    outage.live(0.5)
    statistics = outage.gateway.pipeline.statistics(outage.gateway.wall_ms)
    assert statistics.uplink.backlog_messages <= 1
    assert statistics.uplink.acknowledged >= statistics.windows - 1
    assert set(outage.check()) == {WINDOW_MS}


class Counting(Outage):
    """Sensors that only count vehicles, so that there are no events and windows are all that is sent."""

    def live(self, hours: float) -> None:
        for _ in range(round(hours * HOUR_MS / WINDOW_MS)):
            reading = {"sensor_id": "s10", "timestamp": self.gateway.wall_ms, "vehicle_count": 1}
            self.gateway.receive_payload(READINGS, json.dumps(reading).encode())
            self.gateway.pass_time(WINDOW_MS)

    @property
    def spent_bytes(self) -> int:
        return self.gateway.pipeline.statistics(self.gateway.wall_ms).uplink.spent_bytes


def test_a_budget_of_half_the_need_delivers_everything_the_rest_of_each_day_coarser() -> None:
    probe = Counting()
    probe.live(3)
    budget_bytes = 8 * probe.spent_bytes // 2
    outage = Counting()
    outage.gateway.pipeline._uplink.configure(UplinkSettings(daily_budget_bytes=budget_bytes))
    outage.gateway.wall_ms += 16 * HOUR_MS  # to midnight
    outage.live(23.5)
    assert 0.7 * budget_bytes < outage.spent_bytes < budget_bytes
    outage.live(1.5)
    assert 0 < outage.spent_bytes < 0.1 * budget_bytes, "another day"
    outage.gateway.pipeline._uplink.configure(UplinkSettings())
    windows = last_editions(outage.gateway.cloud.windows(outage.gateway.finish())).values()
    assert sum(segment.vehicle_count for window in windows for segment in window.segments) == 25 * HOUR_MS / WINDOW_MS
    lengths = [window.window_ms for window in windows]
    assert lengths.count(300_000) > 25
    assert lengths.count(WINDOW_MS) > 150


def test_a_budget_survives_a_crash() -> None:
    outage = Outage()
    outage.live(2)
    spent_bytes = outage.gateway.pipeline.statistics(outage.gateway.wall_ms).uplink.spent_bytes
    outage.gateway.crash()
    assert outage.gateway.pipeline.statistics(outage.gateway.wall_ms).uplink.spent_bytes >= spent_bytes > 0
