"""Sums of parts equal the sum of the whole, in integers, however the readings are split."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.core.grid import WindowGrid
from roadside.core.readings import NONE
from roadside.core.sensor_sums import sum_by_sensor
from roadside.core.sketch import BIN_COUNT, BIN_OF_SPEED, quantile_kmh
from roadside.core.summary import SegmentSums, summarise
from tests.unit.roadside.core.builders import Row, batch_of, registry_of

Column = npt.NDArray[Any]

SENSORS: Final = 8
REGISTRY = registry_of(3, 0, 5)
INTERVAL_MS: Final = 1_000


def _smaller(a: Column, b: Column) -> Column:
    return np.where(a == NONE, b, np.where(b == NONE, a, np.minimum(a, b)))


# How each figure of two parts becomes that of the whole; all that is not named here adds up.
MERGES: Final[dict[str, Callable[[Column, Column], Column]]] = {"speed_min": _smaller, "speed_max": np.maximum}


def merge(a: SegmentSums, b: SegmentSums) -> SegmentSums:
    names = SegmentSums.__dataclass_fields__
    return SegmentSums(**{name: MERGES.get(name, np.add)(getattr(a, name), getattr(b, name)) for name in names})


def sums_of(rows: list[Row]) -> SegmentSums:
    grid = WindowGrid(0, 10_000, INTERVAL_MS, SENSORS, len(REGISTRY.segments))
    report = grid.insert(batch_of(rows))
    assert report.accepted.all()
    return summarise(sum_by_sensor(grid, INTERVAL_MS), REGISTRY)


def assert_equal(a: SegmentSums, b: SegmentSums) -> None:
    for name in SegmentSums.__dataclass_fields__:
        assert getattr(a, name).dtype == np.int64
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


rows = st.lists(
    st.builds(
        Row,
        sensor=st.integers(0, SENSORS - 1),
        timestamp_ms=st.integers(0, 9_999),
        vehicles=st.sampled_from([0, 1, 2, 1000]),
        speed=st.one_of(st.just(NONE), st.integers(0, 2550)),
        occupancy=st.one_of(st.just(NONE), st.integers(0, 1000)),
    ),
    max_size=30,
    unique_by=lambda row: row[:2],
)


@settings(max_examples=60)
@given(rows=rows, part_of=st.lists(st.integers(0, 2), min_size=SENSORS, max_size=SENSORS))
def test_at_every_prefix_the_parts_of_a_split_by_sensor_merge_to_the_whole(rows: list[Row], part_of: list[int]) -> None:
    for length in range(len(rows) + 1):
        prefix = rows[:length]
        first, second, third = (sums_of([row for row in prefix if part_of[row.sensor] == part]) for part in range(3))
        whole = sums_of(prefix)
        assert_equal(merge(merge(first, second), third), whole)
        assert_equal(merge(third, merge(second, first)), whole)
        assert_equal(merge(whole, sums_of([])), whole)


@given(
    speeds=st.lists(st.integers(0, 2550), min_size=1, max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=4),
    q=st.one_of(st.sampled_from([0.0, 0.15, 0.5, 0.85, 1.0]), st.floats(0, 1)),
)
def test_quantiles_of_merged_sketches_stay_within_one_percent_of_the_order_statistic(
    speeds: list[int], cuts: list[int], q: float
) -> None:
    merged = np.zeros(BIN_COUNT, dtype=np.int64)
    for part in np.split(np.array(speeds), sorted(min(cut, len(speeds)) for cut in cuts)):
        merged += np.bincount(BIN_OF_SPEED[part], minlength=BIN_COUNT)
    exact_kmh = sorted(speeds)[int(q * (len(speeds) - 1))] / 10
    assert abs(float(quantile_kmh(merged, q)) - exact_kmh) <= 0.01 * exact_kmh * (1 + 1e-9)
