"""What recordings of every format consist of, and what is said of one that cannot be read."""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, TextIO

from roadside.runtime.segments import SegmentSettings

RoadClass = Literal["freeway", "ramp", "arterial"]
_DAMAGE: Final = (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError, csv.Error)
"""What reading a file can raise that is no text, or only half of one."""


class RecordingError(Exception):
    """The folder holds no recording that can be replayed; the message names the file, the field and what to do."""


class RecordedReading(NamedTuple):
    """One row as it stands in the file: None where a cell is empty, the text where it is no number.

    A tuple, because a recording has millions of them and a frozen dataclass takes three times as long to make.
    """

    sensor_id: str
    timestamp_ms: int | str
    vehicle_count: float | str | None
    speed_kmh: float | str | None
    occupancy: float | str | None


@dataclass(frozen=True, slots=True)
class RecordedSensor:
    """One lane of one segment. `lane` counts from 0, so that a lane without a sensor shows.

    `order` is the segment's place along its road in driving direction, None off the road.
    """

    sensor_id: str
    segment_id: str
    lane: int
    road_class: RoadClass
    road: str
    speed_limit_kmh: float
    order: float | None = None


@dataclass(frozen=True, slots=True)
class RecordedGateway:
    """The segments of one road, or of all streets together, as one gateway would have them."""

    gateway_id: str
    segments: tuple[SegmentSettings, ...]


class Reader(Protocol):
    """One format: which sensors a folder tells of, and their readings as they stand there.

    Attributes
    ----------
    files : those with readings, in the order in which they are read
    rejected : rows that are no readings at all, by reason; of the last pass over `readings`
    """

    files: Sequence[Path]
    rejected: Counter[str]

    def sensors(self) -> Mapping[str, Sequence[RecordedSensor]]:
        """All sensors by segment. Raises RecordingError."""
        ...

    def readings(self) -> Iterator[RecordedReading]:
        """All rows, file after file. Raises RecordingError when a file ends in damage."""
        ...


class TextFile:
    """A text file, compressed or not, that says what is wrong with it; iterate `stream` within `with`.

    Attributes
    ----------
    line : the last line that was read, which the reader keeps
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 0

    def __enter__(self) -> TextIO:
        try:
            if self.path.suffix == ".gz":
                self._stream: TextIO = gzip.open(self.path, "rt", encoding="utf-8", newline="")
            else:
                self._stream = self.path.open(encoding="utf-8", newline="")
        except FileNotFoundError as error:
            raise RecordingError(f"{self.path}: no such file; name a folder that holds a recording") from error
        return self._stream

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._stream.close()
        if isinstance(error, _DAMAGE):
            raise RecordingError(f"{self.path}: damaged after line {self.line} ({error}); fetch it again") from error


def number(cell: str) -> float | str | None:
    """A cell as a number, None where it is empty, the text where it is none."""
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


def iso(timestamp_ms: int) -> str:
    """Epoch milliseconds as ISO 8601 in UTC, with milliseconds only where there are any."""
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds" if timestamp_ms % 1000 else "seconds").replace("+00:00", "Z")
