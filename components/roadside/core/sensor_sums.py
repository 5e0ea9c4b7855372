"""A window's readings, summed by sensor: what sensor health judges, the summaries of sensors tell and segments add up.

In integers, so that everything merges without error. A reading of n vehicles weighs n.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.core.grid import WindowGrid
from roadside.core.readings import MAX_SPEED_DKMH, NONE

IntColumn = npt.NDArray[np.int64]

MIN_PACE_SPEED_DKMH: Final = 30  # one standing vehicle would otherwise outweigh all others in the sum of paces

_clipped = np.maximum(np.arange(MAX_SPEED_DKMH + 1), MIN_PACE_SPEED_DKMH)
PACE_MS_PER_KM: Final = (2 * 36_000_000 + _clipped) // (2 * _clipped)
"""int64 [MAX_SPEED_DKMH + 1], time for one kilometre at each speed in dkmh, rounded half up."""

# One integer tells a reading: vehicle count, then speed and occupancy, each plus one, so that NONE has a place.
_SPEED_WIDTH = MAX_SPEED_DKMH + 2
_OCCUPANCY_WIDTH = 1002
_NO_READING = -1


@dataclass(frozen=True, slots=True)
class SensorSums:
    """Sums of one window, each int64 [sensors] but for `measured`.

    Attributes
    ----------
    readings : readings accepted
    vehicle_count to observed_ms : as in SegmentSums
    reading : the reading that all of the window's are, told as one integer; _NO_READING where they differ or are none
    measured : sensor, speed and vehicle count of every reading with vehicles and a speed, each int64 [such readings]
    """

    readings: IntColumn
    vehicle_count: IntColumn
    vehicles_with_speed: IntColumn
    clipped_vehicles: IntColumn
    speed_sum: IntColumn
    pace_sum: IntColumn
    speed_square_sum: IntColumn
    speed_min: IntColumn  # NONE where no speed was measured
    speed_max: IntColumn
    occupied_ms: IntColumn
    observed_ms: IntColumn
    reading: IntColumn
    measured: tuple[IntColumn, IntColumn, IntColumn]


def sum_by_sensor(grid: WindowGrid, reading_interval_ms: int) -> SensorSums:
    """Sum the grid's readings by sensor; `reading_interval_ms` is the time each of them covers."""
    count = grid.sensor_count
    sensor, vehicles, speed, occupancy = grid.readings()
    # Readings come in the order of the sensors: each sensor's lie side by side. reduceat is told of no empty run.
    first_row = np.searchsorted(sensor, np.arange(count + 1))
    heard = np.flatnonzero(first_row[1:] != first_row[:-1])
    rows = first_row[heard]

    has_speed = (speed != NONE) & (vehicles > 0)
    weight = vehicles * has_speed
    moving = speed * has_speed
    seen = occupancy != NONE
    told = (vehicles * _SPEED_WIDTH + speed + 1) * _OCCUPANCY_WIDTH + occupancy + 1
    totals = np.zeros((8, count), dtype=np.int64)
    totals[:, heard] = np.add.reduceat(
        [
            vehicles,
            weight,
            weight * (moving < MIN_PACE_SPEED_DKMH),
            weight * moving,
            weight * PACE_MS_PER_KM[moving],
            weight * moving * moving,
            (occupancy * reading_interval_ms + 500) // 1000 * seen,
            seen * reading_interval_ms,
        ],
        rows,
        axis=1,
    )
    vehicle_count, vehicles_with_speed, clipped, speed_sum, pace_sum, square_sum, occupied_ms, observed_ms = totals
    slowest, fastest, reading = np.full((3, count), NONE, dtype=np.int64)
    slowest[heard] = np.minimum.reduceat(np.where(has_speed, speed, MAX_SPEED_DKMH), rows)
    fastest[heard] = np.maximum.reduceat(np.where(has_speed, speed, NONE), rows)
    lowest, highest = np.minimum.reduceat(told, rows), np.maximum.reduceat(told, rows)
    reading[heard] = np.where(lowest == highest, highest, _NO_READING)
    return SensorSums(
        readings=first_row[1:] - first_row[:-1],
        vehicle_count=vehicle_count,
        vehicles_with_speed=vehicles_with_speed,
        clipped_vehicles=clipped,
        speed_sum=speed_sum,
        pace_sum=pace_sum,
        speed_square_sum=square_sum,
        speed_min=np.where(fastest == NONE, NONE, slowest),
        speed_max=fastest,
        occupied_ms=occupied_ms,
        observed_ms=observed_ms,
        reading=reading,
        measured=(sensor[has_speed], speed[has_speed], vehicles[has_speed]),
    )
