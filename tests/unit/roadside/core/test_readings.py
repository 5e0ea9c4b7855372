"""Range checks and quantisation, at their very edges."""

import math
import warnings

import numpy as np
import pytest

from roadside.core.readings import NONE, Fault, ReadingBatch, batch_from_integers, batch_from_measurements
from tests.unit.roadside.core.builders import Row, batch_of


def measured(
    timestamp: float = 1.0,
    vehicles: float = 1.0,
    speed: float | None = 50.0,
    occupancy: float | None = 0.1,
    sensor: int = 0,
) -> ReadingBatch:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return batch_from_measurements(
            np.array([sensor], dtype=np.intp),
            np.array([timestamp]),
            np.array([vehicles]),
            np.array([0.0 if speed is None else speed]),
            np.array([0.0 if occupancy is None else occupancy]),
            has_speed=np.array([speed is not None]),
            has_occupancy=np.array([occupancy is not None]),
        )


@pytest.mark.parametrize(
    ("speed", "dkmh"),
    [
        (0.0, 0),
        (-0.0, 0),
        (0.04, 0),
        (0.06, 1),
        (63.04, 630),
        (63.06, 631),
        (255.0, 2550),
        (255.04, 2550),
        (None, NONE),
    ],
)
def test_speed_is_rounded_to_tenths(speed: float | None, dkmh: int) -> None:
    batch = measured(speed=speed)
    assert (batch.fault[0], batch.speed_dkmh[0]) == (Fault.NO_FAULT, dkmh)


@pytest.mark.parametrize("speed", [-0.04, -0.1, -1e-300, -50.0, 255.06, 1e308, math.nan, math.inf, -math.inf])
def test_speed_out_of_range_is_refused_and_never_rounded_into_it(speed: float) -> None:
    assert measured(speed=speed).fault[0] == Fault.BAD_SPEED


@pytest.mark.parametrize(
    ("occupancy", "permille"), [(0.0, 0), (0.0004, 0), (0.9996, 1000), (1.0, 1000), (1.0004, 1000), (None, NONE)]
)
def test_occupancy_is_rounded_to_thousandths(occupancy: float | None, permille: int) -> None:
    batch = measured(occupancy=occupancy)
    assert (batch.fault[0], batch.occupancy_permille[0]) == (Fault.NO_FAULT, permille)


@pytest.mark.parametrize("occupancy", [-0.0001, -1.0, 1.0006, 12.0, math.nan, math.inf])
def test_occupancy_out_of_range_is_refused(occupancy: float) -> None:
    assert measured(occupancy=occupancy).fault[0] == Fault.BAD_OCCUPANCY


@pytest.mark.parametrize("vehicles", [-1.0, -0.5, 0.5, 1.5, 1000.5, 1001.0, 1e300, math.nan, math.inf, -math.inf])
def test_vehicle_count_must_be_a_whole_number_in_range(vehicles: float) -> None:
    assert measured(vehicles=vehicles).fault[0] == Fault.BAD_VEHICLE_COUNT


@pytest.mark.parametrize("timestamp", [-1.0, -0.4, math.nan, math.inf, -math.inf, 2.0**53, 1e300])
def test_a_timestamp_that_is_no_instant_is_refused(timestamp: float) -> None:
    assert measured(timestamp=timestamp).fault[0] == Fault.BAD_TIMESTAMP


def test_the_largest_exact_timestamp_is_kept_to_the_millisecond() -> None:
    assert measured(timestamp=2.0**53 - 1).timestamp_ms[0] == 2**53 - 1


@pytest.mark.parametrize("speed", [0.0, 80.0, -5.0, 999.0, math.nan, math.inf])
def test_no_vehicles_means_no_speed_whatever_the_sender_wrote(speed: float) -> None:
    batch = measured(vehicles=0.0, speed=speed)
    assert (batch.fault[0], batch.speed_dkmh[0]) == (Fault.NO_FAULT, NONE)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (Row(-1, -1, -1, -2, -2), Fault.UNKNOWN_SENSOR),
        (Row(0, -1, -1, -2, -2), Fault.BAD_TIMESTAMP),
        (Row(0, 0, -1, -2, -2), Fault.BAD_VEHICLE_COUNT),
        (Row(0, 0, 1, -2, -2), Fault.BAD_SPEED),
        (Row(0, 0, 1, 0, -2), Fault.BAD_OCCUPANCY),
        (Row(0, 0, 1000, 2550, 1000), Fault.NO_FAULT),
        (Row(0, 0, 1001, 2550, 1000), Fault.BAD_VEHICLE_COUNT),
        (Row(0, 0, 1, 2551, 0), Fault.BAD_SPEED),
        (Row(0, 0, 1, 0, 1001), Fault.BAD_OCCUPANCY),
        (Row(0, 2**63 - 1), Fault.NO_FAULT),  # how far ahead is too far, the aggregator says
    ],
)
def test_the_first_fault_names_the_reading(row: Row, fault: Fault) -> None:
    assert batch_of([row]).fault[0] == fault


def test_a_fraction_of_a_vehicle_names_the_reading_before_its_speed_and_occupancy_do() -> None:
    assert measured(vehicles=1.5, speed=999.0, occupancy=9.0).fault[0] == Fault.BAD_VEHICLE_COUNT


def test_unsigned_columns_are_checked_like_signed_ones() -> None:
    column = np.array([65_535], dtype=np.uint16)
    batch = batch_from_integers(np.zeros(1, np.intp), np.zeros(1, np.uint64), column, column, column)
    assert batch.fault[0] == Fault.BAD_VEHICLE_COUNT
