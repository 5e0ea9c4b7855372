"""A segment's windows become rows: epochs add, coarser windows stay, editions are told."""

from dataclasses import replace

import pytest

from cloud.query.errors import InstantError
from cloud.query.history import Row, in_steps, rows
from cloud.query.instants import age, instant_ms, written
from cloud.query.sensors import health_since_ms, sensor_rows
from roadside.contract.merging import merge_windows
from roadside.contract.sensors import SensorRecord
from roadside.contract.summary import CongestionState, WindowSummary
from tests.unit.cloud.messages import EPOCH_MS, START_MS, make_sensors, make_window

ALWAYS = (0, START_MS * 2)


def told(windows: list[WindowSummary], *, span: tuple[int, int] = ALWAYS) -> list[Row]:
    return list(rows(windows, 100, *span))


def test_windows_of_one_epoch_are_rows() -> None:
    first, second = told([make_window(1, vehicles=3), make_window(2, vehicles=5, revision=2)])

    assert (first.start_ms, first.end_ms) == (START_MS + 10_000, START_MS + 20_000)
    assert [row.summary.vehicle_count for row in (first, second)] == [3, 5]
    assert second.as_dict()["revision"] == 2
    assert second.as_dict()["average_speed_kmh"] == 80.0


def test_windows_of_two_epochs_add() -> None:
    (row,) = told([make_window(1, vehicles=3), make_window(9, start_ms=START_MS + 10_000, epoch_ms=EPOCH_MS + 5)])

    assert row.summary.vehicle_count == 6
    assert row.summary.readings_accepted == 200
    assert row.as_dict()["windows"] == 2


def test_coarser_window_is_one_row_as_long_as_it_is() -> None:
    minute = merge_windows([make_window(sequence, vehicles=2) for sequence in range(1, 7)], 7)
    coarse, fine = told([replace(minute, backfill=True), make_window(7)])

    assert coarse.end_ms - coarse.start_ms == 60_000
    assert coarse.as_dict()["vehicle_count"] == 12
    assert coarse.backfill
    assert not fine.backfill


def test_coarser_window_of_one_epoch_takes_in_what_another_told_within_it() -> None:
    minute = merge_windows([make_window(sequence, vehicles=2) for sequence in range(1, 7)], 7)
    others = [make_window(s, epoch_ms=EPOCH_MS + 5, vehicles=1) for s in (2, 3)]
    (row,) = told([minute, *others])

    assert row.summary.vehicle_count == 14
    assert (row.start_ms, row.end_ms, row.windows) == (minute.window_start_ms, minute.window_end_ms, 3)


def test_span_is_half_open_and_a_window_that_reaches_into_it_counts() -> None:
    windows = [make_window(sequence) for sequence in range(1, 5)]
    second = windows[1].window_start_ms

    assert [row.start_ms for row in told(windows, span=(second, second + 10_000))] == [second]
    assert len(told(windows, span=(second + 1, second + 10_001))) == 2


def test_windows_without_the_segment_are_passed_over() -> None:
    assert told([make_window(1, first_segment=500)]) == []


def test_steps_merge_what_begins_in_them_and_state_is_the_last() -> None:
    windows = [
        make_window(s, start_ms=1_790_000_100_000 + 10_000 * s, vehicles=s, state=CongestionState(1 + (s == 2)))
        for s in range(6)
    ]
    first, second = in_steps(rows(windows, 100, *ALWAYS), 30_000)

    assert [row.summary.vehicle_count for row in (first, second)] == [0 + 1 + 2, 3 + 4 + 5]
    assert first.summary.congestion_state is CongestionState.CONGESTED
    assert second.summary.congestion_state is CongestionState.FREE
    assert (first.windows, first.end_ms - first.start_ms) == (3, 30_000)


def test_sensor_is_found_among_the_others_and_its_health_has_a_beginning() -> None:
    well = make_sensors(1)
    faulty = replace(well, interval_start_ms=START_MS + 300_000, sensors=(SensorRecord(901, fault="dead"),))
    found = list(sensor_rows([well, faulty, replace(faulty, interval_start_ms=START_MS + 600_000)], 901))

    assert [row.record.fault for row in found] == [None, "dead", "dead"]
    assert health_since_ms(found) == START_MS + 300_000
    assert health_since_ms(found[:1]) == START_MS
    assert health_since_ms([]) is None
    assert found[0].as_dict()["end_ms"] == START_MS + 300_000


NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", NOW),
        ("90s", NOW - 90_000),
        ("15m", NOW - 900_000),
        ("24h", NOW - 86_400_000),
        ("7d", NOW - 7 * 86_400_000),
        ("1789999999999", 1_789_999_999_999),
        ("2026-09-21", 1_789_948_800_000),
        ("2026-09-21T14:00", 1_789_999_200_000),
        ("2026-09-21T14:00:00+02:00", 1_789_992_000_000),
    ],
)
def test_instant_is_read_as_people_write_it(text: str, instant: int) -> None:
    assert instant_ms(text, NOW) == instant


@pytest.mark.parametrize("text", ["", "yesterday", "15 m", "-15m", "12", "2026-13-01"])
def test_text_that_is_no_instant_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InstantError, match="15m, 24h"):
        instant_ms(text, NOW)


def test_instants_and_ages_are_written_shortly() -> None:
    assert written(1_789_999_200_000) == "2026-09-21 14:00:00"
    assert [age(NOW - passed, NOW) for passed in (0, 90_000, 180_000, 7_300_000, 200_000_000)] == [
        "0 s",
        "90 s",
        "3 min",
        "2 h",
        "2 d",
    ]
    assert age(None, NOW) == "never"
