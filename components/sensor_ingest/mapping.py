"""A vendor's records as readings of ours: field names, units and ranges. Pure.

Quantisation is that of the frame: speeds to 0.1 km/h ("dkmh"), occupancy to 0.001 ("permille"). What is out of range
refuses the reading with a reason, as the Aggregator would; the reasons are few, so that they can be counted.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal

import msgspec

from sensor_ingest.lines import LAYOUTS, LineError, LineLayout

OccupancyUnit = Literal["fraction", "percent", "permille", "halfPercent"]
SpeedUnit = Literal["kmh", "mph"]
TimestampUnit = Literal["ms", "s", "iso8601", "usDateTime", "arrival"]

MAX_VEHICLES: Final = 1000  # the ranges of roadside.core.readings, which this component does not load
MAX_SPEED_DKMH: Final = 2550
MAX_OCCUPANCY_PERMILLE: Final = 1000
EARLIEST_MS: Final = 946_684_800_000  # 2000: an earlier instant is seconds taken for milliseconds, or a clock not set
LATEST_MS: Final = 4_102_444_800_000  # 2100

PERMILLE_PER: Final[Mapping[OccupancyUnit, float]] = {
    "fraction": 1000.0,
    "percent": 10.0,
    "permille": 1.0,
    "halfPercent": 5.0,
}
DKMH_PER: Final[Mapping[SpeedUnit, float]] = {"kmh": 10.0, "mph": 16.09344}
# NTCIP 1202, volume/occupancy report: values over 200 half per cents are what the detector says of itself.
DETECTOR_FAULTS: Final[Mapping[float, str]] = {
    210: "max presence",
    211: "no activity",
    212: "open loop",
    213: "shorted loop",
}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_US_DATE_TIME: Final = "%m/%d/%Y %H:%M:%S"
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # too deep a nesting is the last

_decode = msgspec.json.Decoder().decode


class RefusedError(ValueError):
    """A record is no reading.

    Attributes
    ----------
    reason : str
        The field and what is wrong with it, without the value: one of few, to count by.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one sensor saw since its previous reading.

    Parameters
    ----------
    sensor_number : city-wide number
    timestamp_ms : epoch milliseconds UTC
    vehicle_count : vehicles since the sensor's previous reading
    speed_dkmh : their mean speed in 0.1 km/h, None where not measured
    occupancy_permille : share of time that the zone was covered, None where not measured
    """

    sensor_number: int
    timestamp_ms: int
    vehicle_count: int
    speed_dkmh: int | None
    occupancy_permille: int | None


@dataclass(frozen=True, slots=True)
class MappingRules:
    """How a vendor writes a reading.

    Parameters
    ----------
    sensor_id, lane, timestamp, vehicle_count, speed, occupancy : path of the value in a record, with dots between
        levels; alternatives after `|`, of which the first that is present counts; "" for none. A lane makes
        `<sensor_id>-<lane>` of the id.
    records : path of the list of records in an envelope; where it is absent, the whole is one record
    lines : what a payload that is not JSON consists of, a key of `lines.LAYOUTS`; None where all is JSON
    """

    sensor_id: str = "sensor_id"
    lane: str = ""
    timestamp: str = "timestamp"
    vehicle_count: str = "vehicle_count"
    speed: str = "average_speed_kmh"
    occupancy: str = "occupancy"
    records: str = ""
    lines: str | None = None
    occupancy_unit: OccupancyUnit = "fraction"
    speed_unit: SpeedUnit = "kmh"
    timestamp_unit: TimestampUnit = "ms"
    time_zone: tzinfo = UTC


@dataclass(slots=True)
class Mapped:
    """The readings of one payload, and why the other records are none."""

    readings: list[Reading] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    unknown_sensors: list[str] = field(default_factory=list)


class Mapper:
    """Reads payloads by one vendor's rules. Keeps nothing between two payloads, so threads may share it.

    Parameters
    ----------
    rules : how the vendor writes a reading
    sensor_numbers : city-wide number by the vendor's sensor id
    """

    def __init__(self, rules: MappingRules, sensor_numbers: Mapping[str, int]) -> None:
        self._rules = rules
        self._numbers = sensor_numbers
        self._lines: LineLayout | None = LAYOUTS[rules.lines] if rules.lines else None
        self._sensor_id = _paths(rules.sensor_id)
        self._lane = _paths(rules.lane)
        self._timestamp = _paths(rules.timestamp)
        self._vehicle_count = _paths(rules.vehicle_count)
        self._speed = _paths(rules.speed)
        self._occupancy = _paths(rules.occupancy)
        self._records = _paths(rules.records)

    def read(self, payload: bytes, arrival_ms: int, sensor_id: str | None = None) -> Mapped:
        """The readings in a payload: one record, a list of them, an envelope, or lines of those. Raises nothing.

        Parameters
        ----------
        arrival_ms : when the payload came, for devices without a clock
        sensor_id : whom the channel names as the sender; a record that names its sensor overrides it
        """
        mapped = Mapped()
        for record in self._split(payload, mapped):
            try:
                mapped.readings.append(self._reading(record, arrival_ms, sensor_id, mapped))
            except RefusedError as error:
                mapped.refused[error.reason] += 1
        return mapped

    def _split(self, payload: bytes, mapped: Mapped) -> Iterator[Any]:
        if self._lines is not None and payload.lstrip()[:1] not in (b"{", b"["):
            yield from self._split_lines(payload, self._lines, mapped)
            return
        try:
            yield from self._unwrap(_decode(payload))
        except _UNREADABLE:
            lines = payload.split(b"\n")
            if len(lines) == 1:
                mapped.refused["record: not JSON"] += 1
                return
            for line in filter(None, map(bytes.strip, lines)):
                yield from self._split(line, mapped)

    @staticmethod
    def _split_lines(payload: bytes, layout: LineLayout, mapped: Mapped) -> Iterator[Any]:
        for line in filter(None, map(bytes.strip, payload.split(b"\n"))):
            try:
                yield from layout(line.decode("ascii"))
            except (LineError, UnicodeDecodeError):
                mapped.refused["line: not of this layout"] += 1

    def _unwrap(self, tree: Any) -> Iterator[Any]:
        inside = _find(tree, self._records) if isinstance(tree, dict) else None
        if isinstance(inside, list):
            yield from inside
        elif isinstance(tree, list):
            yield from tree
        else:
            yield tree

    def _reading(self, record: Any, arrival_ms: int, sensor_id: str | None, mapped: Mapped) -> Reading:
        if not isinstance(record, dict):
            raise RefusedError("record: not an object")
        named = self._name(record, sensor_id)
        number = self._numbers.get(named)
        if number is None:
            mapped.unknown_sensors.append(named[:128])
            raise RefusedError("sensor: not configured")
        timestamp_ms = self._instant(record, arrival_ms)
        vehicle_count = _vehicles(_find(record, self._vehicle_count))
        speed = _quantised("speed", _find(record, self._speed), DKMH_PER[self._rules.speed_unit], MAX_SPEED_DKMH)
        return Reading(
            number,
            timestamp_ms,
            vehicle_count,
            speed if vehicle_count else None,  # without vehicles there is no speed, though many a device writes 0
            self._permille(_find(record, self._occupancy)),
        )

    def _name(self, record: dict[str, Any], sensor_id: str | None) -> str:
        named = _find(record, self._sensor_id)
        if named is None:
            named = sensor_id
        if named is None:
            raise RefusedError("sensor: missing")
        if not _is_name(named):
            raise RefusedError("sensor: not a name")
        lane = _find(record, self._lane)
        if lane is None:
            return str(named)
        if not _is_name(lane):
            raise RefusedError("lane: not a name")
        return f"{named}-{lane}"

    def _instant(self, record: dict[str, Any], arrival_ms: int) -> int:
        unit = self._rules.timestamp_unit
        if unit == "arrival":
            return arrival_ms
        value = _find(record, self._timestamp)
        if value is None:
            raise RefusedError("timestamp: missing")
        if unit in ("ms", "s"):
            instant_ms = _number("timestamp", value) * (1000 if unit == "s" else 1)
        elif isinstance(value, str):
            instant_ms = self._parsed(value.strip())
        else:
            raise RefusedError("timestamp: not a date and time")
        if not EARLIEST_MS <= instant_ms < LATEST_MS:
            raise RefusedError("timestamp: out of range")
        return round(instant_ms)

    def _parsed(self, text: str) -> int:
        """Epoch milliseconds of a date and time; of an interval `from/to`, its end."""
        try:
            if self._rules.timestamp_unit == "usDateTime":
                moment = datetime.strptime(text, _US_DATE_TIME)  # noqa: DTZ007  the zone follows
            else:
                moment = datetime.fromisoformat(text.rpartition("/")[2])
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._rules.time_zone)
            return (moment - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError) as error:
            raise RefusedError("timestamp: not a date and time") from error

    def _permille(self, value: Any) -> int | None:
        unit = self._rules.occupancy_unit
        if value is not None and unit == "halfPercent":
            fault = DETECTOR_FAULTS.get(_number("occupancy", value))
            if fault is not None:
                raise RefusedError(f"occupancy: the detector reports {fault}")
        return _quantised("occupancy", value, PERMILLE_PER[unit], MAX_OCCUPANCY_PERMILLE)


def _paths(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(path.strip().split(".")) for path in text.split("|") if path.strip())


def _find(record: dict[str, Any], paths: tuple[tuple[str, ...], ...]) -> Any:
    """The value at the first path that leads to one; None and "" are none.

    NGSI writes a value bare, as {"value": …}, or as {"value": {"@value": …}}; all three are found.
    """
    for path in paths:
        value: Any = record
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        while isinstance(value, dict) and ("value" in value or "@value" in value):
            value = value.get("value", value.get("@value"))
        if value is not None and value != "":
            return value
    return None


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _number(name: str, value: Any) -> float:
    """A finite number, also from its text: CSV has nothing else, and NGSI brokers quote freely."""
    if isinstance(value, str) and "_" not in value:
        try:
            value = float(value)
        except ValueError as error:
            raise RefusedError(f"{name}: not a number") from error
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError(f"{name}: not a number")
    if isinstance(value, int):
        return float(max(-(2**63), min(value, 2**63)))  # beyond, it is out of every range anyway
    if not math.isfinite(value):
        raise RefusedError(f"{name}: not a number")
    return value


def _vehicles(value: Any) -> int:
    if value is None:
        raise RefusedError("vehicle count: missing")
    count = _number("vehicle count", value)
    if not count.is_integer():
        raise RefusedError("vehicle count: not whole")
    if not 0 <= count <= MAX_VEHICLES:
        raise RefusedError("vehicle count: out of range")
    return int(count)


def _quantised(name: str, value: Any, scale: float, highest: int) -> int | None:
    """The value times scale as the nearest integer, None for None."""
    if value is None:
        return None
    scaled = _number(name, value) * scale
    if scaled < 0 or not math.isfinite(scaled) or round(scaled) > highest:
        raise RefusedError(f"{name}: out of range")
    return round(scaled)
