"""Which windows merge and which must not, on a real outbox."""

import pytest

from roadside.contract.codec import decode_window, encode_window
from roadside.contract.summary import SegmentSummary, WindowSummary
from roadside.runtime.coarsening import SPANS_AT_ONCE, Coarsener
from roadside.runtime.outbox import OutboxLimits, OutgoingMessage, WindowKey
from roadside.runtime.store import GatewayStore

EPOCH_MS = 1_800_000_000_000
TOPIC = "$aws/rules/roadside_windows/roadside/v1/g/windows"
HOUR_MS = 3_600_000


class Bench:
    def __init__(self) -> None:
        self.store = GatewayStore.open(None, EPOCH_MS)
        self.coarsener = Coarsener(self.store)

    def queue(
        self, start_ms: int, *, length_ms: int = 10_000, revision: int = 0, offered: bool = False, readings: int = 1,
        segment: int = 7,
    ) -> int:  # fmt: skip
        with self.store.transaction():
            sequence = self.store.outbox.next_sequence()
            window = WindowSummary(
                "g", EPOCH_MS, sequence, start_ms, length_ms,
                (SegmentSummary(segment, readings_accepted=readings, readings_duplicate=1),), revision,
            )  # fmt: skip
            key = WindowKey(start_ms, length_ms, revision)
            message = OutgoingMessage(sequence, "windows", TOPIC, encode_window(window), EPOCH_MS + start_ms, key)
            self.store.outbox.add(message, offered=offered)
        return sequence

    def queue_minute(self, start_ms: int = 0, **changes: int) -> list[int]:
        return [self.queue(start_ms + at_ms, **changes) for at_ms in range(0, 60_000, 10_000)]  # type: ignore[arg-type]

    def step(self, final_ms: int = HOUR_MS) -> list[int]:
        return self.coarsener.step(final_ms)

    def queued(self) -> list[tuple[int, int, int, int]]:
        """Start, length, revision and readings of every window, by start."""
        windows = []
        for header in self.store.outbox.headers():
            message = self.store.outbox.read(header.sequence)
            assert message is not None
            window = decode_window(message.payload)
            assert window.sequence == header.sequence
            assert message.window == WindowKey(window.window_start_ms, window.window_ms, window.revision)
            readings = sum(segment.readings_accepted for segment in window.segments)
            windows.append((window.window_start_ms, window.window_ms, window.revision, readings))
        return sorted(windows)


def test_windows_of_a_minute_become_one_with_a_new_sequence_and_the_oldest_age() -> None:
    bench = Bench()
    before = bench.queue_minute()
    assert bench.step() == before
    assert bench.queued() == [(0, 60_000, 0, 6)]
    [header] = bench.store.outbox.headers()
    assert (header.sequence, header.created_ms, header.offered) == (7, EPOCH_MS, False)
    totals = bench.store.outbox.totals()
    assert (totals.messages, totals.merged, totals.given_up) == (1, 6, 0)


def test_minutes_become_five_only_when_no_window_is_left_for_minutes() -> None:
    bench = Bench()
    for minute in range(10):
        bench.queue_minute(60_000 * minute)
    bench.step()
    assert bench.queued() == [(60_000 * minute, 60_000, 0, 6) for minute in range(10)]
    bench.step()
    assert bench.queued() == [(0, 300_000, 0, 30), (300_000, 300_000, 0, 30)]
    assert bench.step() == []


def test_only_so_many_spans_are_merged_at_once() -> None:
    bench = Bench()
    for minute in range(SPANS_AT_ONCE + 3):
        bench.queue_minute(60_000 * minute)
    assert len(bench.step()) == 6 * SPANS_AT_ONCE
    assert len(bench.step()) == 6 * 3


def test_a_window_that_may_have_been_sent_is_never_merged_and_parts_its_neighbours() -> None:
    bench = Bench()
    for place in range(6):
        bench.queue(10_000 * place, offered=place == 2)
    bench.step()
    assert bench.queued() == [(0, 20_000, 0, 2), (20_000, 10_000, 0, 1), (30_000, 30_000, 0, 3)]


def test_the_last_edition_stands_for_a_window_of_which_none_was_sent() -> None:
    bench = Bench()
    bench.queue_minute()
    bench.queue(20_000, revision=1, readings=5)
    bench.queue(20_000, revision=2, readings=9)
    assert len(bench.step()) == 8
    assert bench.queued() == [(0, 60_000, 0, 5 + 9)]


@pytest.mark.parametrize("sent", ["and still queued", "and gone"])
def test_a_window_whose_first_edition_was_sent_is_not_merged(sent: str) -> None:
    bench = Bench()
    bench.queue(0)
    first = bench.queue(10_000, offered=True)
    bench.queue(20_000)
    if sent == "and gone":
        bench.store.outbox.settle([first], [], EPOCH_MS)
    bench.queue(10_000, revision=1, readings=5)
    bench.step()
    assert (10_000, 10_000, 1, 5) in bench.queued()
    assert not [window for window in bench.queued() if window[1] != 10_000]


@pytest.mark.parametrize("offered", ["when it is queued", "later"])
def test_a_window_whose_last_edition_was_sent_first_is_not_merged(offered: str) -> None:
    """Live before backlog: a correction may be stored and gone while the first edition still waits."""
    bench = Bench()
    bench.queue_minute()
    correction = bench.queue(20_000, revision=1, readings=5, offered=offered == "when it is queued")
    if offered == "later":
        bench.store.outbox.offer([correction])
    bench.store.outbox.settle([correction], [], EPOCH_MS)
    bench.step()
    assert bench.queued() == [(0, 20_000, 0, 2), (20_000, 10_000, 0, 1), (30_000, 30_000, 0, 3)]


def test_a_minute_that_may_still_change_waits() -> None:
    bench = Bench()
    bench.queue_minute()
    assert bench.step(final_ms=59_999) == []
    assert len(bench.step(final_ms=60_000)) == 6


def test_windows_of_another_layout_stay_apart() -> None:
    bench = Bench()
    for place in range(6):
        bench.queue(10_000 * place, segment=7 if place < 3 else 8)
    bench.step()
    assert len(bench.queued()) == 6


def test_windows_of_several_lengths_merge_with_their_like() -> None:
    bench = Bench()
    for start_ms in (0, 10_000, 20_000):
        bench.queue(start_ms)
    for start_ms in (30_000, 45_000):
        bench.queue(start_ms, length_ms=15_000)
    bench.step()
    assert bench.queued() == [(0, 60_000, 0, 5)]


def test_a_length_that_divides_no_span_is_left_alone() -> None:
    bench = Bench()
    for start_ms in (0, 16_000, 32_000):
        bench.queue(start_ms, length_ms=16_000)
    bench.queue(3_600_000, length_ms=3_600_000)
    bench.step(2 * HOUR_MS)
    bench.step(2 * HOUR_MS)
    assert [length_ms for _, length_ms, _, _ in bench.queued()] == [16_000] * 3 + [3_600_000]


def test_windows_that_do_not_fit_into_one_message_stay_as_they_are() -> None:
    bench = Bench()
    bench.queue_minute()
    bench.store.outbox._limits = OutboxLimits(max_payload_bytes=10)
    assert bench.step() == []
    assert len(bench.queued()) == 6
    assert bench.step() == [], "it is not tried again and again"


def test_a_damaged_window_is_left_for_the_uplink_to_set_aside() -> None:
    bench = Bench()
    sequences = bench.queue_minute()
    with bench.store.transaction():
        bench.store._database.write("UPDATE outbox SET payload = x'00' WHERE sequence = ?", (sequences[2],))
    assert bench.step() == []
    assert len(bench.store.outbox.headers()) == 6


def test_a_transaction_that_fails_merges_nothing_and_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.queue_minute()

    def fail(*_arguments: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(bench.store.outbox, "replace", fail)
        with pytest.raises(OSError, match="no room"):
            bench.step()
    assert len(bench.queued()) == 6
    bench.step()
    assert bench.queued() == [(0, 60_000, 0, 6)]
