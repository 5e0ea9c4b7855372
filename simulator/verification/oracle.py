"""The truth about a run, by brute force from the raw readings. Shares no code with the gateway's core.

It is told every valid reading that the sensors made, once, and by plan when each was delivered. From that it computes
what the last edition of every window must say, and, from the readings that were on time, which congestion alerts must
have been raised. The definitions it follows are those of docs/numerics.md, not of the code.

Readings are kept while a gateway may still correct their window, `kept_ms`; then the window is condensed: its sums
stay, its readings go. So memory does not grow with a run's length, but for sums that nobody has asked to `forget`.
"""

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.verification.stations import Stations, WindowTotals
from simulator.verification.summing import (
    NOTHING,
    Columns,
    IntColumn,
    LongSums,
    SegmentSums,
    Weighed,
    sum_by_segment,
    total,
)
from simulator.verification.truth import (
    NO_SPEED,
    AlertTruth,
    Exclusion,
    SegmentFacts,
    SegmentTruth,
    SensorTruth,
)

__all__ = ["NO_SPEED", "AlertTruth", "Exclusion", "Oracle", "SegmentFacts", "SegmentTruth", "SensorTruth"]

HOUR_MS: Final = 3_600_000
_KEPT_AS: Final[dict[str, Any]] = {  # 23 bytes a reading instead of 48
    "sensor": np.int32,
    "timestamp_ms": np.int64,
    "vehicle_count": np.uint16,
    "speed_dkmh": np.int16,
    "occupancy_permille": np.uint16,
    "delivered_ms": np.int64,
}


@dataclass(frozen=True, slots=True)
class _Window:
    """A window without its readings, but for the late ones.

    Attributes
    ----------
    excluded : sensors that it leaves out
    by_sensor : of every sensor, whether left out or not
    late : readings that came after it had closed, also of sensors that it leaves out
    """

    sums: SegmentSums
    excluded: frozenset[int]
    by_sensor: SensorTruth
    late: Columns


@dataclass(slots=True)
class Oracle:
    """The truth of one run.

    Parameters
    ----------
    segments : by segment number, all of the city
    segment_of_sensor : int64 [sensors], segment number of each sensor number
    window_ms, reading_interval_ms, lateness_ms : as the gateways are configured
    exclusions : what the gateways declared to leave out; whether they should have is not judged here
    kept_ms : how much younger the latest reading is when a window is condensed; None condenses nothing
    keeps_hours : whether `hours` knows of condensed windows, for 16 kB a segment
    last_delivery_ms : where a run was cut short, when all that was still to come was brought at the latest

    Attributes
    ----------
    too_old : readings of windows that were condensed when they were told; no gateway takes any so late
    """

    segments: Sequence[SegmentFacts]
    segment_of_sensor: npt.NDArray[np.int64]
    window_ms: int
    reading_interval_ms: int
    lateness_ms: int
    exclusions: list[Exclusion] = field(default_factory=list)
    kept_ms: int | None = None
    keeps_hours: bool = True
    last_delivery_ms: int | None = None
    too_old: int = 0
    _readings: dict[int, list[Columns]] = field(default_factory=lambda: defaultdict(list))  # by window start
    _condensed: dict[int, _Window] = field(default_factory=dict)
    _condensed_until_ms: int = 0
    _latest_ms: int = 0
    _alerts: list[AlertTruth] = field(default_factory=list)  # of condensed windows
    _hours: dict[int, LongSums | SegmentSums] = field(default_factory=dict)  # likewise; the last one is under way
    _stations: Stations = field(init=False)
    _numbers: IntColumn = field(init=False)  # of segments, and their places among these
    _place_of: dict[int, int] = field(init=False)
    _place_of_sensor: npt.NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        self._stations = Stations(self.segments, self.window_ms)
        self._numbers, self._place_of_sensor = np.unique(self.segment_of_sensor, return_inverse=True)
        self._place_of = {number: place for place, number in enumerate(self._numbers.tolist())}

    def note(
        self,
        sensor: IntColumn,
        timestamp_ms: IntColumn,
        vehicle_count: IntColumn,
        speed_dkmh: IntColumn,
        occupancy_permille: IntColumn,
        delivered_ms: IntColumn,
    ) -> None:
        """Take valid readings, all int64 [n]; `delivered_ms` is when each was planned to reach its gateway."""
        if not len(sensor):
            return
        told = Columns(sensor, timestamp_ms, vehicle_count, speed_dkmh, occupancy_permille, delivered_ms)
        narrow = Columns(*(getattr(told, name).astype(kind) for name, kind in _KEPT_AS.items()))
        window = timestamp_ms // self.window_ms
        starts = np.unique(window)
        for number in starts.tolist():
            rows = narrow if len(starts) == 1 else narrow.rows(window == number)
            if number * self.window_ms < self._condensed_until_ms:
                self.too_old += len(rows)
            else:
                self._readings[number * self.window_ms].append(rows)
        self._latest_ms = max(self._latest_ms, int(timestamp_ms.max()))
        if self.kept_ms is not None:
            self._condense((self._latest_ms - self.kept_ms) // self.window_ms * self.window_ms)

    def windows(self, since_ms: int = 0, until_ms: int | None = None) -> dict[int, dict[int, SegmentTruth]]:
        """For every window start, the truth of every segment by number; segments without readings are left out.

        Of windows that start in [since_ms, until_ms).
        """
        end_ms = math.inf if until_ms is None else until_ms
        sums = {start: window.sums for start, window in self._condensed.items() if since_ms <= start < end_ms}
        starts_ms = [start_ms for start_ms in sorted(self._readings) if since_ms <= start_ms < end_ms]
        sums |= {start_ms: self._sums(self._counting(start_ms)) for start_ms in starts_ms}
        told = {start_ms: self._truths(each) for start_ms, each in sums.items()}
        return {start_ms: segments for start_ms, segments in told.items() if segments}

    def hours(self) -> dict[int, dict[int, SegmentTruth]]:
        """As `windows`, of UTC hours: from the readings, not from the windows."""
        hours: dict[int, LongSums | SegmentSums] = dict(self._hours)
        for start_ms in sorted(self._readings):
            hour_ms = start_ms - start_ms % HOUR_MS
            so_far = hours.get(hour_ms)
            if so_far is None or so_far is self._hours.get(hour_ms):
                hours[hour_ms] = self._long_sums() if so_far is None else copy.deepcopy(so_far)
            self._add(hours[hour_ms], self._counting(start_ms))
        ended = {hour: sums.sums() if isinstance(sums, LongSums) else sums for hour, sums in hours.items()}
        told = {hour_ms: self._truths(sums) for hour_ms, sums in ended.items()}
        return {hour_ms: segments for hour_ms, segments in told.items() if segments}

    def alerts(self) -> list[AlertTruth]:
        """The alerts that follow from what was delivered before each window closed, in order."""
        if not self._readings:
            return list(self._alerts)
        memory = self._stations.memory()
        alerts = list(self._alerts)
        for start_ms in range(self._condensed_until_ms or min(self._readings), max(self._readings) + 1, self.window_ms):
            readings = self._counting(start_ms)
            alerts += self._judged(start_ms, self._sums(readings), self._late(readings))
        self._stations.remember(memory)
        return alerts

    def late(self) -> dict[tuple[int, int], int]:
        """How many readings come, by plan, after their window has closed; by window start and segment number."""
        counts: Counter[tuple[int, int]] = Counter()
        for start_ms, window in self._condensed.items():
            numbers = self.segment_of_sensor[_without(window.late, window.excluded).sensor]
            counts.update((start_ms, number) for number in numbers.tolist())
        for start_ms in self._readings:
            numbers = self.segment_of_sensor[self._late(self._counting(start_ms)).sensor]
            counts.update((start_ms, number) for number in numbers.tolist())
        return dict(counts)

    def sensors(self, from_ms: int, until_ms: int) -> tuple[SensorTruth, SensorTruth]:
        """Sums of every sensor over [from_ms, until_ms): of what was to come on time, and of all that was to come.

        Exclusions do not matter here: a summary of sensors holds what each of them said.
        """
        everything = late = self._by_sensor(NOTHING)
        for start_ms, window in self._condensed.items():
            if from_ms <= start_ms < until_ms:
                everything = _added(everything, window.by_sensor)
                late = _added(late, self._by_sensor(window.late))
        for start_ms, parts in self._readings.items():
            if start_ms < until_ms and start_ms + self.window_ms > from_ms:
                readings = Columns.joined(parts)
                inside = (readings.timestamp_ms >= from_ms) & (readings.timestamp_ms < until_ms)
                everything = _added(everything, self._by_sensor(readings.rows(inside)))
                late = _added(late, self._by_sensor(self._late(readings.rows(inside))))
        return _added(everything, late, -1), everything

    def condensed_until_ms(self) -> int:
        """Start of the first window whose readings are kept; all before can change no more."""
        return self._condensed_until_ms

    def forget(self, before_ms: int) -> None:
        """Give up the sums of condensed windows that start before then; whoever needed them has asked."""
        for start_ms in [start_ms for start_ms in self._condensed if start_ms < before_ms]:
            del self._condensed[start_ms]

    def excluded_too_late(self) -> list[int]:
        """Starts of condensed windows of which a gateway said only afterwards that they leave a sensor out."""
        return [start for start, window in self._condensed.items() if window.excluded != self._excluded(start)]

    def _condense(self, before_ms: int) -> None:
        if not self._readings or before_ms <= max(self._condensed_until_ms, min(self._readings)):
            return
        for start_ms in range(self._condensed_until_ms or min(self._readings), before_ms, self.window_ms):
            excluded = self._excluded(start_ms)
            noted = self._noted(start_ms)
            readings = _without(noted, excluded)
            sums = self._sums(readings)
            self._alerts += self._judged(start_ms, sums, self._late(readings))
            if self.keeps_hours:
                self._add_to_hour(start_ms, readings)
            if self._readings.pop(start_ms, None):
                self._condensed[start_ms] = _Window(sums, excluded, self._by_sensor(noted), self._late(noted))
        self._condensed_until_ms = before_ms

    def _add_to_hour(self, start_ms: int, readings: Columns) -> None:
        hour_ms = start_ms - start_ms % HOUR_MS
        for earlier_ms, sums in self._hours.items():
            if earlier_ms < hour_ms and isinstance(sums, LongSums):
                self._hours[earlier_ms] = sums.sums()
        self._add(self._hours.setdefault(hour_ms, self._long_sums()), readings)

    def _long_sums(self) -> LongSums:
        return LongSums(self._place_of_sensor, len(self._numbers))

    def _add(self, sums: LongSums | SegmentSums, readings: Columns) -> None:
        if isinstance(sums, LongSums):
            sums.add(readings, self.reading_interval_ms)

    def _judged(self, start_ms: int, sums: SegmentSums, late: Columns) -> list[AlertTruth]:
        """The alerts that the window leads to, without what came after it had closed."""
        each = Weighed.of(late, self.reading_interval_ms)
        place, places = self._place_of_sensor[late.sensor], len(self._numbers)
        readings = (sums.readings - np.bincount(place, minlength=places)).tolist()
        vehicles = (sums.vehicle_count - total(each.vehicles, place, places)).tolist()
        paces = (sums.pace_sum - total(each.moving * each.pace, place, places)).tolist()
        occupied = (sums.occupied_ms - total(each.occupied_ms, place, places)).tolist()

        def totals(number: int) -> WindowTotals | None:
            row = self._place_of.get(number)
            if row is None or not readings[row]:
                return None
            observed_ms = readings[row] * self.reading_interval_ms
            return WindowTotals(vehicles[row], paces[row], occupied[row], observed_ms, readings[row])

        return self._stations.take(start_ms, totals)

    def _sums(self, readings: Columns) -> SegmentSums:
        return sum_by_segment(readings, self._place_of_sensor, len(self._numbers), self.reading_interval_ms)

    def _truths(self, sums: SegmentSums) -> dict[int, SegmentTruth]:
        return sums.truths(self._numbers, self.reading_interval_ms)

    def _noted(self, start_ms: int) -> Columns:
        return Columns.joined(self._readings[start_ms]) if start_ms in self._readings else NOTHING

    def _counting(self, start_ms: int) -> Columns:
        """The window's readings that count."""
        return _without(self._noted(start_ms), self._excluded(start_ms))

    def _excluded(self, start_ms: int) -> frozenset[int]:
        return frozenset(
            exclusion.sensor
            for exclusion in self.exclusions
            if exclusion.from_ms <= start_ms and (exclusion.until_ms is None or start_ms < exclusion.until_ms)
        )

    def _late(self, readings: Columns) -> Columns:
        start_ms = readings.timestamp_ms - readings.timestamp_ms % self.window_ms
        # A window closes with the first batch that reaches its end plus the lateness; batches come by the second. When
        # no such batch comes any more, the sensors' silence closes it, after all that is still on its way.
        closing_ms = start_ms + self.window_ms + self.lateness_ms
        last_batch_ms = self._latest_ms // 1000 * 1000
        delivered_ms = readings.delivered_ms
        if self.last_delivery_ms is not None:
            delivered_ms = np.minimum(delivered_ms, self.last_delivery_ms)
        return readings.rows((delivered_ms > closing_ms + 1000) & (closing_ms <= last_batch_ms))

    def _by_sensor(self, readings: Columns) -> SensorTruth:
        each = Weighed.of(readings, self.reading_interval_ms)
        count = len(self.segment_of_sensor)
        return SensorTruth(
            readings_accepted=np.bincount(readings.sensor, minlength=count),
            vehicle_count=total(each.vehicles, readings.sensor, count),
            pace_sum_ms_per_km=total(each.moving * each.pace, readings.sensor, count),
            occupied_ms=total(each.occupied_ms, readings.sensor, count),
        )


def _without(readings: Columns, sensors: frozenset[int]) -> Columns:
    return readings.rows(~np.isin(readings.sensor, list(sensors))) if sensors else readings


def _added(sums: SensorTruth, others: SensorTruth, sign: int = 1) -> SensorTruth:
    return SensorTruth(
        *(getattr(sums, name) + sign * getattr(others, name) for name in SensorTruth.__dataclass_fields__)
    )
