"""The event-stream message codec: bytes to frames and back, without a socket.

A frame on the wire, big-endian::

    u32 total | u32 headers_len | u32 crc32(first 8 bytes) | headers | payload | u32 crc32(all before)

The overhead is 16 bytes and the checksum is zlib's crc32. A header is ``u8 name_len, name, u8 kind, value``. Every RPC
message carries the headers ``:message-type``, ``:message-flags`` and ``:stream-id``; `Frame` lifts them into fields.

`FrameDecoder` yields the same frames however the bytes are cut, and refuses the first bad byte it can recognise: after
an error the stream has no frame boundary any more, so all that is left to do is to close the connection.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TypeAlias

PRELUDE_BYTES = 12
TRAILER_BYTES = 4
OVERHEAD_BYTES = PRELUDE_BYTES + TRAILER_BYTES

MESSAGE_TYPE = ":message-type"
MESSAGE_FLAGS = ":message-flags"
STREAM_ID = ":stream-id"

HeaderValue: TypeAlias = bool | int | bytes | str | uuid.UUID


class FrameError(Exception):
    """The bytes are not a frame; the connection they came from cannot be read any further."""


class MessageType(IntEnum):
    """`:message-type`. The two application types live on streams above 0, all others on stream 0."""

    APPLICATION_MESSAGE = 0
    APPLICATION_ERROR = 1
    PING = 2
    PING_RESPONSE = 3
    CONNECT = 4
    CONNECT_ACK = 5
    PROTOCOL_ERROR = 6
    INTERNAL_ERROR = 7


class MessageFlags(IntFlag):
    """`:message-flags`."""

    NONE = 0
    CONNECTION_ACCEPTED = 1
    TERMINATE_STREAM = 2


class HeaderKind(IntEnum):
    """The type byte of a header."""

    TRUE = 0
    FALSE = 1
    BYTE = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    BYTES = 6
    STRING = 7
    TIMESTAMP = 8  # int64 epoch milliseconds
    UUID = 9


_INTEGER_FORMATS = {
    HeaderKind.BYTE: struct.Struct(">b"),
    HeaderKind.INT16: struct.Struct(">h"),
    HeaderKind.INT32: struct.Struct(">i"),
    HeaderKind.INT64: struct.Struct(">q"),
    HeaderKind.TIMESTAMP: struct.Struct(">q"),
}
_PRELUDE = struct.Struct(">III")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Header:
    """One header: its name (1 to 255 bytes of UTF-8), its kind on the wire and its value."""

    name: str
    kind: HeaderKind
    value: HeaderValue


@dataclass(frozen=True, slots=True)
class Frame:
    """One RPC message. `headers` holds all but the three that became fields; of a repeated name the last wins."""

    message_type: MessageType
    stream_id: int
    flags: MessageFlags = MessageFlags.NONE
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    payload: bytes = b""

    def text(self, name: str) -> str | None:
        """The value of a string header, or None where it is absent or of another kind."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else None


def encode_message(headers: list[Header], payload: bytes) -> bytes:
    """Any event-stream message, RPC or not."""
    block = b"".join(map(_encode_header, headers))
    total = OVERHEAD_BYTES + len(block) + len(payload)
    lengths = struct.pack(">II", total, len(block))
    body = lengths + _U32.pack(zlib.crc32(lengths)) + block + payload
    return body + _U32.pack(zlib.crc32(body))


def encode_frame(frame: Frame) -> bytes:
    """One RPC message. Headers may hold strings (and bytes), the only kinds this protocol's server side sends.

    Raises
    ------
    FrameError
        A header value of another type.
    """
    headers = [
        Header(MESSAGE_TYPE, HeaderKind.INT32, int(frame.message_type)),
        Header(MESSAGE_FLAGS, HeaderKind.INT32, int(frame.flags)),
        Header(STREAM_ID, HeaderKind.INT32, frame.stream_id),
    ]
    for name, value in frame.headers.items():
        if isinstance(value, str):
            headers.append(Header(name, HeaderKind.STRING, value))
        elif isinstance(value, bytes):
            headers.append(Header(name, HeaderKind.BYTES, value))
        else:
            raise FrameError(f"header {name!r} is a {type(value).__name__}; send it as a string or bytes")
    return encode_message(headers, frame.payload)


def frame_from_message(headers: list[Header], payload: bytes) -> Frame:
    """Lift the three RPC headers out of a decoded message.

    Raises
    ------
    FrameError
        One of the three is missing, is not an int32, or names no known message type.
    """
    values: dict[str, HeaderValue] = {header.name: header.value for header in headers}
    numbers = []
    for name in (MESSAGE_TYPE, MESSAGE_FLAGS, STREAM_ID):
        value = values.pop(name, None)
        if not isinstance(value, int) or isinstance(value, bool):
            raise FrameError(f"header {name!r} is {value!r}; every message needs it as an int32")
        numbers.append(value)
    kind, flags, stream_id = numbers
    try:
        message_type = MessageType(kind)
    except ValueError as error:
        raise FrameError(f"{MESSAGE_TYPE} {kind} is none of {[int(t) for t in MessageType]}") from error
    return Frame(message_type, stream_id, MessageFlags(flags), values, payload)


class FrameDecoder:
    """Turns a byte stream into frames.

    Parameters
    ----------
    max_body_bytes
        Largest accepted rest of a frame after its 12-byte prelude (headers, payload and trailing checksum).
    """

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()

    @property
    def buffered_bytes(self) -> int:
        """Bytes of a frame that is not complete yet; 0 on a frame boundary."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes, in order.

        Raises
        ------
        FrameError
            After the good frames before the fault were yielded: bad checksum, impossible length, too large, bad header.
        """
        self._buffer += data
        while len(self._buffer) >= PRELUDE_BYTES:
            total, headers_len = self._check_prelude()
            if len(self._buffer) < total:
                return
            message = bytes(self._buffer[:total])
            del self._buffer[:total]
            (checksum,) = _U32.unpack_from(message, total - TRAILER_BYTES)
            if checksum != zlib.crc32(message[:-TRAILER_BYTES]):
                raise FrameError(f"message checksum {checksum:#010x} does not fit the {total} bytes before it")
            headers_end = PRELUDE_BYTES + headers_len
            headers = _decode_headers(message[PRELUDE_BYTES:headers_end])
            yield frame_from_message(headers, message[headers_end:-TRAILER_BYTES])

    def _check_prelude(self) -> tuple[int, int]:
        total, headers_len, checksum = _PRELUDE.unpack_from(self._buffer)
        if checksum != zlib.crc32(self._buffer[:8]):
            raise FrameError(f"prelude checksum {checksum:#010x} does not fit its 8 bytes")
        if total < OVERHEAD_BYTES or headers_len > total - OVERHEAD_BYTES:
            raise FrameError(f"lengths contradict each other: {total} bytes in all, {headers_len} of headers")
        if total - PRELUDE_BYTES > self._max_body_bytes:
            raise FrameError(f"frame body of {total - PRELUDE_BYTES} bytes; the limit is {self._max_body_bytes}")
        return total, headers_len


def _encode_header(header: Header) -> bytes:
    name = header.name.encode()
    if not 0 < len(name) < 256:
        raise FrameError(f"header name {header.name!r} has {len(name)} bytes; 1 to 255 fit")
    start = bytes((len(name),)) + name + bytes((header.kind,))
    value = header.value
    if header.kind in (HeaderKind.TRUE, HeaderKind.FALSE):
        return start
    if header.kind is HeaderKind.UUID and isinstance(value, uuid.UUID):
        return start + value.bytes
    if header.kind is HeaderKind.STRING and isinstance(value, str):
        return start + _sized(value.encode())
    if header.kind is HeaderKind.BYTES and isinstance(value, bytes):
        return start + _sized(value)
    if header.kind in _INTEGER_FORMATS and isinstance(value, int):
        return start + _INTEGER_FORMATS[header.kind].pack(value)
    raise FrameError(f"header {header.name!r} of kind {header.kind.name} cannot hold {value!r}")


def _sized(data: bytes) -> bytes:
    if len(data) > 0xFFFF:
        raise FrameError(f"header value of {len(data)} bytes; at most 65535 fit")
    return _U16.pack(len(data)) + data


def _decode_headers(block: bytes) -> list[Header]:
    headers = []
    position = 0
    try:
        while position < len(block):
            name_end = position + 1 + block[position]
            name = _slice(block, position + 1, name_end).decode()
            kind = HeaderKind(block[name_end])
            value, position = _decode_value(block, name_end + 1, kind)
            headers.append(Header(name, kind, value))
    except (IndexError, ValueError, struct.error) as error:  # UnicodeDecodeError is a ValueError
        raise FrameError(f"headers are damaged near byte {position} of {len(block)}: {error}") from error
    return headers


def _decode_value(block: bytes, start: int, kind: HeaderKind) -> tuple[HeaderValue, int]:
    if kind in (HeaderKind.TRUE, HeaderKind.FALSE):
        return kind is HeaderKind.TRUE, start
    if kind is HeaderKind.UUID:
        return uuid.UUID(bytes=_slice(block, start, start + 16)), start + 16
    if kind in (HeaderKind.STRING, HeaderKind.BYTES):
        (length,) = _U16.unpack_from(block, start)
        end = start + 2 + length
        data = _slice(block, start + 2, end)
        return (data.decode() if kind is HeaderKind.STRING else data), end
    layout = _INTEGER_FORMATS[kind]
    (number,) = layout.unpack_from(block, start)
    return int(number), start + layout.size


def _slice(block: bytes, start: int, end: int) -> bytes:
    if end > len(block):
        raise IndexError(f"value ends at byte {end}")
    return block[start:end]
