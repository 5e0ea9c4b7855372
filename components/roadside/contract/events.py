"""Events: what must reach people and systems at once, as JSON that any of them can read.

An event carries its place in the gateway's outgoing messages (epoch and sequence), so its id is the same however
often it is sent, and the cloud's acknowledgement covers it like a window. Its kind tells which fields it has; a field
of one name means the same in every kind.
"""

from dataclasses import asdict, dataclass
from typing import Final, Literal, get_args

from roadside.contract.event_fields import SensorFaultName, check_fields
from roadside.contract.json_object import encode_object, read_kind, read_object

SCHEMA: Final = 1
CongestionKind = Literal["CongestionStarted", "CongestionCleared"]
IncidentKind = Literal["IncidentDetected", "IncidentCleared"]
SensorKind = Literal["SensorFault", "SensorRecovered"]


class _Numbered:
    """What every event has."""

    __slots__ = ()
    gateway: str
    epoch_ms: int
    sequence: int

    @property
    def event_id(self) -> str:
        return f"{self.gateway}:{self.epoch_ms}:{self.sequence}"


@dataclass(frozen=True, slots=True)
class CongestionEvent(_Numbered):
    """A segment became congested, or flows again.

    Parameters
    ----------
    kind : what happened
    gateway, epoch_ms, sequence : who said so and as which message
    segment_id, segment_number : where
    occurred_ms : end of the window by which it was known
    started_ms : occurred_ms of the CongestionStarted that this event begins or ends
    average_speed_kmh : harmonic, smoothed as the detector saw it; None where no vehicle passed
    occupancy : fraction, smoothed likewise
    congestion_level : 0 to 100
    """

    kind: CongestionKind
    gateway: str
    epoch_ms: int
    sequence: int
    segment_id: str
    segment_number: int
    occurred_ms: int
    started_ms: int
    average_speed_kmh: float | None
    occupancy: float | None
    congestion_level: int | None

    def __post_init__(self) -> None:
        check_fields(self, get_args(CongestionKind))


@dataclass(frozen=True, slots=True)
class IncidentEvent(_Numbered):
    """Something blocks the road below a segment, or no longer does. Fields as in CongestionEvent, and these.

    Parameters
    ----------
    downstream_segment_number : the next segment, with which it was compared; None where it was judged alone
    downstream_speed_kmh : that segment's speed, smoothed likewise
    score : evidence when the event occurred, in the detector's own measure
    """

    kind: IncidentKind
    gateway: str
    epoch_ms: int
    sequence: int
    segment_id: str
    segment_number: int
    downstream_segment_number: int | None
    occurred_ms: int
    started_ms: int
    average_speed_kmh: float | None
    downstream_speed_kmh: float | None
    occupancy: float | None
    score: float | None

    def __post_init__(self) -> None:
        check_fields(self, get_args(IncidentKind))


@dataclass(frozen=True, slots=True)
class SensorEvent(_Numbered):
    """A sensor is not to be believed, or is again. Fields as in CongestionEvent, and these.

    Parameters
    ----------
    sensor_id, sensor_number : which
    fault : what is wrong, or was
    effective_ms : start of the first window whose sums leave the sensor out, or count it again
    """

    kind: SensorKind
    gateway: str
    epoch_ms: int
    sequence: int
    sensor_id: str
    sensor_number: int
    segment_id: str
    segment_number: int
    fault: SensorFaultName
    occurred_ms: int
    started_ms: int
    effective_ms: int

    def __post_init__(self) -> None:
        check_fields(self, get_args(SensorKind))


Event = CongestionEvent | IncidentEvent | SensorEvent
EventKind = CongestionKind | IncidentKind | SensorKind

_TYPES: Final[dict[str, type[Event]]] = {
    **dict.fromkeys(get_args(CongestionKind), CongestionEvent),
    **dict.fromkeys(get_args(IncidentKind), IncidentEvent),
    **dict.fromkeys(get_args(SensorKind), SensorEvent),
}


def encode_event(event: Event) -> bytes:
    """The event as compact JSON, with its schema and its id."""
    return encode_object(SCHEMA, {"event_id": event.event_id, **asdict(event)})


def decode_event(payload: bytes) -> Event:
    """The event in `payload`; fields that a later version may add are passed over.

    Raises
    ------
    DecodeError
        Not JSON, a kind that is unknown, a field missing or out of its range.
    UnsupportedSchemaError
        A schema of the future.
    """
    return read_kind(read_object(payload, "event", SCHEMA), "event", _TYPES)
