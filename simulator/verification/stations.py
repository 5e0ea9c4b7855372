"""When congestion alerts must be raised and cleared, window by window, by the definitions of docs/numerics.md."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

from simulator.verification.truth import AlertTruth, SegmentFacts

# docs/numerics.md, "Congestion".
ENTER_SPEED_RATIO: Final = 0.58
LEAVE_SPEED_RATIO: Final = 0.61
JAM_SPEED_RATIO: Final = 0.25
BESIDE_JAM_RATIO: Final = 0.15
DENSE_OCCUPANCY: Final = 0.25
EXIT_FLOW_RATIO: Final = 0.97
MEMORY_S: Final = 40.0
FLOW_MEMORY_S: Final = 3600.0
CONFIRM_S: Final = 20
CLEAR_S: Final = 30
STALE_S: Final = 90
FORGET_S: Final = 300
STANDING_OCCUPANCY: Final = 0.6
SLOWEST_PACE_MS_PER_KM: Final = 1_200_000


@dataclass(frozen=True, slots=True)
class WindowTotals:
    """What congestion is judged by: sums of one segment over one window."""

    vehicle_count: int
    pace_sum: int
    occupied_ms: int
    observed_ms: int
    readings: int


class Stations:
    """All freeway stations of a city. Streets need two signal cycles of observation: nothing is foretold of those."""

    def __init__(self, segments: Iterable[SegmentFacts], window_ms: int) -> None:
        self._window_ms = window_ms
        self._stations = {segment.number: _Station(segment) for segment in segments if segment.is_freeway}
        for station in self._stations.values():
            if station.facts.downstream in self._stations:
                station.downstream = self._stations[station.facts.downstream]
                station.downstream.upstream = station

    def take(self, start_ms: int, totals: Callable[[int], WindowTotals | None]) -> list[AlertTruth]:
        """Judge the next window; the alerts that it leads to.

        Parameters
        ----------
        totals : of a segment's number; None where nothing was measured
        """
        window_s = self._window_ms // 1000
        for number, station in self._stations.items():
            station.take(totals(number), window_s)
        return [
            AlertTruth(number, station.alerted, start_ms + self._window_ms)
            for number, station in sorted(self._stations.items())
            if station.turns(window_s)
        ]

    def memory(self) -> list[dict[str, Any]]:
        """All that the stations remember, for `remember`."""
        return [{name: getattr(station, name) for name in _REMEMBERED} for station in self._stations.values()]

    def remember(self, memory: list[dict[str, Any]]) -> None:
        """Be as when that memory was taken."""
        for station, values in zip(self._stations.values(), memory, strict=True):
            for name, value in values.items():
                setattr(station, name, value)


@dataclass(slots=True, eq=False)
class _Station:
    """The congestion of one freeway segment, window by window: all stations take a window, then each is judged."""

    facts: SegmentFacts
    upstream: "_Station | None" = None
    downstream: "_Station | None" = None
    vehicles: float = 0.0
    pace_sum: float = 0.0
    occupied_ms: float = 0.0
    observed_ms: float = 0.0
    flow_vehicles: float = 0.0
    flow_readings: float = 0.0
    idle_s: int = 0
    contrary_s: int = 0
    congested: bool = False
    alerted: bool = False

    def take(self, truth: WindowTotals | None, window_s: int) -> None:
        keep, keep_flow = math.exp(-window_s / MEMORY_S), math.exp(-window_s / FLOW_MEMORY_S)
        self.vehicles *= keep
        self.pace_sum *= keep
        self.occupied_ms *= keep
        self.observed_ms *= keep
        self.flow_vehicles *= keep_flow
        self.flow_readings *= keep_flow
        self.idle_s += window_s
        if truth is None:
            return
        self.vehicles += truth.vehicle_count
        self.pace_sum += truth.pace_sum
        self.occupied_ms += truth.occupied_ms
        self.observed_ms += truth.observed_ms
        self.flow_vehicles += truth.vehicle_count
        self.flow_readings += truth.readings
        stands = not truth.vehicle_count and _share(truth.occupied_ms, truth.observed_ms) > STANDING_OCCUPANCY
        if stands:
            self.vehicles += 1
            self.pace_sum += SLOWEST_PACE_MS_PER_KM
        if stands or truth.vehicle_count:
            self.idle_s = 0

    def speed_ratio(self) -> float:
        """Of free flow, and infinite where nothing recent says that traffic is slow."""
        if self.vehicles == 0 or self.idle_s >= STALE_S:
            return math.inf
        return 3_600_000 * self.vehicles / self.pace_sum / self.facts.free_flow_kmh

    def is_congested(self) -> bool:
        ratio = self.speed_ratio()
        if math.isinf(ratio):
            return False
        bound = LEAVE_SPEED_RATIO if self.congested else ENTER_SPEED_RATIO
        neighbours = [station for station in (self.upstream, self.downstream) if station is not None]
        beside_jam = any(station.speed_ratio() < JAM_SPEED_RATIO for station in neighbours)
        queues = [station for station in neighbours if station.is_queue(bound)]
        if ratio < bound + BESIDE_JAM_RATIO and (beside_jam or len(queues) == 2):
            return True
        if self.upstream is not None and self.upstream in queues and self._has_exit(self.upstream):
            return True
        return self.is_queue(bound)

    def is_queue(self, bound: float) -> bool:
        """Whether this station alone says so."""
        dense = _share(self.occupied_ms, self.observed_ms) > DENSE_OCCUPANCY
        return self.speed_ratio() < bound or (dense and not math.isinf(self.speed_ratio()))

    def _has_exit(self, upstream: "_Station") -> bool:
        flow = _share(self.flow_vehicles, self.flow_readings)
        return self.facts.has_unseen_lane and flow < EXIT_FLOW_RATIO * _share(
            upstream.flow_vehicles, upstream.flow_readings
        )

    def turns(self, window_s: int) -> bool:
        """Judge the window that was taken; whether the alert starts or clears with it."""
        self.congested = self.is_congested()
        self.contrary_s = self.contrary_s + window_s if self.congested != self.alerted else 0
        if self.contrary_s < (CLEAR_S if self.alerted else CONFIRM_S) or self.congested == self.alerted:
            return False
        self.alerted = not self.alerted
        self.contrary_s = 0
        return True


_REMEMBERED: Final = [field.name for field in fields(_Station) if field.name not in ("facts", "upstream", "downstream")]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
