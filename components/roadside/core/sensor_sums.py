"""A window's readings, summed by sensor: what sensor health judges and the summaries of sensors tell."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.core.grid import WindowGrid
from roadside.core.readings import MAX_SPEED_DKMH, NONE
from roadside.core.registry import Registry
from roadside.core.summary import PACE_MS_PER_KM

IntColumn = npt.NDArray[np.int64]

# One integer tells a reading: vehicle count, then speed and occupancy, each plus one, so that NONE has a place.
_SPEED_WIDTH = MAX_SPEED_DKMH + 2
_OCCUPANCY_WIDTH = 1002
_NO_READING = -1


@dataclass(frozen=True, slots=True)
class SensorSums:
    """Sums of one window, each int64 [sensors].

    Attributes
    ----------
    readings : readings accepted
    vehicle_count, vehicles_with_speed, pace_sum, occupied_ms, observed_ms : as in SegmentSums
    reading : the reading that all of the window's are, told as one integer; _NO_READING where they differ or are none
    """

    readings: IntColumn
    vehicle_count: IntColumn
    vehicles_with_speed: IntColumn
    pace_sum: IntColumn
    occupied_ms: IntColumn
    observed_ms: IntColumn
    reading: IntColumn


def sum_by_sensor(grid: WindowGrid, registry: Registry, reading_interval_ms: int) -> SensorSums:
    """Sum the grid's readings by sensor; `reading_interval_ms` is the time each of them covers."""
    count = registry.sensor_count
    sensor, vehicles, speed, occupancy = grid.readings()
    readings = np.bincount(sensor, minlength=count)
    measured = (speed != NONE) & (vehicles > 0)
    seen = occupancy != NONE
    occupied = np.where(seen, (occupancy * reading_interval_ms + 500) // 1000, 0)

    told = (vehicles * _SPEED_WIDTH + speed + 1) * _OCCUPANCY_WIDTH + occupancy + 1
    lowest = np.full(count, np.iinfo(np.int64).max)
    highest = np.full(count, _NO_READING)
    np.minimum.at(lowest, sensor, told)
    np.maximum.at(highest, sensor, told)

    def total(values: npt.NDArray[np.integer]) -> IntColumn:
        # Sums of a window are far below 2^53, where doubles are exact.
        return np.bincount(sensor, weights=values, minlength=count).astype(np.int64)

    return SensorSums(
        readings=readings,
        vehicle_count=total(vehicles),
        vehicles_with_speed=total(np.where(measured, vehicles, 0)),
        pace_sum=total(np.where(measured, vehicles * PACE_MS_PER_KM[np.where(measured, speed, 0)], 0)),
        occupied_ms=total(occupied),
        observed_ms=total(seen) * reading_interval_ms,
        reading=np.where(lowest == highest, highest, _NO_READING),
    )
