"""Every table of the data lake: names, columns, partitions, format. Pure, and the only place that knows them.

Units are in the names: `_ms` milliseconds (instants since the epoch, UTC), `_dkmh` tenths of km/h, `_kmh` km/h,
`_ms_per_km` milliseconds per kilometre. Whatever is called a sum or a count adds over rows without error; means and
percentiles do not, and are taken anew from the sums and the sketch.

The sketch of a row counts its vehicles by speed: `sketch_counts[k]` vehicles (the first k being 0) are in bin
`sketch_first_bin + k` of `roadside.contract.sketch_bins`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_DAY: Final = "2026-01-01"  # no data of Roadside is older; Athena lists no partition before it


class Format(StrEnum):
    """How the objects of a table are written."""

    PARQUET = "parquet"  # by Firehose, from JSON
    JSON = "json"  # one document a line, gzip
    CSV = "csv"  # with a header


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Parameters
    ----------
    type : as Glue calls it
    meaning : one sentence for the catalogue
    key : its name in the JSON that Firehose is given, which is billed by the byte; None where that is `name`
    """

    name: str
    type: str
    meaning: str
    key: str | None = None

    @property
    def json_key(self) -> str:
        return self.key or self.name


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of an object's path, `name=value/`. `projection` is what Athena's partition projection is told of it."""

    name: str
    type: str
    meaning: str
    projection: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A table, whose objects lie under `prefix` in the lake's bucket."""

    name: str
    meaning: str
    format: Format
    columns: tuple[Column, ...]
    partitions: tuple[Partition, ...] = ()
    folder: str = ""

    @property
    def prefix(self) -> str:
        return f"{self.folder}{self.name}/"

    def column_names(self) -> tuple[str, ...]:
        """Names of all columns, partitions last, as `SELECT *` gives them."""
        return tuple(c.name for c in self.columns) + tuple(p.name for p in self.partitions)


def _day(meaning: str) -> Partition:
    dates = (("type", "date"), ("range", f"{FIRST_DAY},NOW"), ("format", "yyyy-MM-dd"))
    return Partition("dt", "string", meaning, (*dates, ("interval", "1"), ("interval.unit", "DAYS")))


_ARRIVAL_DAY: Final = _day("UTC day on which the row arrived, yyyy-MM-dd")
_ARRIVAL_HOUR: Final = Partition(
    "hour",
    "string",
    "UTC hour in which the row arrived, 00 to 23",
    (("type", "integer"), ("range", "0,23"), ("digits", "2")),
)


def _sums(*, with_keys: bool) -> Iterator[Column]:
    """What a window and a rollup tell alike of a segment's traffic. All of these add, but for the two speeds."""
    for name, kind, key, meaning in (
        ("vehicle_count", "bigint", "n", "Vehicles"),
        ("vehicles_without_speed", "bigint", "nw", "Those of them whose speed was not measured"),
        ("clipped_vehicles", "bigint", "nc", "Those of them slower than 3 km/h, which count as 3 km/h in paces"),
        ("speed_sum_dkmh", "bigint", "v", "Sum of their speeds"),
        ("pace_sum_ms_per_km", "bigint", "p", "Sum of their paces; 3600000 x vehicles with a speed / it is the mean"),
        ("speed_square_sum", "bigint", "vv", "Sum of their squared speeds in dkmh squared"),
        ("speed_min_dkmh", "int", "lo", "Slowest; null where no vehicle had a speed"),
        ("speed_max_dkmh", "int", "hi", "Fastest; null where no vehicle had a speed"),
        ("occupied_ms", "bigint", "o", "Time for which zones were covered, all sensors together"),
        ("observed_ms", "bigint", "ob", "Time for which that was measured; occupied_ms / it is the occupancy"),
        ("readings_accepted", "bigint", "ra", "Readings in the sums"),
        ("readings_duplicate", "bigint", "rd", "Readings that repeated an accepted one"),
        ("readings_late", "bigint", "rl", "Accepted readings that came after the window was first sent"),
        ("readings_rejected", "bigint", "rr", "Readings refused for a value out of range"),
    ):
        yield Column(name, kind, meaning, key if with_keys else None)


def _sketch(*, with_keys: bool) -> Iterator[Column]:
    for name, kind, key, meaning in (
        ("sketch_error_permille", "int", "e", "Relative error of the sketch, which fixes its bins"),
        ("sketch_first_bin", "int", "b", "First occupied bin"),
        ("sketch_counts", "array<int>", "c", "Vehicles in each bin from there to the last occupied one"),
    ):
        yield Column(name, kind, meaning, key if with_keys else None)


SEGMENT_WINDOWS: Final = LakeTable(
    "segment_windows",
    "A segment in one edition of a window. The highest revision counts (LATEST_EDITIONS); two epochs' windows add",
    Format.PARQUET,
    (
        Column("gateway", "string", "Who saw it", "g"),
        Column("epoch_ms", "bigint", "When the gateway's memory began", "ep"),
        Column("sequence", "bigint", "Message of the gateway that told it", "q"),
        Column("window_start_ms", "bigint", "First instant of the window", "w"),
        Column("window_ms", "int", "Its length; longer where a backlog was merged", "wl"),
        Column("revision", "int", "Edition of the window, from 0", "r"),
        Column("backfill", "boolean", "Whether it left more than a minute after the window had closed", "bf"),
        Column("received_ms", "bigint", "When IoT Core received it", "t"),
        Column("segment", "int", "City-wide number of the segment", "s"),
        *_sums(with_keys=True),
        Column("congestion_level", "int", "0 to 100 at the window's end; null where nothing tells it", "l"),
        Column("congestion_state", "string", "unknown, free or congested", "cs"),
        Column("sensors_reporting", "int", "Sensors with at least one accepted reading", "sr"),
        Column("sensors_excluded", "int", "Sensors left out as faulty", "sx"),
        *_sketch(with_keys=True),
    ),
    (_ARRIVAL_DAY, _ARRIVAL_HOUR),
)

SENSOR_INTERVALS: Final = LakeTable(
    "sensor_intervals",
    "A sensor in an interval of some minutes. A repeated row is equal in gateway, epoch_ms, interval_start_ms, sensor",
    Format.PARQUET,
    (
        Column("gateway", "string", "Whose sensor it is", "g"),
        Column("epoch_ms", "bigint", "When the gateway's memory began", "ep"),
        Column("sequence", "bigint", "Message of the gateway that told it", "q"),
        Column("interval_start_ms", "bigint", "First instant of the interval", "w"),
        Column("interval_ms", "int", "Its length", "wl"),
        Column("received_ms", "bigint", "When IoT Core received it", "t"),
        Column("sensor", "int", "City-wide number of the sensor", "s"),
        Column("readings_accepted", "bigint", "Readings in the sums", "ra"),
        Column("vehicle_count", "bigint", "Vehicles", "n"),
        Column("vehicles_without_speed", "bigint", "Those of them whose speed was not measured", "nw"),
        Column("pace_sum_ms_per_km", "bigint", "Sum of the paces of the others", "p"),
        Column("occupied_ms", "bigint", "Time for which the zone was covered", "o"),
        Column("observed_ms", "bigint", "Time for which that was measured", "ob"),
        Column("fault", "string", "What is wrong with it at the interval's end; null while it is believed", "f"),
    ),
    (_ARRIVAL_DAY,),
)

EVENTS: Final = LakeTable(
    "events",
    "What the bus told, at least once each (event_id). A column that the kind of event does not have is null",
    Format.PARQUET,
    (
        Column("event_id", "string", "The same however often the event was told"),
        Column("kind", "string", "CongestionStarted and so on"),
        Column("gateway", "string", "Who said so, or whom it is about"),
        Column("segment_id", "string", "Name of the segment"),
        Column("segment_number", "int", "Its number"),
        Column("downstream_segment_number", "int", "The next segment, with which it was compared"),
        Column("sensor_id", "string", "Name of the sensor"),
        Column("sensor_number", "int", "Its number"),
        Column("fault", "string", "What is wrong with the sensor, or was"),
        Column("occurred_ms", "bigint", "When it was known"),
        Column("started_ms", "bigint", "occurred_ms of the event that this one is or ends"),
        Column("average_speed_kmh", "double", "Smoothed as the detector saw it"),
        Column("downstream_speed_kmh", "double", "Likewise, of the next segment"),
        Column("occupancy", "double", "0 to 1, likewise"),
        Column("congestion_level", "int", "0 to 100"),
        Column("score", "double", "Evidence of an incident in the detector's own measure"),
        Column("severity", "string", "How much it matters"),
        Column("headline", "string", "It in one line"),
        Column("text", "string", "It as a short message"),
        Column("notify", "boolean", "Whether people were told"),
    ),
    (_ARRIVAL_DAY,),
)


def _rollup_columns(span: str) -> tuple[Column, ...]:
    return (
        Column("segment", "int", "City-wide number of the segment"),
        Column("windows", "bigint", "Windows in the sums, those of two epochs counted each"),
        Column("covered_ms", "bigint", f"Time of the {span} that they cover"),
        *_sums(with_keys=False),
        Column("sensors_reporting", "int", "Most that reported in any one window"),
        Column("sensors_excluded", "int", "Most that were left out of any one window"),
        Column("congested_ms", "bigint", "Time in windows whose state was congested"),
        Column("congestion_level_max", "int", "Highest level; null where no window had one"),
        Column("average_speed_kmh", "double", "Space mean (harmonic mean over vehicles); null where none had a speed"),
        Column("occupancy", "double", "0 to 1; null where nothing was observed"),
        Column("p15_kmh", "double", "Speed below which 15 % of the vehicles stayed, within the sketch's error"),
        Column("p50_kmh", "double", "Median speed, likewise"),
        Column("p85_kmh", "double", "Speed below which 85 % of the vehicles stayed, likewise"),
        *_sketch(with_keys=False),
    )


HOURLY: Final = LakeTable(
    "hourly",
    "A segment in a UTC hour: the windows that begin in it. One object an hour, replaced when it changes",
    Format.JSON,
    (
        Column("hour_start_ms", "bigint", "First instant of the hour"),
        Column("hour_of_day", "int", "0 to 23, UTC"),
        *_rollup_columns("hour"),
    ),
    (_day("UTC day of the hour, yyyy-MM-dd"),),
)

DAILY: Final = LakeTable(
    "daily",
    "A segment in a UTC day: its hours together. One object a day, replaced when it changes",
    Format.JSON,
    (Column("day_start_ms", "bigint", "First instant of the day"), *_rollup_columns("day")),
    (_day("UTC day, yyyy-MM-dd"),),
)

SEGMENTS: Final = LakeTable(
    "segments",
    "The city's segments, as `python -m cloud.catalogue load` was given them",
    Format.CSV,
    (
        Column("segment", "int", "City-wide number"),
        Column("segment_id", "string", "Name"),
        Column("gateway", "string", "Who watches it"),
        Column("district", "string", "Where it lies"),
        Column("road_class", "string", "freeway, arterial and so on"),
        Column("lanes", "int", "Lanes"),
        Column("length_m", "double", "Length"),
        Column("free_flow_kmh", "double", "Speed when nothing hinders"),
        Column("latitude", "double", "Of its middle, degrees north"),
        Column("longitude", "double", "Of its middle, degrees east"),
        Column("downstream", "int", "Next segment along the road; null where there is none"),
    ),
    folder="catalogue/",
)

TABLES: Final = (SEGMENT_WINDOWS, SENSOR_INTERVALS, EVENTS, HOURLY, DAILY, SEGMENTS)

SEGMENTS_KEY: Final = f"{SEGMENTS.prefix}segments.csv"
"""The one object of the table `segments`."""

LATEST_EDITIONS: Final = """\
latest_editions AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (
            PARTITION BY gateway, epoch_ms, window_start_ms, segment ORDER BY revision DESC, received_ms DESC
        ) AS edition
        FROM segment_windows
    ) AS editions
    WHERE edition = 1
)"""
"""Common table expression for queries over `segment_windows`: each window once, as its last edition says.

Restrict `dt` within it where the days are known; a late edition arrives after the window's own day.
"""
