"""One layout of windows and segments, and the span of event time for which it holds.

A change of the window length or of the segments begins a new generation at a boundary of windows: readings before the
boundary go on to the old generation, which lives until its corrections are over. So a change loses no reading and
counts none twice, and no two windows of a gateway ever overlap.
"""

import math
from dataclasses import dataclass, fields

import numpy as np

from aggregator.settings import AggregatorSettings
from roadside.core.aggregator import Aggregator
from roadside.core.readings import Fault, ReadingBatch
from roadside.core.registry import Registry


@dataclass(slots=True)
class Generation:
    """An aggregator for readings of [from_ms, until_ms); `until_ms` is None for the newest."""

    number: int
    settings: AggregatorSettings
    registry: Registry
    aggregator: Aggregator
    from_ms: int = 0
    until_ms: int | None = None

    @classmethod
    def begin(cls, number: int, settings: AggregatorSettings, registry: Registry, from_ms: int = 0) -> "Generation":
        """A generation with an empty state."""
        return cls(number, settings, registry, Aggregator(registry, settings.aggregation()), from_ms)

    def feed(self, batch: ReadingBatch, wall_ms: int, steady_ms: int, *, is_oldest: bool) -> None:
        """Take the readings of this generation's span, so that each counts in exactly one generation.

        The oldest also counts what lies before its span, as too late: the generation that it was for is over.
        """
        mine = np.ones(len(batch), dtype=bool) if is_oldest else batch.timestamp_ms >= self.from_ms
        if self.until_ms is not None:
            mine &= batch.timestamp_ms < self.until_ms
        if mine.any():
            batch = batch.rows(mine)
            batch.fault[(batch.fault == Fault.NO_FAULT) & (batch.timestamp_ms < self.from_ms)] = Fault.TOO_LATE
            self.aggregator.feed(batch, wall_ms, steady_ms)

    def absorb(self, finished: "Generation") -> None:
        """Go on counting where an earlier generation stopped."""
        mine, theirs = self.aggregator.counters, finished.aggregator.counters
        for field in fields(theirs):
            if field.name != "rejected":
                setattr(mine, field.name, getattr(mine, field.name) + getattr(theirs, field.name))
        for fault, count in theirs.rejected.items():
            mine.rejected[fault] = mine.rejected.get(fault, 0) + count

    def succeed(self, settings: AggregatorSettings, registry: Registry) -> "Generation":
        """Set the boundary and begin the next generation there."""
        boundary_ms = 0
        end_ms = self.aggregator.end_ms()
        if end_ms is not None:
            common_ms = math.lcm(self.settings.window_seconds, settings.window_seconds) * 1000
            boundary_ms = -(-end_ms // common_ms) * common_ms
        self.until_ms = boundary_ms
        self.aggregator.until_ms = boundary_ms
        successor = Generation.begin(self.number + 1, settings, registry, boundary_ms)
        successor.aggregator.inherit(self.aggregator)
        return successor

    @property
    def finished(self) -> bool:
        """Whether nothing more can come of it."""
        return self.until_ms is not None and self.aggregator.finished

    def keeps_layout(self, settings: AggregatorSettings, registry: Registry) -> bool:
        """Whether `settings` ask for the same windows and segments."""
        return (
            registry.fingerprint == self.registry.fingerprint
            and settings.window_seconds == self.settings.window_seconds
            and settings.reading_interval_ms == self.settings.reading_interval_ms
        )
