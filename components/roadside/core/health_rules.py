"""When a sensor is not to be believed: limits and patience of each road class. docs/numerics.md explains the rules."""

from dataclasses import dataclass, field, fields
from enum import IntEnum

from roadside.core.errors import ConfigurationError


class SensorFault(IntEnum):
    """What is wrong with a sensor; of several at once the lowest is told."""

    NONE = 0
    SILENT = 1  # sends nothing
    CHATTER = 2  # more vehicles than a lane can carry
    STUCK_ON = 3  # always covered, counts nothing, while others do
    CONSTANT = 4  # the same values again and again
    DEAD = 5  # counts nothing while others do, or for very long
    OCCUPANCY_SCALE = 6  # its vehicles are too long or too short
    UNDERCOUNT = 7  # counts fewer vehicles than pass its neighbours


@dataclass(frozen=True, slots=True)
class ClassRules:
    """Limits for the sensors of one road class. Durations in ms of windows that have readings; 0 switches a rule off.

    Parameters
    ----------
    silent_ms : no reading, while other sensors of the gateway send
    dead_ms : no vehicle, whatever the others count
    dead_proven_ms : no vehicle, while `proof_vehicles` passed each of its neighbours
    stuck_ms, stuck_proven_ms : likewise, no vehicle and always covered
    proof_vehicles : vehicles that prove traffic
    constant_ms : one reading again and again that is not that of an empty road
    chatter_vehicles : vehicles in 30 s that no lane carries
    chatter_clear_ms : chatter is over after so long without it
    length_ms : length out of range
    undercount_ms : fewer vehicles than both neighbours
    clear_ms : other faults are over after so long without their signs
    """

    silent_ms: int = 600_000
    dead_ms: int = 4 * 3_600_000
    dead_proven_ms: int = 45 * 60_000
    stuck_ms: int = 4 * 3_600_000
    stuck_proven_ms: int = 30 * 60_000
    proof_vehicles: int = 100
    constant_ms: int = 600_000
    chatter_vehicles: int = 38
    chatter_clear_ms: int = 3_600_000
    length_ms: int = 600_000
    undercount_ms: int = 900_000
    clear_ms: int = 60_000

    def __post_init__(self) -> None:
        for rule in fields(self):
            if getattr(self, rule.name) < 0:
                raise ConfigurationError(rule.name, getattr(self, rule.name), "must not be negative; 0 switches it off")


FREEWAY = ClassRules()
RAMP = ClassRules(
    dead_ms=8 * 3_600_000, dead_proven_ms=2 * 3_600_000, stuck_ms=3_600_000, stuck_proven_ms=0, undercount_ms=0
)
ARTERIAL = ClassRules(
    dead_ms=24 * 3_600_000, dead_proven_ms=3_600_000, stuck_proven_ms=3_600_000, proof_vehicles=40, undercount_ms=0
)


@dataclass(frozen=True, slots=True)
class HealthRules:
    """Rules of every road class, and what is the same for all.

    Parameters
    ----------
    enabled : False believes every sensor
    length_min_m, length_max_m : median length of what passes, vehicle and detection zone together
    length_min_ratio, length_max_ratio : the same over the median of the gateway's sensors of its class
    flow_memory_ms : time constant of the flows that neighbours are compared by
    """

    enabled: bool = True
    freeway: ClassRules = field(default_factory=lambda: FREEWAY)
    ramp: ClassRules = field(default_factory=lambda: RAMP)
    arterial: ClassRules = field(default_factory=lambda: ARTERIAL)
    length_min_m: float = 3.0
    length_max_m: float = 12.0
    length_min_ratio: float = 0.6
    length_max_ratio: float = 1.8
    flow_memory_ms: int = 2_400_000

    def __post_init__(self) -> None:
        if self.flow_memory_ms <= 0:
            raise ConfigurationError("flow_memory_ms", self.flow_memory_ms, "must be positive")
        if not 0 < self.length_min_m < self.length_max_m:
            raise ConfigurationError("length_max_m", self.length_max_m, "must be above length_min_m")
        if not 0 < self.length_min_ratio < 1 < self.length_max_ratio:
            raise ConfigurationError("length_max_ratio", self.length_max_ratio, "must be above 1, the other below")
