"""What hours and days add up to, and that neither order nor grouping changes it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import lake_tables
from cloud.functions.rollup.logic import add_windows, day_rows, decode_rows, encode_rows, hour_rows
from cloud.functions.rollup.sums import ADDED, Row, Sums
from cloud.functions.shared.hours import HOUR_MS
from roadside.contract import sketch_bins
from roadside.contract.merging import merge_windows
from roadside.contract.summary import CongestionState, SegmentSummary, SpeedSketch, WindowSummary
from tests.unit.cloud.messages import make_window

DAY_MS = 1_789_948_800_000  # 2026-09-21T00:00Z


def window_of(
    speeds_dkmh: list[int], start_ms: int = DAY_MS, *, error_permille: int = 10, **more: int
) -> WindowSummary:
    """A window of one segment in which these vehicles passed."""
    bins = sorted(sketch_bins.bin_of(speed, error_permille) for speed in speeds_dkmh)
    counts = tuple(bins.count(index) for index in range(bins[0], bins[-1] + 1)) if bins else ()
    segment = SegmentSummary(
        number=5,
        sketch=SpeedSketch(bins[0], counts) if bins else SpeedSketch(),
        speed_sum_dkmh=sum(speeds_dkmh),
        pace_sum_ms_per_km=sum(map(sketch_bins.pace_ms_per_km, speeds_dkmh)),
        speed_square_sum=sum(speed**2 for speed in speeds_dkmh),
        speed_min_dkmh=min(speeds_dkmh, default=None),
        speed_max_dkmh=max(speeds_dkmh, default=None),
        observed_ms=10_000,
        readings_accepted=10,
    )
    window = WindowSummary("gw", 1, 1, start_ms, 10_000, (segment,), sketch_error_permille=error_permille)
    return replace(window, **more)  # type: ignore[arg-type]


def hour(*windows: WindowSummary) -> list[Row]:
    sums: dict[int, Sums] = {}
    add_windows(sums, windows)
    return hour_rows(sums, DAY_MS)


def test_a_row_has_the_columns_of_its_table() -> None:
    hours = hour(make_window())
    assert set(hours[0]) == {column.name for column in lake_tables.HOURLY.columns}
    assert set(day_rows([hours], DAY_MS)[0]) == {column.name for column in lake_tables.DAILY.columns}


def test_percentiles_come_from_all_vehicles_and_not_from_the_windows_percentiles() -> None:
    # One slow window of few and one fast of many: the mean of their medians would be 600.
    (row,) = hour(window_of([200] * 2), window_of([1000] * 98, DAY_MS + 10_000))
    assert row["p50_kmh"] == pytest.approx(100, rel=0.01)
    assert row["p15_kmh"] == pytest.approx(100, rel=0.01)
    assert row["average_speed_kmh"] == pytest.approx(100 / (2 / 20 + 98 / 100), abs=0.001)


def test_an_hour_without_vehicles_has_no_speeds() -> None:
    (row,) = hour(window_of([]))
    assert (row["vehicle_count"], row["average_speed_kmh"], row["p50_kmh"], row["sketch_counts"]) == (0, None, None, [])
    assert row["occupancy"] == 0
    assert hour() == []


def test_windows_of_two_epochs_add_and_their_time_counts_once() -> None:
    jam = CongestionState.CONGESTED
    first, second = window_of([300, 400]), window_of([500], epoch_ms=2)
    (row,) = hour(*(replace(w, segments=(replace(w.segments[0], congestion_state=jam),)) for w in (first, second)))
    assert (row["windows"], row["vehicle_count"], row["observed_ms"]) == (2, 3, 20_000)
    assert (row["covered_ms"], row["congested_ms"]) == (10_000, 10_000)


def test_a_window_of_a_merged_backlog_counts_as_the_windows_that_it_is_of() -> None:
    windows = [make_window(n, start_ms=DAY_MS + 10_000 * n, vehicles=n) for n in range(6)]
    merged = merge_windows(windows, sequence=99)
    apart, together = hour(*windows), hour(merged)
    for row, other in zip(apart, together, strict=True):
        assert row.pop("windows") == 6
        assert other.pop("windows") == 1
        assert row == other
        assert row["covered_ms"] == 60_000


def test_the_most_excluded_and_the_highest_level_of_any_window_stand() -> None:
    calm, worse = window_of([800]), window_of([100], DAY_MS + 10_000)
    worse = replace(worse, segments=(replace(worse.segments[0], sensors_excluded=3, congestion_level=90),))
    (row,) = hour(worse, calm)
    assert (row["sensors_excluded"], row["congestion_level_max"]) == (3, 90)
    assert (row["speed_min_dkmh"], row["speed_max_dkmh"]) == (100, 800)


@pytest.mark.parametrize("errors", [(10, 20), (20, 10)])
def test_sketches_of_two_errors_merge_within_the_sum_of_them(errors: tuple[int, int]) -> None:
    speeds = [300, 500, 700, 900, 1100]
    first, second = (window_of(speeds, error_permille=error) for error in errors)
    (row,) = hour(first, second)
    assert row["sketch_error_permille"] == 20
    assert sum(row["sketch_counts"]) == 10
    assert row["p50_kmh"] == pytest.approx(70, rel=0.031)


speeds = st.lists(st.integers(0, 2550), max_size=30)


@given(windows=st.lists(st.tuples(speeds, st.integers(0, 24 * 360 - 1)), min_size=1, max_size=12), seed=st.randoms())
def test_neither_order_nor_grouping_changes_a_day(windows: list[tuple[list[int], int]], seed: object) -> None:
    made = [window_of(passed, DAY_MS + 10_000 * place) for passed, place in windows]
    by_hour: dict[int, list[WindowSummary]] = {}
    for window in made:
        by_hour.setdefault(window.window_start_ms - window.window_start_ms % HOUR_MS, []).append(window)
    hours = []
    for start_ms, own in by_hour.items():
        sums: dict[int, Sums] = {}
        add_windows(sums, reversed(own))
        hours.append(list(decode_rows(encode_rows(hour_rows(sums, start_ms)))))
    (day,) = day_rows(hours, DAY_MS)
    whole: dict[int, Sums] = {}
    add_windows(whole, made)
    (expected,) = hour_rows(whole, DAY_MS)
    for name in (*ADDED, "windows", "speed_min_dkmh", "speed_max_dkmh", "sketch_first_bin", "sketch_counts", "p85_kmh"):
        assert day[name] == expected[name], name
    assert day["vehicle_count"] == sum(len(passed) for passed, _ in windows)
