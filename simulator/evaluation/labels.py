"""What truly happened in a piece of traffic: incidents, and the speed of every station's segment, minute by minute.

A recording has it in two files beside its readings:

incidents.csv     incident_id, kind (freeway or other), road, edge_id, lanes_blocked ("0" or "0|1"), start, end,
                  upstream_edge (the last station before the blockage)
truth_segments_60s.csv[.gz]
                  segment_id, timestamp (start of the minute), space_mean_speed_kmh (of ALL vehicles on the segment;
                  empty where there was none)
"""

import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

import numpy as np
import numpy.typing as npt

from simulator.recorded.recording import Recording, RecordingError

MINUTE_S: Final = 60.0
_INCIDENTS: Final = "incidents.csv"
_TRUTH: Final = ("truth_segments_60s.csv.gz", "truth_segments_60s.csv")
_INCIDENT_COLUMNS: Final = ("incident_id", "kind", "road", "edge_id", "lanes_blocked", "start", "end", "upstream_edge")
_TRUTH_COLUMNS: Final = ("segment_id", "timestamp", "space_mean_speed_kmh")


@dataclass(frozen=True, slots=True)
class TrueIncident:
    """A blockage of a freeway.

    Parameters
    ----------
    station : place along the road, from 0, of the last station before the blockage
    segments : that station's, and the one in which the blockage is
    start_s, end_s : epoch seconds
    """

    name: str
    road: str
    station: int
    segments: tuple[str, ...]
    lanes_blocked: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The truth of the freeways.

    Parameters
    ----------
    roads : the segments of each road in driving direction; each has one station
    incidents : in the order of their start
    minutes_s : [minutes], epoch seconds of their starts, without a gap
    speed_kmh : [minutes, stations], road after road; NaN where no vehicle was
    free_flow_kmh : against which congestion is measured
    """

    roads: Mapping[str, tuple[str, ...]]
    incidents: tuple[TrueIncident, ...]
    minutes_s: npt.NDArray[np.float64]
    speed_kmh: npt.NDArray[np.float64]
    free_flow_kmh: float

    @property
    def stations(self) -> tuple[str, ...]:
        """All segments, in the order of the columns of `speed_kmh`."""
        return tuple(segment for road in self.roads.values() for segment in road)

    @property
    def begin_s(self) -> float:
        return float(self.minutes_s[0])

    @property
    def end_s(self) -> float:
        return float(self.minutes_s[-1]) + MINUTE_S

    @property
    def station_hours(self) -> float:
        return len(self.stations) * (self.end_s - self.begin_s) / 3600


def read_labels(recording: Recording, free_flow_kmh: float) -> Labels:
    """The truth beside a recording's readings.

    Raises
    ------
    RecordingError
        A file or column is missing, or holds what cannot be.
    """
    roads = recording.roads
    road_of = {segment: road for road, segments in roads.items() for segment in segments}
    if not roads:
        raise RecordingError(f"{recording.folder / 'sensors.csv'}: no freeway; incidents are judged on freeways alone")
    minutes_s, speed_kmh = _truth(recording.folder, [segment for road in roads.values() for segment in road])
    return Labels(roads, _incidents(recording.folder / _INCIDENTS, roads, road_of), minutes_s, speed_kmh, free_flow_kmh)


def _incidents(
    path: Path, roads: Mapping[str, tuple[str, ...]], road_of: Mapping[str, str]
) -> tuple[TrueIncident, ...]:
    found = []
    for line, row in _rows(path, _INCIDENT_COLUMNS):
        if row["kind"] != "freeway":
            continue
        upstream, own = row["upstream_edge"], row["edge_id"]
        if upstream not in road_of:
            raise RecordingError(f"{path}: upstream_edge = {upstream!r} in line {line}: name a freeway segment")
        found.append(
            TrueIncident(
                name=row["incident_id"],
                road=road_of[upstream],
                station=roads[road_of[upstream]].index(upstream),
                segments=tuple(dict.fromkeys(name for name in (upstream, own) if name in road_of)),
                lanes_blocked=len(row["lanes_blocked"].split("|")),
                start_s=_epoch_s(row["start"], path, line),
                end_s=_epoch_s(row["end"], path, line),
            )
        )
    return tuple(sorted(found, key=lambda incident: incident.start_s))


def _truth(folder: Path, stations: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    path = next((folder / name for name in _TRUTH if (folder / name).exists()), folder / _TRUTH[0])
    column = {segment: place for place, segment in enumerate(stations)}
    cells: dict[tuple[float, int], float] = {}
    for line, row in _rows(path, _TRUTH_COLUMNS):
        place = column.get(row["segment_id"])
        if place is not None:
            minute_s = _epoch_s(row["timestamp"], path, line)
            cells[minute_s, place] = _speed(row["space_mean_speed_kmh"], path, line)
    if not cells:
        raise RecordingError(f"{path}: tells nothing of the freeway's segments")
    begin_s, last_s = min(cells)[0], max(cells)[0]
    minutes_s = np.arange(begin_s, last_s + MINUTE_S, MINUTE_S)
    speed_kmh = np.full((minutes_s.size, len(stations)), np.nan)
    for (minute_s, place), speed in cells.items():
        row_number, rest = divmod(minute_s - begin_s, MINUTE_S)
        if rest:
            raise RecordingError(
                f"{path}: timestamps stand {rest:g} s past a whole minute from the first; give minutes"
            )
        speed_kmh[int(row_number), place] = speed
    return minutes_s, speed_kmh


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Each row with the number of its line."""
    try:
        with _open(path) as stream:
            reader = csv.DictReader(stream, restval="")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise RecordingError(f"{path}: missing column(s) {', '.join(missing)}")
            return [(reader.line_num, row) for row in reader]
    except FileNotFoundError as error:
        raise RecordingError(f"{path}: no such file; a labelled recording has incidents.csv and {_TRUTH[0]}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path}: damaged ({error}); fetch it again") from error


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _epoch_s(cell: str, path: Path, line: int) -> float:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise RecordingError(f"{path}: {cell!r} in line {line}: give a time in ISO 8601") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _speed(cell: str, path: Path, line: int) -> float:
    try:
        return float(cell) if cell else np.nan
    except ValueError:
        raise RecordingError(f"{path}: space_mean_speed_kmh = {cell!r} in line {line}: give km/h, or nothing") from None
