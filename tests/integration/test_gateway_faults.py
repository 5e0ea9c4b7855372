"""Faults of a gateway's surroundings, on a whole pipeline with a clock moved by hand: wall clocks, liars, overload.

What must come out is counted up reading by reading (`tests.unit.aggregator.rig`), never taken from the code itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

import pytest

from roadside.contract.summary import WindowSummary
from roadside.runtime.service import Delivery, Inbox
from tests.unit.aggregator.rig import (
    FRAMES,
    START_MS,
    FakeCloud,
    Gateway,
    Reading,
    check_windows,
    frame,
    last_editions,
    settings,
)

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


def test_a_window_that_closes_before_the_clock_is_set_after_a_power_cut_is_not_given_up_as_years_old() -> None:
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    told = say(gateway, 15)
    gateway.pass_time(600)
    cloud.reachable = False
    gateway.clock_off_ms = -gateway.wall_ms  # 1970: it has no battery
    gateway.crash(down_ms=30_000, reboots=True)
    gateway.pass_time(20_000)  # silence closes what was open
    assert gateway.store.outbox.headers()
    gateway.clock_off_ms = 0
    told |= say(gateway, 25)
    cloud.reachable = True
    check_windows(cloud.windows(gateway.finish()), told)
    assert gateway.pipeline.statistics(gateway.clock_ms).uplink.given_up == 0


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


LIES: dict[str, Callable[[int], int]] = {
    "an hour in the future": lambda now_ms: now_ms + HOUR_MS,
    "just beyond the skew": lambda now_ms: now_ms + 5001,
    "an hour in the past": lambda now_ms: now_ms - HOUR_MS,
    "frozen": lambda _: START_MS + 20_000,
    "seconds for milliseconds": lambda now_ms: now_ms // 1000,
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_sensor_that_lies_about_its_time_is_counted_and_harms_nobody_else(lie: str) -> None:
    def run(*, lies: bool) -> tuple[Gateway, FakeCloud, set[Reading]]:
        cloud = FakeCloud()
        gateway = Gateway(settings(correction_seconds=60), cloud)
        told = say(gateway, 15)
        for _ in range(120):
            told |= say(gateway, 1)
            if lies:
                gateway.receive(Reading(21, LIES[lie](gateway.wall_ms)))
        told |= say(gateway, 30)
        return gateway, cloud, told

    gateway, cloud, told = run(lies=True)
    _, undisturbed, _ = run(lies=False)
    statistics = gateway.pipeline.statistics(gateway.clock_ms)
    counted = sum(statistics.readings_rejected.values()) + statistics.readings_duplicate
    frozen = [Reading(21, LIES[lie](0))] if lie == "frozen" else []
    assert counted == 120 - len(frozen)
    assert statistics.readings_accepted == len(told) + len(frozen)
    # Every window closes as it would without the liar. One that is frozen corrects the window it stands in, once.
    assert [w.window_start_ms for w in cloud.windows() if w.revision == 0] == [
        w.window_start_ms for w in undisturbed.windows()
    ]
    assert len(cloud.windows()) - len(undisturbed.windows()) <= len(frozen)
    check_windows(cloud.windows(gateway.finish()), told | set(frozen))


def test_a_liar_that_is_the_first_to_speak_leaves_one_window_of_its_own_time() -> None:
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    liar = Reading(21, START_MS // 1000)
    gateway.receive(liar)
    told = say(gateway, 60)
    windows = cloud.windows(gateway.finish())
    check_windows(windows, told | {liar})
    assert len(windows) < 20, "fifty-seven years without readings were sent"
    assert gateway.pipeline.statistics(gateway.clock_ms).windows_skipped > 1e8


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_that_comes_twice_and_out_of_order_counts_every_reading_once(seed: int) -> None:
    random = Random(seed)  # noqa: S311
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    told = {Reading(sensor, START_MS + 1000 * second) for sensor in HEALTHY for second in range(120)}
    arrivals = sorted(
        (reading.at_ms + random.choice([0, 1000, 3000, 40_000, 100_000]), reading) for reading in [*told, *told]
    )
    for at_ms, reading in arrivals:
        gateway.pass_time(max(0, at_ms - gateway.wall_ms))
        gateway.receive(reading)
    statistics = gateway.pipeline.statistics(gateway.clock_ms)
    assert (statistics.readings_accepted, statistics.readings_duplicate) == (len(told), len(told))
    check_windows(cloud.windows(gateway.finish()), told)


def test_a_minute_of_ten_times_the_readings_is_bounded_counted_and_over_when_it_is_over() -> None:
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    told = say(gateway, 20)
    flooded_from_ms = gateway.wall_ms
    fed = 0
    for _ in range(60):
        gateway.pass_time(1000)
        flood = [Reading(sensor, gateway.wall_ms - 100 * tenth) for sensor in HEALTHY for tenth in range(10)]
        gateway.receive(*flood)
        fed += len(flood)
    flooded_until_ms = gateway.wall_ms
    before = gateway.pipeline.statistics(gateway.clock_ms)
    told |= say(gateway, 40)
    after = gateway.pipeline.statistics(gateway.clock_ms)

    accepted = before.readings_accepted - 20 * len(HEALTHY)
    assert accepted + before.readings_rejected["overflow"] + before.readings_duplicate == fed
    assert after.readings_rejected == before.readings_rejected
    assert after.readings_late == 0
    last = last_editions(cloud.windows(gateway.finish())).values()
    for window in last:
        slots = window.window_ms // window.reading_interval_ms
        assert sum(s.readings_accepted for s in window.segments) <= 2 * slots * 4  # a slot's first, and one more each
    calm = [w for w in last if w.window_end_ms <= flooded_from_ms or w.window_start_ms > flooded_until_ms]
    assert len(calm) >= 4
    check_windows(calm, {r for r in told if any(w.window_start_ms <= r.at_ms < w.window_end_ms for w in calm)})
    # A closed window leaves nothing behind that grows: the journal holds what came since.
    assert sum(len(record) for record in gateway.store.journal.records()) < 20_000


def test_a_sensor_that_floods_takes_no_room_from_the_others() -> None:
    cloud = FakeCloud()
    gateway = Gateway(settings(), cloud)
    told = set()
    for _ in range(40):
        gateway.pass_time(1000)
        gateway.receive(*[Reading(21, gateway.wall_ms - 10 * i) for i in range(100)])
        jittery = [Reading(sensor, gateway.wall_ms - early) for sensor in HEALTHY for early in (100, 400)]
        gateway.receive(*jittery)  # two in one slot
        told |= set(jittery)
    for window in cloud.windows():
        by_number = {summary.number: summary for summary in window.segments}
        mine = {r for r in told if r.sensor in (10, 11) and window.window_start_ms <= r.at_ms < window.window_end_ms}
        assert by_number[1].readings_accepted == len(mine)
        assert by_number[2].readings_accepted <= 4 * 10  # of two sensors, two a slot
    assert len(cloud.windows()) >= 3
    assert rejected(gateway)["overflow"] > 1000


@dataclass
class Flooded:
    """A component that is given messages faster than it takes them, for a while."""

    gateway: Gateway
    inbox: Inbox
    taken: list[Delivery]

    def take(self) -> None:
        for delivery in self.inbox.take(0):
            self.taken.append(delivery)
            if delivery.source == "acks":
                continue
            self.gateway.receive_payload(delivery.topic, delivery.payload)


def test_a_component_that_stands_still_for_a_minute_of_flood_keeps_the_newest_and_every_acknowledgement() -> None:
    gateway = Gateway(settings(), FakeCloud())
    flooded = Flooded(gateway, Inbox(max_bytes=64 * 1024), [])
    for second in range(60):
        gateway.pass_time(1000)
        for tenth in range(10):
            readings = [Reading(sensor, gateway.wall_ms - 100 * tenth) for sensor in HEALTHY for _ in range(10)]
            flooded.inbox.put(Delivery("readings", FRAMES, frame(readings)))
        flooded.inbox.put(Delivery("acks", "acks", bytes([second])))
    flooded.take()
    kept = [delivery for delivery in flooded.taken if delivery.source == "readings"]
    assert [d.payload for d in flooded.taken if d.source == "acks"] == [bytes([second]) for second in range(60)]
    assert sum(len(delivery.payload) for delivery in flooded.taken) <= 64 * 1024
    assert flooded.inbox.shed() == {"readings": 600 - len(kept)}
    assert 20 < len(kept) < 500
    # What was kept is the newest, and the gateway goes on with it as if nothing had been.
    told = say(gateway, 40)
    calm = [window for window in gateway.cloud.windows(gateway.finish()) if window.window_start_ms > START_MS + 60_000]
    check_windows(calm, {r for r in told if r.at_ms >= START_MS + 70_000})
    assert len(last_editions(calm)) >= 3


@pytest.mark.parametrize("change", ["2026-03-29T01:00", "2026-10-25T01:00"])
def test_nothing_changes_when_summer_time_begins_or_ends(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    at_ms = int(datetime.fromisoformat(f"{change}+00:00").timestamp() * 1000)

    def run(zone: str) -> list[WindowSummary]:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        cloud = FakeCloud()
        gateway = Gateway(settings(window_seconds=60), cloud)
        gateway.wall_ms = at_ms - 20 * 60_000
        told = set()
        for _ in range(4 * 40):
            told |= {Reading(sensor, gateway.wall_ms) for sensor in HEALTHY}
            gateway.receive(*[Reading(sensor, gateway.wall_ms) for sensor in HEALTHY])
            gateway.pass_time(15_000)
        windows = cloud.windows(gateway.finish())
        check_windows(windows, told)
        return [replace(window, epoch_ms=0) for window in windows]

    try:
        berlin = run("Europe/Berlin")
        assert berlin == run("UTC")
    finally:
        monkeypatch.undo()
        time.tzset()
    starts = [window.window_start_ms for window in berlin]
    assert starts == list(range(starts[0], starts[-1] + 60_000, 60_000))
    assert starts[0] < at_ms < starts[-1]
