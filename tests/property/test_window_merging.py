"""Merged windows say what one window over the same readings would have said, to the last integer."""

import math
from dataclasses import replace
from itertools import accumulate

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.messages import segment_summaries
from roadside.contract.codec import decode_window, encode_window
from roadside.contract.merging import merge_windows
from roadside.contract.summary import CongestionState, SegmentSummary, WindowSummary
from roadside.core.aggregator import ClosedWindow
from roadside.core.grid import WindowGrid
from roadside.core.sensor_sums import sum_by_sensor
from roadside.core.summary import summarise
from tests.unit.roadside.core.builders import Row, batch_of, registry_of

SENSORS = 4
REGISTRY = registry_of(3, 0, 1)
INTERVAL_MS = 1000
SPAN_MS = 60_000
# What does not follow from the readings of a window alone, or does not add.
NOT_ADDED = {
    "congestion_level": None,
    "congestion_state": CongestionState.UNKNOWN,
    "sensors_reporting": 0,
    "sensors_excluded": 0,
}

rows = st.lists(
    st.builds(
        Row,
        sensor=st.integers(0, SENSORS - 1),
        timestamp_ms=st.integers(0, SPAN_MS - 1),
        vehicles=st.sampled_from([0, 1, 2, 1000]),
        speed=st.one_of(st.just(-1), st.integers(0, 2550)),
        occupancy=st.one_of(st.just(-1), st.integers(0, 1000)),
    ),
    max_size=40,
    unique_by=lambda row: row[:2],
)


def window_of(readings: list[Row], start_ms: int, window_ms: int) -> WindowSummary:
    grid = WindowGrid(start_ms, window_ms, INTERVAL_MS, SENSORS, len(REGISTRY.segments))
    inside = [row for row in readings if start_ms <= row.timestamp_ms < start_ms + window_ms]
    if inside:
        assert grid.insert(batch_of(inside)).accepted.all()
    nothing = np.zeros(len(REGISTRY.segments), dtype=np.int64)
    sums = summarise(sum_by_sensor(grid, INTERVAL_MS), REGISTRY)
    closed = ClosedWindow(start_ms, window_ms, 0, sums, nothing, nothing, nothing, nothing, nothing, nothing, {})
    return WindowSummary("g", 1, 1, start_ms, window_ms, segment_summaries(closed, REGISTRY))


def added(segment: SegmentSummary) -> SegmentSummary:
    return replace(segment, **NOT_ADDED)  # type: ignore[arg-type]


@settings(max_examples=60)
@given(readings=rows, window_ms=st.sampled_from([10_000, 15_000, 30_000]))
def test_merged_windows_equal_one_window_over_all_their_readings(readings: list[Row], window_ms: int) -> None:
    parts = [window_of(readings, start_ms, window_ms) for start_ms in range(0, SPAN_MS, window_ms)]
    merged = merge_windows(parts, sequence=7)
    whole = window_of(readings, 0, SPAN_MS)
    assert (merged.window_start_ms, merged.window_ms, merged.sequence) == (0, SPAN_MS, 7)
    assert [added(segment) for segment in merged.segments] == [added(segment) for segment in whole.segments]
    for segment, one in zip(merged.segments, whole.segments, strict=True):
        assert segment.sensors_reporting <= one.sensors_reporting
    assert decode_window(encode_window(merged)) == merged


@settings(max_examples=40)
@given(readings=rows, q=st.sampled_from([0.0, 0.15, 0.5, 0.85, 1.0]))
def test_quantiles_of_merged_windows_stay_within_the_sketch_error(readings: list[Row], q: float) -> None:
    merged = merge_windows([window_of(readings, start_ms, 10_000) for start_ms in range(0, SPAN_MS, 10_000)], 1)
    for place, segment in enumerate(merged.segments):
        here = [row for row in readings if REGISTRY.sensor_segment[row.sensor] == place and row.speed != -1]
        weights = sorted((row.speed, row.vehicles) for row in here if row.vehicles)
        total = sum(vehicles for _, vehicles in weights)
        told = segment.speed_quantile_kmh(q)
        if not total:
            assert told is None
            continue
        reached = accumulate(vehicles for _, vehicles in weights)
        rank = math.floor(q * (total - 1))
        exact = next(s for (s, _), n in zip(weights, reached, strict=True) if n > rank) / 10
        assert told is not None
        assert abs(told - exact) <= 0.01 * exact * (1 + 1e-9)
