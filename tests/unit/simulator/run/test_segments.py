"""The history of segments: what stored windows say, epochs added, merged windows spread, and its file."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from roadside.contract.summary import CongestionState, SegmentSummary, SpeedSketch, WindowSummary
from simulator.city.layout import make_city
from simulator.run import segments
from simulator.run.segments import NOTHING, SegmentHistory

CITY = make_city(80, 2, 1)
START_MS = 1_700_000_000_000


def summary(number: int, vehicles: int = 10, level: int | None = 40, speed_kmh: int = 60) -> SegmentSummary:
    return SegmentSummary(
        number=number,
        sketch=SpeedSketch(100, (vehicles,)),
        pace_sum_ms_per_km=vehicles * 3_600_000 // speed_kmh,
        occupied_ms=1000 * vehicles,
        observed_ms=100_000,
        congestion_level=level,
        congestion_state=CongestionState.CONGESTED if (level or 0) > 50 else CongestionState.FREE,
    )


def window(at: int, *told: SegmentSummary, epoch: int = 1, length: int = 1) -> tuple[str, int, WindowSummary]:
    made = WindowSummary("gw-000", epoch, 1 + at, START_MS + 10_000 * at, 10_000 * length, told)
    return made.gateway, made.window_start_ms, made


def history(*windows: tuple[str, int, WindowSummary]) -> SegmentHistory:
    stored: dict[tuple[str, int], list[WindowSummary]] = {}
    for gateway, start_ms, made in windows:
        stored.setdefault((gateway, start_ms), []).append(made)
    return SegmentHistory.of(CITY, stored)


def test_each_window_and_segment_has_its_level_speed_flow_and_occupancy() -> None:
    told = history(window(0, summary(1)), window(2, summary(1, level=80, speed_kmh=20)))

    assert told.window_start_ms.tolist() == [START_MS, START_MS + 10_000, START_MS + 20_000]
    assert told.level[:, 1].tolist() == [40, NOTHING, 80]
    assert told.state[:, 1].tolist() == [CongestionState.FREE, CongestionState.UNKNOWN, CongestionState.CONGESTED]
    assert told.speed_kmh[[0, 2], 1].tolist() == pytest.approx([60, 20])
    assert told.flow_vph[0, 1] == 3600
    assert told.occupancy[0, 1] == pytest.approx(0.1)
    assert np.isnan(told.speed_kmh[1, 1])
    assert np.isnan(told.flow_vph[0, 0])


def test_two_epochs_of_one_window_add() -> None:
    told = history(window(0, summary(3, speed_kmh=60)), window(0, summary(3, speed_kmh=30), epoch=2))

    assert told.flow_vph[0, 3] == 7200
    assert told.speed_kmh[0, 3] == pytest.approx(40)  # harmonic


def test_a_merged_window_counts_in_each_that_it_covers_by_its_share() -> None:
    told = history(window(0, summary(0)), window(1, summary(0, vehicles=20), length=2))

    assert told.flow_vph[:, 0].tolist() == [3600, 3600, 3600]
    assert told.level[:, 0].tolist() == [40, 40, 40]


def test_more_windows_than_there_is_room_for_are_gathered_and_the_worst_level_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "MAX_VALUES", 4 * CITY.segment_count)
    told = history(*(window(at, summary(0, level=at)) for at in range(10)))

    assert len(told.window_start_ms) <= 4
    assert told.column_ms == 30_000
    assert told.level[:, 0].tolist() == [2, 5, 8, 9]
    assert told.flow_vph[0, 0] == 3600


def test_without_windows_there_is_a_map_and_nothing_on_it() -> None:
    told = history()

    assert told.level.shape == (0, CITY.segment_count)
    assert len(told.latitude) == len(told.place_m) == CITY.segment_count


def test_segments_lie_one_after_another_along_their_corridor() -> None:
    told = history()
    for number, corridor in enumerate(CITY.corridors):
        members = list(corridor.segment_numbers)
        assert set(told.corridor[members]) == {number}
        ends = told.place_m[members] + told.length_m[members]
        assert told.place_m[members][1:].tolist() == ends[:-1].tolist()


def test_file_holds_what_was_written(tmp_path: Path) -> None:
    told = history(window(0, summary(1)))
    told.write(tmp_path)
    read = SegmentHistory.read(tmp_path)

    for field in fields(SegmentHistory):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(told, field.name))
