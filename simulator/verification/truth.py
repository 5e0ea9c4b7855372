"""What the oracle says and is asked about, as values."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

NO_SPEED: Final = -1


@dataclass(frozen=True, slots=True)
class SegmentTruth:
    """What the last edition of a window must say of one segment; speeds in tenths of km/h."""

    readings: int
    sensors: int
    vehicle_count: int
    speed_sum: int
    pace_sum: int
    speed_square_sum: int
    speed_min: int | None
    speed_max: int | None
    occupied_ms: int
    observed_ms: int
    p15_kmh: float | None
    p50_kmh: float | None
    p85_kmh: float | None


@dataclass(frozen=True, slots=True)
class AlertTruth:
    """An alert that must have been raised or cleared."""

    segment_number: int
    started: bool
    occurred_ms: int


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the oracle must know of a segment; `downstream` is the next one along the road on the same gateway."""

    number: int
    is_freeway: bool
    free_flow_kmh: float
    downstream: int | None = None
    has_unseen_lane: bool = False


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What a gateway declared: windows that start in [from_ms, until_ms) leave the sensor out; None is for good."""

    sensor: int
    from_ms: int
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SensorTruth:
    """Sums of every sensor over some time, each int64 [sensors]."""

    readings_accepted: npt.NDArray[np.int64]
    vehicle_count: npt.NDArray[np.int64]
    pace_sum_ms_per_km: npt.NDArray[np.int64]
    occupied_ms: npt.NDArray[np.int64]
