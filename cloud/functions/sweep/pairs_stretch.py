"""Judges pairs of freeway stations across gateways, by the evidence that a gateway takes for its own
(core/incidents.py, docs/numerics.md): contrast of speed beyond what is usual, and a lane that has emptied into the
others.

In plain floats, since a Lambda function has no numpy. tests/property/test_pairs.py feeds the same streams to this and
to the core and wants the same alerts at the same instants.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from cloud.functions.sweep.pairs_profile import PairProfile
from cloud.functions.sweep.pairs_rules import (
    DEVIATION_MS,
    MAX_DEVIATIONS,
    MIN_DEVIATION,
    MIN_SCALE,
    PROOF_VEHICLES,
    RECENT_PRIOR_VEHICLES,
    SLOW_LANE_LEAK,
    START_DEVIATION,
    START_LANE_VEHICLES,
    PairRules,
)

NO_ALERT: Final = -1


@dataclass(frozen=True, slots=True)
class Station:
    """A freeway segment, as the catalogue has it."""

    number: int
    segment_id: str
    gateway: str
    free_flow_kmh: float


class Told(NamedTuple):
    """What a station told of a step: sums over its windows, and its lanes where each window told them.

    is_whole : whether it told anything in each of its windows
    vehicles : with speed, and one more for each window in which traffic stood
    lanes : vehicles by lane; empty where they are not told, None where a lane was silent in a window
    """

    is_whole: bool = False
    vehicles: int = 0
    pace_sum_ms_per_km: int = 0
    occupied_ms: int = 0
    observed_ms: int = 0
    lanes: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class PairChange:
    """An alert is raised (`detected`) or cleared; fields as in the core's `IncidentChange`, and this one.

    Parameters
    ----------
    absorbed : whether the alert is part of an incident that others told of
    """

    here: Station
    past: Station
    detected: bool
    occurred_ms: int
    started_ms: int
    speed_kmh: float
    downstream_speed_kmh: float
    occupancy: float | None
    score: float
    absorbed: bool = False


class Stretch:
    """Stations in driving direction over a border of gateways, and the judgement of the first of their pairs.

    The station past the last judged pair is there to tell whether traffic flows on. All memory is in `memory`, lists by
    station, or by pair at its upstream station; and in `profiles`, by pair.
    """

    def __init__(self, stations: Sequence[Station], judged_pairs: int, rules: PairRules) -> None:
        count = len(stations)
        self.stations = tuple(stations)
        self.rules = rules
        self.pairs = judged_pairs
        self.profiles = [PairProfile() for _ in range(judged_pairs)]
        self.memory: dict[str, list[float]] = {
            # stations
            "vehicles": [0.0] * count,
            "pace_sum": [0.0] * count,
            "speed_kmh": [station.free_flow_kmh for station in stations],
            "occupied_ms": [0.0] * count,
            "observed_ms": [0.0] * count,
            "watched_ms": [0] * count,
            "silent_ms": [0] * count,
            "idle_ms": [0] * count,
            # pairs
            "usual_contrast": [0.0] * judged_pairs,
            "contrast_variance": [START_DEVIATION**2] * judged_pairs,
            "contrast_evidence": [0.0] * judged_pairs,
            "alert_since_ms": [NO_ALERT] * judged_pairs,
            "quiet_ms": [0] * judged_pairs,
            "score": [0.0] * judged_pairs,
            "absorbed": [0] * judged_pairs,  # whether the alert that is up is part of another incident
        }
        # by station and lane; a station's lanes are known from the first window that tells them
        names = ("usual", "recent", "unseen", "unseen_elsewhere", "lane_evidence")
        self.lanes: dict[str, list[list[float]]] = {name: [[] for _ in stations] for name in names}

    def skip(self, elapsed_ms: int) -> None:
        """Time that was not judged: every pair begins anew; what is usual there stays known."""
        if elapsed_ms < self.rules.forget_ms:
            return
        for name in ("vehicles", "pace_sum", "occupied_ms", "observed_ms", "contrast_evidence",
                     "watched_ms", "quiet_ms"):  # fmt: skip
            self.memory[name] = [0] * len(self.memory[name])
        for name in ("recent", "lane_evidence"):
            self.lanes[name] = [[0.0] * len(lanes) for lanes in self.lanes[name]]
        self.memory["speed_kmh"] = [station.free_flow_kmh for station in self.stations]

    def step(self, told: Sequence[Told], end_ms: int, step_ms: int) -> list[PairChange]:
        """Take what each station told of the step that ends at `end_ms`; returns the alerts raised or cleared by it."""
        self._follow_stations(told, step_ms)
        warm, flows = self._warm(), self._flows()
        next_told = [*told[1:], Told()]
        judged = [w and h.is_whole and p.is_whole for w, h, p in zip(warm, told, next_told, strict=True)]
        excess = [self._judge_contrast(i, warm[i], judged[i], flows[i], end_ms, step_ms) for i in range(self.pairs)]
        lane_evidence = self._judge_lanes(told, warm, judged, flows, step_ms)
        changes = []
        for i in range(self.pairs):
            changes += self._change(i, excess[i], lane_evidence[i + 1], warm[i], judged[i], end_ms, step_ms)
        return changes

    def standing(self) -> Iterator[PairChange]:
        """The alerts that are up."""
        for i, since_ms in enumerate(self.memory["alert_since_ms"]):
            if since_ms != NO_ALERT:
                change = self._told(i, True, int(since_ms), int(since_ms), self.memory["score"][i])
                yield replace(change, absorbed=bool(self.memory["absorbed"][i]))

    def absorb(self, number: int) -> None:
        """The alert at this station is part of an incident that others told of, for as long as it is up."""
        for i in range(self.pairs):
            if self.stations[i].number == number:
                self.memory["absorbed"][i] = 1

    def occupancy(self, station: int) -> float | None:
        """Smoothed occupancy; None without evidence."""
        observed_ms = self.memory["observed_ms"][station]
        return self.memory["occupied_ms"][station] / observed_ms if observed_ms else None

    def _follow_stations(self, told: Sequence[Told], step_ms: int) -> None:
        memory, rules = self.memory, self.rules
        fade = math.exp(-step_ms / rules.speed_memory_ms)
        for i, station in enumerate(self.stations):
            here = told[i]
            memory["vehicles"][i] = memory["vehicles"][i] * fade + here.vehicles
            memory["pace_sum"][i] = memory["pace_sum"][i] * fade + here.pace_sum_ms_per_km
            memory["occupied_ms"][i] = memory["occupied_ms"][i] * fade + here.occupied_ms
            memory["observed_ms"][i] = memory["observed_ms"][i] * fade + here.observed_ms
            if here.vehicles:
                memory["speed_kmh"][i] = 3.6e6 * memory["vehicles"][i] / memory["pace_sum"][i]
                memory["idle_ms"][i] = 0
            else:
                memory["idle_ms"][i] += step_ms
                if memory["idle_ms"][i] >= rules.forget_ms:
                    memory["speed_kmh"][i] = station.free_flow_kmh
            if here.is_whole:
                memory["silent_ms"][i] = 0
                memory["watched_ms"][i] += step_ms
            else:
                memory["silent_ms"][i] += step_ms
                if memory["silent_ms"][i] >= rules.forget_ms:
                    memory["watched_ms"][i] = 0

    def _ratio(self, station: int) -> float:
        return self.memory["speed_kmh"][station] / self.stations[station].free_flow_kmh

    def _warm(self) -> list[bool]:
        """Of each station, whether it and the next one have been watched for long enough."""
        watched = [ms >= self.rules.warmup_ms for ms in self.memory["watched_ms"]]
        return [here and past for here, past in zip(watched, [*watched[1:], False], strict=True)]

    def _flows(self) -> list[bool]:
        """Of each station, whether traffic flows freely past it: at the next one, which may still accelerate, and the
        one after."""
        last = len(self.stations) - 1
        return [
            self._ratio(min(i + 1, last)) >= self.rules.near_discharge
            and self._ratio(min(i + 2, last)) >= self.rules.free_discharge
            for i in range(last + 1)
        ]

    def _judge_contrast(self, i: int, warm: bool, judged: bool, flows: bool, end_ms: int, step_ms: int) -> float:
        """Gathers the evidence of a pair's contrast; returns by how much that exceeds what was to be expected."""
        memory, rules = self.memory, self.rules
        contrast = self._ratio(i + 1) - self._ratio(i)
        usual, evidence = memory["usual_contrast"][i], memory["contrast_evidence"][i]
        expected = max(usual, self.profiles[i].expected(end_ms))
        deviation = math.sqrt(memory["contrast_variance"][i])
        surplus = _clip((contrast - expected) / max(deviation, MIN_SCALE), -MAX_DEVIATIONS, MAX_DEVIATIONS)
        if not flows:
            surplus = min(surplus, 0)
        if judged:
            gathered = evidence + (surplus - rules.contrast_drift) * step_ms / DEVIATION_MS
            evidence = _clip(gathered, 0, rules.contrast_cap)
        memory["contrast_evidence"][i] = evidence = evidence if warm else 0
        if judged and evidence < 2:  # what is usual follows only what looks usual
            pace = step_ms / rules.contrast_memory_ms
            surprise = _clip(contrast - usual, -3 * deviation, 3 * deviation)
            variance = memory["contrast_variance"][i]
            memory["usual_contrast"][i] = usual + pace * surprise
            memory["contrast_variance"][i] = max(variance + pace * (surprise**2 - variance), MIN_DEVIATION**2)
        self.profiles[i].learn(contrast, judged, end_ms, step_ms)
        return contrast - expected

    def _judge_lanes(
        self, told: Sequence[Told], warm: list[bool], judged: list[bool], flows: list[bool], step_ms: int
    ) -> list[float]:
        """Gathers the evidence that a lane is blocked in front of each station, by the station's most suspect lane."""
        lanes, rules = self.lanes, self.rules
        tables = [self._lanes_told(i, told_here.lanes) for i, told_here in enumerate(told)]
        usual = [_shares(vehicles) for vehicles in lanes["usual"]]
        passed = [[n or 0 for n in table] for table in tables]
        complete = [bool(table) and None not in table for table in tables]
        shift = [self._shift(i, usual[i]) for i in range(len(self.stations))]
        usual_total = [sum(vehicles) for vehicles in lanes["usual"]]
        strongest = [0.0] * len(self.stations)
        for i in range(1, len(self.stations)):
            before = i - 1
            if len(usual[i]) > 1 and len(usual[i]) == len(usual[before]):
                if not warm[before]:
                    lanes["lane_evidence"][i] = [0.0] * len(usual[i])
                elif complete[i] and complete[before] and judged[before]:
                    share = [p * min(1, q) for p, q in zip(usual[i], shift[before], strict=True)]
                    gains = self._gains(i, passed[i], share, usual_total[i], flows[before])
                    lanes["lane_evidence"][i] = [
                        _clip(evidence + gain, 0, rules.lane_cap)
                        for evidence, gain in zip(lanes["lane_evidence"][i], gains, strict=True)
                    ]
        fade_recent = math.exp(-step_ms / rules.recent_memory_ms)
        fade_usual = math.exp(-step_ms / rules.usual_memory_ms)
        for i, table in enumerate(passed):
            lanes["recent"][i] = [n * fade_recent + more for n, more in zip(lanes["recent"][i], table, strict=True)]
            if complete[i] and max(lanes["lane_evidence"][i]) < 3:
                lanes["usual"][i] = [n * fade_usual + more for n, more in zip(lanes["usual"][i], table, strict=True)]
        totals = [sum(table) for table in passed]
        usual_total = [sum(vehicles) for vehicles in lanes["usual"]]
        for i in range(len(self.stations)):
            seems_dead = self._seem_dead(i, passed[i], usual[i], totals, usual_total)
            strongest[i] = max(
                (0 if dead else evidence for dead, evidence in zip(seems_dead, lanes["lane_evidence"][i], strict=True)),
                default=0.0,
            )
        return strongest

    def _lanes_told(self, i: int, lanes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Lanes of the step; those of a station that tells nothing are all silent."""
        known = len(self.lanes["usual"][i])
        if lanes and len(lanes) != known:
            for name, memory in self.lanes.items():
                memory[i] = [START_LANE_VEHICLES if name == "usual" else 0.0] * len(lanes)
            return lanes
        return lanes or (None,) * known

    def _shift(self, i: int, usual: list[float]) -> list[float]:
        """Share of each lane lately, as a multiple of its usual one."""
        recent = self.lanes["recent"][i]
        lately = _shares([n + RECENT_PRIOR_VEHICLES * share for n, share in zip(recent, usual, strict=True)])
        return [q / p if p > 0 else 1.0 for q, p in zip(lately, usual, strict=True)]

    def _gains(self, i: int, passed: list[int], share: list[float], usual_total: float, flows: bool) -> list[float]:
        """Logarithm of how much likelier each lane's vehicles are if it keeps half of its share, not all."""
        rules = self.rules
        total = sum(passed)
        slow = self.memory["speed_kmh"][i] < rules.free_lane_speed * self.stations[i].free_flow_kmh
        recent = sum(self.lanes["recent"][i])
        thin = recent / rules.recent_memory_ms < rules.min_flow * usual_total / rules.usual_memory_ms
        gains = []
        for n, p in zip(passed, share, strict=True):
            gain = 0.0
            if p < 1:
                others = math.log((1 - rules.blocked_share * p) / (1 - p))
                gain = n * math.log(rules.blocked_share) + (total - n) * others
            if slow or thin or not flows:
                gain = min(gain, 0)
            gains.append(gain - SLOW_LANE_LEAK if slow else gain)
        return gains

    def _seem_dead(
        self, i: int, passed: list[int], usual: list[float], totals: list[int], usual_total: list[float]
    ) -> list[bool]:
        """Lanes without a vehicle that a dead sensor would explain as well."""
        other = i + 1 if i + 1 < len(self.stations) and usual_total[i + 1] else max(i - 1, 0)
        elsewhere = totals[other] * usual_total[i] / usual_total[other] if usual_total[other] else 0.0
        unseen, unseen_elsewhere = self.lanes["unseen"][i], self.lanes["unseen_elsewhere"][i]
        seems_dead = []
        for lane, n in enumerate(passed):
            unseen[lane] = unseen[lane] + totals[i] if n == 0 else 0.0
            unseen_elsewhere[lane] = unseen_elsewhere[lane] + elsewhere if n == 0 else 0.0
            missing = unseen[lane] < (1 - usual[lane] / 2) * unseen_elsewhere[lane]
            seems_dead.append(n == 0 and (missing or unseen[lane] < PROOF_VEHICLES))
        return seems_dead

    def _change(
        self, i: int, excess: float, lane_evidence: float, warm: bool, judged: bool, end_ms: int, step_ms: int
    ) -> list[PairChange]:
        memory, rules = self.memory, self.rules
        here, past = self.occupancy(i), self.occupancy(i + 1)
        denser = here is None or past is None or here - past > rules.min_occupancy_step
        counts = excess > rules.min_contrast and denser
        contrast_evidence = memory["contrast_evidence"][i] if counts else 0.0
        score = rules.sensitivity * (contrast_evidence / rules.contrast_limit + lane_evidence / rules.lane_limit)
        memory["score"][i] = score
        quiet = lane_evidence < rules.clear_lane and excess < rules.clear_contrast
        memory["quiet_ms"][i] = memory["quiet_ms"][i] + step_ms if quiet else 0
        since_ms = int(memory["alert_since_ms"][i])
        if since_ms == NO_ALERT:
            if not (judged and score > 1):
                return []
            memory["alert_since_ms"][i] = end_ms
            memory["absorbed"][i] = 0
            return [self._told(i, True, end_ms, end_ms, score)]
        settled = end_ms - since_ms >= rules.settle_ms
        if settled:
            self._take_as_usual(i)
        elif warm and memory["quiet_ms"][i] < rules.clear_ms:
            return []
        memory["alert_since_ms"][i] = NO_ALERT
        return [self._told(i, False, end_ms, since_ms, score)]

    def _told(self, i: int, detected: bool, end_ms: int, since_ms: int, score: float) -> PairChange:
        speed = self.memory["speed_kmh"]
        return PairChange(
            self.stations[i], self.stations[i + 1], detected, end_ms, since_ms,
            speed[i], speed[i + 1], self.occupancy(i), score,
        )  # fmt: skip

    def _take_as_usual(self, i: int) -> None:
        """What has lasted for so long is how it is there now."""
        self.memory["contrast_evidence"][i] = 0
        self.memory["usual_contrast"][i] = self._ratio(i + 1) - self._ratio(i)
        lanes = self.lanes
        lanes["lane_evidence"][i + 1] = [0.0] * len(lanes["lane_evidence"][i + 1])
        lanes["usual"][i + 1] = list(lanes["recent"][i + 1])


def _clip(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)


def _shares(vehicles: Sequence[float]) -> list[float]:
    total = sum(vehicles)
    return [n / total for n in vehicles] if total > 0 else [0.0] * len(vehicles)
