"""The congestion detector against the naive state machine, over any sequence of windows."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from roadside.core.congestion import (
    NO_LEVEL,
    CongestionDetector,
    CongestionRules,
    congestion_level,
    level_of_service,
    standing,
)
from roadside.core.registry import RoadClass
from roadside.core.sketch import BIN_COUNT
from roadside.core.summary import SegmentSums
from tests.property.naive_gateway import UNKNOWN, NaiveRules, NaiveSegment, NaiveSums, level_of, pace_of
from tests.unit.roadside.core.builders import registry_of

# In driving order; the second freeway segment has a sensor on one of its two lanes only.
CLASSES = (RoadClass.FREEWAY, RoadClass.FREEWAY, RoadClass.FREEWAY, RoadClass.RAMP, RoadClass.ARTERIAL)
SENSORS = (2, 1, 2, 2, 2)
FREE_FLOW_KMH = 100.0
REGISTRY = registry_of(*SENSORS, road_class=CLASSES, free_flow_kmh=FREE_FLOW_KMH, in_a_row=True)
CLOSE_TO_A_THRESHOLD = 1e-9

rules = st.sampled_from(
    [NaiveRules(), NaiveRules(confirm_ms=0, clear_ms=0, stale_ms=10_000, forget_ms=20_000, occupancy_warmup_ms=0)]
)


@dataclass(frozen=True)
class Traffic:
    """What one segment sees in a window."""

    vehicles: int
    unmeasured: int
    speed: int
    occupied_permille: int
    observed: bool

    def sums(self, window_ms: int) -> NaiveSums:
        return NaiveSums(
            vehicle_count=self.vehicles + self.unmeasured,
            vehicles_with_speed=self.vehicles,
            pace_sum=self.vehicles * pace_of(self.speed),
            occupied_ms=self.occupied_permille * window_ms // 1000 if self.observed else 0,
            observed_ms=window_ms if self.observed else 0,
            readings_accepted=1 if self.observed or self.vehicles or self.unmeasured else 0,
        )


traffic = st.builds(
    Traffic,
    vehicles=st.sampled_from([0, 0, 1, 7]),
    unmeasured=st.sampled_from([0, 0, 0, 2]),
    speed=st.sampled_from([0, 100, 550, 610, 650, 700, 1200]),
    occupied_permille=st.sampled_from([0, 150, 250, 400, 600, 601, 950]),
    observed=st.sampled_from([True, True, True, False]),
)
# A run of equal windows, or a stretch that no window covers: long enough together to warm up and to forget.
runs = st.one_of(
    st.tuples(st.integers(1, 15), st.tuples(*[traffic] * len(CLASSES))),
    st.tuples(st.sampled_from([5_000, 60_000, 400_000, 200_000_000]), st.none()),
)


def to_core(sums: list[NaiveSums]) -> SegmentSums:
    def column(name: str) -> np.ndarray:
        return np.array([getattr(one, name) for one in sums], dtype=np.int64)

    zero = np.zeros(len(sums), dtype=np.int64)
    names = SegmentSums.__dataclass_fields__.keys() - {"sketch", "sensors_reporting"}
    sketch = np.zeros((len(sums), BIN_COUNT), dtype=np.int64)
    return SegmentSums(**{name: column(name) for name in names}, sensors_reporting=zero, sketch=sketch)


def naive_road(rules: NaiveRules) -> list[NaiveSegment]:
    road = [
        NaiveSegment(road_class is RoadClass.FREEWAY, FREE_FLOW_KMH, rules, has_unseen_lane=sensors < 2)
        for road_class, sensors in zip(CLASSES, SENSORS, strict=True)
    ]
    for here, there in pairwise(road):
        here.downstream, there.upstream = there, here
    return road


@settings(max_examples=200)
@given(rules=rules, window_ms=st.sampled_from([1_000, 10_000, 20_000]), story=st.lists(runs, max_size=12))
def test_states_and_alerts_equal_the_naive_state_machine(
    rules: NaiveRules, window_ms: int, story: list[tuple[int, tuple[Traffic, ...] | None]]
) -> None:
    detector = CongestionDetector(REGISTRY, CongestionRules(**asdict(rules)))
    naive = naive_road(rules)
    end_ms = 0
    for length, seen in story:
        if seen is None:
            detector.skip(length)
            for segment in naive:
                segment.fade(length)
            end_ms += length
            continue
        sums = [one.sums(window_ms) for one in seen]
        for _ in range(length):
            end_ms += window_ms
            changes = detector.update(to_core(sums), end_ms, window_ms)
            for i, segment in enumerate(naive):
                segment.take(sums[i], window_ms)
            expected = [(i, segment.judge(end_ms, window_ms)) for i, segment in enumerate(naive)]
            # A gap of days leaves sums that are too small to be told apart from nothing.
            assume(all(s.margin() > CLOSE_TO_A_THRESHOLD or s.state == UNKNOWN for s in naive))
            assert detector.state.tolist() == [segment.state for segment in naive]
            assert [(c.segment, (c.congested, c.occurred_ms, c.started_ms)) for c in changes] == [
                (i, change) for i, change in expected if change is not None
            ]
            assert all(change.level == NO_LEVEL or 0 <= change.level <= 100 for change in changes)


@given(seen=st.tuples(*[traffic] * len(CLASSES)))
def test_level_of_a_window_equals_the_naive_one(seen: tuple[Traffic, ...]) -> None:
    naive = [one.sums(10_000) for one in seen]
    sums = to_core(naive)
    level = congestion_level(sums.average_speed_kmh(), REGISTRY.free_flow_kmh, standing(sums))
    assert level.tolist() == [level_of(one, FREE_FLOW_KMH) for one in naive]


@given(
    speeds=st.lists(st.floats(0, 255), min_size=2, max_size=40),
    free_flow_kmh=st.floats(1, 200),
)
def test_level_is_bounded_and_never_rises_with_speed(speeds: list[float], free_flow_kmh: float) -> None:
    ordered = np.sort(np.array(speeds))
    nothing_stands = np.zeros(len(speeds), dtype=bool)
    level = congestion_level(ordered, np.full(len(speeds), free_flow_kmh), nothing_stands)
    assert level.min() >= 0
    assert level.max() <= 100
    assert (np.diff(level) <= 0).all()


@given(density=st.floats(0.1, 200), lanes=st.integers(1, 6), speed_kmh=st.floats(3, 250))
def test_service_only_gets_worse_with_density(density: float, lanes: int, speed_kmh: float) -> None:
    counts = np.array([1, 2, 5, 10, 50, 400])
    six = np.full(6, speed_kmh)
    letters = level_of_service(counts, six, np.full(6, lanes), max(1, int(3_600_000 / density))).tolist()
    assert letters == sorted(letters)
    assert set(letters) <= set("ABCDEF")
