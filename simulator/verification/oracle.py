"""The truth about a run, by brute force from the raw readings. Shares no code with the gateway's core.

It remembers every valid reading that the sensors made, once, and knows by plan when each was delivered. From that it
computes what the last edition of every window must say, and, from the readings that were on time, which congestion
alerts must have been raised. The definitions it follows are those of docs/numerics.md, not of the code.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

NO_SPEED: Final = -1
HOUR_MS: Final = 3_600_000

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
SLOWEST_DKMH: Final = 30


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


@dataclass(slots=True)
class _Tick:
    sensor: npt.NDArray[np.int64]
    timestamp_ms: npt.NDArray[np.int64]
    vehicle_count: npt.NDArray[np.int64]
    speed_dkmh: npt.NDArray[np.int64]
    occupancy_permille: npt.NDArray[np.int64]
    delivered_ms: npt.NDArray[np.int64]


@dataclass(slots=True)
class Oracle:
    """The truth of one run.

    Parameters
    ----------
    segments : by segment number, all of the city
    segment_of_sensor : int64 [sensors], segment number of each sensor number
    window_ms, reading_interval_ms, lateness_ms : as the gateways are configured
    exclusions : what the gateways declared to leave out; whether they should have is not judged here
    last_delivery_ms : where a run was cut short, when all that was still to come was brought at the latest
    """

    segments: Sequence[SegmentFacts]
    segment_of_sensor: npt.NDArray[np.int64]
    window_ms: int
    reading_interval_ms: int
    lateness_ms: int
    exclusions: list[Exclusion] = field(default_factory=list)
    last_delivery_ms: int | None = None
    _ticks: list[_Tick] = field(default_factory=list)

    def note(
        self,
        sensor: npt.NDArray[np.int64],
        timestamp_ms: npt.NDArray[np.int64],
        vehicle_count: npt.NDArray[np.int64],
        speed_dkmh: npt.NDArray[np.int64],
        occupancy_permille: npt.NDArray[np.int64],
        delivered_ms: npt.NDArray[np.int64],
    ) -> None:
        """Remember valid readings, all int64 [n]; `delivered_ms` is when each was planned to reach its gateway."""
        self._ticks.append(_Tick(sensor, timestamp_ms, vehicle_count, speed_dkmh, occupancy_permille, delivered_ms))

    def windows(self) -> dict[int, dict[int, SegmentTruth]]:
        """For every window start, the truth of every segment by number; segments without readings are left out."""
        return self._summarise(self._all(), self.window_ms)

    def hours(self) -> dict[int, dict[int, SegmentTruth]]:
        """As `windows`, of UTC hours: from the readings, not from the windows."""
        return self._summarise(self._all(), HOUR_MS)

    def alerts(self) -> list[AlertTruth]:
        """The alerts that follow from what was delivered before each window closed, in order."""
        readings = self._all()
        windows = self._summarise(_select(readings, self._on_time(readings)), self.window_ms)
        if not windows:
            return []
        # Streets need two signal cycles of observation, longer than any run that is verified here by default.
        stations = {segment.number: _Station(segment) for segment in self.segments if segment.is_freeway}
        for station in stations.values():
            if station.facts.downstream in stations:
                station.downstream = stations[station.facts.downstream]
                station.downstream.upstream = station
        alerts: list[AlertTruth] = []
        for window_start_ms in range(min(windows), max(windows) + 1, self.window_ms):
            for number, station in stations.items():
                station.take(windows.get(window_start_ms, {}).get(number), self.window_ms // 1000)
            for number, station in sorted(stations.items()):
                if station.turns(self.window_ms // 1000):
                    alerts.append(AlertTruth(number, station.alerted, window_start_ms + self.window_ms))
        return alerts

    def late(self) -> dict[tuple[int, int], int]:
        """How many readings come, by plan, after their window has closed; by window start and segment number."""
        readings = self._all()
        readings = _select(readings, ~self._on_time(readings))
        start_ms = readings.timestamp_ms - readings.timestamp_ms % self.window_ms
        places = zip(start_ms.tolist(), self.segment_of_sensor[readings.sensor].tolist(), strict=True)
        return dict(Counter(places))

    def _on_time(self, readings: _Tick) -> npt.NDArray[np.bool_]:
        start_ms = readings.timestamp_ms - readings.timestamp_ms % self.window_ms
        # A window closes with the first batch that reaches its end plus the lateness; batches come by the second. When
        # no such batch comes any more, the sensors' silence closes it, after all that is still on its way.
        closing_ms = start_ms + self.window_ms + self.lateness_ms
        last_batch_ms = readings.timestamp_ms.max(initial=0) // 1000 * 1000
        delivered_ms = readings.delivered_ms
        if self.last_delivery_ms is not None:
            delivered_ms = np.minimum(delivered_ms, self.last_delivery_ms)
        on_time: npt.NDArray[np.bool_] = (delivered_ms <= closing_ms + 1000) | (closing_ms > last_batch_ms)
        return on_time

    def sensors(self, from_ms: int, until_ms: int) -> tuple[SensorTruth, SensorTruth]:
        """Sums of every sensor over [from_ms, until_ms): of what was to come on time, and of all that was to come.

        Exclusions do not matter here: a summary of sensors holds what each of them said.
        """
        readings = self._noted()
        inside = (readings.timestamp_ms >= from_ms) & (readings.timestamp_ms < until_ms)
        on_time = inside & self._on_time(readings)
        return self._by_sensor(_select(readings, on_time)), self._by_sensor(_select(readings, inside))

    def _by_sensor(self, readings: _Tick) -> SensorTruth:
        has_speed = readings.speed_dkmh != NO_SPEED
        paces = np.floor(36_000_000 / np.maximum(readings.speed_dkmh, SLOWEST_DKMH) + 0.5)
        occupied = np.floor(readings.occupancy_permille * self.reading_interval_ms / 1000 + 0.5)

        def total(values: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            sums = np.bincount(readings.sensor, weights=values, minlength=len(self.segment_of_sensor))
            return np.rint(sums).astype(np.int64)

        return SensorTruth(
            readings_accepted=total(np.ones(len(readings.sensor))),
            vehicle_count=total(readings.vehicle_count),
            pace_sum_ms_per_km=total(readings.vehicle_count * paces * has_speed),
            occupied_ms=total(occupied),
        )

    def _all(self) -> _Tick:
        """The readings that count in windows."""
        readings = self._noted()
        start_ms = readings.timestamp_ms - readings.timestamp_ms % self.window_ms
        counts = np.ones(len(readings.sensor), dtype=bool)
        for exclusion in self.exclusions:
            ended = False if exclusion.until_ms is None else start_ms >= exclusion.until_ms
            counts &= (readings.sensor != exclusion.sensor) | (start_ms < exclusion.from_ms) | ended
        return readings if counts.all() else _select(readings, counts)

    def _noted(self) -> _Tick:
        def column(name: str) -> npt.NDArray[np.int64]:
            parts = [getattr(tick, name) for tick in self._ticks]
            return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

        return _Tick(*(column(name) for name in _Tick.__dataclass_fields__))

    def _summarise(self, readings: _Tick, length_ms: int) -> dict[int, dict[int, SegmentTruth]]:
        """Sort the readings by window, segment and speed; then every sum is one over neighbouring rows."""
        truth: dict[int, dict[int, SegmentTruth]] = defaultdict(dict)
        if not len(readings.sensor):
            return truth
        window = readings.timestamp_ms // length_ms
        segment = self.segment_of_sensor[readings.sensor]
        order = np.lexsort((readings.speed_dkmh, segment, window))
        rows = _select(readings, order)
        window, segment = window[order], segment[order]
        firsts = np.flatnonzero(np.diff(window, prepend=-1) | np.diff(segment, prepend=-1))

        def total(values: npt.NDArray[np.int64]) -> list[int]:
            sums: list[int] = np.add.reduceat(values, firsts).tolist()
            return sums

        # One entry a vehicle that has a speed, in the order of the rows and so, within a segment, of their speeds.
        weight = np.where(rows.speed_dkmh == NO_SPEED, 0, rows.vehicle_count)
        vehicles = np.repeat(rows.speed_dkmh, weight)
        paces = np.floor(36_000_000 / np.maximum(rows.speed_dkmh, SLOWEST_DKMH) + 0.5).astype(np.int64)
        occupied = np.floor(rows.occupancy_permille * self.reading_interval_ms / 1000 + 0.5).astype(np.int64)
        sensors = total(_first_of_each(rows.sensor, window))
        moving = total(weight)
        bounds = np.concatenate([[0], np.cumsum(moving)]).tolist()
        columns = zip(
            window[firsts].tolist(),
            segment[firsts].tolist(),
            np.diff(np.append(firsts, len(window))).tolist(),
            sensors,
            total(rows.vehicle_count),
            total(weight * rows.speed_dkmh),
            total(weight * paces),
            total(weight * rows.speed_dkmh**2),
            total(occupied),
            pairwise(bounds),
            strict=True,
        )
        for of_window, of_segment, count, sensor_count, passed, speeds, pace, squares, covered, (low, high) in columns:
            ordered = vehicles[low:high]
            truth[of_window * length_ms][of_segment] = SegmentTruth(
                readings=count,
                sensors=sensor_count,
                vehicle_count=passed,
                speed_sum=speeds,
                pace_sum=pace,
                speed_square_sum=squares,
                speed_min=int(ordered[0]) if high > low else None,
                speed_max=int(ordered[-1]) if high > low else None,
                occupied_ms=covered,
                observed_ms=count * self.reading_interval_ms,
                p15_kmh=_order_statistic(ordered, 0.15),
                p50_kmh=_order_statistic(ordered, 0.50),
                p85_kmh=_order_statistic(ordered, 0.85),
            )
        return truth


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

    def take(self, truth: SegmentTruth | None, window_s: int) -> None:
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


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _select(readings: _Tick, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> _Tick:
    return _Tick(*(getattr(readings, name)[rows] for name in _Tick.__dataclass_fields__))


def _first_of_each(sensor: npt.NDArray[np.int64], window: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """1 where a sensor's reading is its first in its window, 0 elsewhere."""
    _, first = np.unique(np.stack([window, sensor]), axis=1, return_index=True)
    marks = np.zeros(len(sensor), dtype=np.int64)
    marks[first] = 1
    return marks


def _order_statistic(ordered_dkmh: npt.NDArray[np.int64], q: float) -> float | None:
    return int(ordered_dkmh[math.floor(q * (len(ordered_dkmh) - 1))]) / 10 if len(ordered_dkmh) else None
