"""When a segment is congested, how badly, and when that is worth an alert.

State (free or congested) answers quickly; the alert on top of it waits for confirmation both ways, so that one slow
platoon is no alert and one gap in a queue does not end it. Freeways and streets differ (docs/numerics.md):

- freeway: the smoothed space mean speed falls below `enter_speed_ratio` of free flow; no vehicle under a covered
  sensor is standing traffic and counts as one vehicle at 3 km/h;
- ramp and arterial: the smoothed occupancy exceeds `enter_occupancy`. A point sensor in mid-block says little about
  speed on a street with signals, and a red light must not be an alert, so the smoothing spans signal cycles.

Smoothing decays the sums (vehicles and paces, covered and observed time) instead of averaging averages: a window
without vehicles changes nothing but the weight of the past.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from roadside.core.errors import ConfigurationError
from roadside.core.registry import Registry, RoadClass
from roadside.core.summary import MIN_PACE_SPEED_DKMH, PACE_MS_PER_KM, SegmentSums

NO_LEVEL = -1
STANDING_OCCUPANCY = 0.6

# Density in passenger cars per km and lane up to which each level reaches (HCM, basic freeway segments:
# 11, 18, 26, 35 and 45 per mile).
_LOS_DENSITY_PC_KM = np.array([6.8, 11.2, 16.2, 21.7, 28.0])
_LOS_LETTERS = np.array(["A", "B", "C", "D", "E", "F"])


class State(IntEnum):
    """Whether traffic flows."""

    UNKNOWN = 0
    FREE = 1
    CONGESTED = 2


@dataclass(frozen=True, slots=True)
class CongestionRules:
    """Thresholds. Ratios are of free-flow speed; occupancies are fractions; durations in ms.

    enter_* and leave_* : the state's thresholds; leave lies on the free side of enter
    speed_memory_ms, occupancy_memory_ms : time constants of the smoothing
    occupancy_warmup_ms : observation of a street before its state is told, two signal cycles
    forget_ms : without vehicles (freeway) or observation (street) for so long the state is unknown
    confirm_ms, clear_ms : how long a state lasts before the alert starts or is cleared
    """

    enter_speed_ratio: float = 0.6
    leave_speed_ratio: float = 0.62
    enter_occupancy: float = 0.30
    leave_occupancy: float = 0.22
    speed_memory_ms: int = 25_000
    occupancy_memory_ms: int = 120_000
    occupancy_warmup_ms: int = 120_000
    forget_ms: int = 300_000
    confirm_ms: int = 20_000
    clear_ms: int = 30_000

    def __post_init__(self) -> None:
        for name in ("speed_memory_ms", "occupancy_memory_ms"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(name, getattr(self, name), "must be positive")
        for name in ("occupancy_warmup_ms", "forget_ms", "confirm_ms", "clear_ms"):
            if getattr(self, name) < 0:
                raise ConfigurationError(name, getattr(self, name), "must not be negative")
        if not 0 < self.enter_speed_ratio <= self.leave_speed_ratio:
            raise ConfigurationError("leave_speed_ratio", self.leave_speed_ratio, "must be at least enter_speed_ratio")
        if not 0 < self.leave_occupancy <= self.enter_occupancy <= 1:
            raise ConfigurationError("leave_occupancy", self.leave_occupancy, "must be at most enter_occupancy")


@dataclass(frozen=True, slots=True)
class CongestionChange:
    """An alert starts (`congested`) or is cleared.

    Parameters
    ----------
    segment : index in the registry
    occurred_ms : end of the window by which it was known
    started_ms : occurred_ms of the change that started the alert
    average_speed_kmh, occupancy : smoothed, NaN where unknown
    level : congestion level 0 to 100 of the smoothed values, NO_LEVEL where unknown
    """

    segment: int
    congested: bool
    occurred_ms: int
    started_ms: int
    average_speed_kmh: float
    occupancy: float
    level: int


def standing(sums: SegmentSums) -> npt.NDArray[np.bool_]:
    """Segments where no vehicle passed under covered sensors: a queue that does not move. bool [segments]."""
    covered: npt.NDArray[np.bool_] = np.greater(sums.occupancy(), STANDING_OCCUPANCY)
    empty: npt.NDArray[np.bool_] = sums.vehicle_count == 0
    return np.logical_and(covered, empty)


def congestion_level(
    speed_kmh: npt.NDArray[np.float64], free_flow_kmh: npt.NDArray[np.float64], is_standing: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """100 (1 - clip(v / v_free, 0, 1)) rounded, int64 [segments]: 100 standing, NO_LEVEL without evidence."""
    level = np.rint(100 * (1 - np.minimum(speed_kmh / free_flow_kmh, 1)))  # no speed is below 0
    return np.where(is_standing, 100, np.where(np.isnan(level), NO_LEVEL, level)).astype(np.int64)


def level_of_service(
    vehicle_count: npt.NDArray[np.int64],
    speed_kmh: npt.NDArray[np.float64],
    lanes: npt.NDArray[np.int64],
    duration_ms: int,
) -> npt.NDArray[np.str_]:
    """HCM level of service A to F of freeway segments from density = flow / space mean speed; "" without vehicles."""
    with np.errstate(invalid="ignore", divide="ignore"):
        density = vehicle_count * 3_600_000 / duration_ms / speed_kmh / lanes
    letters = _LOS_LETTERS[np.searchsorted(_LOS_DENSITY_PC_KM, np.nan_to_num(density))]
    return np.where(np.isnan(density), "", letters)


class CongestionDetector:
    """State and alert of every segment, one `update` a window, in the order of the windows.

    All of its memory is in `arrays`, so that a snapshot is a copy of them.
    """

    def __init__(self, registry: Registry, rules: CongestionRules) -> None:
        count = len(registry.segments)
        self.rules = rules
        self._free_flow_kmh = registry.free_flow_kmh
        self._by_speed = np.array([s.road_class is RoadClass.FREEWAY for s in registry.segments])
        self.arrays: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]] = {
            "vehicles": np.zeros(count),
            "pace_sum": np.zeros(count),
            "occupied_ms": np.zeros(count),
            "observed_ms": np.zeros(count),
            "watched_ms": np.zeros(count, dtype=np.int64),  # observation since last forgotten, undecayed
            "idle_ms": np.zeros(count, dtype=np.int64),  # since a vehicle passed or stood; street: since observed
            "state": np.zeros(count, dtype=np.int64),
            "contrary_ms": np.zeros(count, dtype=np.int64),  # how long the state has contradicted the alert
            "alert_since_ms": np.full(count, -1, dtype=np.int64),
        }

    @property
    def state(self) -> npt.NDArray[np.int64]:
        """`State` of every segment, int64 [segments]."""
        return self.arrays["state"].astype(np.int64)

    def skip(self, elapsed_ms: int) -> None:
        """Let the memory fade over time that no window covers."""
        for name, memory_ms in self._memories():
            self.arrays[name] = self.arrays[name] * np.exp(-elapsed_ms / memory_ms)
        self.arrays["idle_ms"] = self.arrays["idle_ms"] + elapsed_ms

    def update(self, sums: SegmentSums, end_ms: int, window_ms: int) -> list[CongestionChange]:
        """Take the next window; returns the alerts that start or clear at its end."""
        memory = self.arrays
        forgotten = memory["idle_ms"] >= self.rules.forget_ms
        self.skip(window_ms)
        stands = standing(sums)
        memory["vehicles"] = memory["vehicles"] + sums.vehicles_with_speed + stands
        memory["pace_sum"] = memory["pace_sum"] + sums.pace_sum + stands * PACE_MS_PER_KM[MIN_PACE_SPEED_DKMH]
        memory["occupied_ms"] = memory["occupied_ms"] + sums.occupied_ms
        memory["observed_ms"] = memory["observed_ms"] + sums.observed_ms
        watched_ms = np.where(forgotten, 0, memory["watched_ms"])
        memory["watched_ms"] = watched_ms + np.where(sums.observed_ms > 0, window_ms, 0)
        seen = np.where(self._by_speed, (sums.vehicles_with_speed > 0) | stands, sums.observed_ms > 0)
        memory["idle_ms"] = np.where(seen, 0, memory["idle_ms"])
        memory["state"] = np.where(self._by_speed, self._state_by_speed(), self._state_by_occupancy())
        return self._changes(end_ms, window_ms)

    def speed_kmh(self) -> npt.NDArray[np.float64]:
        """Smoothed space mean speed, float64 [segments], NaN without evidence."""
        with np.errstate(invalid="ignore", divide="ignore"):
            speed = 3.6e6 * self.arrays["vehicles"] / self.arrays["pace_sum"]
        return np.where(self.arrays["vehicles"] > 0, speed, np.nan)

    def occupancy(self) -> npt.NDArray[np.float64]:
        """Smoothed occupancy, float64 [segments], NaN without evidence."""
        with np.errstate(invalid="ignore", divide="ignore"):
            share = self.arrays["occupied_ms"] / self.arrays["observed_ms"]
        return np.where(self.arrays["observed_ms"] > 0, share, np.nan)

    def _memories(self) -> tuple[tuple[str, int], ...]:
        return (
            ("vehicles", self.rules.speed_memory_ms),
            ("pace_sum", self.rules.speed_memory_ms),
            ("occupied_ms", self.rules.occupancy_memory_ms),
            ("observed_ms", self.rules.occupancy_memory_ms),
        )

    def _state_by_speed(self) -> npt.NDArray[np.int64]:
        ratio = self.speed_kmh() / self._free_flow_kmh
        was = self.arrays["state"] == State.CONGESTED
        with np.errstate(invalid="ignore"):
            congested = np.where(was, ratio < self.rules.leave_speed_ratio, ratio < self.rules.enter_speed_ratio)
        known = ~np.isnan(ratio) & (self.arrays["idle_ms"] < self.rules.forget_ms)
        return np.where(known, np.where(congested, State.CONGESTED, State.FREE), State.UNKNOWN)

    def _state_by_occupancy(self) -> npt.NDArray[np.int64]:
        share = self.occupancy()
        was = self.arrays["state"] == State.CONGESTED
        with np.errstate(invalid="ignore"):
            congested = np.where(was, share > self.rules.leave_occupancy, share > self.rules.enter_occupancy)
        recent = self.arrays["idle_ms"] < self.rules.forget_ms
        known = ~np.isnan(share) & recent & (self.arrays["watched_ms"] >= self.rules.occupancy_warmup_ms)
        return np.where(known, np.where(congested, State.CONGESTED, State.FREE), State.UNKNOWN)

    def _changes(self, end_ms: int, window_ms: int) -> list[CongestionChange]:
        memory = self.arrays
        alerted = memory["alert_since_ms"] >= 0
        contrary = (memory["state"] == State.CONGESTED) != alerted
        memory["contrary_ms"] = np.where(contrary, memory["contrary_ms"] + window_ms, 0)
        patience = np.where(alerted, self.rules.clear_ms, self.rules.confirm_ms)
        turned = np.flatnonzero(contrary & (memory["contrary_ms"] >= patience)).tolist()
        if not turned:
            return []
        speed, occupancy = self.speed_kmh(), self.occupancy()
        level = congestion_level(speed, self._free_flow_kmh, np.zeros(len(speed), dtype=bool))
        changes = []
        for segment in turned:
            starts = not alerted[segment]
            started_ms = end_ms if starts else int(memory["alert_since_ms"][segment])
            changes.append(
                CongestionChange(
                    segment=segment,
                    congested=starts,
                    occurred_ms=end_ms,
                    started_ms=started_ms,
                    average_speed_kmh=float(speed[segment]),
                    occupancy=float(occupancy[segment]),
                    level=int(level[segment]),
                )
            )
            memory["alert_since_ms"][segment] = end_ms if starts else -1
            memory["contrary_ms"][segment] = 0
        return changes
