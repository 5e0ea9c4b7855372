"""Neighbouring windows of one gateway as one: coarser in time, nothing lost. Integers only.

What adds is added, sketches merge bin for bin, extremes stay extremes. Of what does not add:

- `sensors_reporting` is the most that reported in any one of the windows, `sensors_excluded` the most left out.
- `congestion_level` is the highest of them.
- A lane's vehicles are not known if one of the windows does not tell them.
- `congestion_state` is the last window's: like any window's, it is as judged at the end.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from roadside.contract.errors import ContractError
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary

_ALIKE: Final = ("gateway", "epoch_ms", "reading_interval_ms", "sketch_error_permille")


def merge_windows(windows: Sequence[WindowSummary], sequence: int) -> WindowSummary:
    """The windows, of which each begins where the one before it ends, as the first edition of one window.

    Raises
    ------
    ContractError
        They do not follow each other, or differ in gateway, epoch, segments, reading interval or sketch.
    """
    first = windows[0]
    for earlier, later in pairwise(windows):
        if later.window_start_ms != earlier.window_end_ms:
            raise ContractError("window_start_ms", later.window_start_ms, f"must be {earlier.window_end_ms}")
        for field in _ALIKE:
            if getattr(later, field) != getattr(earlier, field):
                raise ContractError(field, getattr(later, field), f"must be {getattr(earlier, field)}")
        if [segment.number for segment in later.segments] != [segment.number for segment in earlier.segments]:
            raise ContractError("segments", [s.number for s in later.segments], "must be those of the window before")
    return WindowSummary(
        gateway=first.gateway,
        epoch_ms=first.epoch_ms,
        sequence=sequence,
        window_start_ms=first.window_start_ms,
        window_ms=windows[-1].window_end_ms - first.window_start_ms,
        segments=tuple(merge_segments(parts) for parts in zip(*(w.segments for w in windows), strict=True)),
        backfill=any(window.backfill for window in windows),
        reading_interval_ms=first.reading_interval_ms,
        sketch_error_permille=first.sketch_error_permille,
    )


def merge_segments(parts: Sequence[SegmentSummary]) -> SegmentSummary:
    """Summaries of one segment in windows that follow each other, in their order."""
    sketch = SpeedSketch()
    for part in parts:
        sketch = sketch.merge(part.sketch)
    return SegmentSummary(
        number=parts[0].number,
        sketch=sketch,
        vehicles_without_speed=sum(part.vehicles_without_speed for part in parts),
        clipped_vehicles=sum(part.clipped_vehicles for part in parts),
        speed_sum_dkmh=sum(part.speed_sum_dkmh for part in parts),
        pace_sum_ms_per_km=sum(part.pace_sum_ms_per_km for part in parts),
        speed_square_sum=sum(part.speed_square_sum for part in parts),
        speed_min_dkmh=min((p.speed_min_dkmh for p in parts if p.speed_min_dkmh is not None), default=None),
        speed_max_dkmh=max((p.speed_max_dkmh for p in parts if p.speed_max_dkmh is not None), default=None),
        occupied_ms=sum(part.occupied_ms for part in parts),
        observed_ms=sum(part.observed_ms for part in parts),
        congestion_level=max((p.congestion_level for p in parts if p.congestion_level is not None), default=None),
        congestion_state=parts[-1].congestion_state,
        sensors_reporting=max(part.sensors_reporting for part in parts),
        readings_accepted=sum(part.readings_accepted for part in parts),
        readings_duplicate=sum(part.readings_duplicate for part in parts),
        readings_late=sum(part.readings_late for part in parts),
        readings_rejected=sum(part.readings_rejected for part in parts),
        sensors_excluded=max(part.sensors_excluded for part in parts),
        lane_vehicles=_merge_lanes([part.lane_vehicles for part in parts]),
    )


def _merge_lanes(parts: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
    if any(len(lanes) != len(parts[0]) for lanes in parts):
        return ()
    by_lane = [[vehicles for vehicles in lane if vehicles is not None] for lane in zip(*parts, strict=True)]
    return tuple(sum(told) if len(told) == len(parts) else None for told in by_lane)
