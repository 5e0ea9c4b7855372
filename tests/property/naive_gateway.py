"""What a gateway must say, by brute force in plain Python. Shares no code with the core; follows docs/numerics.md.

Slow and obvious: readings lie in dictionaries, every edition is summed anew from all readings of its window, and
congestion is judged segment by segment with scalars.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

NO = -1
UNKNOWN, FREE, CONGESTED = 0, 1, 2


class Reading(NamedTuple):
    """Sensor, epoch ms, vehicles, tenths of km/h, thousandths; NO where a speed or occupancy was not measured."""

    sensor: int
    timestamp_ms: int
    vehicles: int
    speed: int
    occupancy: int


@dataclass(frozen=True)
class NaiveRules:
    """Congestion thresholds under the names of docs/numerics.md."""

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


@dataclass(frozen=True)
class NaiveTimes:
    """Durations in ms under the names of docs/numerics.md."""

    window_ms: int
    reading_interval_ms: int
    allowed_lateness_ms: int
    correction_age_ms: int
    correction_delay_ms: int
    max_future_skew_ms: int
    idle_grace_ms: int
    max_empty_windows: int


@dataclass
class NaiveSums:
    """One segment of one window."""

    vehicle_count: int = 0
    vehicles_with_speed: int = 0
    clipped_vehicles: int = 0
    speed_sum: int = 0
    pace_sum: int = 0
    speed_square_sum: int = 0
    speed_min: int = NO
    speed_max: int = NO
    occupied_ms: int = 0
    observed_ms: int = 0
    sensors: set[int] = field(default_factory=set)
    readings_accepted: int = 0
    sketch: Counter[int] = field(default_factory=Counter)

    def stands(self) -> bool:
        return self.vehicle_count == 0 and self.observed_ms > 0 and self.occupied_ms / self.observed_ms > 0.6


def bin_of(speed: int) -> int:
    """Smallest i >= 1 with speed <= gamma^(i - 1), in exact arithmetic; 0 for a standing vehicle."""
    if speed == 0:
        return 0
    edge, i = Fraction(1), 1
    while speed > edge:
        edge, i = edge * Fraction(101, 99), i + 1
    return i


BIN_OF = [bin_of(speed) for speed in range(2551)]


def pace_of(speed: int) -> int:
    """Milliseconds for one kilometre, not slower than at 3 km/h, rounded half up."""
    return math.floor(Fraction(36_000_000, max(speed, 30)) + Fraction(1, 2))


def sum_up(readings: list[Reading], interval_ms: int) -> NaiveSums:
    sums = NaiveSums()
    for reading in readings:
        sums.readings_accepted += 1
        sums.sensors.add(reading.sensor)
        sums.vehicle_count += reading.vehicles
        if reading.occupancy != NO:
            sums.occupied_ms += math.floor(Fraction(reading.occupancy * interval_ms, 1000) + Fraction(1, 2))
            sums.observed_ms += interval_ms
        if reading.vehicles == 0 or reading.speed == NO:
            continue
        for _ in range(reading.vehicles):
            sums.vehicles_with_speed += 1
            sums.clipped_vehicles += reading.speed < 30
            sums.speed_sum += reading.speed
            sums.pace_sum += pace_of(reading.speed)
            sums.speed_square_sum += reading.speed**2
            sums.speed_min = reading.speed if sums.speed_min == NO else min(sums.speed_min, reading.speed)
            sums.speed_max = max(sums.speed_max, reading.speed)
            sums.sketch[BIN_OF[reading.speed]] += 1
    return sums


def level_of(sums: NaiveSums, free_flow_kmh: float) -> int:
    if sums.stands():
        return 100
    if sums.vehicles_with_speed == 0:
        return NO
    speed_kmh = 3.6e6 * sums.vehicles_with_speed / sums.pace_sum
    return round(100 * (1 - min(speed_kmh / free_flow_kmh, 1.0)))


@dataclass
class NaiveSegment:
    """The congestion state machine of one segment. All take a window before any is judged."""

    is_freeway: bool
    free_flow_kmh: float
    rules: NaiveRules
    has_unseen_lane: bool = False
    upstream: "NaiveSegment | None" = field(default=None, repr=False)
    downstream: "NaiveSegment | None" = field(default=None, repr=False)
    vehicles: float = 0.0
    pace_sum: float = 0.0
    occupied_ms: float = 0.0
    observed_ms: float = 0.0
    flow_vehicles: float = 0.0
    flow_readings: float = 0.0
    watched_ms: int = 0
    idle_ms: int = 0
    state: int = UNKNOWN
    contrary_ms: int = 0
    alerted: bool = False
    alert_since_ms: int = -1

    def fade(self, elapsed_ms: int) -> None:
        self.vehicles *= math.exp(-elapsed_ms / self.rules.speed_memory_ms)
        self.pace_sum *= math.exp(-elapsed_ms / self.rules.speed_memory_ms)
        memory_ms = self.rules.speed_memory_ms if self.is_freeway else self.rules.occupancy_memory_ms
        self.occupied_ms *= math.exp(-elapsed_ms / memory_ms)
        self.observed_ms *= math.exp(-elapsed_ms / memory_ms)
        self.flow_vehicles *= math.exp(-elapsed_ms / self.rules.flow_memory_ms)
        self.flow_readings *= math.exp(-elapsed_ms / self.rules.flow_memory_ms)
        self.idle_ms += elapsed_ms

    def margin(self) -> float:
        """Distance of the judged figures from the nearest threshold: rounding decides below about 1e-9."""
        rules = self.rules
        if self.is_freeway:
            if self.vehicles == 0:
                return math.inf
            ratio = 3.6e6 * self.vehicles / self.pace_sum / self.free_flow_kmh
            bounds = [rules.enter_speed_ratio, rules.leave_speed_ratio]
            distances = [ratio - bound for bound in (rules.jam_speed_ratio, *bounds)]
            distances += [ratio - bound - rules.beside_jam_ratio for bound in bounds]
            if self.observed_ms > 0:
                distances.append(self.occupied_ms / self.observed_ms - rules.dense_occupancy)
            if self.upstream is not None and min(self.flow_readings, self.upstream.flow_vehicles) > 0:
                flow_before = self.upstream.flow_vehicles / self.upstream.flow_readings
                distances.append(self.flow_vehicles / self.flow_readings / flow_before - rules.exit_flow_ratio)
            return min(map(abs, distances))
        if self.observed_ms == 0:
            return math.inf
        figure = self.occupied_ms / self.observed_ms
        return min(abs(figure - self.rules.enter_occupancy), abs(figure - self.rules.leave_occupancy))

    def take(self, sums: NaiveSums, window_ms: int) -> None:
        if self.idle_ms >= self.rules.forget_ms:
            self.watched_ms = 0
        self.fade(window_ms)
        self.vehicles += sums.vehicles_with_speed
        self.pace_sum += sums.pace_sum
        if sums.stands():
            self.vehicles += 1
            self.pace_sum += 1_200_000
        passing = sums.stands() or sums.vehicles_with_speed > 0
        if passing if self.is_freeway else sums.observed_ms > 0:
            self.idle_ms = 0
        self.occupied_ms += sums.occupied_ms
        self.observed_ms += sums.observed_ms
        self.flow_vehicles += sums.vehicle_count
        self.flow_readings += sums.readings_accepted
        if sums.observed_ms > 0:
            self.watched_ms += window_ms

    def judge(self, end_ms: int, window_ms: int) -> tuple[bool, int, int] | None:
        """The change (started, occurred_ms, started_ms) that the window brings about, if any."""
        self.state = self._state()
        if (self.state == CONGESTED) == self.alerted:
            self.contrary_ms = 0
            return None
        self.contrary_ms += window_ms
        if self.contrary_ms < (self.rules.clear_ms if self.alerted else self.rules.confirm_ms):
            return None
        self.contrary_ms = 0
        self.alerted = not self.alerted
        started_ms = end_ms if self.alerted else self.alert_since_ms
        self.alert_since_ms = end_ms if self.alerted else -1
        return self.alerted, end_ms, started_ms

    def _tells(self) -> bool:
        recent_ms = min(self.rules.stale_ms, self.rules.forget_ms)
        return self.is_freeway and self.vehicles > 0 and self.idle_ms < recent_ms

    def is_jam(self) -> bool:
        """As far as a neighbour may know."""
        ratio = self.rules.jam_speed_ratio
        return self._tells() and 3.6e6 * self.vehicles / self.pace_sum / self.free_flow_kmh < ratio

    def is_queue(self, bound: float) -> bool:
        """As far as a neighbour may know, by that neighbour's bound."""
        if not self._tells():
            return False
        if self.observed_ms > 0 and self.occupied_ms / self.observed_ms > self.rules.dense_occupancy:
            return True
        return 3.6e6 * self.vehicles / self.pace_sum / self.free_flow_kmh < bound

    def _has_exit(self) -> bool:
        before = self.upstream
        if not self.has_unseen_lane or before is None or self.flow_readings <= 0 or before.flow_readings <= 0:
            return False
        flow_before = before.flow_vehicles / before.flow_readings
        return self.flow_vehicles / self.flow_readings < self.rules.exit_flow_ratio * flow_before

    def _state(self) -> int:
        was = self.state == CONGESTED
        if self.is_freeway:
            if self.vehicles <= 0 or self.idle_ms >= self.rules.forget_ms:
                return UNKNOWN
            ratio = 3.6e6 * self.vehicles / self.pace_sum / self.free_flow_kmh
            bound = self.rules.leave_speed_ratio if was else self.rules.enter_speed_ratio
            reasons = [ratio < bound]
            neighbours = [one for one in (self.upstream, self.downstream) if one is not None]
            if any(one.is_jam() for one in neighbours) or sum(one.is_queue(bound) for one in neighbours) == 2:
                reasons.append(ratio < bound + self.rules.beside_jam_ratio)
            if self.observed_ms > 0:
                reasons.append(self.occupied_ms / self.observed_ms > self.rules.dense_occupancy)
            if self.upstream is not None and self.upstream.is_queue(bound):
                reasons.append(self._has_exit())
            if not any(reasons):
                return FREE
            return CONGESTED if self.idle_ms < self.rules.stale_ms else UNKNOWN
        if self.observed_ms <= 0 or self.idle_ms >= self.rules.forget_ms:
            return UNKNOWN
        if self.watched_ms < self.rules.occupancy_warmup_ms:
            return UNKNOWN
        share = self.occupied_ms / self.observed_ms
        bound = self.rules.leave_occupancy if was else self.rules.enter_occupancy
        return CONGESTED if share > bound else FREE


@dataclass
class NaiveWindow:
    """A window and the readings in it, in the order in which they came."""

    start_ms: int
    readings: dict[tuple[int, int], Reading] = field(default_factory=dict)  # by sensor and instant
    slots: set[tuple[int, int]] = field(default_factory=set)  # sensor and slot of the first reading there
    second_readings: Counter[int] = field(default_factory=Counter)  # by sensor
    duplicates: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)
    rejected: Counter[int] = field(default_factory=Counter)
    revision: int = -1
    late_since_ms: int | None = None
    states: list[int] = field(default_factory=list)


@dataclass
class NaiveEdition:
    """One edition of a window; the lists have one entry a segment."""

    start_ms: int
    revision: int
    sums: list[NaiveSums]
    level: list[int]
    state: list[int]
    duplicates: list[int]
    late: list[int]
    rejected: list[int]


class NaiveGateway:
    """The whole gateway. `segment_of` gives the segment of each sensor."""

    def __init__(self, segment_of: list[int], segments: list[NaiveSegment], times: NaiveTimes) -> None:
        self.segment_of = segment_of
        self.segments = segments
        self.times = times
        self.windows: dict[int, NaiveWindow] = {}
        self.next_start_ms: int | None = None
        self.latest_ms: int | None = None
        self.latest_at_ms = 0
        self.reached_ms: int | None = None
        self.ahead_of_steady_ms: int | None = None  # most by which readings and wall clock together led the steady one
        self.counts: Counter[str] = Counter()
        self.margin = math.inf

    def watermark(self, steady_ms: int) -> int | None:
        if self.latest_ms is None:
            return None
        silent_ms = max(0, steady_ms - self.latest_at_ms - self.times.idle_grace_ms)
        reached = self.latest_ms + silent_ms - self.times.allowed_lateness_ms
        self.reached_ms = reached if self.reached_ms is None else max(reached, self.reached_ms)
        return self.reached_ms

    def end_of(self, start_ms: int) -> int:
        return start_ms + self.times.window_ms

    def feed(self, readings: list[Reading], wall_ms: int, steady_ms: int) -> None:
        times = self.times
        watermark = self.watermark(steady_ms)
        now_ms = wall_ms
        if self.ahead_of_steady_ms is not None:
            now_ms = max(wall_ms, steady_ms + self.ahead_of_steady_ms)
        faults: list[str] = []
        for reading in readings:
            end_ms = self.end_of(reading.timestamp_ms // times.window_ms * times.window_ms)
            fault = value_fault(reading, len(self.segment_of))
            if not fault and reading.timestamp_ms > now_ms + times.max_future_skew_ms:
                fault = "FUTURE"
            if not fault and watermark is not None and end_ms + times.correction_age_ms <= watermark:
                fault = "TOO_LATE"
            faults.append(fault)
        usable = [reading for reading, fault in zip(readings, faults, strict=True) if not fault]
        starts = [reading.timestamp_ms // times.window_ms * times.window_ms for reading in usable]
        due_later = [start for start in starts if watermark is None or self.end_of(start) > watermark]
        if due_later:
            self.next_start_ms = min(due_later + ([] if self.next_start_ms is None else [self.next_start_ms]))
        newest_ms = max((reading.timestamp_ms for reading in usable), default=None)
        if newest_ms is not None and (self.latest_ms is None or min(newest_ms, now_ms) > self.latest_ms):
            self.latest_ms, self.latest_at_ms = min(newest_ms, now_ms), steady_ms
        if newest_ms is not None:
            agreed_ms = min(newest_ms, wall_ms) - steady_ms
            known_ms = agreed_ms if self.ahead_of_steady_ms is None else self.ahead_of_steady_ms
            self.ahead_of_steady_ms = max(agreed_ms, known_ms)
        for i, reading in enumerate(readings):
            if not faults[i]:
                faults[i] = self._take(reading, steady_ms)
        for reading, fault in zip(readings, faults, strict=True):
            if fault:
                self.counts[fault] += 1
                window = self.windows.get(reading.timestamp_ms // times.window_ms * times.window_ms)
                if window is not None and fault != "UNKNOWN_SENSOR":
                    window.rejected[self.segment_of[reading.sensor]] += 1

    def _take(self, reading: Reading, steady_ms: int) -> str:
        if reading.vehicles == 0:
            reading = reading._replace(speed=NO)
        start_ms = reading.timestamp_ms // self.times.window_ms * self.times.window_ms
        window = self.windows.setdefault(start_ms, NaiveWindow(start_ms))
        segment = self.segment_of[reading.sensor]
        key = (reading.sensor, reading.timestamp_ms)
        if key in window.readings:
            self.counts["duplicate"] += 1
            self.counts["conflicting"] += window.readings[key] != reading
            window.duplicates[segment] += 1
            return ""
        slot = (reading.sensor, (reading.timestamp_ms - start_ms) // self.times.reading_interval_ms)
        if slot in window.slots:
            slots = math.ceil(Fraction(self.times.window_ms, self.times.reading_interval_ms))
            if window.second_readings[reading.sensor] >= slots:
                return "OVERFLOW"
            window.second_readings[reading.sensor] += 1
        window.slots.add(slot)
        window.readings[key] = reading
        self.counts["accepted"] += 1
        assert self.next_start_ms is not None
        if start_ms < self.next_start_ms:
            self.counts["late"] += 1
            window.late[segment] += 1
            if window.late_since_ms is None:
                window.late_since_ms = steady_ms
        return ""

    def advance(self, steady_ms: int) -> tuple[list[NaiveEdition], list[tuple[int, tuple[bool, int, int]]]]:
        """Editions, and changes by segment, in their order."""
        watermark = self.watermark(steady_ms)
        if watermark is None or self.next_start_ms is None:
            return [], []
        editions: list[NaiveEdition] = []
        changes: list[tuple[int, tuple[bool, int, int]]] = []
        while self.end_of(self.next_start_ms) <= watermark:
            start_ms = self.next_start_ms
            filled = [s for s in self.windows if s >= start_ms]
            gap_end_ms = min([*filled, watermark // self.times.window_ms * self.times.window_ms])
            gap = (gap_end_ms - start_ms) // self.times.window_ms
            if gap > self.times.max_empty_windows:
                self.counts["windows_skipped"] += gap
                for segment in self.segments:
                    segment.fade(gap_end_ms - start_ms)
                self.next_start_ms = gap_end_ms
                continue
            window = self.windows.setdefault(start_ms, NaiveWindow(start_ms))
            sums = self._sums(window)
            for i, segment in enumerate(self.segments):
                segment.take(sums[i], self.times.window_ms)
            for i, segment in enumerate(self.segments):
                change = segment.judge(self.end_of(start_ms), self.times.window_ms)
                self.margin = min(self.margin, segment.margin())
                if change is not None:
                    changes.append((i, change))
            window.states = [segment.state for segment in self.segments]
            self.next_start_ms = self.end_of(start_ms)
            self.counts["windows"] += 1
            editions.append(self._edition(window))
        for start_ms in sorted(self.windows):
            window = self.windows[start_ms]
            if window.late_since_ms is None:
                continue
            waited = steady_ms - window.late_since_ms >= self.times.correction_delay_ms
            if waited or self.end_of(start_ms) + self.times.correction_age_ms <= watermark:
                self.counts["corrections"] += 1
                editions.append(self._edition(window))
        for start_ms in list(self.windows):
            if self.end_of(start_ms) + self.times.correction_age_ms <= watermark:
                del self.windows[start_ms]
        return editions, changes

    def _sums(self, window: NaiveWindow) -> list[NaiveSums]:
        readings = window.readings.values()
        return [
            sum_up([r for r in readings if self.segment_of[r.sensor] == i], self.times.reading_interval_ms)
            for i in range(len(self.segments))
        ]

    def _edition(self, window: NaiveWindow) -> NaiveEdition:
        window.revision += 1
        window.late_since_ms = None
        sums = self._sums(window)
        places = range(len(self.segments))
        return NaiveEdition(
            window.start_ms,
            window.revision,
            sums,
            [level_of(sums[i], self.segments[i].free_flow_kmh) for i in places],
            window.states or [UNKNOWN for _ in places],
            [window.duplicates[i] for i in places],
            [window.late[i] for i in places],
            [window.rejected[i] for i in places],
        )


def value_fault(reading: Reading, sensors: int) -> str:
    """The first fault of a reading's own values, by name; "" if there is none."""
    if not 0 <= reading.sensor < sensors:
        return "UNKNOWN_SENSOR"
    if reading.timestamp_ms < 0:
        return "BAD_TIMESTAMP"
    if not 0 <= reading.vehicles <= 1000:
        return "BAD_VEHICLE_COUNT"
    if reading.vehicles > 0 and not NO <= reading.speed <= 2550:
        return "BAD_SPEED"
    if not NO <= reading.occupancy <= 1000:
        return "BAD_OCCUPANCY"
    return ""
