"""When windows close, are corrected, skipped and retired. Time runs to the right in the drawings."""

from dataclasses import replace

import numpy as np
import pytest

from roadside.core.aggregator import Aggregator, AggregatorConfig, Output, rejected_by_name
from roadside.core.errors import ConfigurationError
from roadside.core.readings import Fault
from roadside.core.registry import Registry
from tests.unit.roadside.core.builders import T0_MS, Row, batch_of, registry_of

CONFIG = AggregatorConfig(correction_age_ms=60_000, correction_delay_ms=5_000)  # windows of 10 s, lateness 2 s
HOUR_MS = 3_600_000


class Gateway:
    """An aggregator fed in seconds after T0."""

    def __init__(self, config: AggregatorConfig = CONFIG, registry: Registry | None = None) -> None:
        self.core = Aggregator(registry or registry_of(2, 0, 1), config)

    def feed(self, *at_s: float, wall_s: float | None = None, steady_s: float = 0, sensor: int = 0) -> None:
        rows = [Row(sensor, T0_MS + round(1000 * s)) for s in at_s]
        wall_ms = T0_MS + round(1000 * (max(at_s) if wall_s is None else wall_s))
        self.core.feed(batch_of(rows), wall_ms, round(1000 * steady_s))

    def advance(self, steady_s: float = 0) -> list[tuple[int, int, int]]:
        return editions(self.core.advance(round(1000 * steady_s)))


def editions(output: Output) -> list[tuple[int, int, int]]:
    """Start in seconds after T0, revision and number of readings of each."""
    return [((w.start_ms - T0_MS) // 1000, w.revision, int(w.sums.readings_accepted.sum())) for w in output.windows]


def test_a_window_closes_when_the_newest_reading_is_past_its_end_by_the_lateness() -> None:
    #  0         10        20
    #  |x........|.x        |      newest 11.999: watermark 9.999
    #  |x........|..x       |      newest 12.000: watermark 10.000, [0, 10) is due
    gateway = Gateway()
    gateway.feed(0, 11.999)
    assert gateway.advance() == []
    gateway.feed(12)
    assert gateway.advance() == [(0, 0, 1)]
    assert gateway.advance() == []


def test_windows_are_half_open() -> None:
    #  0         10
    #  |........x|x                9.999 belongs to the first, 10.000 to the second
    gateway = Gateway()
    gateway.feed(9.999, 10)
    assert editions(gateway.core.drain()) == [(0, 0, 1), (10, 0, 1)]


def test_within_the_lateness_the_first_window_may_begin_before_the_first_reading() -> None:
    #  0         10        20
    #  |        2|1         |      the reading of 10.5 comes first, that of 9.5 after it: on time
    gateway = Gateway()
    gateway.feed(10.5)
    gateway.feed(9.5)
    gateway.feed(12)
    assert gateway.advance() == [(0, 0, 1)]
    assert gateway.core.counters.late == 0


def test_a_reading_of_a_window_that_was_never_sent_makes_its_first_edition() -> None:
    #  0         10        20        30
    #  |    2    |          |  1           the watermark is 21 when 2 comes: [0, 10) was never due
    gateway = Gateway()
    gateway.feed(23)
    gateway.feed(5, steady_s=1)
    assert gateway.advance(5.9) == []
    (window,) = gateway.core.advance(6_000).windows
    assert (window.start_ms, window.revision, window.late.tolist()) == (T0_MS, 0, [1, 0, 0])
    assert window.state.tolist() == [0, 0, 0]
    assert gateway.core.counters.corrections == 1


def test_late_readings_are_gathered_and_corrected_once() -> None:
    gateway = Gateway()
    gateway.feed(1, 12)
    assert gateway.advance() == [(0, 0, 1)]
    gateway.feed(2, wall_s=12, steady_s=0.5)
    gateway.feed(3, wall_s=12, steady_s=3)
    assert gateway.advance(5.499) == []
    assert gateway.advance(5.5) == [(0, 1, 3)]
    assert gateway.advance(7) == []


def test_a_window_that_retires_sends_its_correction_first() -> None:
    gateway = Gateway()
    gateway.feed(1, 12)
    gateway.advance()
    gateway.feed(2, wall_s=12)
    gateway.feed(72)  # watermark 70 = end of [0, 10) + 60
    assert (0, 1, 2) in gateway.advance()
    gateway.feed(3, wall_s=72)
    assert gateway.core.counters.rejected == {Fault.TOO_LATE: 1}
    assert T0_MS not in gateway.core.grids


def test_a_batch_that_spans_hours_retires_none_of_its_own_rows() -> None:
    gateway = Gateway()
    gateway.feed(0, 2 * 3600, 5, 3600)
    assert gateway.core.counters.accepted == 4
    assert [e for e in editions(gateway.core.drain()) if e[2]] == [(0, 0, 2), (3600, 0, 1), (7200, 0, 1)]


def test_a_batch_of_faults_and_several_windows_puts_each_row_where_it_belongs() -> None:
    gateway = Gateway()
    rows = [
        Row(0, T0_MS + 25_000),
        Row(-1, T0_MS),
        Row(0, T0_MS + 1_000, vehicles=-1),
        Row(2, T0_MS + 15_000),
        Row(0, T0_MS + HOUR_MS),
        Row(0, T0_MS + 1_000),
        Row(2, T0_MS + 15_000, vehicles=7),
        Row(1, -5),
        Row(0, T0_MS + 25_000),
    ]
    gateway.core.feed(batch_of(rows), T0_MS + 25_000, 0)
    windows = gateway.core.drain().windows
    assert [w.sums.readings_accepted.tolist() for w in windows] == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert [w.duplicates.tolist() for w in windows] == [[0, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert [w.rejected.tolist() for w in windows] == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert rejected_by_name(gateway.core.counters) == {
        "unknown_sensor": 1,
        "bad_timestamp": 1,
        "bad_vehicle_count": 1,
        "future": 1,
    }
    assert gateway.core.counters.conflicting == 1


def test_one_bad_future_timestamp_closes_nothing() -> None:
    gateway = Gateway()
    gateway.feed(1)
    for far_s in (6.001, 3_600, 10**9):
        gateway.feed(far_s, wall_s=1)
    assert gateway.advance() == []
    assert gateway.core.counters.rejected == {Fault.FUTURE: 3}
    gateway.feed(6, wall_s=1)  # just as far as is believed
    assert gateway.core.counters.accepted == 2


@pytest.mark.parametrize("timestamp_ms", [2**53 - 1, 2**53, 2**63 - 1])
def test_a_timestamp_at_the_end_of_numbers_is_in_the_future_and_harms_nothing(timestamp_ms: int) -> None:
    gateway = Gateway()
    gateway.feed(1)
    gateway.core.feed(batch_of([Row(0, timestamp_ms), Row(0, T0_MS + 2_000)]), T0_MS, 0)
    assert gateway.core.counters.rejected == {Fault.FUTURE: 1}
    assert gateway.core.counters.accepted == 2


def test_a_sensor_that_runs_fast_does_not_carry_event_time_away() -> None:
    gateway = Gateway()
    gateway.feed(0)
    for second in range(1, 200):
        gateway.feed(6 * second, wall_s=second, steady_s=second, sensor=2)
        gateway.feed(second, wall_s=second, steady_s=second)
        gateway.advance(second)
    assert gateway.core.counters.rejected[Fault.FUTURE] > 190
    assert Fault.TOO_LATE not in gateway.core.counters.rejected
    assert gateway.core.counters.late == 0


def test_a_wall_clock_that_steps_back_locks_nobody_out_and_forth_closes_nothing() -> None:
    gateway = Gateway()
    for second in range(40):
        step_s = -3600 if second % 3 == 0 and second else 3600 if second % 3 == 1 else 0
        gateway.feed(second, wall_s=second + step_s, steady_s=second)
        assert all(start + 12 <= second for start, _, _ in gateway.advance(second))
    assert gateway.core.counters.accepted == 40


def test_silence_closes_windows_at_the_pace_of_the_steady_clock() -> None:
    #  0         10        20        30
    #  |    x    |          |         |   newest 5 at steady 0; grace 2 s, lateness 2 s: [0, 10) is due at steady 9
    gateway = Gateway()
    gateway.feed(5)
    assert gateway.core.wake_at_steady_ms() == 9_000
    assert gateway.advance(8.999) == []
    assert gateway.advance(9) == [(0, 0, 1)]
    assert gateway.advance(29) == [(10, 0, 0), (20, 0, 0)]


def test_a_repetition_of_the_newest_reading_breaks_no_silence() -> None:
    gateway = Gateway()
    gateway.feed(5)
    for second in range(1, 9):
        gateway.feed(5, steady_s=second)
    assert gateway.advance(9) == [(0, 0, 1)]


def test_a_long_gap_is_skipped_and_counted_and_a_short_one_is_sent() -> None:
    #  0         10                           50        60
    #  |x        |   (three empty windows)    |x        |
    gateway = Gateway(replace(CONFIG, max_empty_windows=3))
    gateway.feed(1)
    gateway.feed(41, 52)
    assert gateway.advance() == [(0, 0, 1), (10, 0, 0), (20, 0, 0), (30, 0, 0), (40, 0, 1)]
    gateway.feed(105, 112)  # [50, 60) has a reading, the four windows from 60 to 100 have none
    assert gateway.advance() == [(50, 0, 1), (100, 0, 1)]
    assert gateway.core.counters.windows_skipped == 4


def test_skipping_stops_at_the_next_window_with_readings() -> None:
    gateway = Gateway(replace(CONFIG, max_empty_windows=3))
    gateway.feed(1, 50_001, 90_001)
    assert gateway.advance() == [(0, 0, 1), (50_000, 0, 1)]
    assert gateway.core.counters.windows_skipped == 4_999 + 3_998  # the watermark is 89,999
    assert gateway.core.next_start_ms == T0_MS + 89_990_000


def test_drain_sends_all_that_waits_and_nothing_twice() -> None:
    gateway = Gateway()
    gateway.feed(1, 12, 25)
    assert gateway.advance() == [(0, 0, 1), (10, 0, 1)]
    gateway.feed(2, wall_s=25)
    assert editions(gateway.core.drain()) == [(20, 0, 1), (0, 1, 2)]
    assert editions(gateway.core.drain()) == []
    assert editions(Gateway().core.drain()) == []


def test_without_readings_there_is_no_time_and_nothing_to_wake_for() -> None:
    gateway = Gateway()
    gateway.core.feed(batch_of([]), T0_MS, 0)
    gateway.core.feed(batch_of([Row(-1, T0_MS)]), T0_MS, 0)
    assert gateway.core.wake_at_steady_ms() is None
    assert gateway.core.end_ms() is None
    assert gateway.advance(1e6) == []


def test_a_window_of_an_hour_takes_its_first_and_last_millisecond() -> None:
    gateway = Gateway(replace(CONFIG, window_ms=HOUR_MS, reading_interval_ms=60_000))
    start_ms = T0_MS - T0_MS % HOUR_MS
    rows = [Row(0, start_ms), Row(0, start_ms + HOUR_MS - 1, 1000, 2550, 1000)]
    gateway.core.feed(batch_of(rows), start_ms + HOUR_MS, 0)
    (window,) = gateway.core.drain().windows
    assert window.sums.vehicle_count.tolist() == [1001, 0, 0]
    assert window.sums.occupied_ms.tolist() == [63_000, 0, 0]


def test_a_gateway_without_sensors_refuses_every_reading_and_stays_silent() -> None:
    gateway = Gateway(registry=registry_of(0))
    gateway.core.feed(batch_of([Row(-1, T0_MS)]), T0_MS, 0)
    assert gateway.core.counters.rejected == {Fault.UNKNOWN_SENSOR: 1}
    assert editions(gateway.core.drain()) == []


def test_an_edition_once_sent_does_not_change() -> None:
    gateway = Gateway()
    gateway.feed(1, 12)
    (window,) = gateway.core.advance(0).windows
    before = [window.duplicates.tolist(), window.late.tolist(), window.state.tolist(), window.rejected.tolist()]
    gateway.feed(1, 2, wall_s=12)
    gateway.advance(60)
    assert [window.duplicates.tolist(), window.late.tolist(), window.state.tolist(), window.rejected.tolist()] == before


@pytest.mark.parametrize(
    "field",
    ["window_ms", "reading_interval_ms", "max_empty_windows", "allowed_lateness_ms", "correction_age_ms",
     "correction_delay_ms", "max_future_skew_ms", "idle_grace_ms"],
)  # fmt: skip
def test_impossible_durations_are_refused_by_name(field: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        replace(CONFIG, **{field: -1})
    assert refused.value.field == field


def test_level_and_state_columns_have_one_integer_a_segment() -> None:
    gateway = Gateway()
    gateway.feed(1)
    (window,) = gateway.core.drain().windows
    for column in (window.level, window.state, window.duplicates, window.late, window.rejected):
        assert column.shape == (3,)
        assert column.dtype == np.int64
    assert window.level.tolist() == [50, -1, -1]
