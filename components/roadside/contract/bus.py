"""What the event bus carries: what gateways told, and what the cloud found out by itself, ready for people to read.

Congestion and sensors stand on the bus as gateways tell of them. A gateway's IncidentDetected is an IncidentSuspected
there, since the cloud may confirm it; the other kinds are the cloud's own. The id of an event is the same however
often it is found out, so consumers drop repetitions by it.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from roadside.contract.errors import DecodeError
from roadside.contract.event_fields import OfflineReason, check_fields
from roadside.contract.events import (
    CongestionEvent,
    CongestionKind,
    Event,
    IncidentEvent,
    SensorEvent,
    SensorKind,
)
from roadside.contract.json_object import check_choice, check_text, pick, read_kind, read_object

SCHEMA: Final = 1
MAX_TEXT: Final = 160  # characters of one SMS
MAX_HEADLINE: Final = 100

Severity = Literal["info", "minor", "major", "critical"]
IncidentNoticeKind = Literal["IncidentSuspected", "IncidentConfirmed", "IncidentCleared"]
GatewayNoticeKind = Literal["GatewayOffline", "GatewayOnline"]
DataNoticeKind = Literal["DataGap", "DataRepaired"]
Phase = Literal["begins", "goes on", "ends"]


@dataclass(frozen=True, slots=True)
class IncidentNotice:
    """Something blocks the road below a segment, as one gateway or the comparison of two suspects; or no longer.

    Parameters
    ----------
    kind : what happened
    event_id : of a gateway's incident `gateway:epoch_ms:sequence`, of the cloud's own `cloud_event_id`
    gateway : of the segment
    segment_id, segment_number : the segment above the blockage
    downstream_segment_number, downstream_gateway : the next segment and whose it is; None where it was judged alone
    occurred_ms : end of the window by which it was known
    started_ms : occurred_ms of the IncidentSuspected that this event is, confirms or ends
    average_speed_kmh, downstream_speed_kmh, occupancy : smoothed as the detector saw them
    score : evidence when the event occurred, in the detector's own measure
    """

    kind: IncidentNoticeKind
    event_id: str
    gateway: str
    segment_id: str
    segment_number: int
    downstream_segment_number: int | None
    downstream_gateway: str | None
    occurred_ms: int
    started_ms: int
    average_speed_kmh: float | None
    downstream_speed_kmh: float | None
    occupancy: float | None
    score: float | None

    def __post_init__(self) -> None:
        check_fields(self, get_args(IncidentNoticeKind))


@dataclass(frozen=True, slots=True)
class GatewayNotice:
    """A gateway gives no sign of life any more, or does again.

    Parameters
    ----------
    gateway : which
    reason : "disconnected", the broker saw it go; "silent", nothing of it arrives
    occurred_ms : when that was known
    started_ms : its last sign of life before it went offline
    """

    kind: GatewayNoticeKind
    gateway: str
    reason: OfflineReason
    occurred_ms: int
    started_ms: int

    def __post_init__(self) -> None:
        check_fields(self, get_args(GatewayNoticeKind))

    @property
    def event_id(self) -> str:
        return cloud_event_id(self.gateway, self.kind, self.started_ms)


@dataclass(frozen=True, slots=True)
class DataNotice:
    """Windows of a gateway are missing between others that came, or are no longer.

    Parameters
    ----------
    gateway, epoch_ms : whose, and of which life of its memory
    first_ms, until_ms : from the start of the first missing window to the end of the last
    missing_ms : how much of that time is missing, or was
    occurred_ms : when that was known
    started_ms : occurred_ms of the DataGap that this event is or ends
    """

    kind: DataNoticeKind
    gateway: str
    epoch_ms: int
    first_ms: int
    until_ms: int
    missing_ms: int
    occurred_ms: int
    started_ms: int

    def __post_init__(self) -> None:
        check_fields(self, get_args(DataNoticeKind))

    @property
    def event_id(self) -> str:
        return cloud_event_id(self.gateway, self.kind, self.epoch_ms, self.first_ms, self.started_ms)


BusEvent = CongestionEvent | SensorEvent | IncidentNotice | GatewayNotice | DataNotice
BusKind = CongestionKind | SensorKind | IncidentNoticeKind | GatewayNoticeKind | DataNoticeKind

TYPES: Final[dict[str, type[BusEvent]]] = {
    **dict.fromkeys(get_args(CongestionKind), CongestionEvent),
    **dict.fromkeys(get_args(SensorKind), SensorEvent),
    **dict.fromkeys(get_args(IncidentNoticeKind), IncidentNotice),
    **dict.fromkeys(get_args(GatewayNoticeKind), GatewayNotice),
    **dict.fromkeys(get_args(DataNoticeKind), DataNotice),
}
_ENDS: Final = ("CongestionCleared", "SensorRecovered", "IncidentCleared", "GatewayOnline", "DataRepaired")
_INCIDENT_KINDS: Final[dict[str, IncidentNoticeKind]] = {
    "IncidentDetected": "IncidentSuspected",
    "IncidentCleared": "IncidentCleared",
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event as the bus carries it.

    Parameters
    ----------
    event : what happened
    severity : "info", nothing to do; "minor", in working hours; "major", now; "critical", now and with lights on
    headline : a line, as an e-mail's first
    text : a sentence or two that fit into one SMS
    notify : whether people shall be told; false while something comes and goes too often. Systems get everything
    """

    event: BusEvent
    severity: Severity
    headline: str
    text: str
    notify: bool

    def __post_init__(self) -> None:
        check_choice("severity", self.severity, get_args(Severity))
        check_text("headline", self.headline, MAX_HEADLINE)
        check_text("text", self.text, MAX_TEXT)
        if type(self.notify) is not bool:
            raise DecodeError("notify", self.notify, "must be true or false")


def cloud_event_id(gateway: str, kind: str, *facts: int) -> str:
    """Id of an event that the cloud found out: whoever finds out the same again gives it the same id.

    Parameters
    ----------
    facts : what tells it from others of its kind and gateway, such as a segment's number and the instant of its start
    """
    return ":".join([gateway, kind, *map(str, facts)])


def phase(kind: str) -> Phase:
    """What an event of this kind does to the trouble that it tells of."""
    if kind == "IncidentConfirmed":
        return "goes on"
    return "ends" if kind in _ENDS else "begins"


def subject(event: BusEvent) -> str:
    """Whose trouble the event tells of: all that one segment, sensor or gateway ever has of one sort.

    Events with one subject and one `started_ms` belong together; the one that ends is told from those that begin by
    its `phase`.
    """
    match event:
        case CongestionEvent():
            return f"congestion:{event.segment_number}"
        case SensorEvent():
            return f"sensor:{event.sensor_number}"
        case IncidentNotice():
            return f"incident:{event.segment_number}"
        case GatewayNotice():
            return f"gateway:{event.gateway}"
        case DataNotice():
            return f"data:{event.gateway}"


def from_gateway(event: Event) -> BusEvent:
    """What the bus carries for a gateway's event."""
    if not isinstance(event, IncidentEvent):
        return event
    return IncidentNotice(
        kind=_INCIDENT_KINDS[event.kind],
        event_id=event.event_id,
        gateway=event.gateway,
        segment_id=event.segment_id,
        segment_number=event.segment_number,
        downstream_segment_number=event.downstream_segment_number,
        downstream_gateway=None if event.downstream_segment_number is None else event.gateway,
        occurred_ms=event.occurred_ms,
        started_ms=event.started_ms,
        average_speed_kmh=event.average_speed_kmh,
        downstream_speed_kmh=event.downstream_speed_kmh,
        occupancy=event.occupancy,
        score=event.score,
    )


def detail(announcement: Announcement) -> dict[str, Any]:
    """The announcement as the bus's JSON detail."""
    body = {"schema": SCHEMA, "event_id": announcement.event.event_id, **asdict(announcement.event)}
    words = {name: getattr(announcement, name) for name in ("severity", "headline", "text", "notify")}
    return {**body, **words}


def decode_announcement(payload: bytes) -> Announcement:
    """The announcement in a detail; fields that a later version may add are passed over.

    Raises
    ------
    DecodeError
        Not JSON, a kind that is unknown, a field missing or out of its range.
    UnsupportedSchemaError
        A schema of the future.
    """
    body = read_object(payload, "announcement", SCHEMA)
    event = read_kind(body, "announcement", TYPES)
    return Announcement(event, **pick(body, "announcement", ["severity", "headline", "text", "notify"]))
