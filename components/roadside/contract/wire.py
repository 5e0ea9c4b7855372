"""What the codecs share: messages of one schema, columns that may be deflated, and columns of zeros left out."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError as ProtobufError

from roadside.contract import messages_pb2 as pb
from roadside.contract.errors import DecodeError, UnsupportedSchemaError
from roadside.contract.summary import SCHEMA

MAX_COLUMNS_BYTES: Final = 256 * 1024  # inflated; a hostile message must not fill the memory

_M = TypeVar("_M", pb.WindowSummary, pb.SensorSummary, pb.Ack, pb.ReadingFrame)
_R = TypeVar("_R", bound=NamedTuple)


def parse(message: _M, payload: bytes, what: str) -> _M:
    """`message`, filled from `payload`. Raises DecodeError or UnsupportedSchemaError."""
    try:
        message.ParseFromString(payload)
    except ProtobufError as error:
        raise DecodeError(what, payload[:40], f"is no such message ({error})") from error
    if message.schema != SCHEMA:
        raise UnsupportedSchemaError("schema", message.schema, f"this version reads {SCHEMA}")
    return message


def deflate(columns: bytes) -> tuple[bytes, bool]:
    """The shorter of the columns as they are and deflated (raw, RFC 1951), and whether it is the latter."""
    compressor = zlib.compressobj(level=9, wbits=-15)
    deflated = compressor.compress(columns) + compressor.flush()
    return min(columns, deflated, key=len), len(deflated) < len(columns)


def inflate(deflated: bytes) -> bytes:
    """What `deflate` deflated. Raises DecodeError."""
    inflater = zlib.decompressobj(wbits=-15)
    try:
        inflated = inflater.decompress(deflated, MAX_COLUMNS_BYTES)
    except zlib.error as error:
        raise DecodeError("columns", deflated[:40], f"cannot be inflated ({error})") from error
    if not inflater.eof:
        raise DecodeError(
            "columns", f"{len(deflated)} bytes", f"are cut short or inflate to over {MAX_COLUMNS_BYTES} bytes"
        )
    return inflated


def fill_columns(columns: pb.SegmentColumns | pb.SensorColumns, values: dict[str, Iterable[int]]) -> None:
    """Put each column in its field; a column of zeros is left out."""
    for name, column in values.items():
        if any(column):
            getattr(columns, name).extend(column)


def rows(columns: pb.SegmentColumns | pb.SensorColumns, count: int, row_type: type[_R]) -> Iterator[_R]:
    """The columns that `row_type` names, a named tuple, row by row; a column that was left out is all zeros.

    Raises
    ------
    DecodeError
        A column has neither `count` values nor none.
    """
    read: list[Sequence[int]] = []
    for name in row_type._fields:
        values: Sequence[int] = getattr(columns, name)
        if values and len(values) != count:
            raise DecodeError(name, f"{len(values)} values", f"must be {count} or none")
        read.append(values or (0,) * count)
    return map(row_type._make, zip(*read, strict=True))
