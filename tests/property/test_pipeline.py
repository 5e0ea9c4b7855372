"""Nothing lost, nothing counted twice: the Aggregator's pipeline through crashes, full disks, changes of its settings
and a cloud that loses, delays and repeats."""

import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.pipeline import JOURNAL_INTERVAL_MS
from roadside.contract.summary import WindowSummary
from tests.unit.aggregator.rig import (
    LAYOUTS,
    SENSORS,
    FakeCloud,
    Gateway,
    Reading,
    Weather,
    check_windows,
    last_editions,
)
from tests.unit.aggregator.rig import settings as aggregator_settings

HOUR_MS = 3_600_000
TIME_KEPT_MS = 2000  # well below the distance at which a reading counts as one of the future

weathers = st.builds(
    Weather,
    loss=st.sampled_from([0.0, 0.3]),
    repetition=st.sampled_from([0.0, 0.5]),
    unavailable=st.sampled_from([0.0, 0.3]),
    max_delay_ms=st.sampled_from([0, 2000, 60_000]),
    gathers=st.booleans(),
)
configurations = st.builds(
    aggregator_settings,
    st.sampled_from(sorted(LAYOUTS)),
    window_seconds=st.sampled_from([10, 10, 60, 15]),
    allowed_lateness_ms=st.sampled_from([0, 2000]),
)
# Half seconds before now, so that a sensor's second has up to two readings; some come long after their window.
readings = st.lists(
    st.tuples(st.sampled_from(SENSORS), st.sampled_from([0, 0, 1, 2, 3, 9, 30, 130])), min_size=1, max_size=8
)
steps = st.one_of(
    st.tuples(st.just("readings"), readings),
    st.tuples(st.just("readings"), readings),
    st.tuples(st.just("time"), st.sampled_from([1, 100, 499, 500, 2500, 11_000, 65_000])),
    st.tuples(st.just("crash"), st.none() | configurations),
    st.tuples(st.just("apply"), configurations),
    st.tuples(st.just("disk"), st.booleans()),
    st.tuples(st.just("clock"), st.sampled_from([-HOUR_MS, 0, HOUR_MS])),
)


class Story:
    """Runs steps on a gateway and keeps account of every reading."""

    def __init__(self, gateway: Gateway, *, offers_again: bool) -> None:
        self.gateway = gateway
        self.offers_again = offers_again
        self.certain: set[Reading] = set()
        self.perhaps: set[Reading] = set()
        self.fresh: list[tuple[int, list[Reading]]] = []  # told to this process
        self.safe: set[Reading] = set()  # told to one before, early enough to be on the disk
        self.disk_full_since_ms: int | None = None
        self.time_told_ms: list[int] = []  # when readings of late came, which know what time it is

    def run(self, step: tuple[str, Any]) -> None:
        what, argument = step
        getattr(self, what)(argument)

    def readings(self, places: list[tuple[int, int]]) -> None:
        now_ms = self.gateway.wall_ms
        self.tell([Reading(sensor, now_ms - now_ms % 500 - 500 * before) for sensor, before in places])

    def tell(self, told: list[Reading]) -> None:
        now_ms = self.gateway.wall_ms
        self.gateway.receive(*told)
        self.fresh.append((self.gateway.wall_ms, told))
        known = {sensor_id for segment in self.gateway.settings.segments for sensor_id in segment.sensors}
        self.certain |= {reading for reading in told if f"s{reading.sensor}" in known}
        # Of a sensor that only an earlier configuration knew, or a later one will.
        self.perhaps = (self.perhaps | set(told)) - self.certain
        if any(r in self.certain and now_ms - r.at_ms <= 2000 for r in told):
            self.time_told_ms.append(now_ms)

    def time(self, by_ms: int) -> None:
        self.gateway.pass_time(by_ms)

    def apply(self, configured: Any) -> None:
        self.gateway.apply(configured)

    def disk(self, full: bool) -> None:
        if full and self.disk_full_since_ms is None:
            self.disk_full_since_ms = self.gateway.wall_ms
            self.gateway.fill_disk()
        elif not full:
            self.gateway.empty_disk()
            self.gateway.pass_time(1000)  # writes are tried again every second
            self.disk_full_since_ms = None

    def clock(self, off_ms: int) -> None:
        # Until a reading of late is on the disk nothing but the wall clock tells what time it is: it has to be right.
        if self.time_is_on_disk():
            self.gateway.clock_off_ms = off_ms

    def time_is_on_disk(self) -> bool:
        written_ms = self.gateway.wall_ms if self.disk_full_since_ms is None else self.disk_full_since_ms
        return bool(self.time_told_ms) and self.time_told_ms[0] <= written_ms - JOURNAL_INTERVAL_MS

    def crash(self, configured: Any) -> None:
        now_ms = self.gateway.wall_ms
        written_ms = now_ms if self.disk_full_since_ms is None else self.disk_full_since_ms
        self.time_told_ms = [at_ms for at_ms in self.time_told_ms if at_ms <= written_ms - JOURNAL_INTERVAL_MS]
        at_risk = [told for at_ms, told in self.fresh if at_ms > written_ms - JOURNAL_INTERVAL_MS]
        for at_ms, told in self.fresh:
            if at_ms <= written_ms - JOURNAL_INTERVAL_MS:
                self.safe |= set(told)
        self.fresh = []
        self.gateway.empty_disk()
        self.disk_full_since_ms = None
        # A reboot with a clock that is behind leaves nothing that knows the time.
        reboots = self.gateway.clock_off_ms >= 0
        self.gateway.crash(configured, reboots=reboots)
        if reboots and self.time_told_ms and self.gateway.wall_ms - self.time_told_ms[-1] > TIME_KEPT_MS:
            self.time_told_ms = []  # nobody knows how long ago that was
        lost = {reading for told in at_risk for reading in told} - self.safe
        self.certain -= lost
        self.perhaps |= lost
        if self.offers_again:
            for told in at_risk:
                self.tell(told)


def check(
    weather: Weather, story_steps: list[tuple[str, Any]], *, offers_again: bool, seed: int, on_disk: bool
) -> None:
    folder: AbstractContextManager[str | None] = tempfile.TemporaryDirectory() if on_disk else nullcontext()
    with folder as path:
        cloud = FakeCloud(weather, Random(seed))  # noqa: S311
        gateway = Gateway(aggregator_settings(), cloud, Path(path) / "gateway.sqlite" if path else None)
        story = Story(gateway, offers_again=offers_again)
        for step in story_steps:
            story.run(step)
        gateway.empty_disk()
        last = gateway.finish()
        numbers = {sequence for _, sequence in cloud.messages}
        assert numbers >= set(range(1, last + 1)), "every message that was queued has come"
        check_windows(cloud.windows(last), story.certain, story.perhaps)
        assert gateway.pipeline.statistics(gateway.wall_ms).results_shed == 0
        gateway.store.close()


@settings(max_examples=120)
@given(
    weather=weathers, story_steps=st.lists(steps, max_size=30), offers_again=st.booleans(), seed=st.integers(0, 2**32)
)
def test_the_last_editions_hold_every_reading_once_whatever_happens(
    *, weather: Weather, story_steps: list[tuple[str, Any]], offers_again: bool, seed: int
) -> None:
    check(weather, story_steps, offers_again=offers_again, seed=seed, on_disk=False)


@settings(max_examples=12)
@given(
    weather=weathers, story_steps=st.lists(steps, max_size=20), offers_again=st.booleans(), seed=st.integers(0, 2**32)
)
def test_the_same_holds_on_a_disk(
    *, weather: Weather, story_steps: list[tuple[str, Any]], offers_again: bool, seed: int
) -> None:
    check(weather, story_steps, offers_again=offers_again, seed=seed, on_disk=True)


@settings(max_examples=4)
@given(seed=st.integers(0, 2**32), weather=weathers)
def test_a_crash_after_every_second_leaves_the_same_last_editions_as_none(seed: int, weather: Weather) -> None:
    def run(cloud: FakeCloud, crash_every_s: int) -> dict[int, WindowSummary]:
        random = Random(seed)  # noqa: S311
        gateway = Gateway(aggregator_settings(), cloud)
        for second in range(60):
            for sensor in SENSORS[:4]:
                late_ms = random.choice([0, 0, 0, 1000, 20_000])
                gateway.receive(Reading(sensor, gateway.wall_ms - gateway.wall_ms % 500 - late_ms))
            gateway.pass_time(1000)
            if crash_every_s and second % crash_every_s == 0:
                gateway.crash(down_ms=0)
        return last_editions(cloud.windows(gateway.finish()))

    expected = run(FakeCloud(), crash_every_s=0)
    found = run(FakeCloud(weather, Random(seed)), crash_every_s=1)  # noqa: S311
    assert expected.keys() == found.keys()
    for start_ms, window in expected.items():
        sums = [(s.sketch, s.pace_sum_ms_per_km, s.occupied_ms, s.readings_accepted) for s in window.segments]
        assert sums == [
            (s.sketch, s.pace_sum_ms_per_km, s.occupied_ms, s.readings_accepted) for s in found[start_ms].segments
        ]
