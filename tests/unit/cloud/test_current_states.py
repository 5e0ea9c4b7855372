"""The segments table stays current with few writes, whoever else writes to it."""

import dataclasses
import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.functions.processor.current import CurrentStates
from cloud.functions.processor.logic import LEVEL_STEP, SegmentState, WindowRecord, read_record
from roadside.contract.codec import encode_window
from roadside.contract.summary import CongestionState, WindowSummary
from tests.unit.cloud.messages import START_MS, make_window, wrap

REFRESH_MS = 300_000
PROCESS = st.integers(0, 1)


class Table:
    """The segments table as a dictionary; counts what AWS would bill."""

    def __init__(self) -> None:
        self.states: dict[int, SegmentState] = {}
        self.attempts = 0
        self.reads = 0

    def read_segments(self, numbers: Sequence[int]) -> dict[int, SegmentState]:
        self.reads += 1
        return {number: self.states[number] for number in numbers if number in self.states}

    def put_segments(self, states: Sequence[SegmentState]) -> dict[int, SegmentState]:
        for state in states:
            self.attempts += 1
            held = self.states.get(state.segment)
            if held is None or held.age_rank < state.age_rank:
                self.states[state.segment] = state
        return {state.segment: self.states[state.segment] for state in states}


def record(window: WindowSummary, received_ms: int | None = None) -> WindowRecord:
    received = window.window_end_ms + 2_000 if received_ms is None else received_ms
    return read_record(json.dumps(wrap(encode_window(window), window.gateway, received)).encode())


def test_steady_traffic_costs_less_than_one_write_and_no_read_a_window() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS, reads_per_batch=100)
    hour = [
        make_window(sequence, segments=25, level=10 + sequence % 7, vehicles=sequence % 5) for sequence in range(1, 361)
    ]

    for window in hour:
        current.update(record(window))

    first_window = 25
    assert table.attempts - first_window < len(hour)
    assert table.reads == 1


def test_refreshes_of_a_gateways_segments_are_spread_over_the_period() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS, reads_per_batch=100)
    written = [current.update(record(make_window(s, segments=25))) for s in range(1, 121)]

    assert max(written[1:]) <= 3


def test_change_is_written_at_once() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS, reads_per_batch=100)
    current.update(record(make_window(1)))

    assert current.update(record(make_window(2, state=CongestionState.CONGESTED))) == 2
    assert {state.congestion_state for state in table.states.values()} == {"congested"}


def test_state_that_the_sweep_cleared_in_a_pause_is_written_again_by_the_next_window() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS * 10, reads_per_batch=100)
    current.update(record(make_window(1)))
    table.states = {
        number: dataclasses.replace(state, congestion_state="unknown") for number, state in table.states.items()
    }

    current.update(record(make_window(2, start_ms=START_MS + 120_000)))

    assert {state.congestion_state for state in table.states.values()} == {"free"}


def test_correction_of_an_older_window_does_not_pass_for_the_present() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS, reads_per_batch=100)
    for sequence in (1, 2, 3):
        current.update(record(make_window(sequence)))

    late = make_window(
        4, start_ms=make_window(1).window_start_ms, revision=1, state=CongestionState.CONGESTED, level=90
    )
    assert current.update(record(late)) == 0
    assert {state.congestion_state for state in table.states.values()} == {"free"}


def test_gateways_beyond_a_batch_s_reads_follow_with_their_next_windows() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS, reads_per_batch=1)
    first, second = (make_window(1, gateway=name, first_segment=number) for name, number in (("a", 0), ("b", 10)))
    assert [current.update(record(window)) for window in (first, second)] == [2, 0]

    current.begin_batch(1)
    assert current.update(record(make_window(2, gateway="b", first_segment=10))) == 2


def test_full_batch_brings_up_one_gateway_and_leaves_the_others_to_a_calm_one() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS, reads_per_batch=5)
    names = [(name, 10 * place) for place, name in enumerate("abc")]
    current.begin_batch(200)
    assert [current.update(record(make_window(1, gateway=g, first_segment=n))) for g, n in names] == [2, 0, 0]

    current.begin_batch(3)
    assert [current.update(record(make_window(2, gateway=g, first_segment=n))) for g, n in names] == [0, 2, 2]


def test_correction_of_the_current_window_updates_it() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS, reads_per_batch=100)
    current.update(record(make_window(1)))
    current.update(record(make_window(2, start_ms=START_MS + 10_000, revision=1, vehicles=4)))

    assert {state.vehicle_count for state in table.states.values()} == {4}


def test_window_from_the_future_does_not_freeze_the_present() -> None:
    table = Table()
    current = CurrentStates(table, REFRESH_MS, reads_per_batch=100)
    future = make_window(1, start_ms=START_MS * 2)

    assert current.update(record(future, received_ms=START_MS)) == 0
    current.update(record(make_window(2)))
    assert {state.window_start_ms for state in table.states.values()} == {START_MS + 20_000}


def test_a_write_that_failed_is_made_good_by_the_replay() -> None:
    table = Table()
    CurrentStates(table, REFRESH_MS, reads_per_batch=100).update(record(make_window(1)))
    jam = record(make_window(2, state=CongestionState.CONGESTED))
    # The window was stored, its states were not: the process died between them.
    CurrentStates(table, REFRESH_MS, reads_per_batch=100).update(jam)

    assert {state.congestion_state for state in table.states.values()} == {"congested"}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from(CongestionState),
            st.integers(0, 100),
            st.integers(0, 1),
            st.integers(0, 4),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_table_is_current_whichever_process_handles_a_window(
    handled: list[tuple[int, CongestionState, int, int, int]],
) -> None:
    table = Table()
    processes = (
        CurrentStates(table, REFRESH_MS, reads_per_batch=100),
        CurrentStates(table, REFRESH_MS, reads_per_batch=100),
    )
    arrived: list[WindowRecord] = []

    for sequence, (process, state, level, replaying_process, replayed) in enumerate(handled, 1):
        arrived.append(record(make_window(sequence, state=state, level=level)))
        processes[process].update(arrived[-1])
        for again in arrived[len(arrived) - replayed :]:
            processes[replaying_process].update(again)

        for held in table.states.values():
            assert held.congestion_state == state.name.lower()
            assert abs((held.congestion_level or 0) - level) < LEVEL_STEP
