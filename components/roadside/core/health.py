"""Which sensors are not to be believed, judged window by window from what they and their neighbours say.

Faulty sensors are left out of the sums from the window after the one by which the fault was known, until they have
shown no sign of it for a while. A sensor is judged against others wherever a healthy one could look the same: a lane
behind a blockage counts nothing for half an hour, a standing queue covers a loop for ten minutes, and a street is
empty all night. docs/numerics.md has the rules.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.core.health_rules import ClassRules, HealthRules, SensorFault
from roadside.core.neighbour_flow import NeighbourFlow
from roadside.core.registry import Registry, RoadClass
from roadside.core.sensor_sums import SensorSums

__all__ = ["ClassRules", "HealthRules", "SensorChange", "SensorFault", "SensorHealth"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntColumn = npt.NDArray[np.int64]

FULL_SHARE = 0.98  # of the time covered is always covered
CHATTER_MS = 30_000  # over which chatter is counted
CHATTER_MEMORY_MS = 600_000
CHATTER_TWICE = 1.5  # two bursts within the memory, not one: readings may bunch
LENGTH_WINDOWS = 30  # with vehicles, before a length is judged
LENGTH_PEERS = 5
LENGTH_STEP = 0.02  # of the running median, in logarithms
SHORTEST_M = 0.1
CALM_RATIO = 0.9  # a length is well again within nine tenths of the limits
CALM_FLOW = 1.05  # and a flow above the limits by this
JUDGE_MS = 60_000  # comparisons among sensors change slowly and cost the most

_NO_FAULT = int(SensorFault.NONE)  # in an array's company an IntEnum costs several times what its integer does
_WATCHED = tuple(fault for fault in SensorFault if fault is not SensorFault.NONE)
_RULES_OF = {
    SensorFault.SILENT: ("silent_ms",),
    SensorFault.CHATTER: ("chatter_vehicles",),
    SensorFault.STUCK_ON: ("stuck_ms", "stuck_proven_ms"),
    SensorFault.CONSTANT: ("constant_ms",),
    SensorFault.DEAD: ("dead_ms", "dead_proven_ms"),
    SensorFault.OCCUPANCY_SCALE: ("length_ms",),
    SensorFault.UNDERCOUNT: ("undercount_ms",),
}


@dataclass(frozen=True, slots=True)
class SensorChange:
    """A sensor is no longer believed (`faulty`), or is again.

    Parameters
    ----------
    sensor : index in the registry
    fault : what is wrong, or was
    occurred_ms : end of the window by which it was known; windows from there on leave the sensor out or count it
    started_ms : occurred_ms of the change that began the fault
    """

    sensor: int
    fault: SensorFault
    faulty: bool
    occurred_ms: int
    started_ms: int


class SensorHealth:
    """Health of every sensor, one `update` a window, in the order of the windows.

    All of its memory is in `arrays`, each [sensors], and those of `flow`.
    """

    def __init__(self, registry: Registry, rules: HealthRules) -> None:
        count = registry.sensor_count
        self._registry = registry
        self._class = np.array([list(RoadClass).index(s.road_class) for s in registry.segments])[
            registry.sensor_segment
        ]
        # A device that sees several lanes at once may count more than one lane carries.
        self._lanes_seen = np.array([max(1.0, s.lanes / max(1, len(s.sensor_ids))) for s in registry.segments])[
            registry.sensor_segment
        ]
        self._mates = np.bincount(registry.sensor_segment, minlength=len(registry.segments))
        self.flow = NeighbourFlow(registry)
        self.rules = rules
        self.arrays: dict[str, IntColumn | FloatArray] = {
            "fault": np.zeros(count, dtype=np.int64),  # `SensorFault`
            "since_ms": np.zeros(count, dtype=np.int64),
            "well_ms": np.zeros(count, dtype=np.int64),  # without signs of the fault
            "silent_ms": np.zeros(count, dtype=np.int64),
            "idle_ms": np.zeros(count, dtype=np.int64),  # without a vehicle, not covered all the time
            "full_ms": np.zeros(count, dtype=np.int64),  # without a vehicle, covered all the time
            "proof": np.zeros(count),  # vehicles that passed the neighbours during either
            "reading": np.full(count, -1, dtype=np.int64),
            "same_ms": np.zeros(count, dtype=np.int64),
            "burst_ms": np.zeros(count, dtype=np.int64),
            "burst_vehicles": np.zeros(count, dtype=np.int64),
            "bursts": np.zeros(count),
            "length_log": np.zeros(count),  # running median
            "length_windows": np.zeros(count, dtype=np.int64),
            "length_ms": np.zeros(count, dtype=np.int64),  # out of range
            "length_low": np.full(count, -np.inf),  # its range, judged each minute
            "length_high": np.full(count, np.inf),
            "short_ms": np.zeros(count, dtype=np.int64),  # counts fewer than its neighbours
            "shortfall": np.full(count, np.inf),  # below 1 it does, judged each minute
        }

    @property
    def rules(self) -> HealthRules:
        return self._rules

    @rules.setter
    def rules(self, rules: HealthRules) -> None:
        self._rules = rules
        by_class = [getattr(rules, road_class.value) for road_class in RoadClass]
        self._limit = {
            name: np.array([getattr(of_class, name) for of_class in by_class], dtype=np.int64)[self._class]
            for name in ClassRules.__dataclass_fields__
        }
        self._is_off = {kind: sum(self._limit[rule] for rule in names) == 0 for kind, names in _RULES_OF.items()}

    @property
    def excluded(self) -> BoolArray:
        """Sensors that the next window's sums leave out, bool [sensors]."""
        faulty: BoolArray = self.arrays["fault"] != _NO_FAULT
        return faulty

    @property
    def fault(self) -> IntColumn:
        """`SensorFault` of every sensor, int64 [sensors]."""
        return self.arrays["fault"].astype(np.int64)

    def faulty(self) -> dict[str, int]:
        """How many sensors have each fault, by its name; faults that none has are left out."""
        counts = np.bincount(self.fault, minlength=len(SensorFault))
        return {fault.name.lower(): int(counts[fault]) for fault in SensorFault if fault and counts[fault]}

    def inherit(self, mine: npt.NDArray[np.intp], predecessor: "SensorHealth", theirs: npt.NDArray[np.intp]) -> None:
        """Take over what is known of the sensors `mine`; `theirs` tells of all where the other has each, intp."""
        for own, other in ((self.arrays, predecessor.arrays), (self.flow.arrays, predecessor.flow.arrays)):
            for name, memory in own.items():
                memory[mine] = other[name][theirs[mine]]

    def skip(self, elapsed_ms: int) -> None:
        """Time that no window covers tells nothing of sensors."""
        self.flow.skip(elapsed_ms, self.rules.flow_memory_ms)

    def update(self, sums: SensorSums, end_ms: int, window_ms: int) -> list[SensorChange]:
        """Take the next window; returns the faults that begin or end with it. A rule switched off ends its faults."""
        if not self.rules.enabled:
            return self._believe(self.excluded, end_ms)
        reporting = sums.readings > 0
        if not reporting.any():
            return []  # the gateway hears nothing: that is no sensor's fault
        believed = reporting & ~self.excluded
        self._follow_silence(reporting, window_ms)
        self._follow_stillness(sums, reporting, believed, window_ms)
        self._follow_sameness(sums, reporting, window_ms)
        self._follow_bursts(sums, reporting, window_ms)
        self._follow_length(sums, window_ms)
        self.flow.update(sums.vehicle_count, reporting, window_ms, self.rules.flow_memory_ms)
        if end_ms // JUDGE_MS != (end_ms - window_ms) // JUDGE_MS:
            self._compare_lengths()
            self.arrays["shortfall"] = self.flow.shortfall(~self.excluded, self.rules.flow_memory_ms)
        short = self.arrays["shortfall"] < 1
        self._lapse("short_ms", reporting & short, reporting & ~short, window_ms)
        signs = self._signs()
        ends = self._ends(signs, sums, end_ms, window_ms)
        return [*ends, *self._begins(self._signs() if ends else signs, end_ms)]

    def _follow_silence(self, reporting: BoolArray, window_ms: int) -> None:
        self._lapse("silent_ms", ~reporting, reporting, window_ms)

    def _follow_stillness(self, sums: SensorSums, reporting: BoolArray, believed: BoolArray, window_ms: int) -> None:
        """Time without a vehicle, and the vehicles that passed elsewhere in that time."""
        memory = self.arrays
        still = reporting & (sums.vehicle_count == 0)
        full = still & (sums.observed_ms > 0) & (sums.occupied_ms >= FULL_SHARE * sums.observed_ms)
        idle = still & ~full
        ended = (reporting & ~still) | (full & (memory["idle_ms"] > 0)) | (idle & (memory["full_ms"] > 0))
        self._lapse("idle_ms", idle, reporting & ~idle, window_ms)
        self._lapse("full_ms", full, reporting & ~full, window_ms)
        memory["proof"] = np.where(ended, 0, memory["proof"]) + np.where(still, self._passing(sums, believed), 0)

    def _passing(self, sums: SensorSums, believed: BoolArray) -> FloatArray:
        """Vehicles that passed beside each sensor, mean of its neighbours, float64 [sensors].

        The more of: a lane of its own station; a lane of both stations next to it. The gateway's mean sensor where it
        has neither, as on a ramp.
        """
        segment = self._registry.sensor_segment
        vehicles = np.where(believed, sums.vehicle_count, 0)
        total = np.bincount(segment, weights=vehicles, minlength=len(self._mates))
        counting = np.bincount(segment, weights=believed, minlength=len(self._mates))
        with np.errstate(invalid="ignore", divide="ignore"):
            beside = (total[segment] - vehicles) / (counting[segment] - believed)
            station = total / counting
            up, down = (
                np.where(next_one >= 0, station[next_one], np.nan)
                for next_one in (self._registry.upstream, self._registry.downstream)
            )
            anywhere = vehicles.sum() / believed.sum()
        passing = np.fmax(beside, np.minimum(up, down)[segment])
        return np.nan_to_num(np.where(np.isnan(passing), anywhere, passing))

    def _follow_sameness(self, sums: SensorSums, reporting: BoolArray, window_ms: int) -> None:
        """Time for which every reading was the same. An empty road is always the same, and a standing queue too."""
        empty = (sums.vehicle_count == 0) & (sums.occupied_ms == 0)
        full = self.arrays["full_ms"] > 0
        same = (sums.reading >= 0) & (sums.reading == self.arrays["reading"]) & ~empty & ~full
        self._lapse("same_ms", reporting & same, reporting & ~same, window_ms)
        self.arrays["reading"] = np.where(reporting, sums.reading, self.arrays["reading"])

    def _follow_bursts(self, sums: SensorSums, reporting: BoolArray, window_ms: int) -> None:
        memory = self.arrays
        memory["bursts"] = memory["bursts"] * np.exp(-window_ms / CHATTER_MEMORY_MS)
        memory["burst_ms"] = memory["burst_ms"] + np.where(reporting, window_ms, 0)
        memory["burst_vehicles"] = memory["burst_vehicles"] + sums.vehicle_count
        whole = memory["burst_ms"] >= CHATTER_MS
        limit = self._limit["chatter_vehicles"] * self._lanes_seen * memory["burst_ms"] / CHATTER_MS
        loud = whole & (limit > 0) & (memory["burst_vehicles"] >= limit)
        memory["bursts"] = memory["bursts"] + loud
        memory["burst_ms"] = np.where(whole, 0, memory["burst_ms"])
        memory["burst_vehicles"] = np.where(whole, 0, memory["burst_vehicles"])

    def _follow_length(self, sums: SensorSums, window_ms: int) -> None:
        """Running median of the length of what passes: covered time x speed / vehicles."""
        memory = self.arrays
        measured = (sums.vehicles_with_speed > 0) & (sums.vehicles_with_speed == sums.vehicle_count)
        measured &= sums.observed_ms > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            length_m = 1000.0 * sums.occupied_ms / sums.pace_sum  # ms x (1000 m / ms per km summed over vehicles)
            length_log = np.log(np.maximum(length_m, SHORTEST_M))
        known = memory["length_windows"]
        step = np.maximum(LENGTH_STEP, 1 / (1 + known))
        moved = np.where(
            known == 0, length_log, memory["length_log"] + step * np.sign(length_log - memory["length_log"])
        )
        memory["length_log"] = np.where(measured, moved, memory["length_log"])
        memory["length_windows"] = known + measured
        outside = (memory["length_log"] < memory["length_low"]) | (memory["length_log"] > memory["length_high"])
        judged = measured & (memory["length_windows"] >= LENGTH_WINDOWS)
        self._lapse("length_ms", judged & outside, judged & ~outside, window_ms)

    def _compare_lengths(self) -> None:
        """Logarithms of the shortest and longest length of each sensor, by its peers where there are enough."""
        rules, memory = self.rules, self.arrays
        usual = np.full(len(RoadClass), np.nan)
        tells = (memory["length_windows"] >= LENGTH_WINDOWS) & ~self.excluded
        for road_class in range(len(RoadClass)):
            peers = memory["length_log"][tells & (self._class == road_class)]
            if len(peers) >= LENGTH_PEERS:
                usual[road_class] = np.median(peers)
        low = np.fmax(np.log(rules.length_min_m), usual + np.log(rules.length_min_ratio))
        high = np.fmin(np.log(rules.length_max_m), usual + np.log(rules.length_max_ratio))
        memory["length_low"], memory["length_high"] = low[self._class], high[self._class]

    def _lapse(self, name: str, goes_on: BoolArray, ends: BoolArray, window_ms: int) -> None:
        self.arrays[name] = np.where(ends, 0, self.arrays[name] + np.where(goes_on, window_ms, 0))

    def _signs(self) -> dict[SensorFault, BoolArray]:
        """Which sensors show each fault by now, bool [sensors]."""
        memory, limit = self.arrays, self._limit
        proven = memory["proof"] >= limit["proof_vehicles"]
        short = self._reached("short_ms", "undercount_ms")
        idle = self._reached("idle_ms", "dead_ms") | (self._reached("idle_ms", "dead_proven_ms") & proven)
        full = self._reached("full_ms", "stuck_ms") | (self._reached("full_ms", "stuck_proven_ms") & proven)
        same = self._reached("same_ms", "constant_ms")
        # Vehicles that are missing prove what else would need patience.
        idle |= short & (memory["idle_ms"] >= limit["undercount_ms"])
        full |= short & (memory["full_ms"] >= limit["undercount_ms"])
        signs = {
            SensorFault.SILENT: self._reached("silent_ms", "silent_ms"),
            SensorFault.CHATTER: memory["bursts"] >= CHATTER_TWICE,
            SensorFault.STUCK_ON: full,
            SensorFault.CONSTANT: same,
            SensorFault.DEAD: idle,
            SensorFault.OCCUPANCY_SCALE: self._reached("length_ms", "length_ms"),
            SensorFault.UNDERCOUNT: short,
        }
        return {kind: sign & ~self._is_off[kind] for kind, sign in signs.items()}

    def _reached(self, name: str, rule: str) -> BoolArray:
        limit = self._limit[rule]
        reached: BoolArray = (limit > 0) & (self.arrays[name] >= limit)
        return reached

    def _ends(
        self, signs: dict[SensorFault, BoolArray], sums: SensorSums, end_ms: int, window_ms: int
    ) -> list[SensorChange]:
        memory, limit = self.arrays, self._limit
        fault = memory["fault"]
        if not self.excluded.any():
            return []
        passes = sums.vehicle_count > 0
        calm = -np.log(CALM_RATIO)
        in_range = (memory["length_log"] > memory["length_low"] + calm) & (
            memory["length_log"] < memory["length_high"] - calm
        )
        well = {
            SensorFault.SILENT: sums.readings > 0,
            SensorFault.CHATTER: (sums.readings > 0) & (memory["bursts"] < 1),
            SensorFault.STUCK_ON: passes,
            SensorFault.CONSTANT: passes & (memory["same_ms"] == 0),
            SensorFault.DEAD: passes,
            SensorFault.OCCUPANCY_SCALE: passes & in_range,
            SensorFault.UNDERCOUNT: passes & (memory["shortfall"] > CALM_FLOW) & np.isfinite(memory["shortfall"]),
        }
        is_well, is_ill, is_off = np.zeros((3, len(fault)), dtype=bool)
        for kind in _WATCHED:
            is_well |= (fault == kind) & well[kind]
            is_ill |= (fault == kind) & signs[kind]
            is_off |= (fault == kind) & self._is_off[kind]
        memory["well_ms"] = np.where(is_ill, 0, memory["well_ms"] + np.where(is_well, window_ms, 0))
        patience = np.where(fault == SensorFault.CHATTER, limit["chatter_clear_ms"], limit["clear_ms"])
        return self._believe(is_off | (is_well & (memory["well_ms"] >= patience)), end_ms)

    def _believe(self, sensors: BoolArray, end_ms: int) -> list[SensorChange]:
        """End the faults of these sensors."""
        memory = self.arrays
        fault = memory["fault"]
        over = sensors & (fault != _NO_FAULT)
        changes = [
            SensorChange(sensor, SensorFault(int(fault[sensor])), False, end_ms, int(memory["since_ms"][sensor]))
            for sensor in np.flatnonzero(over).tolist()
        ]
        if changes:
            memory["fault"] = np.where(over, SensorFault.NONE, fault)
            # What it measured meanwhile says nothing of it as it is now.
            self.flow.forget(over)
            memory["shortfall"] = np.where(over, np.inf, memory["shortfall"])
            for name in ("short_ms", "length_ms", "length_windows"):
                memory[name] = np.where(over, 0, memory[name])
        return changes

    def _begins(self, signs: dict[SensorFault, BoolArray], end_ms: int) -> list[SensorChange]:
        memory = self.arrays
        found = np.zeros(len(memory["fault"]), dtype=np.int64)
        for kind in reversed(_WATCHED):
            found = np.where(signs[kind], kind, found)
        begins = (found != _NO_FAULT) & ~self.excluded
        changes = [
            SensorChange(sensor, SensorFault(int(found[sensor])), True, end_ms, end_ms)
            for sensor in np.flatnonzero(begins).tolist()
        ]
        if changes:
            memory["fault"] = np.where(begins, found, memory["fault"])
            memory["since_ms"] = np.where(begins, end_ms, memory["since_ms"])
            memory["well_ms"] = np.where(begins, 0, memory["well_ms"])
        return changes
