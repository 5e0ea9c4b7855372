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
_NO_READING, _MORE_THAN_ANY = -1, 2**62


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
    occupied_ms: IntColumn
    observed_ms: IntColumn
    speed_min: IntColumn  # NONE where no speed was measured
    speed_max: IntColumn
    reading: IntColumn
    measured: tuple[IntColumn, IntColumn, IntColumn]


def sum_by_sensor(grid: WindowGrid, reading_interval_ms: int) -> SensorSums:
    """Sum the grid's readings by sensor; `reading_interval_ms` is the time each of them covers."""
    told, (vehicles, speed, occupancy) = grid.table()
    seen = told & (occupancy != NONE)
    moves = told & (vehicles > 0) & (speed != NONE)
    weight, moving = vehicles * moves, speed * moves
    readings, vehicle_count, with_speed, clipped, speed_sum, pace_sum, square_sum, occupied_ms, observed_ms = np.array(
        [
            told,
            vehicles * told,
            weight,
            weight * (moving < MIN_PACE_SPEED_DKMH),
            weight * moving,
            weight * PACE_MS_PER_KM[moving],
            weight * moving * moving,
            (occupancy * reading_interval_ms + 500) // 1000 * seen,
            seen * reading_interval_ms,
        ]
    ).sum(axis=1)
    fastest = np.where(moves, speed, NONE).max(axis=0)
    slowest = np.where(moves, speed, MAX_SPEED_DKMH).min(axis=0)
    reading = (vehicles * _SPEED_WIDTH + speed + 1) * _OCCUPANCY_WIDTH + occupancy + 1
    highest = np.where(told, reading, _NO_READING).max(axis=0)
    lowest = np.where(told, reading, _MORE_THAN_ANY).min(axis=0)
    _, of_sensor = np.nonzero(moves)
    return SensorSums(
        readings=readings,
        vehicle_count=vehicle_count,
        vehicles_with_speed=with_speed,
        clipped_vehicles=clipped,
        speed_sum=speed_sum,
        pace_sum=pace_sum,
        speed_square_sum=square_sum,
        occupied_ms=occupied_ms,
        observed_ms=observed_ms,
        speed_min=np.where(fastest == NONE, NONE, slowest),
        speed_max=fastest,
        reading=np.where(lowest == highest, highest, _NO_READING),
        measured=(of_sensor, speed[moves], vehicles[moves]),
    )
