"""Sums of every sensor over several windows, for the summaries that travel on a slower clock.

An interval holds what its windows held when each was first sent: later readings correct windows, not intervals. It
begins with the first window that closes in it and ends with the last, so two intervals never overlap, whatever was
skipped or reconfigured between them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.core.sensor_sums import SensorSums

IntColumn = npt.NDArray[np.int64]

SUMMED = ("readings", "vehicle_count", "vehicles_with_speed", "pace_sum", "occupied_ms", "observed_ms")


@dataclass(frozen=True, slots=True)
class SensorInterval:
    """Sums of [start_ms, end_ms), each int64 [sensors]; `fault` is each sensor's `SensorFault` at its end."""

    start_ms: int
    end_ms: int
    readings: IntColumn
    vehicle_count: IntColumn
    vehicles_with_speed: IntColumn
    pace_sum: IntColumn
    occupied_ms: IntColumn
    observed_ms: IntColumn
    fault: IntColumn


class SensorTally:
    """Gathers windows into intervals of `interval_ms` on the clock; 0 gathers nothing. Memory is in `arrays`."""

    def __init__(self, sensor_count: int, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self.start_ms: int | None = None  # of the first window gathered
        self.end_ms = 0  # of the last
        self.arrays: dict[str, IntColumn] = {name: np.zeros(sensor_count, dtype=np.int64) for name in SUMMED}

    def add(self, sums: SensorSums, fault: IntColumn, start_ms: int, end_ms: int) -> list[SensorInterval]:
        """Take the next window; returns the intervals that it ends."""
        if not self.interval_ms:
            return []
        ended = []
        if self.start_ms is not None and start_ms // self.interval_ms != self.start_ms // self.interval_ms:
            ended += self.close(fault)
        if self.start_ms is None:
            self.start_ms = start_ms
        self.end_ms = end_ms
        for name in SUMMED:
            self.arrays[name] = self.arrays[name] + getattr(sums, name)
        if end_ms // self.interval_ms != start_ms // self.interval_ms:
            ended += self.close(fault)
        return ended

    def close(self, fault: IntColumn) -> list[SensorInterval]:
        """End the interval under way; none if no window has begun one."""
        if self.start_ms is None:
            return []
        interval = SensorInterval(self.start_ms, self.end_ms, **self.arrays, fault=fault)
        self.start_ms = None
        self.arrays = {name: np.zeros_like(column) for name, column in self.arrays.items()}
        return [interval]
