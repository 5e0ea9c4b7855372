"""Queues lose only by their rule and count it; frames hold what went in and fit nucleus lite."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadside.contract.codec import decode_frame, encode_frame
from roadside.contract.summary import MAX_FRAME_READINGS, ReadingFrame
from sensor_ingest.batcher import Batch, Batcher, pack
from sensor_ingest.mapping import EARLIEST_MS, LATEST_MS, Reading

LITE_LIMIT_BYTES = 7000

readings = st.builds(
    Reading,
    st.integers(0, 2**32 - 1),
    st.integers(EARLIEST_MS, LATEST_MS - 1),
    st.integers(0, 1000),
    st.none() | st.integers(0, 2550),
    st.none() | st.integers(0, 1000),
)


def reading(number: int) -> Reading:
    return Reading(number, EARLIEST_MS + number, 1, None, None)


def unpack(frame: ReadingFrame) -> list[Reading]:
    """Written against the contract's words, without the packer's help."""
    count = len(frame.sensor_number) // 4
    numbers = struct.unpack(f"<{count}I", frame.sensor_number)
    offsets = struct.unpack(f"<{count}I", frame.offset_ms)
    counts, speeds, occupancies = (
        struct.unpack(f"<{count}H", column)
        for column in (frame.vehicle_count, frame.speed_dkmh, frame.occupancy_permille)
    )
    return [
        Reading(
            numbers[row],
            frame.base_ms + offsets[row],
            counts[row],
            None if speeds[row] == 65535 else speeds[row],
            None if occupancies[row] == 65535 else occupancies[row],
        )
        for row in range(count)
    ]


@given(
    st.lists(st.tuples(st.sampled_from(["udp", "tcp"]), st.lists(readings, max_size=20)), max_size=20),
    st.integers(1, 7),
)
def test_frames_decode_to_what_went_in(messages: list[tuple[str, list[Reading]]], frame_readings: int) -> None:
    batcher = Batcher(1000, frame_readings)
    put: dict[str, list[Reading]] = {}
    for source, some in messages:
        batcher.add(source, some)
        put.setdefault(source, []).extend(some)
    got: dict[str, list[Reading]] = {source: [] for source in put}
    for batch in batcher.take():
        frame = decode_frame(encode_frame(pack(batch)))
        assert frame.source == batch.source
        assert 0 < len(frame) <= frame_readings
        got[batch.source] += unpack(frame)
    assert got == put
    assert len(batcher) == 0


def test_the_largest_frame_fits_nucleus_lite() -> None:
    most = Reading(2**32 - 1, LATEST_MS - 1, 1000, 2550, 1000)
    batch = Batch("x" * 128, (most,) * MAX_FRAME_READINGS)
    assert LITE_LIMIT_BYTES - 200 < len(encode_frame(pack(batch))) < LITE_LIMIT_BYTES


def test_readings_too_far_apart_for_one_frame_get_two() -> None:
    batcher = Batcher(10)
    spread = [reading(1), Reading(2, EARLIEST_MS + 2**32 + 1, 0, None, None), reading(3)]
    batcher.add("file", spread)
    batches = batcher.take()
    assert len(batches) == 2
    assert [each for batch in batches for each in unpack(pack(batch))] == spread


def test_the_longest_queue_gives_its_oldest_way_and_it_is_counted() -> None:
    batcher = Batcher(10)
    batcher.add("quiet", [reading(n) for n in range(4)])
    batcher.add("flood", [reading(n) for n in range(100, 200)])
    assert len(batcher) == 10
    assert batcher.shed() == {"flood": 94}
    waiting = {batch.source: [each.sensor_number for each in batch.readings] for batch in batcher.take()}
    assert waiting == {"quiet": [0, 1, 2, 3], "flood": [194, 195, 196, 197, 198, 199]}


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 25)), max_size=40), st.integers(1, 30))
def test_every_reading_is_delivered_waiting_or_counted_as_shed(events: list[tuple[str, int]], capacity: int) -> None:
    batcher = Batcher(capacity, 4)
    put: dict[str, int] = {}
    for source, added in events:
        batcher.add(source, [reading(n) for n in range(added)])
        put[source] = put.get(source, 0) + added
        assert len(batcher) <= capacity
        for each, count in put.items():
            assert count == batcher.waiting(each) + batcher.shed().get(each, 0)


@given(st.lists(st.tuples(st.sampled_from(["waits", "floods"]), st.integers(1, 25)), max_size=60))
def test_a_sender_that_waits_loses_nothing_to_a_flood(events: list[tuple[str, int]]) -> None:
    batcher = Batcher(1)
    batcher.configure(100, 10, ["waits", "floods"])  # a share is 25
    put = 0
    for source, count in events:
        if source == "floods":
            batcher.add(source, [reading(0)] * 10 * count)
        elif batcher.has_room(source):
            batcher.add(source, [reading(1)] * count)
            put += count
    assert batcher.shed().get("waits", 0) == 0
    assert batcher.waiting("waits") == put


def test_what_was_given_back_comes_first_again() -> None:
    batcher = Batcher(100, 3)
    batcher.add("a", [reading(n) for n in range(8)])
    first, *rest = batcher.take()
    batcher.add("a", [reading(8)])
    batcher.give_back(rest)
    assert [each.sensor_number for each in first.readings] == [0, 1, 2]
    assert [each.sensor_number for batch in batcher.take() for each in batch.readings] == [3, 4, 5, 6, 7, 8]


def test_a_smaller_queue_sheds_at_once_and_a_full_frame_shows() -> None:
    batcher = Batcher(100, 50)
    batcher.add("a", [reading(n) for n in range(49)])
    assert not batcher.has_full_frame()
    batcher.add("a", [reading(49)])
    assert batcher.has_full_frame()
    batcher.configure(20, 30, ["a"])
    assert len(batcher) == 20
    assert batcher.shed() == {"a": 30}
    assert not batcher.has_full_frame()


@pytest.mark.parametrize("waiting", [24, 25])
def test_room_ends_with_the_share(waiting: int) -> None:
    batcher = Batcher(1)
    batcher.configure(100, 10, ["a", "b"])
    batcher.add("a", [reading(n) for n in range(waiting)])
    assert batcher.has_room("a") is (waiting < 25)
    assert batcher.has_room("b")
