"""The frame codec: round trips, every cut, every kind of damage."""

from __future__ import annotations

import struct
import uuid
import zlib

import pytest
from awscrt.eventstream import HeaderType
from hypothesis import given
from hypothesis import strategies as st

from simulator.local_nucleus.frames import (
    OVERHEAD_BYTES,
    PRELUDE_BYTES,
    Frame,
    FrameDecoder,
    FrameError,
    Header,
    HeaderKind,
    HeaderValue,
    MessageFlags,
    MessageType,
    encode_frame,
    encode_message,
)

LIMIT = 1 << 20


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


VALUES: dict[HeaderKind, st.SearchStrategy[HeaderValue]] = {
    HeaderKind.TRUE: st.just(True),
    HeaderKind.FALSE: st.just(False),
    HeaderKind.BYTE: integers(8),
    HeaderKind.INT16: integers(16),
    HeaderKind.INT32: integers(32),
    HeaderKind.INT64: integers(64),
    HeaderKind.TIMESTAMP: integers(64),
    HeaderKind.BYTES: st.binary(max_size=60),
    HeaderKind.STRING: st.text(max_size=40),
    HeaderKind.UUID: st.uuids(),
}
names = st.text(min_size=1, max_size=30).filter(lambda name: not name.startswith(":"))
headers = st.sampled_from(list(HeaderKind)).flatmap(lambda kind: st.builds(Header, names, st.just(kind), VALUES[kind]))
frames = st.builds(
    Frame,
    st.sampled_from(MessageType),
    st.integers(0, (1 << 31) - 1),
    st.sampled_from([MessageFlags.NONE, MessageFlags.CONNECTION_ACCEPTED, MessageFlags.TERMINATE_STREAM]),
    st.dictionaries(names, st.text(max_size=40) | st.binary(max_size=40), max_size=4),
    st.binary(max_size=200),
)


def rpc_headers(message_type: int = 0, flags: int = 0, stream_id: int = 1) -> list[Header]:
    return [
        Header(":message-type", HeaderKind.INT32, message_type),
        Header(":message-flags", HeaderKind.INT32, flags),
        Header(":stream-id", HeaderKind.INT32, stream_id),
    ]


def decode(data: bytes) -> list[Frame]:
    return list(FrameDecoder(LIMIT).feed(data))


@given(frames)
def test_a_frame_survives_the_wire(frame: Frame) -> None:
    assert decode(encode_frame(frame)) == [frame]


@given(st.lists(headers, max_size=6, unique_by=lambda header: header.name), st.binary(max_size=50))
def test_every_kind_of_header_survives_the_wire(extra: list[Header], payload: bytes) -> None:
    (frame,) = decode(encode_message(rpc_headers() + extra, payload))
    assert frame.headers == {header.name: header.value for header in extra}
    assert frame.payload == payload


@given(st.lists(frames, min_size=1, max_size=4), st.data())
def test_frames_do_not_depend_on_how_the_bytes_are_cut(sent: list[Frame], data: st.DataObject) -> None:
    wire = b"".join(map(encode_frame, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    decoder = FrameDecoder(LIMIT)
    received: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        received += decoder.feed(wire[start:end])
    assert received == sent
    assert decoder.buffered_bytes == 0


def test_a_frame_cut_at_every_byte_waits_for_the_rest() -> None:
    frame = Frame(MessageType.APPLICATION_MESSAGE, 7, MessageFlags.NONE, {"operation": "aws.greengrass#X"}, b"payload")
    wire = encode_frame(frame)
    for cut in range(1, len(wire)):
        decoder = FrameDecoder(LIMIT)
        assert list(decoder.feed(wire[:cut])) == []
        assert list(decoder.feed(wire[cut:])) == [frame]
    decoder = FrameDecoder(LIMIT)
    assert [f for i in range(len(wire)) for f in decoder.feed(wire[i : i + 1])] == [frame]


def test_a_flipped_bit_anywhere_is_found() -> None:
    wire = encode_frame(Frame(MessageType.APPLICATION_MESSAGE, 1, headers={"a": "b"}, payload=b"xyz"))
    for index in range(len(wire)):
        for bit in range(8):
            damaged = bytearray(wire)
            damaged[index] ^= 1 << bit
            with pytest.raises(FrameError):
                decode(bytes(damaged))


def test_good_frames_before_a_bad_one_are_yielded() -> None:
    good = encode_frame(Frame(MessageType.PING, 0))
    received = FrameDecoder(LIMIT).feed(good + good + b"\x00" * 20)
    assert [next(received).message_type, next(received).message_type] == [MessageType.PING, MessageType.PING]
    with pytest.raises(FrameError):
        next(received)


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_an_error_or_incomplete(data: bytes) -> None:
    decoder = FrameDecoder(LIMIT)
    try:
        for frame in decoder.feed(data):
            assert isinstance(frame, Frame)
    except FrameError:
        return
    assert decoder.buffered_bytes <= len(data)


@given(st.binary(max_size=60))
def test_damaged_headers_under_good_checksums_are_an_error_and_nothing_else(block: bytes) -> None:
    lengths = struct.pack(">II", OVERHEAD_BYTES + len(block), len(block))
    body = lengths + struct.pack(">I", zlib.crc32(lengths)) + block
    try:
        decode(body + struct.pack(">I", zlib.crc32(body)))
    except FrameError:
        return
    pytest.fail("no three RPC headers fit 60 random bytes")


def test_the_limit_is_the_body_after_the_prelude() -> None:
    wire = encode_frame(Frame(MessageType.APPLICATION_MESSAGE, 1, payload=b"x" * 100))
    body = len(wire) - PRELUDE_BYTES
    assert len(list(FrameDecoder(body).feed(wire))) == 1
    with pytest.raises(FrameError, match=f"the limit is {body - 1}"):
        list(FrameDecoder(body - 1).feed(wire[:PRELUDE_BYTES]))


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_each_of_the_three_headers_is_required(missing: int) -> None:
    incomplete = rpc_headers()
    del incomplete[missing]
    with pytest.raises(FrameError, match="every message needs it"):
        decode(encode_message(incomplete, b""))


def test_an_unknown_message_type_is_refused() -> None:
    with pytest.raises(FrameError, match=":message-type 9"):
        decode(encode_message(rpc_headers(message_type=9), b""))


@pytest.mark.parametrize(
    "header",
    [
        Header("", HeaderKind.STRING, "x"),
        Header("n" * 256, HeaderKind.STRING, "x"),
        Header("n", HeaderKind.STRING, "x" * 65_536),
        Header("n", HeaderKind.INT32, "x"),
        Header("n", HeaderKind.UUID, b"x"),
    ],
)
def test_a_header_that_does_not_fit_the_wire_is_refused(header: Header) -> None:
    with pytest.raises(FrameError):
        encode_message([header], b"")


def test_a_frame_holds_only_text_and_bytes() -> None:
    with pytest.raises(FrameError, match="UUID"):
        encode_frame(Frame(MessageType.PING, 0, headers={"id": uuid.UUID(int=1)}))


def test_header_kinds_are_those_of_the_sdk() -> None:
    sdk = {"BOOL_TRUE": "TRUE", "BOOL_FALSE": "FALSE", "BYTE_BUF": "BYTES"}
    assert {sdk.get(kind.name, kind.name): kind.value for kind in HeaderType} == {
        kind.name: kind.value for kind in HeaderKind
    }
