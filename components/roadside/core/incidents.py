"""Incidents on freeways: something blocks lanes between a station and the next one downstream.

A blockage shows in two ways, and the detector adds up the evidence of both (docs/numerics.md has the formulas):

- contrast: behind it traffic is slow and dense, past it fast and thin. So it is at a bottleneck every morning, and
  therefore only that part of the contrast counts that exceeds its own recent past and the profile of the time of day;
- lanes: past it the blocked lane is nearly empty while its neighbours carry the vehicles. That shows within a minute,
  also in light traffic that never queues, and no bottleneck does it.

Both are cumulative sums: a small deviation that lasts counts like a large one that is short, and normal traffic lowers
them again. A pair of stations is judged only while both report and traffic flows freely past the second one; a queue
that has grown over the pair from further downstream is somebody else's alert. So a missing neighbour costs
detection at its pair and never raises an alarm.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.core.congestion import standing
from roadside.core.contrast_profile import ContrastProfile
from roadside.core.errors import ConfigurationError
from roadside.core.lanes import MAX_LANES, lane_counts
from roadside.core.readings import NONE
from roadside.core.registry import Registry, RoadClass
from roadside.core.summary import MIN_PACE_SPEED_DKMH, PACE_MS_PER_KM, SegmentSums

FloatColumn = npt.NDArray[np.float64]
BoolColumn = npt.NDArray[np.bool_]
IntColumn = npt.NDArray[np.int64]

STEP_MS = 10_000  # shorter windows are gathered up to it, longer ones are steps themselves
DEVIATION_MS = 30_000  # evidence of contrast is in standard deviations held for so long
MAX_DEVIATIONS = 4.0
START_DEVIATION, MIN_DEVIATION, MIN_SCALE = 0.06, 0.03, 0.04  # of the contrast, as ratios of free flow
RECENT_PRIOR_VEHICLES = 4.0  # with which the shares of the last minute begin
PROOF_VEHICLES = 30  # at a station, to tell a blocked lane from a dead sensor
SLOW_LANE_LEAK = 0.5  # evidence of lanes fades while the station is slow
NO_ALERT = -1


@dataclass(frozen=True, slots=True)
class IncidentRules:
    """What counts as evidence and how much of it raises an alert. Ratios are of free flow; durations in ms.

    Parameters
    ----------
    enabled : False judges nothing and clears the alerts that are up
    sensitivity : evidence is multiplied by it before it is compared with the limits
    contrast_limit, lane_limit : evidence of one kind alone that raises an alert; both kinds add up
    contrast_cap, lane_cap : evidence is not gathered beyond, so that it is gone soon after its cause
    contrast_drift : deviations that normal traffic is forgiven
    min_contrast, min_occupancy_step : excess of contrast, and of occupancy here over downstream, for contrast to count
    near_discharge, free_discharge : speed at the next station, which may still accelerate, and at the one after it,
        where what blocks stands in front of them
    free_lane_speed : speed at a station for its lanes to be compared
    blocked_share : share of its usual vehicles that passes in a lane behind a blockage
    min_flow : share of the usual flow for lanes to be compared
    speed_memory_ms, recent_memory_ms, usual_memory_ms, contrast_memory_ms : time constants
    clear_contrast, clear_lane, clear_ms : an alert is cleared when both are below for so long
    settle_ms : an alert that lasts so long is cleared too, and what it saw is usual from then on
    warmup_ms : observation before a pair is judged
    forget_ms : without readings for so long a pair begins anew
    """

    enabled: bool = True
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

    def __post_init__(self) -> None:
        for name in ("sensitivity", "contrast_limit", "lane_limit", "blocked_share", "speed_memory_ms",
                     "recent_memory_ms", "usual_memory_ms", "contrast_memory_ms"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ConfigurationError(name, getattr(self, name), "must be positive")
        if not self.blocked_share < 1:
            raise ConfigurationError("blocked_share", self.blocked_share, "must be below 1")


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """An alert is raised (`detected`) or cleared.

    Parameters
    ----------
    segment, downstream : indices in the registry; the blockage is between their stations
    occurred_ms : end of the window by which it was known
    started_ms : occurred_ms of the change that raised the alert
    speed_kmh, downstream_speed_kmh, occupancy : smoothed
    score : evidence as a multiple of what raises an alert
    """

    segment: int
    downstream: int
    detected: bool
    occurred_ms: int
    started_ms: int
    speed_kmh: float
    downstream_speed_kmh: float
    occupancy: float
    score: float


class IncidentDetector:
    """Judges every pair of neighbouring freeway stations, one `update` a window, in the order of the windows.

    All of its memory is in `arrays`, each [segments] or [segments, MAX_LANES], so that a snapshot is a copy of them;
    what it learns over days is in `profile`.
    """

    def __init__(self, registry: Registry, rules: IncidentRules) -> None:
        count = len(registry.segments)
        freeway = np.array([segment.road_class is RoadClass.FREEWAY for segment in registry.segments])
        own = np.arange(count)
        self.rules = rules
        self.profile = ContrastProfile(count)
        self._free_flow_kmh = registry.free_flow_kmh
        # A segment without a neighbour is its own: no contrast, and masks keep it out.
        self._has_next = (registry.downstream >= 0) & freeway & freeway[registry.downstream]
        self._next = np.where(self._has_next, registry.downstream, own)
        has_previous = (registry.upstream >= 0) & freeway & freeway[registry.upstream]
        self._previous = np.where(has_previous, registry.upstream, own)
        lanes = lane_counts(registry)
        self._has_lanes = has_previous & (lanes > 1) & (lanes == lanes[self._previous])
        self._is_lane = np.arange(MAX_LANES) < lanes[:, np.newaxis]
        self.arrays: dict[str, FloatColumn | IntColumn] = {
            # gathered since the last step
            "step_ms": np.zeros(count, dtype=np.int64),
            "step_told": np.zeros(count, dtype=np.int64),
            "step_vehicles": np.zeros(count),
            "step_pace_sum": np.zeros(count),
            "step_occupied_ms": np.zeros(count),
            "step_observed_ms": np.zeros(count),
            "step_lanes": np.zeros((count, MAX_LANES)),  # NONE where a lane has not told of all windows
            # stations
            "vehicles": np.zeros(count),
            "pace_sum": np.zeros(count),
            "speed_kmh": registry.free_flow_kmh.copy(),
            "occupied_ms": np.zeros(count),
            "observed_ms": np.zeros(count),
            "watched_ms": np.zeros(count, dtype=np.int64),
            "silent_ms": np.zeros(count, dtype=np.int64),  # since it told anything
            "idle_ms": np.zeros(count, dtype=np.int64),  # since a vehicle passed or stood
            # lanes of a station
            "usual": np.where(self._is_lane, 5.0, 0.0),
            "recent": np.zeros((count, MAX_LANES)),
            "unseen": np.zeros((count, MAX_LANES)),  # vehicles at the station since the lane's last one
            "unseen_elsewhere": np.zeros((count, MAX_LANES)),  # and at the neighbour, as they should be here
            "lane_evidence": np.zeros((count, MAX_LANES)),
            # pairs, at the upstream station
            "usual_contrast": np.zeros(count),
            "contrast_variance": np.full(count, START_DEVIATION**2),
            "contrast_evidence": np.zeros(count),
            "alert_since_ms": np.full(count, NO_ALERT, dtype=np.int64),
            "quiet_ms": np.zeros(count, dtype=np.int64),
        }

    @property
    def has_pairs(self) -> bool:
        """Whether there is anything to judge."""
        return bool(self._has_next.any())

    def skip(self, elapsed_ms: int) -> None:
        """Time that no window covers: every pair begins anew; what is usual there stays known."""
        if elapsed_ms < self.rules.forget_ms:
            return
        memory = self.arrays
        for name in ("vehicles", "pace_sum", "occupied_ms", "observed_ms", "contrast_evidence",
                     "watched_ms", "quiet_ms"):  # fmt: skip
            memory[name] = np.zeros_like(memory[name])
        for name in ("recent", "lane_evidence"):
            memory[name] = np.zeros_like(memory[name])
        memory["speed_kmh"] = self._free_flow_kmh.copy()

    def update(self, sums: SegmentSums, lanes: IntColumn, end_ms: int, window_ms: int) -> list[IncidentChange]:
        """Take the next window; returns the alerts that are raised or cleared at its end.

        Parameters
        ----------
        lanes : int64 [segments, MAX_LANES], vehicles of each lane, NONE where it has not told
        """
        if not self.rules.enabled:
            return self._switch_off(end_ms)
        self._gather(sums, lanes, window_ms)
        memory = self.arrays
        step_ms = int(memory["step_ms"][0])
        if step_ms < STEP_MS:
            return []
        self._follow_stations(step_ms)
        contrast, expected = self._judge_contrast(end_ms, step_ms)
        lane_evidence = self._judge_lanes(step_ms)
        changes = self._changes(contrast, contrast - expected, lane_evidence, end_ms, step_ms)
        for name in [name for name in memory if name.startswith("step_")]:
            memory[name] = np.zeros_like(memory[name])
        return changes

    def _switch_off(self, end_ms: int) -> list[IncidentChange]:
        """Nobody would ever clear the alerts that are up; whoever switches on again begins anew."""
        alerted: BoolColumn = self.arrays["alert_since_ms"] != NO_ALERT
        changes = self._tell(np.zeros_like(alerted), alerted, np.zeros(len(alerted)), end_ms)
        self.skip(self.rules.forget_ms)
        return changes

    def _gather(self, sums: SegmentSums, lanes: IntColumn, window_ms: int) -> None:
        """Add a window to the step. A station or lane that tells nothing in one of its windows tells nothing in it."""
        memory = self.arrays
        stands = standing(sums)
        told = sums.readings_accepted > 0
        whole = told & ((memory["step_told"] > 0) | (memory["step_ms"] == 0))
        memory["step_told"] = whole.astype(np.int64)
        memory["step_ms"] = memory["step_ms"] + window_ms
        memory["step_vehicles"] = memory["step_vehicles"] + sums.vehicles_with_speed + stands
        memory["step_pace_sum"] = memory["step_pace_sum"] + sums.pace_sum + stands * PACE_MS_PER_KM[MIN_PACE_SPEED_DKMH]
        memory["step_occupied_ms"] = memory["step_occupied_ms"] + sums.occupied_ms
        memory["step_observed_ms"] = memory["step_observed_ms"] + sums.observed_ms
        silent = (lanes == NONE) | (memory["step_lanes"] == NONE)
        memory["step_lanes"] = np.where(silent, NONE, memory["step_lanes"] + lanes)

    def _follow_stations(self, step_ms: int) -> None:
        """Smooth each station's speed and occupancy; a station without vehicles keeps its speed for a while."""
        memory, rules = self.arrays, self.rules
        fade = np.exp(-step_ms / rules.speed_memory_ms)
        for name in ("vehicles", "pace_sum", "occupied_ms", "observed_ms"):
            memory[name] = memory[name] * fade + memory[f"step_{name}"]
        passed = memory["step_vehicles"] > 0
        told = memory["step_told"] > 0
        memory["idle_ms"] = np.where(passed, 0, memory["idle_ms"] + step_ms)
        with np.errstate(invalid="ignore", divide="ignore"):
            speed = np.where(passed, 3.6e6 * memory["vehicles"] / memory["pace_sum"], memory["speed_kmh"])
        forgotten = memory["idle_ms"] >= rules.forget_ms
        memory["speed_kmh"] = np.where(forgotten, self._free_flow_kmh, speed)
        memory["watched_ms"] = np.where(told, memory["watched_ms"] + step_ms, memory["watched_ms"])
        memory["silent_ms"] = np.where(told, 0, memory["silent_ms"] + step_ms)
        memory["watched_ms"] = np.where(memory["silent_ms"] >= rules.forget_ms, 0, memory["watched_ms"])

    def _judge_contrast(self, end_ms: int, step_ms: int) -> tuple[FloatColumn, FloatColumn]:
        """Contrast of every pair and what was to be expected of it; gathers the evidence of their difference."""
        memory, rules = self.arrays, self.rules
        ratio = memory["speed_kmh"] / self._free_flow_kmh
        contrast = np.where(self._has_next, ratio[self._next] - ratio, 0.0)
        expected = np.maximum(memory["usual_contrast"], self.profile.expected(end_ms))
        deviation = np.sqrt(memory["contrast_variance"])
        excess = np.clip((contrast - expected) / np.maximum(deviation, MIN_SCALE), -MAX_DEVIATIONS, MAX_DEVIATIONS)
        excess = np.where(self._discharges(), excess, np.minimum(excess, 0))
        gathered = memory["contrast_evidence"] + (excess - rules.contrast_drift) * step_ms / DEVIATION_MS
        judged = self._judged()
        gathered = np.where(judged, np.clip(gathered, 0, rules.contrast_cap), memory["contrast_evidence"])
        memory["contrast_evidence"] = np.where(self._is_warm(), gathered, 0)
        # What is usual follows only what looks usual.
        pace = np.where(judged & (memory["contrast_evidence"] < 2), step_ms / rules.contrast_memory_ms, 0)
        surprise: FloatColumn = np.clip(contrast - memory["usual_contrast"], -3 * deviation, 3 * deviation)
        memory["usual_contrast"] = memory["usual_contrast"] + pace * surprise
        variance = memory["contrast_variance"] + pace * (surprise**2 - memory["contrast_variance"])
        memory["contrast_variance"] = np.maximum(variance, MIN_DEVIATION**2)
        self.profile.learn(contrast, judged, end_ms, step_ms)
        return contrast, expected

    def _judge_lanes(self, step_ms: int) -> FloatColumn:
        """Evidence that a lane is blocked in front of each pair's second station, by pair.

        In every lane the vehicles of the step are more likely with the share that the lane usually has, or with
        `blocked_share` of it: the logarithm of that ratio adds up.
        """
        memory, rules = self.arrays, self.rules
        passed = np.where(self._is_lane & (memory["step_lanes"] != NONE), memory["step_lanes"], 0.0)
        complete = ((memory["step_lanes"] != NONE) | ~self._is_lane).all(axis=1)
        usual = _shares(memory["usual"].astype(np.float64))
        lately = _shares(memory["recent"] + RECENT_PRIOR_VEHICLES * usual)
        with np.errstate(invalid="ignore", divide="ignore"):
            shift = np.where(usual > 0, lately / usual, 1.0)
        # A lane that is already emptier than usual one station before is not blocked in between.
        share = usual * np.minimum(1, shift)[self._previous]
        total = passed.sum(axis=1, keepdims=True)
        # A lane that carries all of its station's vehicles, as beside sensors that are left out, tells nothing.
        with np.errstate(invalid="ignore", divide="ignore"):
            others = np.log((1 - rules.blocked_share * share) / (1 - share))
            gain = np.where(share < 1, passed * np.log(rules.blocked_share) + (total - passed) * others, 0.0)
        slow = memory["speed_kmh"] < rules.free_lane_speed * self._free_flow_kmh
        thin = memory["recent"].sum(axis=1) / rules.recent_memory_ms < (
            rules.min_flow * memory["usual"].sum(axis=1) / rules.usual_memory_ms
        )
        jammed = ~self._discharges()[self._previous]
        gain = np.where((slow | thin | jammed)[:, np.newaxis], np.minimum(gain, 0), gain)
        gain = np.where(slow[:, np.newaxis], gain - SLOW_LANE_LEAK, gain)
        judged = complete & complete[self._previous] & self._judged()[self._previous] & self._has_lanes
        evidence = np.clip(memory["lane_evidence"] + gain, 0, rules.lane_cap)
        evidence = np.where(judged[:, np.newaxis], evidence, memory["lane_evidence"])
        memory["lane_evidence"] = np.where(self._is_warm()[self._previous, np.newaxis], evidence, 0)
        memory["recent"] = memory["recent"] * np.exp(-step_ms / rules.recent_memory_ms) + passed
        calm = complete & (memory["lane_evidence"].max(axis=1) < 3)
        followed = memory["usual"] * np.exp(-step_ms / rules.usual_memory_ms) + passed
        memory["usual"] = np.where(calm[:, np.newaxis], followed, memory["usual"])
        seems_dead = self._seem_dead(passed, usual)
        by_station = np.where(seems_dead, 0, memory["lane_evidence"]).max(axis=1)
        return np.where(self._has_next, by_station[self._next], 0.0)

    def _seem_dead(self, passed: FloatColumn, usual: FloatColumn) -> BoolColumn:
        """Lanes without a vehicle that a dead sensor would explain as well.

        The vehicles of a blocked lane pass in the others, so that the station still counts what its neighbour counts;
        those that a dead sensor misses are missing. It takes some vehicles to tell the two apart.
        """
        memory = self.arrays
        other = np.where(self._has_next & self._is_lane[self._next, 0], self._next, self._previous)
        total, usual_total = passed.sum(axis=1), memory["usual"].sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            elsewhere = np.nan_to_num(total[other] * usual_total / usual_total[other])
        empty = passed == 0
        for name, vehicles in (("unseen", total), ("unseen_elsewhere", elsewhere)):
            memory[name] = np.where(empty, memory[name] + vehicles[:, np.newaxis], 0)
        missing = memory["unseen"] < (1 - usual / 2) * memory["unseen_elsewhere"]
        seems_dead: BoolColumn = empty & (missing | (memory["unseen"] < PROOF_VEHICLES))
        return seems_dead

    def _changes(
        self, contrast: FloatColumn, excess: FloatColumn, lane_evidence: FloatColumn, end_ms: int, step_ms: int
    ) -> list[IncidentChange]:
        memory, rules = self.arrays, self.rules
        occupancy = self.occupancy()
        denser = ~(occupancy - occupancy[self._next] <= rules.min_occupancy_step)  # true where it is not known
        counts = (excess > rules.min_contrast) & denser
        contrast_evidence = np.where(counts, memory["contrast_evidence"], 0)
        score = rules.sensitivity * (contrast_evidence / rules.contrast_limit + lane_evidence / rules.lane_limit)
        alerted = memory["alert_since_ms"] != NO_ALERT
        quiet = (lane_evidence < rules.clear_lane) & (excess < rules.clear_contrast)
        memory["quiet_ms"] = np.where(quiet, memory["quiet_ms"] + step_ms, 0)
        raised = self._has_next & self._judged() & ~alerted & (score > 1)
        settled = alerted & (end_ms - memory["alert_since_ms"] >= rules.settle_ms)
        lost = alerted & ~self._is_warm()
        cleared = (alerted & (memory["quiet_ms"] >= rules.clear_ms)) | settled | lost
        changes = self._tell(raised, cleared, score, end_ms)
        self._take_as_usual(settled, contrast)
        return changes

    def _tell(self, raised: BoolColumn, cleared: BoolColumn, score: FloatColumn, end_ms: int) -> list[IncidentChange]:
        memory, occupancy = self.arrays, self.occupancy()
        changes = [
            IncidentChange(
                segment=segment,
                downstream=int(self._next[segment]),
                detected=bool(raised[segment]),
                occurred_ms=end_ms,
                started_ms=end_ms if raised[segment] else int(memory["alert_since_ms"][segment]),
                speed_kmh=float(memory["speed_kmh"][segment]),
                downstream_speed_kmh=float(memory["speed_kmh"][self._next[segment]]),
                occupancy=float(occupancy[segment]),
                score=float(score[segment]),
            )
            for segment in np.flatnonzero(raised | cleared).tolist()
        ]
        memory["alert_since_ms"] = np.where(raised, end_ms, np.where(cleared, NO_ALERT, memory["alert_since_ms"]))
        return changes

    def _take_as_usual(self, settled: BoolColumn, contrast: FloatColumn) -> None:
        """What has lasted for so long is how it is there now."""
        memory = self.arrays
        memory["contrast_evidence"] = np.where(settled, 0, memory["contrast_evidence"])
        memory["usual_contrast"] = np.where(settled, contrast, memory["usual_contrast"])
        past = np.zeros(len(settled), dtype=bool)
        past[self._next[settled]] = True
        memory["lane_evidence"] = np.where(past[:, np.newaxis], 0, memory["lane_evidence"])
        memory["usual"] = np.where(past[:, np.newaxis], memory["recent"], memory["usual"])

    def occupancy(self) -> FloatColumn:
        """Smoothed occupancy, float64 [segments], NaN without evidence."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.arrays["occupied_ms"] / self.arrays["observed_ms"]

    def _judged(self) -> BoolColumn:
        """Pairs of which both stations told of this step, after they have been watched for long enough."""
        told = self.arrays["step_told"] > 0
        judged: BoolColumn = self._is_warm() & told & told[self._next]
        return judged

    def _is_warm(self) -> BoolColumn:
        watched = self.arrays["watched_ms"] >= self.rules.warmup_ms
        is_warm: BoolColumn = self._has_next & watched & watched[self._next]
        return is_warm

    def _discharges(self) -> BoolColumn:
        """Pairs past which traffic flows freely, at the next station and the one after it."""
        ratio = self.arrays["speed_kmh"] / self._free_flow_kmh
        near, far = ratio[self._next], ratio[self._next[self._next]]
        flows: BoolColumn = (near >= self.rules.near_discharge) & (far >= self.rules.free_discharge)
        return flows


def _shares(vehicles: FloatColumn) -> FloatColumn:
    total = vehicles.sum(axis=1, keepdims=True)
    shares: FloatColumn = np.divide(vehicles, total, out=np.zeros_like(vehicles), where=total > 0)
    return shares
