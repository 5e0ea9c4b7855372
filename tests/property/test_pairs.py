"""Across gateways a pair is judged exactly as one gateway would judge it that had both stations."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.functions.sweep import pairs_memory, pairs_profile, pairs_rules
from cloud.functions.sweep.pairs import PairJudge, RoadSegment
from cloud.functions.sweep.pairs_rules import PairRules
from cloud.functions.sweep.pairs_stretch import NO_ALERT, PairChange
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary
from roadside.core import congestion, contrast_profile, incidents
from roadside.core.incidents import IncidentChange, IncidentDetector, IncidentRules
from roadside.core.lanes import MAX_LANES
from roadside.core.readings import NONE
from roadside.core.registry import Registry, RoadClass, Segment
from roadside.core.summary import MIN_PACE_SPEED_DKMH, PACE_MS_PER_KM, SegmentSums

STATIONS, LANES, STEPS = 4, 3, 300
GATEWAYS = ("west", "west", "east", "east")  # of the stations
ROAD = [
    RoadSegment(i, f"E{i}", gateway, "freeway", 100.0, i + 1 if i + 1 < STATIONS else None)
    for i, gateway in enumerate(GATEWAYS)
]
START_MS = 1_715_664_600_000


@dataclass(frozen=True)
class Disturbance:
    """Something that happens at a station, from a step on for some steps."""

    kind: str
    station: int
    begin: int
    steps: int


disturbances = st.lists(
    st.builds(
        Disturbance,
        kind=st.sampled_from(
            ["queue", "blocked", "both", "both", "standing", "deserted", "silent gateway", "dead lane"]
        ),
        station=st.integers(0, STATIONS - 1),
        begin=st.integers(70, STEPS - 20),
        steps=st.integers(6, 90),
    ),
    min_size=1,
    max_size=4,
)


@dataclass
class Story:
    """What every station tells in every window, [STEPS, STATIONS] or [STEPS, STATIONS, LANES]."""

    window_ms: int
    lanes: np.ndarray
    pace_sum: np.ndarray
    occupied_ms: np.ndarray
    told: np.ndarray

    @classmethod
    def of(cls, seed: int, window_s: int, happenings: list[Disturbance]) -> Story:
        rng = np.random.default_rng(seed)
        lanes = rng.poisson(0.4 * window_s, (STEPS, STATIONS, LANES))
        speed = np.clip(rng.normal(930, 40, (STEPS, STATIONS)), 1, 2550).astype(int)
        occupancy = np.full((STEPS, STATIONS), 0.06)
        told = np.ones((STEPS, STATIONS), dtype=bool)
        for event in happenings:
            during = slice(event.begin, event.begin + event.steps)
            lane = int(rng.integers(LANES))
            if event.kind in ("queue", "both"):
                speed[during, event.station], occupancy[during, event.station] = 200, 0.4
            if event.kind in ("blocked", "both"):
                past = min(event.station + 1, STATIONS - 1)
                lanes[during, past, (lane + 1) % LANES] += lanes[during, past, lane]
                lanes[during, past, lane] = 0
            if event.kind == "standing":
                lanes[during, event.station], occupancy[during, event.station] = 0, 0.9
            if event.kind == "deserted":
                lanes[during, event.station] = 0
            if event.kind == "dead lane":
                lanes[during, event.station, lane] = 0
        for event in [event for event in happenings if event.kind == "silent gateway"][:1]:
            mute = [gateway == GATEWAYS[event.station] for gateway in GATEWAYS]
            begin = event.begin - event.begin % 2  # of half a step the cloud takes nothing
            told[begin : begin + event.steps // 2 * 2, mute] = False
        observed_ms = 1000 * window_s * LANES
        return cls(
            1000 * window_s,
            np.where(told[:, :, np.newaxis], lanes, 0),
            np.where(told, lanes.sum(axis=2) * PACE_MS_PER_KM[speed], 0),
            np.where(told, (occupancy * observed_ms).astype(int), 0),
            told,
        )

    def end_ms(self, step: int) -> int:
        return START_MS + self.window_ms * (step + 1)

    def sums(self, step: int) -> tuple[SegmentSums, np.ndarray]:
        """The window as the core has it."""
        count, told = self.lanes[step].sum(axis=1), self.told[step]
        values = dict.fromkeys(SegmentSums.__dataclass_fields__, np.zeros(STATIONS, dtype=np.int64)) | {
            "vehicle_count": count,
            "vehicles_with_speed": count,
            "pace_sum": self.pace_sum[step],
            "occupied_ms": self.occupied_ms[step],
            "observed_ms": np.where(told, self.window_ms * LANES, 0),
            "readings_accepted": np.where(told, LANES, 0),
        }
        lanes = np.full((STATIONS, MAX_LANES), NONE, dtype=np.int64)
        lanes[told, :LANES] = self.lanes[step][told]
        return SegmentSums(**values), lanes

    def windows(self, step: int) -> list[WindowSummary]:
        """The windows as the gateways send them; a gateway that is silent sends none."""
        found = []
        for gateway in dict.fromkeys(GATEWAYS):
            own = [i for i, name in enumerate(GATEWAYS) if name == gateway and self.told[step, i]]
            if own:
                start_ms = self.end_ms(step) - self.window_ms
                segments = tuple(self._segment(step, i) for i in own)
                found.append(WindowSummary(gateway, 1, step + 1, start_ms, self.window_ms, segments))
        return found

    def _segment(self, step: int, i: int) -> SegmentSummary:
        count = int(self.lanes[step, i].sum())
        return SegmentSummary(
            number=i,
            sketch=SpeedSketch(300, (count,) if count else ()),
            pace_sum_ms_per_km=int(self.pace_sum[step, i]),
            occupied_ms=int(self.occupied_ms[step, i]),
            observed_ms=self.window_ms * LANES,
            readings_accepted=LANES,
            lane_vehicles=tuple(self.lanes[step, i].tolist()),
        )


def one_gateway(story: Story) -> list[IncidentChange]:
    """What the core says of the pairs that the border crosses, if one gateway has all stations."""
    registry = Registry(
        Segment(
            f"E{i}", i, RoadClass.FREEWAY, 100.0, LANES, tuple(f"E{i}_{lane}" for lane in range(LANES)), 10 * i,
            i + 1 if i + 1 < STATIONS else None,
        )
        for i in range(STATIONS)
    )  # fmt: skip
    detector = IncidentDetector(registry, IncidentRules())
    changes: list[IncidentChange] = []
    for step in range(STEPS):
        changes += detector.update(*story.sums(step), story.end_ms(step), story.window_ms)
    return [change for change in changes if change.segment < 2]


def two_gateways(story: Story, seed: int) -> list[PairChange]:
    """What is judged minute by minute from windows that come late, twice and in disorder."""
    rng = np.random.default_rng(seed)
    judge = PairJudge(ROAD)
    judge.take(story.windows(0))  # time begins with the first window that comes
    sent = [(story.end_ms(step), window) for step in range(STEPS) for window in story.windows(step) * 2]
    arrivals = sorted(
        ((end_ms + int(rng.integers(2_000, 60_000)), window) for end_ms, window in sent), key=lambda arrival: arrival[0]
    )
    changes: list[PairChange] = []
    for now_ms in range(START_MS, story.end_ms(STEPS) + 240_000, 60_000):
        while arrivals and arrivals[0][0] <= now_ms:
            judge.take([arrivals.pop(0)[1]])
        changes += judge.judge(now_ms)
        judge = restarted(judge)
    return changes


def restarted(judge: PairJudge) -> PairJudge:
    """The judge as the next pass finds it."""
    successor = PairJudge(ROAD)
    assert pairs_memory.restore(successor, pairs_memory.dump(judge)) == 1
    pairs_memory.restore_profiles(successor, pairs_memory.dump_profiles(judge))
    return successor


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), window_s=st.sampled_from([5, 10, 10, 30]), happenings=disturbances)
def test_pairs_across_gateways_are_judged_as_one_gateway_judges_its_own(
    seed: int, window_s: int, happenings: list[Disturbance]
) -> None:
    story = Story.of(seed, window_s, happenings)
    expected, found = one_gateway(story), two_gateways(story, seed)

    def instants(change: IncidentChange | PairChange, here: int) -> tuple[int, bool, int, int]:
        return here, change.detected, change.occurred_ms, change.started_ms

    found = sorted(found, key=lambda change: (change.occurred_ms, change.here.number))
    assert [instants(c, c.here.number) for c in found] == [instants(c, c.segment) for c in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.speed_kmh, mine.downstream_speed_kmh, mine.score) == pytest.approx(
            (theirs.speed_kmh, theirs.downstream_speed_kmh, theirs.score), rel=1e-6
        )


def test_the_stories_above_are_worth_telling() -> None:
    story = Story.of(1, 10, [Disturbance("both", 1, 100, 60)])

    raised, cleared = two_gateways(story, 1)
    assert (raised.here.segment_id, raised.past.segment_id, raised.detected) == ("E1", "E2", True)
    assert (cleared.here.segment_id, cleared.detected, cleared.started_ms) == ("E1", False, raised.occurred_ms)


def test_constants_and_rules_are_those_of_the_core() -> None:
    for field in fields(PairRules):
        assert getattr(PairRules(), field.name) == getattr(IncidentRules(), field.name), field.name
    assert {field.name for field in fields(IncidentRules)} - {field.name for field in fields(PairRules)} == {"enabled"}
    for theirs, mine in ((incidents, pairs_rules), (contrast_profile, pairs_profile)):
        shared = [name for name in vars(mine) if name.isupper() and name in vars(theirs)]
        assert len(shared) >= 8
        assert {name: getattr(mine, name) for name in shared} == {name: getattr(theirs, name) for name in shared}
    assert pairs_rules.STANDING_OCCUPANCY == congestion.STANDING_OCCUPANCY
    assert PACE_MS_PER_KM[MIN_PACE_SPEED_DKMH] == pairs_rules.STANDING_PACE_MS_PER_KM
    assert incidents.NO_ALERT == NO_ALERT
