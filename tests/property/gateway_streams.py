"""Streams of readings as a gateway may meet them, for hypothesis; and the core run side by side with the naive one."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from roadside.core.aggregator import Aggregator, AggregatorConfig, ClosedWindow, Output, rejected_by_name
from roadside.core.congestion import CongestionRules
from roadside.core.health import ClassRules, HealthRules
from roadside.core.registry import Registry, RoadClass
from roadside.core.sketch import BIN_COUNT
from tests.property.naive_gateway import (
    NaiveEdition,
    NaiveGateway,
    NaiveRules,
    NaiveSegment,
    NaiveTimes,
    Reading,
)
from tests.unit.roadside.core.builders import T0_MS, Row, batch_of, registry_of

SENSOR_COUNTS = (2, 0, 1)  # a segment without sensors lies between the others
CLASSES = (RoadClass.FREEWAY, RoadClass.RAMP, RoadClass.ARTERIAL)
SEGMENT_OF = [0, 0, 2]
FREE_FLOW_KMH = 90.0

QUICK = NaiveRules(  # so that short streams go through every state
    speed_memory_ms=3_000,
    occupancy_memory_ms=4_000,
    occupancy_warmup_ms=6_000,
    flow_memory_ms=20_000,
    stale_ms=7_000,
    forget_ms=12_000,
    confirm_ms=2_000,
    clear_ms=3_000,
)

times = st.builds(
    NaiveTimes,
    window_ms=st.sampled_from([1_000, 3_000, 10_000]),
    reading_interval_ms=st.sampled_from([1_000, 300, 700, 20_000]),
    allowed_lateness_ms=st.sampled_from([0, 700, 2_000]),
    correction_age_ms=st.sampled_from([0, 4_500, 30_000]),
    correction_delay_ms=st.sampled_from([0, 1_500, 10_000]),
    max_future_skew_ms=st.sampled_from([0, 5_000]),
    idle_grace_ms=st.sampled_from([0, 2_000]),
    max_empty_windows=st.sampled_from([1, 3, 360]),
)


@dataclass(frozen=True)
class Step:
    """Time passes, then readings come in one batch, or the gateway looks what is due."""

    after_ms: int
    wall_off_ms: int
    readings: tuple[tuple[int, int, int, int, int], ...] | None  # timestamps relative to the true time


_ages = st.sampled_from(
    [0, 1, 250, 999, 1_000, 1_001, 2_500, 4_000, 9_000, 31_000, -1, -700, -5_000, -5_001, -3_600_000]
)
_valid = st.tuples(
    st.integers(0, 2), _ages, st.sampled_from([0, 0, 1, 1, 3]), st.sampled_from([-1, 0, 29, 31, 400, 600, 1100]),
    st.sampled_from([-1, 0, 50, 250, 350, 600, 601, 900]),
)  # fmt: skip
_any = st.tuples(
    st.integers(-1, 2), _ages, st.sampled_from([-1, 0, 1, 1000, 1001]), st.sampled_from([-2, -1, 0, 2550, 2551]),
    st.sampled_from([-2, -1, 0, 1000, 1001]),
)  # fmt: skip
_batches = st.lists(st.one_of(_valid, _valid, _valid, _any), max_size=12).map(tuple)
_steps = st.builds(
    Step,
    after_ms=st.sampled_from([0, 1, 300, 1_000, 1_000, 1_000, 3_000, 15_000, 90_000]),
    wall_off_ms=st.sampled_from([0, 0, 0, -3_600_000, 3_600_000]),
    readings=st.one_of(st.none(), _batches),
)
streams = st.lists(_steps, min_size=1, max_size=25)


UNJUDGED = HealthRules(enabled=False)
_IMPATIENT = ClassRules(
    silent_ms=9_000, dead_ms=6_000, stuck_ms=6_000, constant_ms=3_000, chatter_vehicles=20, chatter_clear_ms=9_000,
    clear_ms=3_000,
)  # fmt: skip
IMPATIENT = HealthRules(freeway=_IMPATIENT, ramp=_IMPATIENT, arterial=_IMPATIENT)


def make_registry() -> Registry:
    return registry_of(*SENSOR_COUNTS, road_class=CLASSES, free_flow_kmh=FREE_FLOW_KMH)


def make_config(times: NaiveTimes, rules: NaiveRules = QUICK, health: HealthRules = UNJUDGED) -> AggregatorConfig:
    return AggregatorConfig(
        **asdict(times), congestion=CongestionRules(**asdict(rules)), health=health, sensor_interval_ms=15_000
    )


def make_naive(times: NaiveTimes, rules: NaiveRules = QUICK) -> NaiveGateway:
    segments = [NaiveSegment(road_class is RoadClass.FREEWAY, FREE_FLOW_KMH, rules) for road_class in CLASSES]
    return NaiveGateway(SEGMENT_OF, segments, times)


def rows_at(step: Step, now_ms: int) -> list[Row]:
    """The step's readings with their instants; some have an instant before 1970."""
    rows = []
    for sensor, age_ms, vehicles, speed, occupancy in step.readings or ():
        instant = -1 if vehicles == 1000 and occupancy == 0 else T0_MS + now_ms - age_ms
        rows.append(Row(sensor, instant, vehicles, speed, occupancy))
    return rows


def as_readings(rows: list[Row]) -> list[Reading]:
    return [Reading(*row) for row in rows]


def counts_of(aggregator: Aggregator) -> dict[str, int]:
    counters = asdict(aggregator.counters)
    del counters["rejected"]
    rejected = {name.upper(): count for name, count in rejected_by_name(aggregator.counters).items()}
    return {name: count for name, count in {**counters, **rejected}.items() if count}


def edition_as_dict(window: ClosedWindow) -> dict[str, Any]:
    """An edition as plain values, to compare two runs of the core."""
    plain: dict[str, Any] = {"start_ms": window.start_ms, "window_ms": window.window_ms, "revision": window.revision}
    for name in ("level", "state", "duplicates", "late", "rejected", "excluded"):
        plain[name] = getattr(window, name).tolist()
    for name in window.sums.__dataclass_fields__:
        plain[name] = getattr(window.sums, name).tolist()
    return plain


def output_as_dict(output: Output) -> dict[str, Any]:
    # repr, since NaN equals no NaN
    return {
        "windows": [edition_as_dict(window) for window in output.windows],
        "changes": [repr(change) for change in output.changes],
        "sensors": [repr(change) for change in output.sensor_changes],
        "intervals": [repr(interval) for interval in output.intervals],
    }


def assert_edition(window: ClosedWindow, naive: NaiveEdition) -> None:
    """Every figure of the edition equals the naive one, exactly."""
    plain = edition_as_dict(window)
    expected: dict[str, Any] = {"start_ms": naive.start_ms, "window_ms": window.window_ms, "revision": naive.revision}
    for name in ("level", "state", "duplicates", "late", "rejected"):
        expected[name] = getattr(naive, name)
    for name in window.sums.__dataclass_fields__:
        if name == "sketch":
            expected[name] = [[sums.sketch[i] for i in range(BIN_COUNT)] for sums in naive.sums]
        elif name == "sensors_reporting":
            expected[name] = [len(sums.sensors) for sums in naive.sums]
        else:
            expected[name] = [getattr(sums, name) for sums in naive.sums]
    for name, value in expected.items():
        assert plain[name] == value, name


def feed(aggregator: Aggregator, rows: list[Row], wall_ms: int, steady_ms: int) -> None:
    aggregator.feed(batch_of(rows), wall_ms, steady_ms)


def total(column: np.ndarray[Any, Any]) -> int:
    return int(column.sum())
