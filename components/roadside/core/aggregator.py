"""The state machine of a gateway: readings in; windows, corrections and what became of roads and sensors out.

It never sleeps, logs, reads a clock or opens a file. The shell feeds readings, calls `advance` with the time, stores
what comes back together with a snapshot, and calls again when told.

A window lives through these states:

    state      entered when                                 leaves when
    open       its first reading comes, or its turn         the watermark passes its end -> closed, edition 0 sent
    closed     its edition has been sent                    a late reading comes         -> corrected
    corrected  a late reading changed it                    the correction delay is over -> closed, next edition sent
    retired    the watermark is the correction age past it  readings for it are counted as too late

Law: editions of one window carry revisions 0, 1, 2, ...; each contains all readings of the ones before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from roadside.core.congestion import (
    NO_LEVEL,
    CongestionChange,
    CongestionDetector,
    CongestionRules,
    congestion_level,
    standing,
)
from roadside.core.errors import ConfigurationError
from roadside.core.event_time import EventClock
from roadside.core.grid import WindowGrid
from roadside.core.health import HealthRules, SensorChange, SensorHealth
from roadside.core.incidents import IncidentChange, IncidentDetector, IncidentRules
from roadside.core.lanes import LaneTable
from roadside.core.readings import Fault, IntColumn, ReadingBatch
from roadside.core.registry import Registry
from roadside.core.sensor_sums import SensorSums, sum_by_sensor
from roadside.core.sensor_tally import SensorInterval, SensorTally
from roadside.core.summary import SegmentSums, summarise

BoolColumn = npt.NDArray[np.bool_]

__all__ = ["NO_LEVEL", "Aggregator", "AggregatorConfig", "ClosedWindow", "Counters", "Output"]


@dataclass(frozen=True, slots=True)
class AggregatorConfig:
    """How a gateway aggregates. Durations in ms.

    window_ms : length of a window
    reading_interval_ms : time between two readings of a sensor, and the time that one covers
    allowed_lateness_ms : how long after its end a window waits for readings
    correction_age_ms : how long after its end a closed window still takes late readings
    correction_delay_ms : how long corrections are gathered before an edition is sent
    max_future_skew_ms : how far in the future a timestamp is believed
    idle_grace_ms : silence after which the clock moves the watermark
    max_empty_windows : windows without any reading sent when event time jumps; a longer gap is skipped
    sensor_interval_ms : time that a summary of the sensors covers; 0 for none
    """

    window_ms: int = 10_000
    reading_interval_ms: int = 1_000
    allowed_lateness_ms: int = 2_000
    correction_age_ms: int = 300_000
    correction_delay_ms: int = 10_000
    max_future_skew_ms: int = 5_000
    idle_grace_ms: int = 2_000
    max_empty_windows: int = 360
    sensor_interval_ms: int = 300_000
    congestion: CongestionRules = field(default_factory=CongestionRules)
    incidents: IncidentRules = field(default_factory=IncidentRules)
    health: HealthRules = field(default_factory=HealthRules)

    def __post_init__(self) -> None:
        for name in ("window_ms", "reading_interval_ms", "max_empty_windows"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(name, getattr(self, name), "must be positive")
        for name in (
            "allowed_lateness_ms",
            "correction_age_ms",
            "correction_delay_ms",
            "max_future_skew_ms",
            "idle_grace_ms",
            "sensor_interval_ms",
        ):
            if getattr(self, name) < 0:
                raise ConfigurationError(name, getattr(self, name), "must not be negative")


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """One edition of a window. Columns are int64 [segments]; level is NO_LEVEL without evidence; state is a `State`.

    `excluded` counts the sensors that are not believed, whose readings the sums leave out. `lanes` has the vehicles of
    each lane of the stations at the gateway's borders, int64 [MAX_LANES] by index of the segment.
    """

    start_ms: int
    window_ms: int
    revision: int
    sums: SegmentSums
    level: IntColumn
    state: IntColumn
    excluded: IntColumn
    duplicates: IntColumn
    late: IntColumn
    rejected: IntColumn
    lanes: Mapping[int, IntColumn]


@dataclass(slots=True)
class Counters:
    """What became of every reading and window since the state began."""

    accepted: int = 0
    duplicate: int = 0
    conflicting: int = 0  # duplicates that told something else; the first telling stands
    late: int = 0  # accepted after the window had been sent
    rejected: dict[Fault, int] = field(default_factory=dict)
    windows: int = 0
    corrections: int = 0
    windows_skipped: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """What `advance` found due: editions in the order of their windows, the rest in the order of its occurrence."""

    windows: tuple[ClosedWindow, ...] = ()
    changes: tuple[CongestionChange, ...] = ()
    incidents: tuple[IncidentChange, ...] = ()
    sensor_changes: tuple[SensorChange, ...] = ()
    intervals: tuple[SensorInterval, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.windows or self.changes or self.incidents or self.sensor_changes or self.intervals)


class Aggregator:
    """Windows of one gateway. `docs/numerics.md` defines every figure.

    Cost: 250 sensors at 1 Hz and 10 s windows keep 0.8 MB; feeding one second of them takes about 0.1 ms.
    """

    def __init__(self, registry: Registry, config: AggregatorConfig) -> None:
        self.registry = registry
        self.config = config
        self.counters = Counters()
        self.clock = EventClock(config.allowed_lateness_ms, config.idle_grace_ms, config.max_future_skew_ms)
        self.detector = CongestionDetector(registry, config.congestion)
        self.incidents = IncidentDetector(registry, config.incidents)
        self._lanes = LaneTable(registry)
        self.health = SensorHealth(registry, config.health)
        self.tally = SensorTally(registry.sensor_count, config.sensor_interval_ms)
        self.grids: dict[int, WindowGrid] = {}  # by start, open, closed and corrected
        self.next_start_ms: int | None = None  # first window not closed yet
        self.final_ms = 0  # windows that end by then are retired, whatever the correction age becomes
        self.until_ms: int | None = None  # where a successor takes over; this one closes no window from there on
        self.states: dict[int, IntColumn] = {}  # congestion state as told with the first edition, by start
        self.excluded: dict[int, BoolColumn] = {}  # sensors that all editions leave out, by start, if any

    def feed(self, batch: ReadingBatch, wall_ms: int, steady_ms: int) -> None:
        """Take readings, in any order, of any windows. Closes nothing: `advance` does."""
        window_ms = self.config.window_ms
        now_ms = self.clock.now_ms(wall_ms, steady_ms)
        bound_ms = self.clock.future_bound_ms(wall_ms, steady_ms)
        fault = batch.fault.copy()
        fault[(fault == 0) & (batch.timestamp_ms > bound_ms)] = Fault.FUTURE
        # The watermark from before this batch: a batch that spans hours must not retire its own first rows.
        watermark_ms = self.clock.watermark_ms(steady_ms)
        if watermark_ms is not None:
            final_ms = max(self.final_ms, watermark_ms - self.config.correction_age_ms)
            fault[(fault == 0) & (batch.timestamp_ms < final_ms // window_ms * window_ms)] = Fault.TOO_LATE
        usable = batch.rows(fault == 0) if fault.any() else batch
        if len(usable):
            windows = list(usable.by_window(window_ms))
            # A window is late once it has been due, so before the first one closes the beginning may still move back.
            begun = [start for start, _ in windows if watermark_ms is None or start + window_ms > watermark_ms]
            if begun:
                self.next_start_ms = begun[0] if self.next_start_ms is None else min(self.next_start_ms, begun[0])
            newest_ms = int(windows[-1][1].timestamp_ms.max())
            self.clock.observe(min(newest_ms, now_ms), steady_ms)
            self.clock.trust(newest_ms, wall_ms, steady_ms)
            for start, readings in windows:
                self._insert(start, readings, steady_ms)
        self._count_faults(batch, fault)

    def advance(self, steady_ms: int) -> Output:
        """Close what is due and send the corrections that have waited long enough."""
        watermark_ms = self.clock.watermark_ms(steady_ms)
        if watermark_ms is None or self.next_start_ms is None:
            return Output()
        windows: list[ClosedWindow] = []
        changes: list[CongestionChange] = []
        incidents: list[IncidentChange] = []
        sensor_changes: list[SensorChange] = []
        intervals: list[SensorInterval] = []
        for start_ms in self._due(self.next_start_ms, watermark_ms):
            grid = self.grid(start_ms)
            by_sensor = sum_by_sensor(grid, self.config.reading_interval_ms)
            if self.health.excluded.any():
                self.excluded[start_ms] = self.health.excluded
            sums = summarise(by_sensor, self.registry, self.excluded.get(start_ms))
            sensor_changes += self.health.update(by_sensor, grid.end_ms, grid.window_ms)
            intervals += self.tally.add(by_sensor, self.health.fault, start_ms, grid.end_ms)
            changes += self.detector.update(sums, grid.end_ms, grid.window_ms)
            if self.incidents.has_pairs:
                lanes = self._lanes.vehicles(by_sensor, self.excluded.get(start_ms))
                incidents += self.incidents.update(sums, lanes, grid.end_ms, grid.window_ms)
            self.states[start_ms] = self.detector.state
            windows.append(self._edition(grid, by_sensor, sums))
            self.counters.windows += 1
        if self.until_ms is not None and self.next_start_ms >= self.until_ms:
            intervals += self.tally.close(self.health.fault)
        windows += self._corrections(watermark_ms, steady_ms)
        self._retire(watermark_ms)
        return Output(tuple(windows), tuple(changes), tuple(incidents), tuple(sensor_changes), tuple(intervals))

    def wake_at_steady_ms(self) -> int | None:
        """When `advance` will next find something due if no reading comes; None if never."""
        if self.next_start_ms is None or self.clock.latest_ms is None:
            return None
        next_end_ms = self.next_start_ms + self.config.window_ms
        if self.until_ms is not None and next_end_ms > self.until_ms:
            next_end_ms = self.until_ms + self.config.correction_age_ms
        times = [self.clock.steady_ms_of(next_end_ms, self.clock.latest_ms)]
        for grid in self.grids.values():
            if grid.late_since_ms is not None:
                times.append(grid.late_since_ms + self.config.correction_delay_ms)
                # A window that retires sends its correction before, whether it has waited or not.
                retires_ms = grid.end_ms + self.config.correction_age_ms
                times.append(self.clock.steady_ms_of(retires_ms, self.clock.latest_ms))
        return min(times)

    def drain(self) -> Output:
        """Close every window that has readings and send every correction, whatever the time: nothing more will come."""
        newest_ms = max((start for start, grid in self.grids.items() if grid.has_readings()), default=None)
        if newest_ms is None:
            return Output()
        end_ms = newest_ms + self.config.window_ms
        self.clock.observe(end_ms + self.config.allowed_lateness_ms, self.clock.latest_at_steady_ms)
        due = self.advance(self.clock.latest_at_steady_ms)
        return replace(
            due,
            windows=(*due.windows, *self._corrections(end_ms, None)),
            intervals=(*due.intervals, *self.tally.close(self.health.fault)),
        )

    def end_ms(self) -> int | None:
        """First instant after every window begun so far; None before the first reading."""
        if self.next_start_ms is None:
            return None
        return max([self.next_start_ms, *(grid.end_ms for grid in self.grids.values())])

    @property
    def finished(self) -> bool:
        """Whether a successor has taken over and no window here can change any more."""
        if self.until_ms is None:
            return False
        return not self.grids and (self.next_start_ms is None or self.next_start_ms >= self.until_ms)

    def inherit(self, predecessor: "Aggregator") -> None:
        """Take over event time and what is known of roads and sensors from one that ends where this begins."""
        self.clock.latest_ms = predecessor.clock.latest_ms
        self.clock.latest_at_steady_ms = predecessor.clock.latest_at_steady_ms
        self.clock.trusted_ms = predecessor.clock.trusted_ms
        self.clock.trusted_at_steady_ms = predecessor.clock.trusted_at_steady_ms
        self.next_start_ms = predecessor.until_ms if predecessor.next_start_ms is not None else None
        places = {segment.number: i for i, segment in enumerate(predecessor.registry.segments)}
        pairs = [
            (i, places[segment.number]) for i, segment in enumerate(self.registry.segments) if segment.number in places
        ]
        for mine, theirs in pairs:
            for name, memory in self.detector.arrays.items():
                memory[mine] = predecessor.detector.arrays[name][theirs]
            for name, memory in self.incidents.arrays.items():
                memory[mine] = predecessor.incidents.arrays[name][theirs]
            self.incidents.profile.inherit(mine, predecessor.incidents.profile, theirs)
        known = self.registry.sensor_numbers
        theirs_of_mine = predecessor.registry.index_of_numbers(known)
        self.health.inherit(np.flatnonzero(theirs_of_mine >= 0), predecessor.health, theirs_of_mine)

    def reconfigure(self, config: AggregatorConfig) -> None:
        """Adopt other times and thresholds.

        Raises
        ------
        ConfigurationError
            The window or reading interval differs: that needs a successor.
        """
        for name in ("window_ms", "reading_interval_ms"):
            if getattr(config, name) != getattr(self.config, name):
                raise ConfigurationError(name, getattr(config, name), f"must stay {getattr(self.config, name)}")
        self.config = config
        self.detector.rules = config.congestion
        self.incidents.rules = config.incidents
        self.health.rules = config.health
        self.tally.interval_ms = config.sensor_interval_ms
        self.clock.allowed_lateness_ms = config.allowed_lateness_ms
        self.clock.idle_grace_ms = config.idle_grace_ms
        self.clock.max_future_skew_ms = config.max_future_skew_ms

    def _insert(self, start_ms: int, batch: ReadingBatch, steady_ms: int) -> None:
        """Put readings of one window into its grid."""
        grid = self.grid(start_ms)
        report = grid.insert(batch)
        accepted = int(np.count_nonzero(report.accepted))
        self.counters.accepted += accepted
        if accepted and self.next_start_ms is not None and start_ms < self.next_start_ms:
            self.counters.late += accepted
            np.add.at(grid.late, self.registry.sensor_segment[batch.sensor[report.accepted]], 1)
            if grid.late_since_ms is None:
                grid.late_since_ms = steady_ms
        if accepted < len(batch):
            self.counters.duplicate += int(np.count_nonzero(report.duplicate))
            self.counters.conflicting += int(np.count_nonzero(report.conflict))
            np.add.at(grid.duplicates, self.registry.sensor_segment[batch.sensor[report.duplicate]], 1)
            self._count_faults(batch, report.overflow * np.uint8(Fault.OVERFLOW))

    def grid(self, start_ms: int) -> WindowGrid:
        """The grid of the window that starts at `start_ms`, made if need be."""
        grid = self.grids.get(start_ms)
        if grid is None:
            grid = WindowGrid(
                start_ms,
                self.config.window_ms,
                self.config.reading_interval_ms,
                self.registry.sensor_count,
                len(self.registry.segments),
            )
            self.grids[start_ms] = grid
        return grid

    def _count_faults(self, batch: ReadingBatch, fault: npt.NDArray[np.uint8]) -> None:
        for row in np.flatnonzero(fault).tolist():
            reason = Fault(int(fault[row]))
            self.counters.rejected[reason] = self.counters.rejected.get(reason, 0) + 1
            grid = self.grids.get(int(batch.timestamp_ms[row]) // self.config.window_ms * self.config.window_ms)
            if grid is not None and reason is not Fault.UNKNOWN_SENSOR:
                grid.rejected[self.registry.sensor_segment[batch.sensor[row]]] += 1
                grid.changed = True

    def _due(self, next_start_ms: int, watermark_ms: int) -> Iterator[int]:
        """Starts of the windows to close now, oldest first. A long gap without readings is skipped and counted."""
        window_ms = self.config.window_ms
        if self.until_ms is not None:
            watermark_ms = min(watermark_ms, self.until_ms)
        while next_start_ms + window_ms <= watermark_ms:
            waiting = [start for start in self.grids if start >= next_start_ms]
            ahead_ms = min([watermark_ms - watermark_ms % window_ms, *waiting]) - next_start_ms
            if ahead_ms > self.config.max_empty_windows * window_ms:
                self.counters.windows_skipped += ahead_ms // window_ms
                self.detector.skip(ahead_ms)
                self.incidents.skip(ahead_ms)
                self.health.skip(ahead_ms)
                next_start_ms += ahead_ms
                self.next_start_ms = next_start_ms
            else:
                self.next_start_ms = next_start_ms + window_ms
                yield next_start_ms
                next_start_ms += window_ms

    def _corrections(self, watermark_ms: int, steady_ms: int | None) -> list[ClosedWindow]:
        """Editions of the windows whose late readings have waited long enough, or are about to retire."""
        editions = []
        for start_ms in sorted(self.grids):
            grid = self.grids[start_ms]
            if grid.late_since_ms is None:
                continue
            waited = steady_ms is None or steady_ms >= grid.late_since_ms + self.config.correction_delay_ms
            if waited or grid.end_ms + self.config.correction_age_ms <= watermark_ms:
                by_sensor = sum_by_sensor(grid, self.config.reading_interval_ms)
                sums = summarise(by_sensor, self.registry, self.excluded.get(start_ms))
                editions.append(self._edition(grid, by_sensor, sums))
                self.counters.corrections += 1
        return editions

    def _edition(self, grid: WindowGrid, by_sensor: SensorSums, sums: SegmentSums) -> ClosedWindow:
        grid.revision += 1
        grid.late_since_ms = None
        grid.changed = True
        segments = len(self.registry.segments)
        unknown = np.zeros(segments, dtype=np.int64)
        excluded = self.excluded.get(grid.start_ms)
        left_out = (
            unknown if excluded is None else np.bincount(self.registry.sensor_segment[excluded], minlength=segments)
        )
        return ClosedWindow(
            start_ms=grid.start_ms,
            window_ms=grid.window_ms,
            revision=grid.revision,
            sums=sums,
            level=congestion_level(sums.average_speed_kmh(), self.registry.free_flow_kmh, standing(sums)),
            state=self.states.get(grid.start_ms, unknown),
            excluded=left_out,
            duplicates=grid.duplicates.copy(),
            late=grid.late.copy(),
            rejected=grid.rejected.copy(),
            lanes=self._lanes.at_borders(by_sensor, excluded),
        )

    def _retire(self, watermark_ms: int) -> None:
        self.final_ms = max(self.final_ms, watermark_ms - self.config.correction_age_ms)
        for start_ms in [start for start, grid in self.grids.items() if grid.end_ms <= self.final_ms]:
            del self.grids[start_ms]
            self.states.pop(start_ms, None)
            self.excluded.pop(start_ms, None)


def rejected_by_name(counters: Counters) -> Mapping[str, int]:
    """Rejections by the lower-case name of their reason, for logs and reports."""
    return {fault.name.lower(): count for fault, count in sorted(counters.rejected.items())}
