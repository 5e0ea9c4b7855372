"""When rows come: the time follows them, and a leap ahead waits until enough of them agree."""

from __future__ import annotations

from simulator.recorded.data_time import AGREEING_ROWS, DataClock
from simulator.recorded.recording import RecordedReading

INTERVAL_MS, TOLERANCE_MS, START_MS = 10_000, 7_000, 1_715_664_600_000


def row(timestamp_ms: int | str) -> RecordedReading:
    return RecordedReading("E00_0", timestamp_ms, 1.0, 90.0, 0.1)


def told(clock: DataClock, *timestamps_ms: int | str, end: bool = True) -> list[tuple[int | str, int]]:
    """Each row's own timestamp and the time at which it comes, both since the start."""
    rows = [out for timestamp_ms in timestamps_ms for out in _given(clock, clock.take(row(timestamp_ms)))]
    return rows + (_given(clock, clock.finish()) if end else [])


def _given(clock: DataClock, rows: object) -> list[tuple[int | str, int]]:
    return [
        (r.timestamp_ms - START_MS if isinstance(r.timestamp_ms, int) else r.timestamp_ms, clock.now_ms - START_MS)
        for r in rows  # type: ignore[attr-defined]
    ]


def at(*seconds: float) -> list[int]:
    return [START_MS + round(1000 * s) for s in seconds]


def clock_of(sensors: int) -> DataClock:
    return DataClock(INTERVAL_MS, TOLERANCE_MS, sensors)


def test_rows_come_at_the_end_of_what_they_cover_and_older_ones_at_the_same_time() -> None:
    assert told(clock_of(1), *at(0, 10, 5, 20)) == [(0, 10_000), (10_000, 20_000), (5_000, 20_000), (20_000, 30_000)]


def test_row_ahead_of_the_others_comes_before_the_next_and_moves_no_time() -> None:
    assert told(clock_of(3), *at(0, 0, 0, 9_999, 10)) == [
        *[(0, 10_000)] * 3,
        (9_999_000, 10_000),
        (10_000, 20_000),
    ]


def test_leap_is_believed_once_as_many_rows_agree_as_there_are_sensors_or_twenty() -> None:
    for sensors, agreeing in ((3, 3), (500, AGREEING_ROWS)):
        clock = clock_of(sensors)
        assert told(clock, *at(*[0] * agreeing), end=False) == [(0, 10_000)] * agreeing
        assert told(clock, *at(*[3600] * (agreeing - 1)), end=False) == []
        assert told(clock, *at(3600), end=False) == [(3_600_000, 3_610_000)] * agreeing


def test_wrong_row_at_the_very_beginning_moves_no_time() -> None:
    assert told(clock_of(3), *at(9_999, 0, 0), end=False) == [(9_999_000, 10_000), (0, 10_000), (0, 10_000)]


def test_row_without_an_instant_comes_with_its_neighbours() -> None:
    assert told(clock_of(1), "soon", *at(0), "later") == [("soon", 10_000), (0, 10_000), ("later", 10_000)]


def test_few_rows_ahead_at_the_end_are_not_believed_and_few_rows_in_all_are() -> None:
    assert told(clock_of(3), *at(0, 0, 0, 9_999, 9_999))[3:] == [(9_999_000, 10_000)] * 2
    assert told(clock_of(3), *at(0, 0)) == [(0, 10_000)] * 2
