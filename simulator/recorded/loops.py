"""The format `loops`: `sensors.csv` and `readings*.csv[.gz]`, as detector archives and SUMO keep them.

sensors.csv   sensor_id, edge_id (the segment), lane (from 0), road_class, road, speed_limit_kmh, ...; where it has a
              column order, that is the segment's place along its road in driving direction, and negative off the road
readings      sensor_id, timestamp (ISO 8601, START of the interval), vehicle_count, average_speed_kmh and/or
              harmonic_speed_kmh (empty without vehicles), occupancy_pct (0 to 100)
"""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, get_args

from simulator.recorded.values import RecordedReading, RecordedSensor, RecordingError, RoadClass, TextFile, number

SENSOR_COLUMNS: Final = ("sensor_id", "edge_id", "lane", "road_class", "road", "speed_limit_kmh")
READING_COLUMNS: Final = ("sensor_id", "timestamp", "vehicle_count", "occupancy_pct")
SPEED_COLUMNS: Final = ("harmonic_speed_kmh", "average_speed_kmh")  # the first one present is taken
ROAD_CLASSES: Final = get_args(RoadClass)
MAX_LIMIT_KMH: Final = 200  # of a segment's free-flow speed


class Loops:
    """Reads such a folder.

    Raises
    ------
    RecordingError
        There are no readings.
    """

    def __init__(self, folder: Path) -> None:
        self._sensors = read_sensors(folder / "sensors.csv")
        self.files: Sequence[Path] = sorted(
            path for path in folder.glob("readings*.csv*") if path.name.endswith((".csv", ".csv.gz"))
        )
        self.rejected: Counter[str] = Counter()
        if not self.files:
            raise RecordingError(f"{folder}: no readings*.csv or readings*.csv.gz; name a folder that holds recordings")

    def sensors(self) -> Mapping[str, Sequence[RecordedSensor]]:
        return self._sensors

    def readings(self) -> Iterator[RecordedReading]:
        """All rows; whether they make sense the gateway judges."""
        for path in self.files:
            yield from _readings(path)


def read_sensors(path: Path) -> dict[str, list[RecordedSensor]]:
    """The rows of a sensors.csv by segment.

    Raises
    ------
    RecordingError
        It is missing, damaged, lacks a column, or a row makes no sense.
    """
    sensors: dict[str, list[RecordedSensor]] = {}
    seen: set[str] = set()
    file = TextFile(path)
    with file as stream:
        reader = csv.DictReader(stream, restval="")
        _require(reader.fieldnames or (), SENSOR_COLUMNS, path)
        for row in reader:
            file.line = reader.line_num
            sensor = _sensor(row, path)
            if sensor.sensor_id in seen:
                raise RecordingError(f"{path}: sensor_id = {sensor.sensor_id!r} stands there twice; remove one")
            seen.add(sensor.sensor_id)
            sensors.setdefault(sensor.segment_id, []).append(sensor)
    if not sensors:
        raise RecordingError(f"{path}: holds no sensor")
    return sensors


def _sensor(row: Mapping[str, str], path: Path) -> RecordedSensor:
    sensor_id, edge_id, road_class, lane = row["sensor_id"], row["edge_id"], row["road_class"], row["lane"]
    if not sensor_id or not edge_id:
        raise RecordingError(f"{path}: sensor_id = {sensor_id!r} of edge_id = {edge_id!r}: give both a name")
    if road_class not in ROAD_CLASSES:
        raise RecordingError(f"{path}: road_class = {road_class!r} of {sensor_id}: use {', '.join(ROAD_CLASSES)}")
    if not lane.isdecimal():
        raise RecordingError(f"{path}: lane = {lane!r} of {sensor_id}: count lanes from 0")
    limit_kmh = number(row["speed_limit_kmh"])
    if not isinstance(limit_kmh, float) or not 0 < limit_kmh <= MAX_LIMIT_KMH:
        raise RecordingError(
            f"{path}: speed_limit_kmh = {row['speed_limit_kmh']!r} of {edge_id}: "
            f"give km/h, above 0 and at most {MAX_LIMIT_KMH}"
        )
    order = number(row.get("order", ""))
    if isinstance(order, str) or (order is not None and not math.isfinite(order)):
        raise RecordingError(f"{path}: order = {row['order']!r} of {edge_id}: give a number, or nothing")
    return RecordedSensor(
        sensor_id=sensor_id,
        segment_id=edge_id,
        lane=int(lane),
        road_class=road_class,  # type: ignore[arg-type]  # checked above
        road=row["road"],
        speed_limit_kmh=limit_kmh,
        order=None if order is None or order < 0 else order,
    )


def _require(header: Sequence[str], columns: tuple[str, ...], path: Path) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise RecordingError(f"{path}: missing column(s) {', '.join(missing)}")


def _readings(path: Path) -> Iterator[RecordedReading]:
    file = TextFile(path)
    with file as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        _require(header, READING_COLUMNS, path)
        speed_column = next((column for column in SPEED_COLUMNS if column in header), None)
        if speed_column is None:
            raise RecordingError(f"{path}: missing a column {' or '.join(SPEED_COLUMNS)}")
        columns = ("sensor_id", "timestamp", "vehicle_count", speed_column, "occupancy_pct")
        sensor, timestamp, count, speed, occupancy = (header.index(column) for column in columns)
        width = max(sensor, timestamp, count, speed, occupancy) + 1
        for cells in reader:
            file.line = reader.line_num
            if not cells:
                continue  # a blank line
            row = cells if len(cells) >= width else cells + [""] * (width - len(cells))
            occupancy_pct = number(row[occupancy])
            yield RecordedReading(
                row[sensor],
                milliseconds(row[timestamp]),
                number(row[count]),
                number(row[speed]),
                occupancy_pct / 100 if isinstance(occupancy_pct, float) else occupancy_pct,
            )


@lru_cache(maxsize=1024)  # a recording's sensors report at the same instants
def milliseconds(text: str) -> int | str:
    """An instant of ISO 8601, in UTC where it names no offset; the text itself where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
