"""Recorded readings: a folder with `sensors.csv` and `readings*.csv[.gz]`, as detector archives keep them.

sensors.csv   sensor_id, edge_id (the segment), lane (from 0, so that a lane without a sensor shows), road_class, road,
              speed_limit_kmh, ...; where it has a column order, that is the segment's place along its road in driving
              direction, and negative off the road
readings      sensor_id, timestamp (ISO 8601, START of the interval), vehicle_count, average_speed_kmh and/or
              harmonic_speed_kmh (empty without vehicles), occupancy_pct (0 to 100)
"""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TextIO

from roadside.runtime.segments import SegmentSettings

SENSOR_COLUMNS: Final = ("sensor_id", "edge_id", "lane", "road_class", "road", "speed_limit_kmh")
READING_COLUMNS: Final = ("sensor_id", "timestamp", "vehicle_count", "occupancy_pct")
SPEED_COLUMNS: Final = ("harmonic_speed_kmh", "average_speed_kmh")  # the first one present is taken
ROAD_CLASSES: Final = ("freeway", "ramp", "arterial")
MAX_LIMIT_KMH: Final = 200  # of a segment's free-flow speed
_DAMAGE: Final = (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError, csv.Error)  # while reading a file


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
class RecordedGateway:
    """The segments of one road, or of all streets together, as one gateway would have them."""

    gateway_id: str
    segments: tuple[SegmentSettings, ...]


class Recorded(Protocol):
    """What can be replayed: gateways, and readings of their sensors in the order in which they came."""

    gateways: tuple[RecordedGateway, ...]

    def readings(self) -> Iterator[RecordedReading]:
        """All rows."""

    def interval_ms(self) -> int:
        """Time between two readings of a sensor."""


class Recording:
    """A folder of recorded readings, laid out on gateways: one for each freeway direction, one for all other roads.

    With `stations_per_gateway` a freeway direction has as many gateways as it takes, in driving direction.

    Attributes
    ----------
    roads : the freeway segments of each direction, in driving direction

    Raises
    ------
    RecordingError
        A file or column is missing, or a row of sensors.csv makes no sense.
    """

    def __init__(self, folder: Path, freeway_free_flow_kmh: float, stations_per_gateway: int | None = None) -> None:
        self.folder = folder
        plans = _gateways(folder / "sensors.csv", freeway_free_flow_kmh)
        self.roads = {
            plan.gateway_id: tuple(segment.id for segment in _in_driving_direction(plan.segments))
            for plan in plans
            if _is_freeway(plan)
        }
        if stations_per_gateway is None:
            self.gateways = plans
        else:
            self.gateways = tuple(part for plan in plans for part in _split(plan, stations_per_gateway))
        self.reading_files = sorted(p for p in folder.glob("readings*.csv*") if p.name.endswith((".csv", ".csv.gz")))
        if not self.reading_files:
            raise RecordingError(f"{folder}: no readings*.csv or readings*.csv.gz; name a folder that holds recordings")

    def readings(self) -> Iterator[RecordedReading]:
        """All rows, file after file, in the order of the files."""
        for path in self.reading_files:
            yield from _readings(path)

    def interval_ms(self) -> int:
        """Time between two readings of a sensor, from the rows at the beginning."""
        times: dict[str, set[int]] = {}
        for reading in islice(self.readings(), 20_000):
            if isinstance(reading.timestamp_ms, int):
                times.setdefault(reading.sensor_id, set()).add(reading.timestamp_ms)
        steps = [later - earlier for seen in times.values() for earlier, later in pairwise(sorted(seen))]
        if not steps:
            raise RecordingError(f"{self.reading_files[0]}: no sensor has two readings, so their interval is unknown")
        return max(set(steps), key=steps.count)


def iso(timestamp_ms: int) -> str:
    """Epoch milliseconds as ISO 8601 in UTC, with milliseconds only where there are any."""
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds" if timestamp_ms % 1000 else "seconds").replace("+00:00", "Z")


def _open(path: Path) -> TextIO:
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="")
        return path.open(encoding="utf-8", newline="")
    except FileNotFoundError as error:
        raise RecordingError(f"{path}: no such file; a recording needs sensors.csv and readings*.csv") from error


def _require(header: Sequence[str], columns: tuple[str, ...], path: Path) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise RecordingError(f"{path}: missing column(s) {', '.join(missing)}")


def _sensors(path: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of sensors.csv by segment."""
    sensors: dict[str, list[dict[str, str]]] = {}
    seen: set[str] = set()
    with _open(path) as stream:
        reader = csv.DictReader(stream, restval="")
        try:
            _require(reader.fieldnames or (), SENSOR_COLUMNS, path)
            for row in reader:
                fault = _sensor_fault(row, seen)
                if fault is not None:
                    raise RecordingError(f"{path}: {fault}")
                seen.add(row["sensor_id"])
                sensors.setdefault(row["edge_id"], []).append(row)
        except _DAMAGE as error:
            raise RecordingError(f"{path}: damaged after line {reader.line_num} ({error}); fetch it again") from error
    return sensors


def _sensor_fault(row: dict[str, str], seen: set[str]) -> str | None:
    sensor_id, edge_id, road_class = row["sensor_id"], row["edge_id"], row["road_class"]
    if road_class not in ROAD_CLASSES:
        return f"road_class = {road_class!r} of {sensor_id}: use {', '.join(ROAD_CLASSES)}"
    if not sensor_id or not edge_id:
        return f"sensor_id = {sensor_id!r} of edge_id = {edge_id!r}: give both a name"
    if sensor_id in seen:
        return f"sensor_id = {sensor_id!r} stands there twice; remove one"
    return None


def _gateways(path: Path, freeway_free_flow_kmh: float) -> tuple[RecordedGateway, ...]:
    sensors = _sensors(path)
    if not sensors:
        raise RecordingError(f"{path}: holds no sensor")
    downstream = _downstream(path, sensors)
    by_gateway: dict[str, list[SegmentSettings]] = {}
    first_sensor_number = 0
    for number, (edge_id, rows) in enumerate(sensors.items()):
        road_class = rows[0]["road_class"]
        gateway_id = rows[0]["road"] if road_class == "freeway" else "streets"
        limit_kmh = _number(rows[0]["speed_limit_kmh"])
        if not isinstance(limit_kmh, float) or not 0 < limit_kmh <= MAX_LIMIT_KMH:
            raise RecordingError(
                f"{path}: speed_limit_kmh = {rows[0]['speed_limit_kmh']!r} of {edge_id}: "
                f"give km/h, above 0 and at most {MAX_LIMIT_KMH}"
            )
        segment = SegmentSettings(
            id=edge_id,
            number=number,
            road_class=road_class,  # type: ignore[arg-type]  # checked above
            free_flow_kmh=freeway_free_flow_kmh if road_class == "freeway" else limit_kmh,
            lanes=_lanes(path, rows),
            first_sensor_number=first_sensor_number,
            sensors=[row["sensor_id"] for row in rows],
            downstream=downstream.get(number),
        )
        first_sensor_number += len(rows)
        by_gateway.setdefault(gateway_id, []).append(segment)
    return tuple(RecordedGateway(gateway_id, tuple(segments)) for gateway_id, segments in sorted(by_gateway.items()))


def _is_freeway(plan: RecordedGateway) -> bool:
    return all(segment.road_class == "freeway" for segment in plan.segments)


def _split(plan: RecordedGateway, stations: int) -> Iterator[RecordedGateway]:
    """A freeway direction as gateways of so many segments each, in driving direction; other roads as they are."""
    if not _is_freeway(plan):
        yield plan
        return
    ordered = _in_driving_direction(plan.segments)
    for first in range(0, len(ordered), stations):
        yield RecordedGateway(f"{plan.gateway_id}-{first // stations + 1}", tuple(ordered[first : first + stations]))


def _in_driving_direction(segments: Sequence[SegmentSettings]) -> list[SegmentSettings]:
    by_number = {segment.number: segment for segment in segments}
    entered = {segment.downstream for segment in segments}
    ordered = []
    for segment in segments:
        here = segment if segment.number not in entered else None
        while here is not None:
            ordered.append(here)
            here = None if here.downstream is None else by_number.get(here.downstream)
    return ordered


def _lanes(path: Path, rows: Sequence[dict[str, str]]) -> int:
    """Lanes of a segment: those with sensors, and those that the numbers of these leave out."""
    for row in rows:
        if not row["lane"].isdecimal():
            raise RecordingError(f"{path}: lane = {row['lane']!r} of {row['sensor_id']}: count lanes from 0")
    return 1 + max(int(row["lane"]) for row in rows)


def _downstream(path: Path, sensors: Mapping[str, list[dict[str, str]]]) -> dict[int, int]:
    """Number of the next segment along the road, by segment number; the last of a road has none."""
    roads: dict[str, list[tuple[float, int]]] = {}
    for number, (edge_id, rows) in enumerate(sensors.items()):
        order = _number(rows[0].get("order", ""))
        if isinstance(order, str) or (order is not None and not math.isfinite(order)):
            raise RecordingError(f"{path}: order = {rows[0]['order']!r} of {edge_id}: give a number, or nothing")
        if order is not None and order >= 0:
            roads.setdefault(rows[0]["road"], []).append((order, number))
    return {here: there for places in roads.values() for (_, here), (_, there) in pairwise(sorted(places))}


def _readings(path: Path) -> Iterator[RecordedReading]:
    with _open(path) as stream:
        reader = csv.reader(stream)
        try:
            header = next(reader, [])
            _require(header, READING_COLUMNS, path)
            speed_column = next((column for column in SPEED_COLUMNS if column in header), None)
            if speed_column is None:
                raise RecordingError(f"{path}: missing a column {' or '.join(SPEED_COLUMNS)}")
            columns = ("sensor_id", "timestamp", "vehicle_count", speed_column, "occupancy_pct")
            sensor, timestamp, count, speed, occupancy = (header.index(column) for column in columns)
            width = max(sensor, timestamp, count, speed, occupancy) + 1
            for cells in reader:
                if not cells:
                    continue  # a blank line
                row = cells if len(cells) >= width else cells + [""] * (width - len(cells))
                occupancy_pct = _number(row[occupancy])
                yield RecordedReading(
                    row[sensor],
                    _milliseconds(row[timestamp]),
                    _number(row[count]),
                    _number(row[speed]),
                    occupancy_pct / 100 if isinstance(occupancy_pct, float) else occupancy_pct,
                )
        except _DAMAGE as error:
            raise RecordingError(f"{path}: damaged after line {reader.line_num} ({error}); fetch it again") from error


def _number(cell: str) -> float | str | None:
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


@lru_cache(maxsize=1024)  # a recording's sensors report at the same instants
def _milliseconds(cell: str) -> int | str:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return cell
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
