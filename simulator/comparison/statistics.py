"""The statistics of every segment and window: as gateways told them, and as single readings give them. Pure.

Both by the definitions of docs/numerics.md. From readings they are computed here in floating point and by brute force,
with none of the gateway's integers, sums or sketches: so the difference is all that a summary loses.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.contract.summary import SegmentSummary, WindowSummary
from simulator.verification.readings import StoredReadings
from simulator.verification.windows import merged_segments

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SLOWEST_KMH: Final = 3.0  # docs/numerics.md: slower vehicles count as this fast in the space mean
QUANTILES: Final = (0.15, 0.50, 0.85)


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """One row for each segment and window, in order of window and segment; NaN where there is no such value."""

    window_start_ms: Integers
    window_ms: Integers
    segment: Integers
    vehicle_count: Floats
    space_mean_kmh: Floats
    time_mean_kmh: Floats
    std_kmh: Floats
    p15_kmh: Floats
    p50_kmh: Floats
    p85_kmh: Floats
    occupancy: Floats

    def __len__(self) -> int:
        return len(self.segment)

    def rows(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Statistics":
        return Statistics(*(getattr(self, name)[chosen] for name in COLUMNS))

    def keys(self) -> list[tuple[int, int, int]]:
        """Start, length and segment of every row."""
        columns = (self.window_start_ms.tolist(), self.window_ms.tolist(), self.segment.tolist())
        return list(zip(*columns, strict=True))


COLUMNS: Final = tuple(field.name for field in fields(Statistics))
MEASURES: Final = COLUMNS[3:]


def of_windows(stored: Mapping[tuple[str, int], Sequence[WindowSummary]]) -> Statistics:
    """What the windows table holds, by gateway and start. Windows of two epochs have different readings and add up."""
    summaries: dict[tuple[int, int, int], list[SegmentSummary]] = defaultdict(list)
    for windows in stored.values():
        for window in windows:
            for segment in window.segments:
                summaries[window.window_start_ms, window.window_ms, segment.number].append(segment)
    told = [(*key, *_of_summary(merged_segments(of_key))) for key, of_key in sorted(summaries.items()) if _any(of_key)]
    columns: list[Sequence[float]] = list(zip(*told, strict=True)) if told else [()] * len(COLUMNS)
    start_ms, window_ms, number = (np.array(column, dtype=np.int64) for column in columns[:3])
    measured = (np.array(column, dtype=np.float64) for column in columns[3:])
    return Statistics(start_ms, window_ms, number, *measured)


def of_readings(readings: StoredReadings, segment_of_sensor: Integers, window_ms: int, later_ms: int = 0) -> Statistics:
    """What single readings of sensors that measured once a second add up to.

    Parameters
    ----------
    segment_of_sensor : segment number of each sensor number
    later_ms : by how much later the readings would have been made in the run that they are compared with
    """
    at_ms = readings.timestamp_ms + later_ms
    start_ms = at_ms - at_ms % window_ms
    segment = segment_of_sensor[readings.sensor]
    order = np.lexsort((readings.average_speed_kmh, segment, start_ms))  # NaN comes last
    start_ms, segment = start_ms[order], segment[order]
    firsts = np.flatnonzero(np.diff(start_ms, prepend=-1) | np.diff(segment, prepend=-1))
    ends = np.append(firsts[1:], len(order))
    vehicles = readings.vehicle_count[order]
    speed, occupancy = readings.average_speed_kmh[order], readings.occupancy[order]
    found = [_of_rows(vehicles[a:b], speed[a:b], occupancy[a:b]) for a, b in zip(firsts, ends, strict=True)]
    columns: list[Sequence[float]] = list(zip(*found, strict=True)) if found else [()] * len(MEASURES)
    return Statistics(
        start_ms[firsts],
        np.full(len(firsts), window_ms, dtype=np.int64),
        segment[firsts],
        *(np.array(column, dtype=np.float64) for column in columns),
    )


def _any(summaries: Sequence[SegmentSummary]) -> bool:
    return any(summary.readings_accepted for summary in summaries)


def _of_summary(told: SegmentSummary) -> tuple[float, ...]:
    moving = told.sketch.vehicle_count
    mean = told.speed_sum_dkmh / moving / 10 if moving else np.nan
    # In integers as far as it goes: the difference of two large numbers is small.
    spread = (moving * told.speed_square_sum - told.speed_sum_dkmh**2) / moving**2 / 100 if moving else np.nan
    quantiles = (told.speed_quantile_kmh(q) for q in QUANTILES)
    return (
        told.vehicle_count,
        _or_nan(told.average_speed_kmh),
        mean,
        float(np.sqrt(spread)),
        *(_or_nan(value) for value in quantiles),
        _or_nan(told.occupancy),
    )


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _of_rows(vehicles: Integers, speed: Floats, occupancy: Floats) -> tuple[float, ...]:
    """Rows in order of speed; a reading of n vehicles counts n times."""
    moving = ~np.isnan(speed)
    weights, speeds = vehicles[moving], speed[moving]
    passed = int(weights.sum())
    if not passed:
        return (float(vehicles.sum()), *[np.nan] * 6, float(occupancy.mean()))
    mean = float((weights * speeds).sum() / passed)
    up_to = np.cumsum(weights)
    places = [int(q * (passed - 1)) for q in QUANTILES]
    return (
        float(vehicles.sum()),
        float(passed / (weights / np.maximum(speeds, SLOWEST_KMH)).sum()),
        mean,
        float(np.sqrt((weights * (speeds - mean) ** 2).sum() / passed)),
        *(float(speeds[np.searchsorted(up_to, place, side="right")]) for place in places),
        float(occupancy.mean()),
    )
