"""The sums of a window: null rules, weights and units, computed by hand."""

import numpy as np
import pytest

from roadside.core.grid import WindowGrid
from roadside.core.readings import NONE
from roadside.core.registry import Registry
from roadside.core.sensor_sums import sum_by_sensor
from roadside.core.summary import SegmentSums, summarise
from tests.unit.roadside.core.builders import T0_MS, Row, batch_of, registry_of


def sums_of(registry: Registry, rows: list[Row], interval_ms: int = 1_000) -> SegmentSums:
    grid = WindowGrid(T0_MS, 10_000, interval_ms, registry.sensor_count, len(registry.segments))
    grid.insert(batch_of(rows))
    return summarise(sum_by_sensor(grid, interval_ms), registry)


def test_speeds_are_over_vehicles_and_the_mean_is_harmonic() -> None:
    sums = sums_of(registry_of(2), [Row(0, T0_MS, 3, 300), Row(1, T0_MS, 1, 900)])
    # 3 vehicles at 120,000 ms/km and one at 40,000: 4 / (3/30 + 1/90) = 36 km/h; the arithmetic mean would be 45.
    assert sums.pace_sum.tolist() == [3 * 120_000 + 40_000]
    assert sums.average_speed_kmh().tolist() == [36.0]
    assert sums.speed_sum.tolist() == [1800]
    assert sums.speed_square_sum.tolist() == [3 * 300**2 + 900**2]


def test_vehicles_without_speed_count_and_are_in_no_speed_figure() -> None:
    sums = sums_of(registry_of(1), [Row(0, T0_MS, 5, NONE), Row(0, T0_MS + 1_000, 1, 600)])
    assert (sums.vehicle_count[0], sums.vehicles_with_speed[0], sums.sketch.sum()) == (6, 1, 1)
    assert sums.average_speed_kmh().tolist() == [60.0]


def test_no_vehicles_means_no_speed_and_not_zero() -> None:
    sums = sums_of(registry_of(1), [Row(0, T0_MS, 0, 800, 0)])
    assert np.isnan(sums.average_speed_kmh()[0])
    assert (sums.speed_min[0], sums.speed_max[0]) == (NONE, NONE)
    assert sums.occupancy().tolist() == [0.0]


def test_no_occupancy_is_not_an_occupancy_of_zero() -> None:
    sums = sums_of(registry_of(1), [Row(0, T0_MS, 1, 800, NONE)])
    assert np.isnan(sums.occupancy()[0])
    sums = sums_of(registry_of(1), [Row(0, T0_MS, 1, 800, NONE), Row(0, T0_MS + 1_000, 1, 800, 400)])
    assert sums.occupancy().tolist() == [0.4]
    assert sums.readings_accepted.tolist() == [2]


def test_vehicles_slower_than_three_km_h_are_clipped_in_the_pace_alone() -> None:
    sums = sums_of(registry_of(1), [Row(0, T0_MS, 2, 0), Row(0, T0_MS + 1, 1, 29), Row(0, T0_MS + 2, 1, 30)])
    assert (sums.clipped_vehicles[0], sums.pace_sum[0]) == (3, 4 * 1_200_000)
    assert (sums.speed_min[0], sums.speed_max[0], sums.speed_sum[0]) == (0, 30, 59)


def test_the_fastest_vehicle_does_not_spill_into_the_next_segment() -> None:
    sums = sums_of(registry_of(1, 1), [Row(0, T0_MS, 1000, 2550, 1000)])
    assert sums.speed_max.tolist() == [2550, NONE]
    assert sums.sketch.sum(axis=1).tolist() == [1000, 0]
    assert sums.speed_square_sum.tolist() == [1000 * 2550**2, 0]


@pytest.mark.parametrize(
    ("permille", "interval_ms", "occupied_ms"), [(1, 499, 0), (1, 500, 1), (333, 700, 233), (1000, 700, 700)]
)
def test_occupied_time_of_a_reading_is_rounded_half_up(permille: int, interval_ms: int, occupied_ms: int) -> None:
    assert sums_of(registry_of(1), [Row(0, T0_MS, 0, NONE, permille)], interval_ms).occupied_ms.tolist() == [
        occupied_ms
    ]


def test_a_segment_without_sensors_has_a_row_of_nothing_between_the_others() -> None:
    sums = sums_of(registry_of(1, 0, 2), [Row(0, T0_MS), Row(2, T0_MS)])
    assert sums.vehicle_count.tolist() == [1, 0, 1]
    assert sums.sensors_reporting.tolist() == [1, 0, 1]


def test_a_gateway_without_any_sensor_sums_to_nothing() -> None:
    sums = sums_of(registry_of(0, 0), [])
    assert sums.vehicle_count.tolist() == [0, 0]
    assert np.isnan(sums.average_speed_kmh()).all()
