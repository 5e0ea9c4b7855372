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


def summarise(grid: WindowGrid, registry: Registry, reading_interval_ms: int) -> SegmentSums:
    """Sum the grid's readings by segment; `reading_interval_ms` is the time each of them covers."""
    segments = len(registry.segments)
    sensor, vehicles, speed, occupancy = grid.readings()
    segment = registry.sensor_segment[sensor]

    measured = (speed != NONE) & (vehicles > 0)
    weight, moving, moving_segment = vehicles[measured], speed[measured], segment[measured]
    bins = np.zeros(segments * BIN_COUNT, dtype=np.int64)
    np.add.at(bins, moving_segment * BIN_COUNT + BIN_OF_SPEED[moving], weight)
    speed_min = np.full(segments, MAX_SPEED_DKMH + 1, dtype=np.int64)
    speed_max = np.full(segments, NONE, dtype=np.int64)
    np.minimum.at(speed_min, moving_segment, moving)
    np.maximum.at(speed_max, moving_segment, moving)

    seen = occupancy != NONE
    occupied = (occupancy[seen] * reading_interval_ms + 500) // 1000
    reporting = np.zeros(registry.sensor_count, dtype=bool)
    reporting[sensor] = True

    def total(of_segment: npt.NDArray[np.intp], values: IntColumn | None = None) -> IntColumn:
        if values is None:
            return np.bincount(of_segment, minlength=segments)
        summed = np.zeros(segments, dtype=np.int64)
        np.add.at(summed, of_segment, values)
        return summed

    return SegmentSums(
        vehicle_count=total(segment, vehicles),
        vehicles_with_speed=total(moving_segment, weight),
        clipped_vehicles=total(moving_segment, np.where(moving < MIN_PACE_SPEED_DKMH, weight, 0)),
        speed_sum=total(moving_segment, weight * moving),
        pace_sum=total(moving_segment, weight * PACE_MS_PER_KM[moving]),
        speed_square_sum=total(moving_segment, weight * moving * moving),
        speed_min=np.where(speed_max == NONE, NONE, speed_min),
        speed_max=speed_max,
        occupied_ms=total(segment[seen], occupied),
        observed_ms=total(segment[seen]) * reading_interval_ms,
        sensors_reporting=total(registry.sensor_segment[reporting]),
        readings_accepted=total(segment),
        sketch=bins.reshape(segments, BIN_COUNT),
    )
