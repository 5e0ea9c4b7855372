"""What can be configured about SensorIngest; names, ranges and defaults.

In the component's configuration the keys are in camelCase (`beatMs`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from roadside.contract.summary import MAX_FRAME_READINGS
from roadside.runtime.segments import SegmentSettings
from sensor_ingest.mapping import Mapper, MappingRules, OccupancyUnit, SpeedUnit, TimestampUnit
from sensor_ingest.presets import PRESETS

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_\-]+$")]  # a level of a topic
Host = Annotated[str, Meta(min_length=1, max_length=255)]
ServerPort = Annotated[int, Meta(ge=0, le=65_535)]  # 0: any that is free; the log tells which
Connections = Annotated[int, Meta(ge=1, le=1000)]
IdleSeconds = Annotated[int, Meta(ge=1, le=86_400)]
SensorNumber = Annotated[int, Meta(ge=0, lt=2**32)]
FieldPath = Annotated[str, Meta(max_length=256)]
FilePath = Annotated[str, Meta(min_length=2, max_length=4096, pattern=r"^/")]


class FieldSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where a record has its values; a key that is absent leaves it as the preset has it, "" is nowhere.

    Parameters
    ----------
    sensor_id, lane, timestamp, vehicle_count, speed, occupancy : path of the value in a record: keys with dots between,
        alternatives with bars; a lane is appended to the sensor's id
    records : path of the list of records in a message
    """

    sensor_id: FieldPath | None = None
    lane: FieldPath | None = None
    timestamp: FieldPath | None = None
    vehicle_count: FieldPath | None = None
    speed: FieldPath | None = None
    occupancy: FieldPath | None = None
    records: FieldPath | None = None


class MappingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A vendor's mapping: a preset, and what differs from it.

    Parameters
    ----------
    name : what adapters call it by; unique, and no preset's
    preset : where it starts from
    fields : where a record has its values
    occupancy_unit, speed_unit, timestamp_unit : unit of the record's value, where it is not the preset's
    time_zone : IANA zone of local times, such as `Europe/Berlin`
    """

    name: Name
    preset: Literal["roadside", "pems", "pemsArchive", "ngsiLd"] = "roadside"
    fields: FieldSettings = FieldSettings()
    occupancy_unit: OccupancyUnit | None = None
    speed_unit: SpeedUnit | None = None
    timestamp_unit: TimestampUnit | None = None
    time_zone: Annotated[str, Meta(max_length=64)] | None = None

    def rules(self) -> MappingRules:
        """The preset's rules with what differs. Raises ValueError for a time zone that this machine does not know."""
        preset = PRESETS[self.preset]
        changes: dict[str, Any] = msgspec.structs.asdict(self.fields) | {
            "occupancy_unit": self.occupancy_unit,
            "speed_unit": self.speed_unit,
            "timestamp_unit": self.timestamp_unit,
            "time_zone": _zone(self.time_zone or preset.time_zone),
        }
        return replace(preset.rules, **{name: value for name, value in changes.items() if value is not None})


class AdapterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every adapter has.

    Parameters
    ----------
    name : unique; the last level of its frames' topic
    mapping : a preset, or one of `mappings`
    """

    name: Name
    mapping: Name = "roadside"


class UdpSettings(AdapterSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Datagrams with a record, a list of records, or lines of them.

    Parameters
    ----------
    port : where it listens; 0 is any that is free, which the log tells
    host : address to listen on; only one of the sensors' own network
    """

    port: ServerPort
    host: Host = "127.0.0.1"


class TcpSettings(AdapterSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Connections that carry a record, or a list of records, a line.

    Parameters
    ----------
    port : where it listens; 0 is any that is free, which the log tells
    host : address to listen on; only one of the sensors' own network
    max_connections : what is over that is turned away
    idle_seconds : a connection without a whole line for that long is ended
    """

    port: ServerPort
    host: Host = "127.0.0.1"
    max_connections: Connections = 64
    idle_seconds: IdleSeconds = 120


class HttpSettings(AdapterSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """POST with a record, a list of records, an envelope, or lines of them as the body.

    Parameters
    ----------
    port : where it listens; 0 is any that is free, which the log tells
    host : address to listen on; only one of the sensors' own network
    path : path of the requests
    max_connections : what is over that is turned away
    idle_seconds : a connection without a whole request for that long is ended
    """

    port: ServerPort
    host: Host = "127.0.0.1"
    path: Annotated[str, Meta(pattern=r"^/[!-~]*$", max_length=256)] = "/readings"
    max_connections: Connections = 64
    idle_seconds: IdleSeconds = 30


class FileSettings(AdapterSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Lines of a file: followed as it grows and is rotated, or replayed once from its start to its end.

    Parameters
    ----------
    path : absolute; the component's user must be allowed to read it
    mode : `tail` follows the file, `replay` reads it once each time the component starts or the adapter changes
    start : where `tail` begins with a file that it does not know
    poll_ms : how often `tail` looks for more
    lines_per_second : speed of `replay`; 0 is as fast as the queue takes them
    """

    path: FilePath
    mode: Literal["tail", "replay"] = "tail"
    start: Literal["begin", "end"] = "end"
    poll_ms: Annotated[int, Meta(ge=10, le=60_000)] = 250
    lines_per_second: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """PEM files that prove the broker to us and, for mutual TLS, us to the broker.

    Parameters
    ----------
    ca_file : the authority that signed the broker's certificate
    certificate_file, key_file : our certificate and its key; both or neither
    """

    ca_file: FilePath
    certificate_file: FilePath | None = None
    key_file: FilePath | None = None

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificateFile and keyFile belong together; give both or neither")


class MqttSettings(AdapterSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Topics of a broker on the site, MQTT 3.1.1.

    Parameters
    ----------
    topics : filters to subscribe to
    host, port : the broker's address
    client_id : empty is `roadside-` and the adapter's name
    qos : of the subscriptions
    sensor_id_level : level of the topic, from 1, that names the sensor where the record does not
    keep_alive_seconds : time after which a silent connection is probed
    tls : absent is a plain connection
    """

    topics: Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(min_length=1, max_length=8)]
    host: Host = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    client_id: Annotated[str, Meta(max_length=128)] = ""
    qos: Annotated[int, Meta(ge=0, le=1)] = 1
    sensor_id_level: Annotated[int, Meta(ge=1, le=32)] | None = None
    keep_alive_seconds: Annotated[int, Meta(ge=5, le=3600)] = 30
    tls: TlsSettings | None = None


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The whole configuration. Defaults stand in the recipe as well; a test holds the two together.

    Parameters
    ----------
    beat_ms : longest wait for a frame that is not full
    frame_readings : readings of a full frame; 480 are 6,876 bytes, and nucleus lite ends the connection over a message
        of more than 7,299
    queue_readings : readings that may wait in all
    max_message_bytes : longest datagram, line, body or MQTT message
    log_level : least severe lines that are logged
    sensors : city-wide number by sensor id, for vendors' names or instead of `segments`
    segments : the Aggregator's list; only `sensors` and `firstSensorNumber` are used
    mappings : mappings of one's own
    udp, tcp, http, files, mqtt : adapters of the kind
    """

    beat_ms: Annotated[int, Meta(ge=20, le=5000)] = 250
    frame_readings: Annotated[int, Meta(ge=1, le=MAX_FRAME_READINGS)] = MAX_FRAME_READINGS
    queue_readings: Annotated[int, Meta(ge=1000, le=1_000_000)] = 20_000
    max_message_bytes: Annotated[int, Meta(ge=256, le=1_048_576)] = 65_536
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    sensors: dict[str, SensorNumber] = {}
    segments: list[SegmentSettings] = []  # the Aggregator's
    mappings: list[MappingSettings] = []
    udp: list[UdpSettings] = []
    tcp: list[TcpSettings] = []
    http: list[HttpSettings] = []
    files: list[FileSettings] = []
    mqtt: list[MqttSettings] = []

    def __post_init__(self) -> None:
        faults = [*self._name_faults(), *self._mapping_faults(), *self._sensor_faults()]
        if faults:
            raise ValueError("; ".join(faults))

    def adapters(self) -> dict[str, AdapterSettings]:
        """Every adapter by its name."""
        return {each.name: each for each in self._adapters()}

    def sensor_numbers(self) -> dict[str, int]:
        """City-wide number by sensor id, of `segments` and of `sensors`, which may add vendors' names for the same."""
        numbers = dict(self.sensors)
        for segment in self.segments:
            numbers |= segment.sensor_numbers()
        return numbers

    def mappers(self) -> dict[str, Mapper]:
        """How to read what each adapter hands in, by the adapter's name."""
        numbers = self.sensor_numbers()
        own = {each.name: each for each in self.mappings}
        return {each.name: Mapper(_rules(each.mapping, own), numbers) for each in self._adapters()}

    def _adapters(self) -> Iterator[AdapterSettings]:
        for adapters in (self.udp, self.tcp, self.http, self.files, self.mqtt):
            yield from adapters

    def _name_faults(self) -> Iterator[str]:
        for kind, names in (
            ("adapter", Counter(each.name for each in self._adapters())),
            ("mapping", Counter([*PRESETS, *(each.name for each in self.mappings)])),
        ):
            for name, times in names.items():
                if times > 1:
                    yield f"the name {name!r} stands for {times} {kind}s; give each its own"

    def _mapping_faults(self) -> Iterator[str]:
        own = {each.name: each for each in self.mappings}
        for adapter in self._adapters():
            if adapter.mapping not in own and adapter.mapping not in PRESETS:
                known = ", ".join([*PRESETS, *own])
                yield f"adapter {adapter.name!r}: there is no mapping {adapter.mapping!r}, known are {known}"
                continue
            try:
                _rules(adapter.mapping, own)
            except ValueError as error:
                yield f"mapping {adapter.mapping!r}: {error}"

    def _sensor_faults(self) -> Iterator[str]:
        seen = dict(self.sensors)
        for segment in self.segments:
            for sensor, number in segment.sensor_numbers():
                if seen.setdefault(sensor, number) != number:
                    yield f"sensor {sensor!r} has the numbers {seen[sensor]} and {number}; one sensor has one number"


def _rules(mapping: str, own: dict[str, MappingSettings]) -> MappingRules:
    settings = own.get(mapping) or msgspec.convert({"name": mapping, "preset": mapping}, MappingSettings)
    return settings.rules()


def _zone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"timeZone {name!r} is not known here; is the package tzdata installed?") from error
