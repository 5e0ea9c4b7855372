"""What a segment's windows add up to over an hour, and its hours over a day. Pure; integers until the last step.

Sums add and sketches merge bin for bin, so an hour is the same in whatever order its windows come, and a day the same
from its hours as from its windows. Means and percentiles are taken from the sums and the sketch, never from each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from roadside.contract import sketch_bins
from roadside.contract.sketch_bins import DEFAULT_ERROR_PERMILLE
from roadside.contract.summary import CongestionState, SegmentSummary, WindowSummary

ADDED: Final = (
    "vehicle_count",
    "vehicles_without_speed",
    "clipped_vehicles",
    "speed_sum_dkmh",
    "pace_sum_ms_per_km",
    "speed_square_sum",
    "occupied_ms",
    "observed_ms",
    "readings_accepted",
    "readings_duplicate",
    "readings_late",
    "readings_rejected",
)
QUANTILES: Final = {"p15_kmh": 0.15, "p50_kmh": 0.50, "p85_kmh": 0.85}

Row = dict[str, Any]


@dataclass(slots=True)
class Sums:
    """A segment over some time.

    `covered` and `congested` are spans [start, end) in epoch milliseconds. Overlaps count once: windows of two epochs
    add, but the time that they tell of is the same.
    """

    windows: int = 0
    vehicle_count: int = 0
    vehicles_without_speed: int = 0
    clipped_vehicles: int = 0
    speed_sum_dkmh: int = 0
    pace_sum_ms_per_km: int = 0
    speed_square_sum: int = 0
    speed_min_dkmh: int | None = None
    speed_max_dkmh: int | None = None
    occupied_ms: int = 0
    observed_ms: int = 0
    readings_accepted: int = 0
    readings_duplicate: int = 0
    readings_late: int = 0
    readings_rejected: int = 0
    sensors_reporting: int = 0
    sensors_excluded: int = 0
    congestion_level_max: int | None = None
    error_permille: int = DEFAULT_ERROR_PERMILLE
    bins: dict[int, int] = field(default_factory=dict)
    covered: list[tuple[int, int]] = field(default_factory=list)
    congested: list[tuple[int, int]] = field(default_factory=list)

    def add_window(self, window: WindowSummary, segment: SegmentSummary) -> None:
        """Add what one window says of the segment. Written out, for a city has 1.8 million of these an hour."""
        counts = segment.sketch.counts
        self.windows += 1
        self.vehicle_count += sum(counts) + segment.vehicles_without_speed
        self.vehicles_without_speed += segment.vehicles_without_speed
        self.clipped_vehicles += segment.clipped_vehicles
        self.speed_sum_dkmh += segment.speed_sum_dkmh
        self.pace_sum_ms_per_km += segment.pace_sum_ms_per_km
        self.speed_square_sum += segment.speed_square_sum
        self.occupied_ms += segment.occupied_ms
        self.observed_ms += segment.observed_ms
        self.readings_accepted += segment.readings_accepted
        self.readings_duplicate += segment.readings_duplicate
        self.readings_late += segment.readings_late
        self.readings_rejected += segment.readings_rejected
        self.sensors_reporting = max(self.sensors_reporting, segment.sensors_reporting)
        self.sensors_excluded = max(self.sensors_excluded, segment.sensors_excluded)
        self._widen(segment.speed_min_dkmh, segment.speed_max_dkmh, segment.congestion_level)
        if counts:
            self._add_bins(window.sketch_error_permille, segment.sketch.first_bin, counts)
        span = (window.window_start_ms, window.window_end_ms)
        _append(self.covered, span)
        if segment.congestion_state is CongestionState.CONGESTED:
            _append(self.congested, span)

    def add_row(self, row: Row, start_ms: int) -> None:
        """Add what a row of a shorter rollup, which begins at `start_ms`, says of the segment."""
        self.windows += row["windows"]
        for name in ADDED:
            setattr(self, name, getattr(self, name) + row[name])
        self.sensors_reporting = max(self.sensors_reporting, row["sensors_reporting"])
        self.sensors_excluded = max(self.sensors_excluded, row["sensors_excluded"])
        self._widen(row["speed_min_dkmh"], row["speed_max_dkmh"], row["congestion_level_max"])
        if row["sketch_counts"]:
            self._add_bins(row["sketch_error_permille"], row["sketch_first_bin"], row["sketch_counts"])
        self.covered.append((start_ms, start_ms + row["covered_ms"]))
        self.congested.append((start_ms, start_ms + row["congested_ms"]))

    def row(self, segment: int, heading: Mapping[str, int]) -> Row:
        """The row of a rollup, which `heading` begins."""
        moving = self.vehicle_count - self.vehicles_without_speed
        first = min(self.bins, default=0)
        counts = [self.bins.get(index, 0) for index in range(first, max(self.bins, default=first - 1) + 1)]
        return {
            **heading,
            "segment": segment,
            "windows": self.windows,
            "covered_ms": _length_ms(self.covered),
            **{name: getattr(self, name) for name in ADDED},
            "speed_min_dkmh": self.speed_min_dkmh,
            "speed_max_dkmh": self.speed_max_dkmh,
            "sensors_reporting": self.sensors_reporting,
            "sensors_excluded": self.sensors_excluded,
            "congested_ms": _length_ms(self.congested),
            "congestion_level_max": self.congestion_level_max,
            "average_speed_kmh": _rounded(moving * 3_600_000 / self.pace_sum_ms_per_km, 3) if moving else None,
            "occupancy": _rounded(self.occupied_ms / self.observed_ms, 6) if self.observed_ms else None,
            **{name: self._quantile_kmh(first, counts, q) for name, q in QUANTILES.items()},
            "sketch_error_permille": self.error_permille,
            "sketch_first_bin": first,
            "sketch_counts": counts,
        }

    def _quantile_kmh(self, first: int, counts: Sequence[int], q: float) -> float | None:
        found = sketch_bins.quantile_kmh(first, counts, q, self.error_permille)
        return None if found is None else _rounded(found, 3)

    def _widen(self, slowest: int | None, fastest: int | None, level: int | None) -> None:
        if slowest is not None and (self.speed_min_dkmh is None or slowest < self.speed_min_dkmh):
            self.speed_min_dkmh = slowest
        if fastest is not None and (self.speed_max_dkmh is None or fastest > self.speed_max_dkmh):
            self.speed_max_dkmh = fastest
        if level is not None and (self.congestion_level_max is None or level > self.congestion_level_max):
            self.congestion_level_max = level

    def _add_bins(self, error_permille: int, first: int, counts: Sequence[int]) -> None:
        bins = self.bins
        if error_permille != self.error_permille:
            if not bins:
                self.error_permille = error_permille
            elif error_permille > self.error_permille:
                self.bins = bins = _coarser(bins, self.error_permille, error_permille)
                self.error_permille = error_permille
            else:
                finer = {first + index: count for index, count in enumerate(counts) if count}
                for index, count in _coarser(finer, error_permille, self.error_permille).items():
                    bins[index] = bins.get(index, 0) + count
                return
        for index, count in enumerate(counts, first):
            if count:
                bins[index] = bins.get(index, 0) + count


def _coarser(bins: Mapping[int, int], error_permille: int, coarser_permille: int) -> dict[int, int]:
    """Bins of one relative error as bins of a larger one, by their values; the errors then add.

    It happens in the hour in which an operator changes `sketch_error_permille`, and in no other.
    """
    speeds = sketch_bins.whole_bin_speeds_dkmh(error_permille)
    result: dict[int, int] = {}
    for index, count in bins.items():
        moved = sketch_bins.bin_of(min(speeds[index], sketch_bins.MAX_SPEED_DKMH), coarser_permille)
        result[moved] = result.get(moved, 0) + count
    return result


def _append(spans: list[tuple[int, int]], span: tuple[int, int]) -> None:
    """Add a span, as one with the last where that ends: windows come in order, so an hour is a span or two."""
    if spans and spans[-1][1] == span[0]:
        spans[-1] = (spans[-1][0], span[1])
    else:
        spans.append(span)


def _length_ms(spans: Iterable[tuple[int, int]]) -> int:
    """Time in at least one of the spans."""
    total, end = 0, 0
    for start, stop in sorted(spans):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total


def _rounded(value: float, digits: int) -> float:
    return round(value, digits)
