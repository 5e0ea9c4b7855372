"""What counts as evidence of an incident between two stations, as on the gateway (core/incidents.py).

A Lambda function has no numpy and does not import the core, so the constants stand here a second time;
tests/property/test_pairs.py holds them and all that is made of them to the core's.
"""

from dataclasses import dataclass
from typing import Final

STEP_MS: Final = 10_000
DEVIATION_MS: Final = 30_000
MAX_DEVIATIONS: Final = 4.0
START_DEVIATION: Final = 0.06
MIN_DEVIATION: Final = 0.03
MIN_SCALE: Final = 0.04
RECENT_PRIOR_VEHICLES: Final = 4.0
PROOF_VEHICLES: Final = 30
SLOW_LANE_LEAK: Final = 0.5
START_LANE_VEHICLES: Final = 5.0
STANDING_OCCUPANCY: Final = 0.6
STANDING_PACE_MS_PER_KM: Final = 1_200_000  # of a vehicle at 3 km/h


@dataclass(frozen=True, slots=True)
class PairRules:
    """Fields mean what they mean in the core's `IncidentRules`."""

    sensitivity: float = 1.0
    contrast_limit: float = 4.0
    lane_limit: float = 8.0
    contrast_cap: float = 20.0
    lane_cap: float = 16.0
    contrast_drift: float = 1.0
    min_contrast: float = 0.15
    min_occupancy_step: float = 0.02
    near_discharge: float = 0.45
    free_discharge: float = 0.55
    free_lane_speed: float = 0.45
    blocked_share: float = 0.5
    min_flow: float = 0.6
    speed_memory_ms: int = 25_000
    recent_memory_ms: int = 60_000
    usual_memory_ms: int = 1_200_000
    contrast_memory_ms: int = 3_600_000
    clear_contrast: float = 0.05
    clear_lane: float = 2.0
    clear_ms: int = 120_000
    settle_ms: int = 3_600_000
    warmup_ms: int = 600_000
    forget_ms: int = 300_000
