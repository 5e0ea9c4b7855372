"""The Aggregator against a naive gateway, and the laws that hold for every stream of readings."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from roadside.core.aggregator import Aggregator, ClosedWindow, Output
from tests.property.gateway_streams import (
    SEGMENT_OF,
    Step,
    as_readings,
    assert_edition,
    counts_of,
    edition_as_dict,
    feed,
    make_config,
    make_naive,
    make_registry,
    output_as_dict,
    rows_at,
    streams,
    times,
    total,
)
from tests.property.naive_gateway import NaiveTimes, Reading, sum_up
from tests.unit.roadside.core.builders import T0_MS, Row

CLOSE_TO_A_THRESHOLD = 1e-9


@settings(max_examples=250)
@given(times=times, stream=streams)
def test_every_edition_change_and_counter_equals_the_naive_gateway(times: NaiveTimes, stream: list[Step]) -> None:
    core, naive = Aggregator(make_registry(), make_config(times)), make_naive(times)
    now_ms = 0
    for step in stream:
        now_ms += step.after_ms
        if step.readings is not None:
            rows = rows_at(step, now_ms)
            feed(core, rows, T0_MS + now_ms + step.wall_off_ms, now_ms)
            naive.feed(as_readings(rows), T0_MS + now_ms + step.wall_off_ms, now_ms)
        else:
            output = core.advance(now_ms)
            editions, changes = naive.advance(now_ms)
            assume(naive.margin > CLOSE_TO_A_THRESHOLD)
            assert len(output.windows) == len(editions)
            for window, edition in zip(output.windows, editions, strict=True):
                assert_edition(window, edition)
            told = [(c.segment, (c.congested, c.occurred_ms, c.started_ms)) for c in output.changes]
            assert told == changes
        assert counts_of(core) == {name: count for name, count in naive.counts.items() if count}
        assert core.clock.reached_ms == naive.reached_ms


@settings(max_examples=150)
@given(times=times, stream=streams)
def test_the_last_editions_hold_each_accepted_reading_once(times: NaiveTimes, stream: list[Step]) -> None:
    core = Aggregator(make_registry(), make_config(times))
    now_ms = fed = 0
    editions: dict[int, list[ClosedWindow]] = defaultdict(list)
    for step in [*stream, None]:
        if step is None:
            output = core.drain()
        else:
            now_ms += step.after_ms
            rows = rows_at(step, now_ms)
            fed += len(rows)
            feed(core, rows, T0_MS + now_ms + step.wall_off_ms, now_ms)
            output = core.advance(now_ms)
        for window in output.windows:
            editions[window.start_ms].append(window)
    counters = core.counters
    assert counters.accepted + counters.duplicate + sum(counters.rejected.values()) == fed
    assert counters.accepted == sum(total(of[-1].sums.readings_accepted) for of in editions.values())
    assert counters.late == sum(total(of[-1].late) for of in editions.values())
    assert counters.windows + counters.corrections == sum(map(len, editions.values()))
    assert not core.drain()  # nothing is left
    for of_window in editions.values():
        assert [window.revision for window in of_window] == list(range(len(of_window)))
        for earlier, later in pairwise(of_window):
            assert (later.sums.sketch >= earlier.sums.sketch).all()
            assert (later.sums.sensors_reporting >= earlier.sums.sensors_reporting).all()
            assert total(later.sums.readings_accepted) > total(earlier.sums.readings_accepted)
            assert later.state.tolist() == earlier.state.tolist()


# What follows speaks of streams whose readings are valid, tell one thing each and come within the correction age.

LONG = NaiveTimes(
    window_ms=3_000,
    reading_interval_ms=1_000,
    allowed_lateness_ms=2_000,
    correction_age_ms=600_000,
    correction_delay_ms=0,
    max_future_skew_ms=5_000,
    idle_grace_ms=2_000,
    max_empty_windows=5,
)


def _consistent(keys: list[tuple[int, int]]) -> list[Row]:
    """One reading for each sensor and instant; what it tells follows from these."""
    return [
        Row(s, T0_MS + ms, (s + ms) % 4, 30 + (7 * ms + s) % 900, (ms * 13 + s) % 1001) for s, ms in dict.fromkeys(keys)
    ]


# At most two readings of a sensor in a slot of a second: more would go beyond the side list's bound.
_keys = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 59), st.sampled_from([0, 1, 250, 499])),
    min_size=1,
    max_size=60,
    unique_by=lambda key: key[:2],
).map(lambda keys: [(sensor, 500 * half + ms) for sensor, half, ms in keys])


def _final(core: Aggregator, outputs: list[ClosedWindow]) -> dict[int, dict[str, Any]]:
    """What the last edition of every window with readings says of the readings, not of how they came."""
    last = {window.start_ms: edition_as_dict(window) for window in [*outputs, *core.drain().windows]}
    how = ("revision", "late", "duplicates", "state")
    return {
        start: {name: value for name, value in plain.items() if name not in how}
        for start, plain in last.items()
        if any(plain["readings_accepted"])
    }


@given(keys=_keys, data=st.data())
def test_final_editions_are_those_of_the_raw_readings_in_any_order_and_any_batches(
    keys: list[tuple[int, int]], data: st.DataObject
) -> None:
    rows = _consistent(keys)
    arriving = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=8)))
    core = Aggregator(make_registry(), make_config(LONG))
    outputs: list[ClosedWindow] = []
    for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        feed(core, arriving[first:last], T0_MS + 30_000, 0)
        outputs += core.advance(0).windows
    told = _final(core, outputs)
    assert set(told) == {row.timestamp_ms // 3_000 * 3_000 for row in rows}
    for start_ms, plain in told.items():
        for segment in range(3):
            naive = sum_up(
                [
                    Reading(*row)
                    for row in rows
                    if SEGMENT_OF[row.sensor] == segment and start_ms <= row.timestamp_ms < start_ms + 3_000
                ],
                LONG.reading_interval_ms,
            )
            assert plain["vehicle_count"][segment] == naive.vehicle_count
            assert plain["pace_sum"][segment] == naive.pace_sum
            assert plain["speed_min"][segment] == naive.speed_min
            assert plain["occupied_ms"][segment] == naive.occupied_ms
            assert plain["sensors_reporting"][segment] == len(naive.sensors)
            assert {i: n for i, n in enumerate(plain["sketch"][segment]) if n} == dict(naive.sketch)


@given(keys=_keys, delays=st.lists(st.integers(0, 2_000), min_size=60, max_size=60), data=st.data())
def test_no_order_of_arrival_within_the_lateness_makes_a_difference(
    keys: list[tuple[int, int]], delays: list[int], data: st.DataObject
) -> None:
    rows = _consistent(keys)
    in_order = sorted(rows, key=lambda row: row.timestamp_ms)
    delayed = sorted(
        zip(in_order, delays, strict=False), key=lambda pair: (pair[0].timestamp_ms + pair[1], pair[0].sensor)
    )
    results = []
    for arriving in (in_order, [row for row, _ in delayed]):
        core = Aggregator(make_registry(), make_config(LONG))
        outputs = []
        for row in arriving:
            feed(core, [row], T0_MS + 30_000, 0)
            outputs.append(core.advance(0))
        outputs.append(core.drain())
        results.append(
            (
                [edition_as_dict(window) for output in outputs for window in output.windows],
                [repr(change) for output in outputs for change in output.changes],
                counts_of(core),
            )
        )
    assert results[0] == results[1]
    assert "late" not in results[0][2]


def _without_rejected(output: Output) -> dict[str, Any]:
    """A window counts only what was refused since it had its first reading, and that depends on the batches."""
    plain = output_as_dict(output)
    for edition in plain["windows"]:
        del edition["rejected"]
    return plain


@given(times=times, stream=streams, split=st.integers(1, 3))
def test_splitting_batches_changes_nothing_while_no_reading_is_given_up(
    times: NaiveTimes, stream: list[Step], split: int
) -> None:
    # Whether a reading is too far ahead or too old is judged by what was known before its batch, so without these.
    whole = Aggregator(make_registry(), make_config(times))
    parts = Aggregator(make_registry(), make_config(times))
    now_ms = 0
    for step in stream:
        now_ms += step.after_ms
        rows = [row for row in rows_at(step, now_ms) if T0_MS + now_ms - times.allowed_lateness_ms <= row.timestamp_ms]
        rows = [row for row in rows if row.timestamp_ms <= T0_MS + now_ms]
        feed(whole, rows, T0_MS + now_ms, now_ms)
        for first in range(0, len(rows), split):
            feed(parts, rows[first : first + split], T0_MS + now_ms, now_ms)
        assert _without_rejected(whole.advance(now_ms)) == _without_rejected(parts.advance(now_ms))
    assert _without_rejected(whole.drain()) == _without_rejected(parts.drain())
    assert counts_of(whole) == counts_of(parts)


@given(stream=streams)
def test_a_stream_that_comes_twice_says_what_it_says_once(stream: list[Step]) -> None:
    once, twice = (Aggregator(make_registry(), make_config(LONG)) for _ in range(2))
    now_ms = accepted = 0
    batches: list[list[Row]] = []
    for step in stream:
        now_ms += step.after_ms
        batches.append([row for row in rows_at(step, now_ms) if row.timestamp_ms > 0])
        feed(once, batches[-1], T0_MS + now_ms, now_ms)
        feed(twice, batches[-1], T0_MS + now_ms, now_ms)
        ahead = [row for row in batches[-1] if row.timestamp_ms <= T0_MS + now_ms]
        accepted += len(ahead)
        feed(twice, ahead, T0_MS + now_ms, now_ms)  # a message delivered again
        told, again = (output_as_dict(core.advance(now_ms)) for core in (once, twice))
        for edition in (*told["windows"], *again["windows"]):
            del edition["duplicates"], edition["rejected"]
        assert told == again
    assert once.counters.accepted == twice.counters.accepted
    assert once.counters.windows == twice.counters.windows
    assert once.counters.late == twice.counters.late
