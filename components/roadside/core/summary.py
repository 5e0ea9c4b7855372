"""A window's readings, summed by segment.

Every statistic is a sum, a minimum, a maximum or a count of vehicles per speed bin, in integers: they merge over
segments, windows and gateways without error. A reading of n vehicles weighs n.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.core.grid import WindowGrid
from roadside.core.readings import MAX_SPEED_DKMH, NONE
from roadside.core.registry import Registry
from roadside.core.sketch import BIN_COUNT, BIN_OF_SPEED

IntColumn = npt.NDArray[np.int64]

MIN_PACE_SPEED_DKMH: Final = 30  # one standing vehicle would otherwise outweigh all others in the sum of paces

_clipped = np.maximum(np.arange(MAX_SPEED_DKMH + 1), MIN_PACE_SPEED_DKMH)
PACE_MS_PER_KM: Final = (2 * 36_000_000 + _clipped) // (2 * _clipped)
"""int64 [MAX_SPEED_DKMH + 1], time for one kilometre at each speed in dkmh, rounded half up."""


@dataclass(frozen=True, slots=True)
class SegmentSums:
    """Sums of one window, each int64 [segments] unless said otherwise. Speeds in dkmh, paces in ms per km.

    Space mean speed = 36e6 x vehicles_with_speed / pace_sum (harmonic mean over vehicles, in dkmh);
    time mean speed = speed_sum / vehicles_with_speed; occupancy = occupied_ms / observed_ms.
    """

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
    sensors_reporting: IntColumn
    readings_accepted: IntColumn
    sketch: IntColumn  # [segments, BIN_COUNT], vehicles per speed bin

    def average_speed_kmh(self) -> npt.NDArray[np.float64]:
        """Space mean speed, float64 [segments]; NaN, never 0, where no vehicle passed."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.pace_sum > 0, 3.6e6 * self.vehicles_with_speed / self.pace_sum, np.nan)

    def occupancy(self) -> npt.NDArray[np.float64]:
        """Share of observed time with the zones covered, float64 [segments]; NaN where nothing was observed."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.observed_ms > 0, self.occupied_ms / self.observed_ms, np.nan)


def summarise(
    grid: WindowGrid,
    registry: Registry,
    reading_interval_ms: int,
    excluded: npt.NDArray[np.bool_] | None = None,
) -> SegmentSums:
    """Sum the grid's readings by segment, as if the sensors that are `excluded` had sent none.

    `reading_interval_ms` is the time that a reading covers; `excluded` is bool [sensors].
    """
    segments = len(registry.segments)
    sensor, vehicles, speed, occupancy = grid.readings()
    if excluded is not None:
        counts = ~excluded[sensor]
        sensor, vehicles, speed, occupancy = sensor[counts], vehicles[counts], speed[counts], occupancy[counts]
    segment = registry.sensor_segment[sensor]
    # Sensors come in the order of their segments, and so do the readings: each segment's lie side by side.
    first_row = np.searchsorted(segment, np.arange(segments + 1))
    heard = np.flatnonzero(np.diff(first_row))  # of an empty run reduceat would make something

    def by_segment(operation: np.ufunc, values: IntColumn, nothing: int) -> IntColumn:
        reduced = np.full(segments, nothing, dtype=np.int64)
        reduced[heard] = operation.reduceat(values, first_row[heard])
        return reduced

    def total(values: IntColumn) -> IntColumn:
        return by_segment(np.add, values, 0)

    measured = (speed != NONE) & (vehicles > 0)
    weight = vehicles * measured
    moving = speed * measured
    seen = occupancy != NONE
    occupied = (occupancy * reading_interval_ms + 500) // 1000 * seen
    reporting = np.zeros(registry.sensor_count, dtype=bool)
    reporting[sensor] = True
    slowest = by_segment(np.minimum, np.where(measured, speed, MAX_SPEED_DKMH), MAX_SPEED_DKMH)
    fastest = by_segment(np.maximum, np.where(measured, speed, NONE), NONE)
    bins = np.zeros(segments * BIN_COUNT, dtype=np.int64)
    np.add.at(bins, segment * BIN_COUNT + BIN_OF_SPEED[moving], weight)

    return SegmentSums(
        vehicle_count=total(vehicles),
        vehicles_with_speed=total(weight),
        clipped_vehicles=total(weight * (moving < MIN_PACE_SPEED_DKMH)),
        speed_sum=total(weight * moving),
        pace_sum=total(weight * PACE_MS_PER_KM[moving]),
        speed_square_sum=total(weight * moving * moving),
        speed_min=np.where(fastest == NONE, NONE, slowest),
        speed_max=fastest,
        occupied_ms=total(occupied),
        observed_ms=total(seen.astype(np.int64)) * reading_interval_ms,
        sensors_reporting=np.bincount(registry.sensor_segment[reporting], minlength=segments),
        readings_accepted=np.diff(first_row),
        sketch=bins.reshape(segments, BIN_COUNT),
    )
