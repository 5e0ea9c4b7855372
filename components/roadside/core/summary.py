"""A window's readings, summed by segment.

Every statistic is a sum, a minimum, a maximum or a count of vehicles per speed bin, in integers: they merge over
segments, windows and gateways without error. A reading of n vehicles weighs n.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.core.readings import MAX_SPEED_DKMH, NONE
from roadside.core.registry import Registry
from roadside.core.sensor_sums import MIN_PACE_SPEED_DKMH, PACE_MS_PER_KM, SensorSums
from roadside.core.sketch import BIN_COUNT, BIN_OF_SPEED

__all__ = ["MIN_PACE_SPEED_DKMH", "PACE_MS_PER_KM", "SegmentSums", "summarise"]

IntColumn = npt.NDArray[np.int64]

_SUMMED = (
    "vehicle_count",
    "vehicles_with_speed",
    "clipped_vehicles",
    "speed_sum",
    "pace_sum",
    "speed_square_sum",
    "occupied_ms",
    "observed_ms",
)


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


def summarise(by_sensor: SensorSums, registry: Registry, excluded: npt.NDArray[np.bool_] | None = None) -> SegmentSums:
    """Sum a window by segment, as if the sensors that are `excluded` (bool [sensors]) had sent nothing."""
    segments = len(registry.segments)
    counted = np.ones(registry.sensor_count, dtype=bool) if excluded is None else ~excluded
    # Sensors come in the order of their segments. Of a segment without sensors reduceat would make something.
    populated = registry.populated_segments
    first = registry.first_sensor[populated]
    columns = [*(getattr(by_sensor, name) for name in _SUMMED), by_sensor.readings, by_sensor.readings > 0]
    totals = np.zeros((len(columns), segments), dtype=np.int64)
    totals[:, populated] = np.add.reduceat(columns * counted, first, axis=1)
    measured = counted & (by_sensor.speed_max != NONE)
    slowest, fastest = np.full((2, segments), NONE, dtype=np.int64)
    fastest[populated] = np.maximum.reduceat(np.where(measured, by_sensor.speed_max, NONE), first)
    slowest[populated] = np.minimum.reduceat(np.where(measured, by_sensor.speed_min, MAX_SPEED_DKMH), first)
    sensor, speed, vehicles = by_sensor.measured
    bin_of_reading = registry.sensor_segment[sensor] * BIN_COUNT + BIN_OF_SPEED[speed]
    # bincount adds doubles, which are exact for whole numbers like these.
    bins = np.bincount(bin_of_reading, vehicles * counted[sensor], segments * BIN_COUNT).astype(np.int64)
    return SegmentSums(
        **dict(zip((*_SUMMED, "readings_accepted", "sensors_reporting"), totals, strict=True)),
        speed_min=np.where(fastest == NONE, NONE, slowest),
        speed_max=fastest,
        sketch=bins.reshape(segments, BIN_COUNT),
    )
