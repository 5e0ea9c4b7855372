"""One segment through time, from the windows of its gateways. Pure.

Windows of several epochs or gateways that cover the same time saw different readings: their sums add. A gateway that
was cut off for long has merged windows into coarser ones; rows are then as long as those.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from roadside.contract.merging import merge_segments
from roadside.contract.summary import SegmentSummary, WindowSummary

QUANTILES: Final = {"p15_kmh": 0.15, "p50_kmh": 0.50, "p85_kmh": 0.85}


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one segment in [start_ms, end_ms).

    Parameters
    ----------
    windows : how many windows it is made of
    revision : the highest of theirs
    backfill : whether one of them came late
    """

    start_ms: int
    end_ms: int
    summary: SegmentSummary
    sketch_error_permille: int
    windows: int = 1
    revision: int = 0
    backfill: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The row for programs, units in the names."""
        summary = self.summary
        quantiles = {
            name: _rounded(summary.speed_quantile_kmh(q, self.sketch_error_permille), 1)
            for name, q in QUANTILES.items()
        }
        return {
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "vehicle_count": summary.vehicle_count,
            "average_speed_kmh": _rounded(summary.average_speed_kmh, 1),
            **quantiles,
            "occupancy": _rounded(summary.occupancy, 4),
            "congestion_level": summary.congestion_level,
            "congestion_state": summary.congestion_state.name.lower(),
            "readings_accepted": summary.readings_accepted,
            "readings_late": summary.readings_late,
            "sensors_reporting": summary.sensors_reporting,
            "sensors_excluded": summary.sensors_excluded,
            "windows": self.windows,
            "revision": self.revision,
            "backfill": self.backfill,
        }


def rows(windows: Iterable[WindowSummary], segment: int, from_ms: int, to_ms: int) -> Iterator[Row]:
    """The rows that reach into [from_ms, to_ms), as they come.

    Parameters
    ----------
    windows : in order of their start, of whichever gateways and epochs
    """
    together: list[WindowSummary] = []
    end_ms = 0
    for window in windows:
        if window.window_end_ms <= from_ms or window.window_start_ms >= to_ms or not _has(window, segment):
            continue
        if together and window.window_start_ms >= end_ms:
            yield _row(together, segment)
            together = []
        end_ms = max(end_ms, window.window_end_ms) if together else window.window_end_ms
        together.append(window)
    if together:
        yield _row(together, segment)


def in_steps(finer: Iterable[Row], step_ms: int) -> Iterator[Row]:
    """The rows merged by the step in which they begin; a step without rows has none."""
    together: list[Row] = []
    for row in finer:
        if together and row.start_ms // step_ms != together[0].start_ms // step_ms:
            yield merge_rows(together)
            together = []
        together.append(row)
    if together:
        yield merge_rows(together)


def merge_rows(parts: list[Row]) -> Row:
    """One row of several, of one segment or of several; they share the relative error of the first's sketch."""
    ordered = sorted(parts, key=lambda row: row.end_ms)
    return Row(
        start_ms=min(row.start_ms for row in ordered),
        end_ms=max(row.end_ms for row in ordered),
        summary=merge_segments([row.summary for row in ordered]),
        sketch_error_permille=ordered[0].sketch_error_permille,
        windows=sum(row.windows for row in ordered),
        revision=max(row.revision for row in ordered),
        backfill=any(row.backfill for row in ordered),
    )


def _row(windows: list[WindowSummary], segment: int) -> Row:
    return merge_rows(
        [
            Row(
                window.window_start_ms,
                window.window_end_ms,
                next(each for each in window.segments if each.number == segment),
                window.sketch_error_permille,
                revision=window.revision,
                backfill=window.backfill,
            )
            for window in windows
        ]
    )


def _has(window: WindowSummary, segment: int) -> bool:
    return any(each.number == segment for each in window.segments)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
