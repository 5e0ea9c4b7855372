"""The catalogue as values, and the CSV that it is kept in. Pure.

docs/contract.md explains the columns.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

ROAD_CLASSES: Final = ("freeway", "ramp", "arterial")
MAX_SEGMENT: Final = (1 << 32) - 1
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MAX_FAULTS_SHOWN: Final = 20


class CatalogueError(ValueError):
    """A file that is no catalogue.

    Attributes
    ----------
    faults : tuple of str
        Every fault found, one sentence each, with line, field and value.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        shown = list(faults[:_MAX_FAULTS_SHOWN])
        if len(faults) > len(shown):
            shown.append(f"and {len(faults) - len(shown)} more")
        super().__init__("\n".join(shown))


@dataclass(frozen=True, slots=True)
class CatalogueSegment:
    """One row: a stretch of road and who measures it."""

    segment: int
    segment_id: str
    gateway: str
    district: str
    road_class: str
    lanes: int
    length_m: float
    free_flow_kmh: float
    latitude: float
    longitude: float
    downstream: int | None


COLUMNS: Final = tuple(field.name for field in fields(CatalogueSegment))


def read_catalogue(data: bytes) -> tuple[CatalogueSegment, ...]:
    """The segments of a CSV, in order of their number.

    Raises
    ------
    CatalogueError
        With every fault at once.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CatalogueError(
            (f"line {line}: byte {data[error.start]:#04x} is no UTF-8; save the file as UTF-8",)
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    faults: list[str] = []
    rows: list[tuple[int, CatalogueSegment]] = []
    try:
        _check_head(next(reader, []))
        for cells in reader:
            if not cells:
                continue
            row = _Row(reader.line_num, cells, faults)
            if (segment := row.segment()) is not None:
                rows.append((reader.line_num, segment))
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: is no CSV ({error})")
    faults += _contradictions(rows, complete=not faults)
    if not rows and not faults:
        faults.append("the file has a head and no segment")
    if faults:
        raise CatalogueError(tuple(faults))
    return tuple(sorted((segment for _, segment in rows), key=lambda segment: segment.segment))


def write_catalogue(segments: Sequence[CatalogueSegment]) -> bytes:
    """The CSV of the segments; what `read_catalogue` reads."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for segment in segments:
        values = (getattr(segment, column) for column in COLUMNS)
        writer.writerow("" if value is None else value for value in values)
    return text.getvalue().encode()


def _check_head(head: list[str]) -> None:
    names = [name.strip() for name in head]
    if names == list(COLUMNS):
        return
    missing = [name for name in COLUMNS if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    what = "columns in another order"
    if missing or unknown:
        what = "; ".join(
            f"{word} {', '.join(map(repr, some))}" for word, some in (("lacks", missing), ("has", unknown)) if some
        )
    raise CatalogueError((f"line 1: the head {what}; it must be {','.join(COLUMNS)}",))


class _FieldError(Exception):
    """A value that its column cannot have; the text says what it must be."""


class _Row:
    """A row under examination; its faults go to `faults`."""

    def __init__(self, line: int, cells: list[str], faults: list[str]) -> None:
        self._line = line
        self._cells = cells
        self._faults = faults

    def segment(self) -> CatalogueSegment | None:
        """The row's segment; None if it has a fault."""
        if len(self._cells) != len(COLUMNS):
            self._faults.append(f"line {self._line}: has {len(self._cells)} values, must have {len(COLUMNS)}")
            return None
        values: dict[str, object] = {}
        for column, cell in zip(COLUMNS, self._cells, strict=True):
            try:
                values[column] = _PARSERS[column](cell.strip())
            except _FieldError as error:
                self._faults.append(f"line {self._line}: {column} = {cell!r:.60}: must be {error}")
        if len(values) < len(COLUMNS):
            return None
        return CatalogueSegment(**values)  # type: ignore[arg-type] # each column has its parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise _FieldError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def _decimal(least: float, most: float, *, above: bool = False) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most or (above and value == least):
            raise _FieldError(f"a number {'above' if above else 'from'} {least:g} to {most:g}")
        return value

    return parse


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise _FieldError("1 to 128 letters, digits, '-' or '_'")
    return text


def _district(text: str) -> str:
    if not 1 <= len(text) <= 64 or not text.isprintable():
        raise _FieldError("a text of 1 to 64 characters")
    return text


def _road_class(text: str) -> str:
    if text not in ROAD_CLASSES:
        raise _FieldError(f"one of {', '.join(ROAD_CLASSES)}")
    return text


def _downstream(text: str) -> int | None:
    return _whole(0, MAX_SEGMENT)(text) if text else None


_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "segment": _whole(0, MAX_SEGMENT),
    "segment_id": _name,
    "gateway": _name,
    "district": _district,
    "road_class": _road_class,
    "lanes": _whole(1, 20),
    "length_m": _decimal(0, 100_000, above=True),
    "free_flow_kmh": _decimal(0, 200, above=True),
    "latitude": _decimal(-90, 90),
    "longitude": _decimal(-180, 180),
    "downstream": _downstream,
}


def _contradictions(rows: list[tuple[int, CatalogueSegment]], *, complete: bool) -> Iterator[str]:
    """What rows that are right by themselves contradict each other in.

    Parameters
    ----------
    complete : whether no row was left out for a fault; only then is a missing one a fault of those that name it
    """
    numbers: dict[int, int] = {}
    names: dict[str, int] = {}
    for line, segment in rows:
        if segment.segment in numbers:
            yield f"line {line}: segment = {segment.segment}: is in line {numbers[segment.segment]} already"
        if segment.segment_id in names:
            yield f"line {line}: segment_id = {segment.segment_id!r}: is in line {names[segment.segment_id]} already"
        numbers.setdefault(segment.segment, line)
        names.setdefault(segment.segment_id, line)
    for line, segment in rows:
        if segment.downstream == segment.segment:
            yield f"line {line}: downstream = {segment.downstream}: must be another segment"
        elif segment.downstream is not None and segment.downstream not in numbers and complete:
            yield f"line {line}: downstream = {segment.downstream}: there is no such segment in the file"
