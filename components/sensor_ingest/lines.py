"""Lines of comma separated values as records. Pure.

Each layout turns one line into the records of its lanes, with the keys `station`, `lane`, `flow`, `speed`,
`occupancy` and `timestamp`, all text; the mapping reads them like any other record. A lane without any value is not
there: archives have columns for eight lanes everywhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

LineLayout = Callable[[str], Iterator[dict[str, str]]]
PER_LANE: Final = 3


class LineError(ValueError):
    """A line does not have the fields of its layout."""


def pems_feed(line: str) -> Iterator[dict[str, str]]:
    """A station's observation as it is sent to PeMS in real time, one a datagram.

    station, number of lanes, then flow, speed and occupancy of each lane, then the local time. Source: Caltrans PeMS
    CSV Traffic Format (published with cagov/caldata-mdsa-caltrans-pems). Raises LineError.
    """
    station, lane_count, *values, timestamp = _fields(line, 3)
    if not lane_count.isdecimal() or int(lane_count) * PER_LANE != len(values):
        raise LineError(f"lanes = {lane_count!r}: {len(values)} values follow, {PER_LANE} a lane are needed")
    return _lanes(station, timestamp, ("flow", "speed", "occupancy"), values)


def pems_archive(line: str) -> Iterator[dict[str, str]]:
    """A row of a PeMS clearinghouse file "station raw": local time, station, then flow, occupancy, speed of each lane.

    Raises LineError.
    """
    timestamp, station, *values = _fields(line, 2)
    if len(values) % PER_LANE:
        raise LineError(f"{len(values)} values follow the station, {PER_LANE} a lane are needed")
    return _lanes(station, timestamp, ("flow", "occupancy", "speed"), values)


LAYOUTS: Final[Mapping[str, LineLayout]] = {"pemsFeed": pems_feed, "pemsArchive": pems_archive}


def _fields(line: str, least: int) -> list[str]:
    fields = [each.strip() for each in line.split(",")]
    if len(fields) < least:
        raise LineError(f"{len(fields)} fields, at least {least} are needed")
    return fields


def _lanes(station: str, timestamp: str, names: Sequence[str], values: Sequence[str]) -> Iterator[dict[str, str]]:
    for lane in range(len(values) // PER_LANE):
        measured = values[PER_LANE * lane : PER_LANE * (lane + 1)]
        if any(measured):
            record = dict(zip(names, measured, strict=True))
            yield record | {"station": station, "lane": str(lane + 1), "timestamp": timestamp}
