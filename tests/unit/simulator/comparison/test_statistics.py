"""Statistics of single readings by hand, and the error of what is told against them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from simulator.comparison.errors import errors
from simulator.comparison.statistics import MEASURES, Statistics, of_readings
from simulator.verification.readings import StoredReadings

START_MS = 1_790_000_640_000
NAN = np.nan


def readings(*rows: tuple[int, int, int, float, float]) -> StoredReadings:
    """Sensor, second, vehicles, speed, occupancy."""
    sensor, second, vehicles, speed, occupancy = zip(*rows, strict=True)
    at_ms = START_MS + 1000 * np.array(second, dtype=np.int64)
    return StoredReadings(np.array(sensor), at_ms, at_ms + 40, np.array(vehicles), np.array(speed), np.array(occupancy))


def values(statistics: Statistics, row: int) -> dict[str, float]:
    return {name: float(getattr(statistics, name)[row]) for name in MEASURES}


def test_a_reading_of_n_vehicles_counts_n_times() -> None:
    found = of_readings(
        readings((0, 1, 2, 50.0, 0.1), (1, 2, 1, 20.0, 0.3), (0, 3, 0, NAN, 0.2)), np.array([7, 7]), 10_000
    )
    assert (found.window_start_ms.tolist(), found.window_ms.tolist(), found.segment.tolist()) == (
        [START_MS],
        [10_000],
        [7],
    )
    assert values(found, 0) == pytest.approx(
        {
            "vehicle_count": 3,
            "space_mean_kmh": 3 / (2 / 50 + 1 / 20),
            "time_mean_kmh": 40.0,
            "std_kmh": math.sqrt((2 * 10**2 + 20**2) / 3),
            "p15_kmh": 20.0,
            "p50_kmh": 50.0,
            "p85_kmh": 50.0,
            "occupancy": 0.2,
        }
    )


def test_slow_vehicles_count_as_three_kilometres_an_hour_in_the_space_mean() -> None:
    found = of_readings(readings((0, 0, 1, 0.0, 0.9), (0, 1, 1, 30.0, 0.1)), np.array([0]), 10_000)
    assert found.space_mean_kmh[0] == pytest.approx(2 / (1 / 3 + 1 / 30))
    assert found.time_mean_kmh[0] == 15.0


def test_without_vehicles_only_count_and_occupancy_are_known() -> None:
    found = values(of_readings(readings((0, 0, 0, NAN, 0.5)), np.array([0]), 10_000), 0)
    assert (found.pop("vehicle_count"), found.pop("occupancy")) == (0.0, 0.5)
    assert all(math.isnan(value) for value in found.values())


def test_readings_of_another_instant_fall_into_the_windows_of_the_run_they_are_compared_with() -> None:
    single = readings((0, 0, 1, 50.0, 0.1), (0, 7, 1, 60.0, 0.1))
    here = of_readings(single, np.array([0]), 10_000)
    there = of_readings(single, np.array([0]), 10_000, later_ms=4000)
    assert here.window_start_ms.tolist() == [START_MS]
    assert there.window_start_ms.tolist() == [START_MS, START_MS + 10_000]


def test_errors_are_of_values_that_both_have_and_name_those_that_one_lacks() -> None:
    exact = of_readings(
        readings((0, 0, 2, 50.0, 0.1), (1, 0, 1, 40.0, 0.1), (0, 12, 0, NAN, 0.0)), np.array([0, 1]), 10_000
    )
    assert len(exact) == 3
    told = replace(
        exact,
        p85_kmh=exact.p85_kmh * np.array([1.01, 1.0, 1.0]),
        space_mean_kmh=np.array([50.0, 40.0, 3.0]),
        vehicle_count=exact.vehicle_count + np.array([0, 1, 0]),
    )
    found = errors(told, exact)
    assert (found.rows, found.only_edge, found.only_raw) == (3, 0, 0)
    assert found.of["p85_kmh"].most == pytest.approx(0.5)
    assert found.of["p85_kmh"].most_percent == pytest.approx(1.0)
    assert (found.of["p85_kmh"].compared, found.of["p85_kmh"].exact, found.of["p85_kmh"].unlike) == (2, 1, 0)
    assert (found.of["space_mean_kmh"].compared, found.of["space_mean_kmh"].unlike) == (2, 1)
    assert (found.of["vehicle_count"].exact, found.of["vehicle_count"].most) == (2, 1.0)


def test_windows_that_one_lacks_are_counted() -> None:
    exact = of_readings(readings((0, 0, 1, 50.0, 0.1), (0, 12, 1, 50.0, 0.1)), np.array([0]), 10_000)
    found = errors(exact.rows(np.array([True, False])), exact)
    assert (found.rows, found.only_edge, found.only_raw) == (1, 0, 1)
