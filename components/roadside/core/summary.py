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
    rows = first_row[heard]

    measured = (speed != NONE) & (vehicles > 0)
    weight = vehicles * measured
    moving = speed * measured
    seen = occupancy != NONE
    totals = np.zeros((8, segments), dtype=np.int64)
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
    slowest = np.full(segments, NONE, dtype=np.int64)
    slowest[heard] = np.minimum.reduceat(np.where(measured, speed, MAX_SPEED_DKMH), rows)
    fastest = np.full(segments, NONE, dtype=np.int64)
    fastest[heard] = np.maximum.reduceat(np.where(measured, speed, NONE), rows)
    reporting = np.zeros(registry.sensor_count, dtype=bool)
    reporting[sensor] = True
    bins = np.zeros(segments * BIN_COUNT, dtype=np.int64)
    np.add.at(bins, segment * BIN_COUNT + BIN_OF_SPEED[moving], weight)

    return SegmentSums(
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
        sensors_reporting=np.bincount(registry.sensor_segment[reporting], minlength=segments),
        readings_accepted=np.diff(first_row),
        sketch=bins.reshape(segments, BIN_COUNT),
    )
