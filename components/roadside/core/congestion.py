"""When a segment is congested, how badly, and when that is worth an alert.

State (free or congested) answers quickly; the alert on top of it waits for confirmation both ways, so that one slow
platoon is no alert and one gap in a queue does not end it. Freeways and streets differ (docs/numerics.md):

- freeway: the smoothed space mean speed falls below `enter_speed_ratio` of free flow, or the sensors are covered for
  more of the time than flowing traffic can cover them. No vehicle under a covered sensor is standing traffic and counts
  as one vehicle at 3 km/h. A station sees only the middle of its segment, so the neighbours have a say: beside a jam
  and between two queues less slowness will do, and the queue of an exit shows at the station before it;
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


# In an array's company an IntEnum costs several times what its integer does.
_UNKNOWN, _FREE, _CONGESTED = (int(state) for state in State)


@dataclass(frozen=True, slots=True)
class CongestionRules:
    """Thresholds. Speed ratios are of free-flow speed; occupancies are fractions; durations in ms.

    enter_* and leave_* : the state's thresholds; leave lies on the free side of enter
    jam_speed_ratio : a freeway segment slower than this is a jam to its neighbours
    beside_jam_ratio : added to enter_speed_ratio and leave_speed_ratio beside a jam and between two queues
    dense_occupancy : a freeway whose sensors are covered for more than this is congested at any speed
    exit_flow_ratio : a segment that passes less than this of its upstream neighbour's vehicles has an exit
    speed_memory_ms : time constant of the smoothing on freeways, and of speeds everywhere
    occupancy_memory_ms : that of occupancies on ramps and streets
    flow_memory_ms : that of the flows that tell an exit
    occupancy_warmup_ms : observation of a street before its state is told, two signal cycles
    stale_ms : without vehicles for so long a freeway is not known to be congested any more
    forget_ms : without vehicles (freeway) or observation (street) for so long the state is unknown
    confirm_ms, clear_ms : how long a state lasts before the alert starts or is cleared
    """

    enter_speed_ratio: float = 0.58
    leave_speed_ratio: float = 0.61
    jam_speed_ratio: float = 0.25
    beside_jam_ratio: float = 0.15
    dense_occupancy: float = 0.25
    exit_flow_ratio: float = 0.97
    enter_occupancy: float = 0.30
    leave_occupancy: float = 0.22
    speed_memory_ms: int = 40_000
    occupancy_memory_ms: int = 120_000
    flow_memory_ms: int = 3_600_000
    occupancy_warmup_ms: int = 120_000
    stale_ms: int = 90_000
    forget_ms: int = 300_000
    confirm_ms: int = 20_000
    clear_ms: int = 30_000

    def __post_init__(self) -> None:
        for name in ("speed_memory_ms", "occupancy_memory_ms", "flow_memory_ms"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(name, getattr(self, name), "must be positive")
        for name in ("occupancy_warmup_ms", "stale_ms", "forget_ms", "confirm_ms", "clear_ms"):
            if getattr(self, name) < 0:
                raise ConfigurationError(name, getattr(self, name), "must not be negative")
        if not 0 < self.enter_speed_ratio <= self.leave_speed_ratio:
            raise ConfigurationError("leave_speed_ratio", self.leave_speed_ratio, "must be at least enter_speed_ratio")
        if not 0 <= self.jam_speed_ratio <= self.enter_speed_ratio:
            raise ConfigurationError("jam_speed_ratio", self.jam_speed_ratio, "must be at most enter_speed_ratio")
        if not self.beside_jam_ratio >= 0:
            raise ConfigurationError("beside_jam_ratio", self.beside_jam_ratio, "must not be negative")
        if not 0 < self.dense_occupancy <= 1:
            raise ConfigurationError("dense_occupancy", self.dense_occupancy, "must be above 0 and at most 1")
        if not 0 <= self.exit_flow_ratio <= 1:
            raise ConfigurationError("exit_flow_ratio", self.exit_flow_ratio, "must be from 0 to 1")
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
        self._has_unseen_lane = np.array([len(s.sensor_ids) < s.lanes for s in registry.segments])
        self._downstream, self._upstream = registry.downstream, registry.upstream
        self._has_neighbours = bool((registry.downstream >= 0).any())
        self.arrays: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]] = {
            "vehicles": np.zeros(count),
            "pace_sum": np.zeros(count),
            "occupied_ms": np.zeros(count),
            "observed_ms": np.zeros(count),
            "flow_vehicles": np.zeros(count),
            "flow_readings": np.zeros(count),
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

    @np.errstate(invalid="ignore", divide="ignore")  # what is not known is NaN, and NaN is neither slow nor dense
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
        memory["flow_vehicles"] = memory["flow_vehicles"] + sums.vehicle_count
        memory["flow_readings"] = memory["flow_readings"] + sums.readings_accepted
        watched_ms = np.where(forgotten, 0, memory["watched_ms"])
        memory["watched_ms"] = watched_ms + np.where(sums.observed_ms > 0, window_ms, 0)
        seen = np.where(self._by_speed, (sums.vehicles_with_speed > 0) | stands, sums.observed_ms > 0)
        memory["idle_ms"] = np.where(seen, 0, memory["idle_ms"])
        memory["state"] = self._state()
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

    def _memories(self) -> tuple[tuple[str, npt.NDArray[np.int64] | int], ...]:
        occupancy_memory_ms = np.where(self._by_speed, self.rules.speed_memory_ms, self.rules.occupancy_memory_ms)
        return (
            ("vehicles", self.rules.speed_memory_ms),
            ("pace_sum", self.rules.speed_memory_ms),
            ("occupied_ms", occupancy_memory_ms),
            ("observed_ms", occupancy_memory_ms),
            ("flow_vehicles", self.rules.flow_memory_ms),
            ("flow_readings", self.rules.flow_memory_ms),
        )

    def _state(self) -> npt.NDArray[np.int64]:
        if self._by_speed.all():  # most gateways have one kind of road
            return self._state_by_speed()
        if not self._by_speed.any():
            return self._state_by_occupancy()
        return np.where(self._by_speed, self._state_by_speed(), self._state_by_occupancy())

    def _state_by_speed(self) -> npt.NDArray[np.int64]:
        """An empty road keeps a free state for `forget_ms`, but a queue is known only while something is seen of it."""
        rules = self.rules
        ratio, occupancy = self.speed_kmh() / self._free_flow_kmh, self.occupancy()
        known = ~np.isnan(ratio) & (self.arrays["idle_ms"] < rules.forget_ms)
        seen = known & (self.arrays["idle_ms"] < rules.stale_ms)
        was = self.arrays["state"] == _CONGESTED
        bound = np.where(was, rules.leave_speed_ratio, rules.enter_speed_ratio)
        congested = occupancy > rules.dense_occupancy
        if self._has_neighbours:
            told_ratio = np.where(self._by_speed & seen, ratio, np.nan)
            told_occupancy = np.where(self._by_speed & seen, occupancy, np.nan)
            ratio_upstream, ratio_downstream = _at(told_ratio, self._upstream), _at(told_ratio, self._downstream)
            queue_upstream = (ratio_upstream < bound) | (_at(told_occupancy, self._upstream) > rules.dense_occupancy)
            queue_downstream = (ratio_downstream < bound) | (
                _at(told_occupancy, self._downstream) > rules.dense_occupancy
            )
            beside_jam = (ratio_upstream < rules.jam_speed_ratio) | (ratio_downstream < rules.jam_speed_ratio)
            at_edge = beside_jam | (queue_upstream & queue_downstream)
            bound = bound + at_edge * rules.beside_jam_ratio
            congested |= self._has_exit() & queue_upstream
        congested |= ratio < bound
        judged = np.where(congested, np.where(seen, _CONGESTED, _UNKNOWN), _FREE)
        return np.where(known, judged, _UNKNOWN)

    def _has_exit(self) -> npt.NDArray[np.bool_]:
        """Segments that lose vehicles to a lane without a sensor, bool [segments]: that lane leads off the road."""
        flow = self.arrays["flow_vehicles"] / self.arrays["flow_readings"]
        loses: npt.NDArray[np.bool_] = flow < self.rules.exit_flow_ratio * _at(flow, self._upstream)
        return self._has_unseen_lane & loses

    def _state_by_occupancy(self) -> npt.NDArray[np.int64]:
        share = self.occupancy()
        was = self.arrays["state"] == _CONGESTED
        congested = np.where(was, share > self.rules.leave_occupancy, share > self.rules.enter_occupancy)
        recent = self.arrays["idle_ms"] < self.rules.forget_ms
        known = ~np.isnan(share) & recent & (self.arrays["watched_ms"] >= self.rules.occupancy_warmup_ms)
        return np.where(known, np.where(congested, _CONGESTED, _FREE), _UNKNOWN)

    def _changes(self, end_ms: int, window_ms: int) -> list[CongestionChange]:
        memory = self.arrays
        alerted = memory["alert_since_ms"] >= 0
        contrary = (memory["state"] == _CONGESTED) != alerted
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


def _at(values: npt.NDArray[np.float64], index: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """The values of the neighbours at `index`, NaN where it is -1."""
    return np.where(index < 0, np.nan, values[index])
