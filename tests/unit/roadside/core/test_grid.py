"""Readings of one window: two in a slot, repetitions, conflicts and the bound of the side list."""

import numpy as np
import pytest

from roadside.core.grid import InsertReport, WindowGrid
from tests.unit.roadside.core.builders import T0_MS, Row, batch_of


def grid_of(window_ms: int = 10_000, slot_ms: int = 1_000, sensors: int = 2) -> WindowGrid:
    return WindowGrid(T0_MS, window_ms, slot_ms, sensors, 1)


def names(report: InsertReport) -> str:
    """One letter a row: a accepted, d duplicate, c conflicting duplicate, o overflow."""
    letters = []
    for accepted, duplicate, conflict, overflow in zip(
        report.accepted, report.duplicate, report.conflict, report.overflow, strict=True
    ):
        assert int(accepted) + int(duplicate) + int(overflow) == 1
        letters.append("a" if accepted else "o" if overflow else "c" if conflict else "d")
    return "".join(letters)


def stored(grid: WindowGrid) -> list[tuple[int, ...]]:
    told, values = grid.table()
    _, sensor = np.nonzero(told)
    return sorted(zip(sensor.tolist(), *values[:, told].tolist(), strict=True))


@pytest.mark.parametrize("batches", [[5], [1, 1, 1, 1, 1], [2, 3], [4, 1]])
def test_two_readings_in_a_slot_are_both_kept_within_a_batch_and_across(batches: list[int]) -> None:
    #      slot 0          slot 1
    # |a....b........|e.............|   sensor 0: a and b share a slot, then both come again
    rows = [
        Row(0, T0_MS, 1),
        Row(0, T0_MS + 400, 2),
        Row(0, T0_MS, 1),
        Row(0, T0_MS + 400, 9),
        Row(0, T0_MS + 1_000, 3),
    ]
    grid, told = grid_of(), ""
    for size in batches:
        told += names(grid.insert(batch_of(rows[len(told) : len(told) + size])))
    assert told == "aadca"
    assert stored(grid) == [(0, 1, 500, 50), (0, 2, 500, 50), (0, 3, 500, 50)]


def test_the_first_telling_stands_within_a_batch_and_across() -> None:
    grid = grid_of()
    assert names(grid.insert(batch_of([Row(1, T0_MS, 1), Row(1, T0_MS, 2)]))) == "ac"
    assert names(grid.insert(batch_of([Row(1, T0_MS, 3), Row(1, T0_MS, 1)]))) == "cd"
    assert stored(grid) == [(1, 1, 500, 50)]


def test_the_side_list_is_bounded_by_the_number_of_cells() -> None:
    grid = grid_of(window_ms=2_000, sensors=1)  # two cells
    rows = [Row(0, T0_MS + ms) for ms in (0, 1, 2, 3, 1_000, 3, 2)]
    assert names(grid.insert(batch_of(rows))) == "aaaoaod"
    assert len(stored(grid)) == 4


@pytest.mark.parametrize(
    ("window_ms", "slot_ms", "slots"), [(10_000, 3_000, 4), (1_000, 20_000, 1), (10_000, 10_000, 1)]
)
def test_a_slot_length_that_does_not_divide_the_window_has_a_cell_for_every_instant(
    window_ms: int, slot_ms: int, slots: int
) -> None:
    grid = grid_of(window_ms, slot_ms, sensors=2)
    assert len(grid.offset_ms) == 2 * slots
    edges = sorted({edge for k in range(slots) for edge in (k * slot_ms, (k + 1) * slot_ms - 1) if edge < window_ms})
    rows = [Row(sensor, T0_MS + ms) for ms in [*edges, window_ms - 1] for sensor in (0, 1)]
    report = grid.insert(batch_of(rows))
    assert int(report.accepted.sum()) == len({(row.sensor, row.timestamp_ms) for row in rows})


def test_the_largest_values_fit_the_cells_and_the_side_list() -> None:
    grid = grid_of(window_ms=3_600_000, slot_ms=600_000, sensors=1)
    grid.insert(batch_of([Row(0, T0_MS + 3_599_999, 1000, 2550, 1000), Row(0, T0_MS + 3_599_998, 1000, 2550, 1000)]))
    assert stored(grid) == [(0, 1000, 2550, 1000)] * 2


def test_no_reading_aliases_with_one_of_another_sensor_or_slot() -> None:
    grid = grid_of(sensors=7)
    rows = [Row(sensor, T0_MS + 1_000 * slot, sensor, 10 * slot, 1) for slot in range(10) for sensor in range(7)]
    order = np.random.default_rng(5).permutation(len(rows))
    assert set(names(grid.insert(batch_of([rows[i] for i in order])))) == {"a"}
    expected = sorted((s, s, 10 * t if s else -1, 1) for t in range(10) for s in range(7))
    assert stored(grid) == expected


def test_a_gateway_without_sensors_has_an_empty_grid() -> None:
    grid = grid_of(sensors=0)
    assert not grid.has_readings()
    assert stored(grid) == []
