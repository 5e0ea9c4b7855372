"""What the core offers to the change of segments or window length: boundary, inheritance, end of life."""

from dataclasses import replace

import pytest

from roadside.core.aggregator import Aggregator, AggregatorConfig
from roadside.core.congestion import CongestionRules, State
from roadside.core.errors import ConfigurationError
from roadside.core.registry import Registry, RoadClass, Segment
from tests.unit.roadside.core.builders import T0_MS, Row, batch_of, registry_of

CONFIG = AggregatorConfig(correction_age_ms=30_000, correction_delay_ms=1_000)


def registry_numbered(*numbers: int) -> Registry:
    return Registry(
        Segment(f"seg{number}", number, RoadClass.FREEWAY, 100.0, 2, (f"s{number}",), number) for number in numbers
    )


def slow_at(core: Aggregator, *at_s: int) -> None:
    rows = [Row(sensor, T0_MS + 1000 * s, 1, 200) for s in at_s for sensor in range(core.registry.sensor_count)]
    core.feed(batch_of(rows), T0_MS + 1000 * max(at_s), 0)


def test_an_aggregator_closes_no_window_beyond_its_end() -> None:
    #  0         10        20
    #  |x        |x         |       until 20: silence never begins [20, 30)
    core = Aggregator(registry_of(1), CONFIG)
    slow_at(core, 1, 11)
    core.until_ms = core.end_ms()
    assert core.until_ms == T0_MS + 20_000
    assert [w.start_ms - T0_MS for w in core.advance(3_600_000).windows] == [0, 10_000]
    assert core.next_start_ms == core.until_ms


def test_it_is_finished_when_no_correction_can_come_any_more_and_wakes_for_that() -> None:
    core = Aggregator(registry_of(1), CONFIG)
    assert not core.finished
    slow_at(core, 1)
    core.until_ms = T0_MS + 10_000
    core.advance(13_000)
    wake_ms = core.wake_at_steady_ms()
    assert wake_ms == 2_000 + 2_000 + 9_000 + 30_000  # grace, lateness, to the end, correction age
    core.advance(wake_ms - 1)
    assert not core.finished
    core.advance(wake_ms)
    assert core.finished


def test_one_that_never_saw_a_reading_is_finished_at_once() -> None:
    core = Aggregator(registry_of(1), CONFIG)
    core.until_ms = 0
    assert core.finished


def test_a_successor_takes_over_time_and_what_is_known_of_each_segment_by_number() -> None:
    old = Aggregator(registry_numbered(3, 5, 9), CONFIG)
    slow_at(old, *range(41))
    assert len(old.advance(0).changes) == 3
    old.until_ms = T0_MS + 60_000  # a boundary of both window lengths
    new = Aggregator(registry_numbered(2, 5, 9), replace(CONFIG, window_ms=20_000))
    new.inherit(old)
    assert new.detector.state.tolist() == [State.UNKNOWN, State.CONGESTED, State.CONGESTED]
    assert new.next_start_ms == old.until_ms
    assert new.clock.watermark_ms(0) == old.clock.watermark_ms(0)
    assert new.clock.future_bound_ms(0, 0) == old.clock.future_bound_ms(0, 0)
    # An alert that is up stays up: it is not told again.
    slow_at(new, *range(60, 121))
    changes = new.advance(0).changes
    assert [change.segment for change in changes if change.congested] == [0]


def test_memories_are_copied_and_not_shared() -> None:
    old, new = Aggregator(registry_of(1), CONFIG), Aggregator(registry_of(1), CONFIG)
    slow_at(old, *range(41))
    old.advance(0)
    old.until_ms = old.end_ms()
    new.inherit(old)
    new.detector.arrays["alert_since_ms"][0] = 7
    new.detector.skip(10_000)
    assert old.detector.arrays["alert_since_ms"][0] != 7


def test_a_successor_of_one_without_readings_begins_with_its_own_first() -> None:
    old, new = Aggregator(registry_of(1), CONFIG), Aggregator(registry_of(1), CONFIG)
    old.until_ms = 0
    new.inherit(old)
    assert new.next_start_ms is None
    slow_at(new, 41)
    assert new.next_start_ms == T0_MS + 40_000


def test_other_times_and_thresholds_hold_at_once() -> None:
    core = Aggregator(registry_of(1), CONFIG)
    slow_at(core, 1, 11)
    assert not core.advance(0)
    rules = CongestionRules(confirm_ms=0)
    core.reconfigure(
        replace(CONFIG, allowed_lateness_ms=1_000, idle_grace_ms=7, max_future_skew_ms=9, congestion=rules)
    )
    output = core.advance(0)
    assert [w.start_ms - T0_MS for w in output.windows] == [0]
    assert [change.congested for change in output.changes] == [True]
    assert core.clock.future_bound_ms(T0_MS + 11_000, 0) == T0_MS + 11_009
    core.reconfigure(replace(CONFIG, allowed_lateness_ms=60_000))
    assert core.clock.watermark_ms(0) == T0_MS + 10_000  # it has been there


@pytest.mark.parametrize("field", ["window_ms", "reading_interval_ms"])
def test_another_window_or_interval_needs_a_successor(field: str) -> None:
    core = Aggregator(registry_of(1), CONFIG)
    with pytest.raises(ConfigurationError) as refused:
        core.reconfigure(replace(CONFIG, allowed_lateness_ms=1, **{field: 5_000}))
    assert refused.value.field == field
    assert core.config == CONFIG
    assert core.clock.allowed_lateness_ms == 2_000
