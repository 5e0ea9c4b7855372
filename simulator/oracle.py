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

# docs/numerics.md, "Congestion".
ENTER_SPEED_RATIO: Final = 0.6
LEAVE_SPEED_RATIO: Final = 0.62
SPEED_MEMORY_S: Final = 25.0
CONFIRM_S: Final = 20
CLEAR_S: Final = 30
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
    """What the oracle must know of a segment."""

    number: int
    is_freeway: bool
    free_flow_kmh: float


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
    """

    segments: Sequence[SegmentFacts]
    segment_of_sensor: npt.NDArray[np.int64]
    window_ms: int
    reading_interval_ms: int
    lateness_ms: int
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
        return self._summarise(self._all())

    def alerts(self) -> list[AlertTruth]:
        """The alerts that follow from what was delivered before each window closed, in order."""
        readings = self._all()
        windows = self._summarise(_select(readings, self._on_time(readings)))
        if not windows:
            return []
        starts = range(min(windows), max(windows) + 1, self.window_ms)
        alerts: list[AlertTruth] = []
        for segment in self.segments:
            # Streets need two signal cycles of observation, longer than any run that is verified here by default.
            if segment.is_freeway:
                alerts += self._freeway_alerts(segment, [(s, windows.get(s, {}).get(segment.number)) for s in starts])
        return sorted(alerts, key=lambda alert: (alert.occurred_ms, alert.segment_number))

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
        on_time: npt.NDArray[np.bool_] = (readings.delivered_ms <= closing_ms + 1000) | (closing_ms > last_batch_ms)
        return on_time

    def _all(self) -> _Tick:
        def column(name: str) -> npt.NDArray[np.int64]:
            parts = [getattr(tick, name) for tick in self._ticks]
            return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

        return _Tick(*(column(name) for name in _Tick.__dataclass_fields__))

    def _summarise(self, readings: _Tick) -> dict[int, dict[int, SegmentTruth]]:
        """Sort the readings by window, segment and speed; then every sum is one over neighbouring rows."""
        truth: dict[int, dict[int, SegmentTruth]] = defaultdict(dict)
        if not len(readings.sensor):
            return truth
        window = readings.timestamp_ms // self.window_ms
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
            truth[of_window * self.window_ms][of_segment] = SegmentTruth(
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

    def _freeway_alerts(
        self, segment: SegmentFacts, windows: Sequence[tuple[int, SegmentTruth | None]]
    ) -> list[AlertTruth]:
        keep = math.exp(-self.window_ms / 1000 / SPEED_MEMORY_S)
        vehicles = pace_sum = 0.0
        idle_s = contrary_s = 0
        congested = alerted = False
        window_s = self.window_ms // 1000
        alerts = []
        for start_ms, truth in windows:
            moving = truth.vehicle_count if truth else 0
            stands = bool(
                truth
                and not moving
                and truth.observed_ms
                and truth.occupied_ms / truth.observed_ms > STANDING_OCCUPANCY
            )
            vehicles = vehicles * keep + moving + stands
            pace_sum = pace_sum * keep + (truth.pace_sum if truth else 0) + stands * SLOWEST_PACE_MS_PER_KM
            idle_s = 0 if moving or stands else idle_s + window_s
            if vehicles > 0 and idle_s < FORGET_S:
                ratio = 3_600_000 * vehicles / pace_sum / segment.free_flow_kmh
                congested = ratio < (LEAVE_SPEED_RATIO if congested else ENTER_SPEED_RATIO)
            else:
                congested = False
            contrary_s = contrary_s + window_s if congested != alerted else 0
            if contrary_s >= (CLEAR_S if alerted else CONFIRM_S):
                alerted = not alerted
                contrary_s = 0
                alerts.append(AlertTruth(segment.number, alerted, start_ms + self.window_ms))
        return alerts


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
