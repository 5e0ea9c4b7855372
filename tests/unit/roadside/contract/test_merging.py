from dataclasses import fields, replace

import pytest

from roadside.contract.errors import ContractError
from roadside.contract.merging import merge_segments, merge_windows
from roadside.contract.summary import CongestionState, SegmentSummary, SpeedSketch, WindowSummary

FIRST = WindowSummary("g", 1, 4, 0, 10_000, (SegmentSummary(7), SegmentSummary(9)))
SECOND = replace(FIRST, sequence=5, window_start_ms=10_000)


def test_level_is_the_highest_state_the_last_and_sensors_the_most() -> None:
    parts = [
        SegmentSummary(7, congestion_level=80, congestion_state=CongestionState.CONGESTED, sensors_reporting=3),
        SegmentSummary(7, congestion_level=None, congestion_state=CongestionState.UNKNOWN, sensors_reporting=1),
        SegmentSummary(7, congestion_level=10, congestion_state=CongestionState.FREE, sensors_reporting=2),
    ]
    merged = merge_segments(parts)
    assert (merged.congestion_level, merged.congestion_state, merged.sensors_reporting) == (80, CongestionState.FREE, 3)


def test_no_field_of_a_segment_is_forgotten() -> None:
    whole = {"sketch": SpeedSketch(5, (1,)), "congestion_state": CongestionState.FREE, "lane_vehicles": (1,)}
    full = SegmentSummary(**{field.name: 1 for field in fields(SegmentSummary)} | whole)  # type: ignore[arg-type]
    merged = merge_segments([full, full])
    for field in fields(SegmentSummary):
        assert getattr(merged, field.name) != field.default, field.name


@pytest.mark.parametrize(
    ("parts", "merged"),
    [
        ([(1, 2), (3, 4)], (4, 6)),
        ([(1, 2), (3, None)], (4, None)),
        ([(), ()], ()),
        ([(1, 2), ()], ()),
        ([(1, 2), (1, 2, 3)], ()),
    ],
)
def test_lanes_are_known_where_every_window_tells_them(
    parts: list[tuple[int | None, ...]], merged: tuple[int | None, ...]
) -> None:
    assert merge_segments([SegmentSummary(7, lane_vehicles=part) for part in parts]).lane_vehicles == merged


def test_a_merged_window_is_a_first_edition() -> None:
    merged = merge_windows([replace(FIRST, revision=3), SECOND], sequence=12)
    assert (merged.window_start_ms, merged.window_ms, merged.revision, merged.sequence) == (0, 20_000, 0, 12)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("window_start_ms", {"window_start_ms": 9_000}),
        ("window_start_ms", {"window_start_ms": 20_000}),
        ("epoch_ms", {"epoch_ms": 2}),
        ("gateway", {"gateway": "h"}),
        ("reading_interval_ms", {"reading_interval_ms": 500}),
        ("sketch_error_permille", {"sketch_error_permille": 20}),
        ("segments", {"segments": (SegmentSummary(7),)}),
        ("segments", {"segments": (SegmentSummary(7), SegmentSummary(8))}),
    ],
)
def test_windows_that_do_not_belong_together_are_not_merged(field: str, changes: dict[str, object]) -> None:
    with pytest.raises(ContractError) as caught:
        merge_windows([FIRST, replace(SECOND, **changes)], 6)  # type: ignore[arg-type]
    assert caught.value.field == field
