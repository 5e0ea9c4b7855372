"""Missing time is found to the millisecond, and coarse, corrected, late or repeated windows are no gap."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cloud.functions.sweep import gaps
from cloud.functions.sweep.windows import StoredWindow
from tests.unit.cloud.messages import EPOCH_MS, START_MS

WINDOW_MS = 10_000
NOW_MS = START_MS + 3_600_000


def stored(first: int, count: int, sequence: int, epoch_ms: int = EPOCH_MS, revision: int = 0) -> StoredWindow:
    """`count` windows from place `first` on, merged into one."""
    start_ms = START_MS + WINDOW_MS * first
    return StoredWindow(
        "gw", epoch_ms, start_ms, start_ms + WINDOW_MS * count, sequence, revision, start_ms + WINDOW_MS * count, b""
    )


@st.composite
def histories(draw: st.DrawFn) -> list[StoredWindow]:
    """What one epoch of a gateway made, without a hole: some windows merged, some corrected, other messages between."""
    made, place, sequence = [], 0, draw(st.integers(0, 10**6))
    for count in draw(st.lists(st.sampled_from([1, 1, 1, 2, 6, 30]), min_size=3, max_size=25)):
        sequence += draw(st.integers(1, 3))
        made.append(stored(place, count, sequence))
        place += count
    merged_later = [
        replace(w, sequence=sequence + 1 + i) if w.end_ms - w.start_ms > WINDOW_MS else w for i, w in enumerate(made)
    ]
    corrected = draw(st.sets(st.integers(0, len(made) - 1), max_size=3))
    return [
        replace(window, revision=1, sequence=sequence + 100 + place) if place in corrected else window
        for place, window in enumerate(merged_later)
    ]


def shuffled(draw: st.DataObject, windows: list[StoredWindow]) -> list[StoredWindow]:
    again = draw.draw(st.lists(st.sampled_from(windows), max_size=4))
    return draw.draw(st.permutations(windows + again))


@given(histories(), st.data())
def test_a_whole_history_has_no_gap_in_whatever_order_it_came(windows: list[StoredWindow], data: st.DataObject) -> None:
    second_epoch = [replace(window, epoch_ms=EPOCH_MS + 1) for window in windows[len(windows) // 2 :]]

    assert gaps.find(shuffled(data, windows + second_epoch), [], NOW_MS) == []


@given(histories(), st.data())
def test_what_is_taken_out_of_the_middle_is_the_gap_and_what_fills_it_repairs_it(
    windows: list[StoredWindow], data: st.DataObject
) -> None:
    inner = list(range(1, len(windows) - 1))
    gone = data.draw(st.sets(st.sampled_from(inner), min_size=1))
    left = [window for place, window in enumerate(windows) if place not in gone]
    missing_ms = sum(windows[place].end_ms - windows[place].start_ms for place in gone)

    found = gaps.find(shuffled(data, left), [], NOW_MS)

    # Where sequences say that nothing was made, there is nothing to miss; never is there more than was taken out.
    assert sum(gap.missing_ms for gap in found) <= missing_ms
    if all(window.revision == 0 and window.end_ms - window.start_ms == WINDOW_MS for window in windows):
        assert [gap.missing_ms for gap in found] == [missing_ms]
        assert gaps.find(shuffled(data, left), found, NOW_MS) == []
    for gap in found:
        step = gaps.follow(replace(gap, told_ms=NOW_MS), "gw", shuffled(data, windows), NOW_MS + 60_000)
        assert step.gap is None
        assert step.notice is not None
        assert step.notice.kind == "DataRepaired"


@given(
    st.tuples(st.integers(0, 100), st.integers(1, 100)),
    st.lists(st.tuples(st.integers(0, 120), st.integers(1, 30)), max_size=12),
)
def test_what_is_left_of_a_span_is_what_nothing_covers(span: tuple[int, int], covers: list[tuple[int, int]]) -> None:
    begin, length = span
    covered = [(start, start + size) for start, size in covers]

    left = gaps.without((begin, begin + length), covered)

    instants = {at for at in range(begin, begin + length) if not any(start <= at < end for start, end in covered)}
    assert {at for start, end in left for at in range(start, end)} == instants
    assert all(start < end for start, end in left)
    assert left == sorted(left)
