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


class _Runs:
    """Readings in the order of their sensors, so that each sensor's lie side by side."""

    def __init__(self, sensor: IntColumn, sensor_count: int) -> None:
        first = np.searchsorted(sensor, np.arange(sensor_count + 1))
        self.lengths = first[1:] - first[:-1]
        self._heard = np.flatnonzero(self.lengths)  # of an empty run reduceat would make something
        self._first = first[self._heard]

    def reduce(self, operation: np.ufunc, columns: list[IntColumn], nothing: int = 0) -> IntColumn:
        """Each column reduced over every run, int64 [columns, sensors]; `nothing` for a sensor without readings."""
        reduced = np.full((len(columns), len(self.lengths)), nothing, dtype=np.int64)
        reduced[:, self._heard] = operation.reduceat(columns, self._first, axis=1)
        return reduced


def sum_by_sensor(grid: WindowGrid, reading_interval_ms: int) -> SensorSums:
    """Sum the grid's readings by sensor; `reading_interval_ms` is the time each of them covers."""
    sensor, vehicles, speed, occupancy = grid.readings()
    runs = _Runs(sensor, grid.sensor_count)
    seen = occupancy != NONE
    occupied = (occupancy * reading_interval_ms + 500) // 1000 * seen
    vehicle_count, occupied_ms, observed_ms = runs.reduce(np.add, [vehicles, occupied, seen * reading_interval_ms])
    told = [(vehicles * _SPEED_WIDTH + speed + 1) * _OCCUPANCY_WIDTH + occupancy + 1]
    [lowest], [highest] = runs.reduce(np.minimum, told, _NO_READING), runs.reduce(np.maximum, told, _NO_READING)

    at = np.flatnonzero((speed != NONE) & (vehicles > 0))
    sensor, speed, weight = sensor[at], speed[at], vehicles[at]
    measured = _Runs(sensor, grid.sensor_count)
    with_speed, clipped, speed_sum, pace_sum, square_sum = measured.reduce(
        np.add,
        [
            weight,
            weight * (speed < MIN_PACE_SPEED_DKMH),
            weight * speed,
            weight * PACE_MS_PER_KM[speed],
            weight * speed * speed,
        ],
    )
    [slowest], [fastest] = measured.reduce(np.minimum, [speed], NONE), measured.reduce(np.maximum, [speed], NONE)
    return SensorSums(
        readings=runs.lengths,
        vehicle_count=vehicle_count,
        vehicles_with_speed=with_speed,
        clipped_vehicles=clipped,
        speed_sum=speed_sum,
        pace_sum=pace_sum,
        speed_square_sum=square_sum,
        speed_min=slowest,
        speed_max=fastest,
        occupied_ms=occupied_ms,
        observed_ms=observed_ms,
        reading=np.where(lowest == highest, highest, _NO_READING),
        measured=(sensor, speed, weight),
    )
