"""Faults of a gateway's surroundings, on a whole pipeline with a clock moved by hand: wall clocks, liars, overload.

What must come out is counted up reading by reading (`tests.unit.aggregator.bench`), never taken from the code itself.
"""

import pytest

from tests.unit.aggregator.bench import FakeCloud, Gateway, Reading, check_windows, last_editions, settings

HOUR_MS = 3_600_000
HEALTHY = (10, 11, 20)


def say(gateway: Gateway, seconds: int, sensors: tuple[int, ...] = HEALTHY) -> set[Reading]:
    """Healthy sensors tell one reading a second, at once."""
    told = set()
    for _ in range(seconds):
        gateway.pass_time(1000)
        readings = [Reading(sensor, gateway.wall_ms) for sensor in sensors]
        gateway.receive(*readings)
        told |= set(readings)
    return told


def rejected(gateway: Gateway) -> dict[str, int]:
    return dict(gateway.pipeline.statistics(gateway.clock_ms).readings_rejected)


@pytest.mark.parametrize("off_ms", [-HOUR_MS, HOUR_MS])
def test_a_wall_clock_that_steps_an_hour_and_back_changes_no_window_and_no_time_of_closing(off_ms: int) -> None:
    def run(off_ms: int) -> list[tuple[int, int, int]]:
        cloud = FakeCloud()
        gateway = Gateway(settings(), cloud)
        told = say(gateway, 25)
        gateway.clock_off_ms = off_ms
        told |= say(gateway, 40)
        gateway.clock_off_ms = 0
        told |= say(gateway, 25)
        closed = [(w.window_start_ms, w.revision, w.sequence) for w in cloud.windows()]
        check_windows(cloud.windows(gateway.finish()), told)
        assert rejected(gateway) == {}
        return closed

    assert run(off_ms) == run(0)


@pytest.mark.parametrize("reboots", [False, True])
@pytest.mark.parametrize("down_ms", [100, 4000])
def test_a_process_killed_while_the_wall_clock_is_an_hour_behind_replays_what_it_had_accepted(
    *, reboots: bool, down_ms: int
) -> None:
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    told = say(gateway, 3)
    gateway.clock_off_ms = -HOUR_MS
    told |= say(gateway, 28)  # the last checkpoint is some seconds old
    gateway.pass_time(600)  # and the journal is written
    gateway.crash(down_ms=down_ms, reboots=reboots)
    told |= say(gateway, 20)
    gateway.clock_off_ms = 0
    told |= say(gateway, 5)
    check_windows(cloud.windows(gateway.finish()), told)
    assert rejected(gateway) == {}


def test_a_process_that_stays_away_for_long_finds_the_time_by_the_steady_clock() -> None:
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    told = say(gateway, 25)
    gateway.clock_off_ms = -HOUR_MS
    gateway.pass_time(600)
    gateway.crash(down_ms=10 * 60_000, reboots=False)
    told |= say(gateway, 25)
    check_windows(cloud.windows(gateway.finish()), told)
    assert rejected(gateway) == {}


def test_after_a_reboot_with_a_clock_that_is_behind_readings_are_refused_and_counted_until_it_is_set() -> None:
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    told = say(gateway, 25)
    gateway.pass_time(600)
    gateway.clock_off_ms = -HOUR_MS
    gateway.crash(down_ms=60_000, reboots=True)
    say(gateway, 10)
    assert rejected(gateway) == {"future": 10 * len(HEALTHY)}
    gateway.clock_off_ms = 0
    told |= say(gateway, 15)
    check_windows(cloud.windows(gateway.finish()), told)


@pytest.mark.parametrize("ahead_ms", [4900, 5000])
def test_a_sensor_that_is_ahead_within_the_skew_closes_no_window_before_its_end(ahead_ms: int) -> None:
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    told = set()
    for _ in range(60):
        told |= say(gateway, 1)
        ahead = Reading(21, gateway.wall_ms + ahead_ms)
        gateway.receive(ahead)
        told.add(ahead)
    windows = cloud.windows()
    assert gateway.pipeline.statistics(gateway.clock_ms).readings_late == 0
    assert {window.revision for window in windows} == {0}
    check_windows(cloud.windows(gateway.finish()), told)
    assert last_editions(windows).keys() == {w.window_start_ms for w in windows}
