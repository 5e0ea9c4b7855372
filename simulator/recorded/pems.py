"""The formats `pems-5min` and `pems-raw`: files of the Caltrans PeMS Data Clearinghouse, as they are fetched.

d04_text_meta_*.txt           tabs or commas, with a head: ID, Fwy, Dir, Abs_PM, Type, Lanes, ...; one station a row
d04_text_station_5min_*.txt   no head: local time (start), station, district, freeway, direction, lane type, length,
                              samples, % observed, flow, occupancy, speed; then of each lane samples, flow, occupancy,
                              speed, observed
d04_text_station_raw_*.txt    no head, every 30 s: local time, station; then of each lane flow, occupancy, speed

Flow is vehicles in the interval, occupancy a share, speed mph. A lane that was not observed has values that PeMS
imputed: those are no measurements, and are rejected as such. Times are those of Los Angeles; of the hour that passes
twice in autumn the first is taken. PeMS counts lanes from the median, from 1, and postmiles grow northwards and
eastwards.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulator.recorded.values import RecordedReading, RecordedSensor, RecordingError, RoadClass, TextFile, number

KMH_PER_MPH: Final = 1.609344
TIME_ZONE: Final = "America/Los_Angeles"
META_COLUMNS: Final = ("ID", "Fwy", "Dir", "Abs_PM", "Type", "Lanes")
TYPES: Final[Mapping[str, tuple[RoadClass, str]]] = {
    "ML": ("freeway", ""),
    "HV": ("freeway", "-HV"),  # a carriageway of its own
    "CH": ("arterial", ""),
    "CD": ("ramp", ""),
    "FF": ("ramp", ""),
    "FR": ("ramp", ""),
    "OR": ("ramp", ""),
}
"""Type of a station -> class of its road, and what its road's name has behind freeway and direction."""
LIMIT_KMH: Final = {"freeway": 105.0, "arterial": 80.0, "ramp": 60.0}
"""PeMS tells no limits; these are what streets and ramps are judged by."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a row has a lane's values: the first lane's first cell, cells a lane, and places among them."""

    glob: str
    first: int
    cells: int
    flow: int
    occupancy: int
    speed: int
    observed: int | None


LAYOUTS: Final[Mapping[str, Layout]] = {
    "pems-5min": Layout("*station_5min*", 12, 5, flow=1, occupancy=2, speed=3, observed=4),
    "pems-raw": Layout("*station_raw*", 2, 3, flow=0, occupancy=1, speed=2, observed=None),
}


class Pems:
    """Reads such a folder: the newest file of stations, and all files of readings of one kind.

    Raises
    ------
    RecordingError
        Files or columns are missing, or the file of stations makes no sense.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._layout = layout
        self.rejected: Counter[str] = Counter()
        self.files: Sequence[Path] = _files(folder, layout.glob)
        if not self.files:
            raise RecordingError(f"{folder}: no {layout.glob}.txt[.gz]; name a folder that holds such files")
        metas = _files(folder, "*meta*")
        if not metas:
            raise RecordingError(
                f"{folder}: no *meta*.txt[.gz], which tells where stations are; fetch it from Station Metadata"
            )
        try:
            self._zone = ZoneInfo(TIME_ZONE)
        except ZoneInfoNotFoundError as error:
            raise RecordingError(f"{metas[-1]}: its times need the time zone {TIME_ZONE}; install tzdata") from error
        self._milliseconds = lru_cache(maxsize=1024)(self._parse)
        heard = {cells[1].strip() for cells in self._rows() if len(cells) > 1}
        self._lanes = {station: lanes for station, lanes in _stations(metas[-1]).items() if station in heard}
        if not self._lanes:
            raise RecordingError(
                f"{metas[-1]}: knows none of the stations in {self.files[0].name}; fetch that of its day"
            )

    def sensors(self) -> Mapping[str, Sequence[RecordedSensor]]:
        return self._lanes

    def readings(self) -> Iterator[RecordedReading]:
        """One reading of each lane with values; rows that are none are counted."""
        self.rejected.clear()
        layout = self._layout
        for cells in self._rows():
            if len(cells) < layout.first:
                self.rejected["too few cells"] += 1
                continue
            timestamp_ms = self._milliseconds(cells[0])
            lanes = self._lanes.get(cells[1].strip())
            if timestamp_ms is None:
                self.rejected["no time as 01/31/2024 08:00:00"] += 1
            elif lanes is None:
                self.rejected["a station without metadata"] += 1
            else:
                for sensor in lanes:
                    reading = self._reading(sensor, timestamp_ms, cells)
                    if reading is not None:
                        yield reading

    def _reading(self, sensor: RecordedSensor, timestamp_ms: int, cells: Sequence[str]) -> RecordedReading | None:
        layout = self._layout
        first = layout.first + layout.cells * sensor.lane
        of_lane = cells[first : first + layout.cells]
        if len(of_lane) < layout.cells:
            self.rejected["a lane without cells"] += 1
            return None
        flow, occupancy, speed = of_lane[layout.flow], of_lane[layout.occupancy], of_lane[layout.speed]
        if not (flow or occupancy or speed):
            return None  # not measured: archives have cells for eight lanes everywhere
        if layout.observed is not None and of_lane[layout.observed].strip() not in {"1", "100"}:
            self.rejected["imputed, not observed"] += 1
            return None
        count, speed_mph = number(flow), number(speed)
        if isinstance(speed_mph, float):
            # PeMS gives a lane without vehicles a speed all the same.
            speed_kmh = None if count == 0.0 else round(speed_mph * KMH_PER_MPH, 1)
            return RecordedReading(sensor.sensor_id, timestamp_ms, count, speed_kmh, number(occupancy))
        return RecordedReading(sensor.sensor_id, timestamp_ms, count, speed_mph, number(occupancy))

    def _rows(self) -> Iterator[list[str]]:
        for path in self.files:
            file = TextFile(path)
            with file as stream:
                reader = csv.reader(stream)
                for cells in reader:
                    file.line = reader.line_num
                    if cells:
                        yield cells

    def _parse(self, text: str) -> int | None:
        try:
            local = datetime.strptime(text.strip(), "%m/%d/%Y %H:%M:%S").replace(tzinfo=self._zone)
        except ValueError:
            return None
        return round(local.timestamp() * 1000)


def _files(folder: Path, glob: str) -> list[Path]:
    return sorted(path for path in folder.glob(glob) if path.name.removesuffix(".gz").endswith((".txt", ".csv")))


def _stations(path: Path) -> dict[str, list[RecordedSensor]]:
    """The lanes of every station in a file of metadata."""
    stations: dict[str, list[RecordedSensor]] = {}
    file = TextFile(path)
    with file as stream:
        head = stream.readline()
        delimiter = "\t" if "\t" in head else ","
        names = [name.strip() for name in head.split(delimiter)]
        # Names of stations have quotes that nobody closes.
        reader = csv.DictReader(stream, names, restval="", delimiter=delimiter, quoting=csv.QUOTE_NONE)
        missing = [column for column in META_COLUMNS if column not in names]
        if missing:
            raise RecordingError(f"{path}: missing column(s) {', '.join(missing)}; is it a file of Station Metadata?")
        for row in reader:
            file.line = reader.line_num
            if row["Type"] not in TYPES:
                raise RecordingError(f"{path}: Type = {row['Type']!r} of station {row['ID']}: use {', '.join(TYPES)}")
            if not row["Lanes"].isdecimal():
                raise RecordingError(f"{path}: Lanes = {row['Lanes']!r} of station {row['ID']}: give a whole number")
            postmile = number(row["Abs_PM"])
            if isinstance(postmile, str):
                raise RecordingError(f"{path}: Abs_PM = {postmile!r} of station {row['ID']}: give miles, or nothing")
            stations[row["ID"]] = _lanes_of(row, postmile)
    return stations


def _lanes_of(row: Mapping[str, str], postmile: float | None) -> list[RecordedSensor]:
    road_class, suffix = TYPES[row["Type"]]
    forward = row["Dir"] in {"N", "E"}
    return [
        RecordedSensor(
            sensor_id=f"{row['ID']}-{lane + 1}",
            segment_id=row["ID"],
            lane=lane,
            road_class=road_class,
            road=f"{row['Fwy']}-{row['Dir']}{suffix}",
            speed_limit_kmh=LIMIT_KMH[road_class],
            order=None if postmile is None or road_class == "ramp" else (postmile if forward else -postmile),
        )
        for lane in range(int(row["Lanes"]))
    ]
