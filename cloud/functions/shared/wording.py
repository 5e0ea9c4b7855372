"""How people are told of an event: how bad it is, a line, and a sentence or two that fit into one SMS. Pure."""

import re
from datetime import UTC, datetime
from typing import Final

from roadside.contract.bus import BusEvent, DataNotice, GatewayNotice, IncidentNotice, Severity, phase
from roadside.contract.events import CongestionEvent, SensorEvent

HEAVY_LEVEL: Final = 80  # congestion level from which a jam is major
_LONGEST_NAME: Final = 32  # so that every text keeps to its limit, whatever a city calls its segments
_UNFIT: Final = re.compile(r"[^\w \-.,:/()#+&']")
_SEVERITIES: Final[dict[str, Severity]] = {
    "IncidentSuspected": "major",
    "IncidentConfirmed": "critical",
    "SensorFault": "minor",
    "GatewayOffline": "major",
    "DataGap": "minor",
}


def severity(event: BusEvent) -> Severity:
    """How bad it is; the end of a trouble is "info"."""
    if phase(event.kind) == "ends":
        return "info"
    if isinstance(event, CongestionEvent):
        return "major" if (event.congestion_level or 0) >= HEAVY_LEVEL else "minor"
    return _SEVERITIES[event.kind]


def headline(event: BusEvent) -> str:
    """What has happened to whom, in a line."""
    match event:
        case CongestionEvent():
            over = event.kind == "CongestionCleared"
            return f"Congestion {'over ' if over else ''}on {_name(event.segment_id)}"
        case IncidentNotice():
            word = {"IncidentSuspected": "suspected", "IncidentConfirmed": "confirmed"}.get(event.kind, "over")
            return f"Incident {word} below {_name(event.segment_id)}"
        case SensorEvent():
            state = (
                "is well again" if event.kind == "SensorRecovered" else f"is faulty: {event.fault.replace('_', ' ')}"
            )
            return f"Sensor {_name(event.sensor_id)} {state}"
        case GatewayNotice():
            state = "is offline" if event.kind == "GatewayOffline" else "is online again"
            return f"Gateway {_name(event.gateway)} {state}"
        case DataNotice():
            state = "is missing" if event.kind == "DataGap" else "has arrived"
            return f"Data of gateway {_name(event.gateway)} {state}"


def text(event: BusEvent) -> str:
    """The headline, and what one would ask next."""
    return f"{headline(event)}. {_more(event)}"


def _more(event: BusEvent) -> str:
    since, lasted = _clock(event.started_ms), _duration(event.occurred_ms - event.started_ms)
    over = phase(event.kind) == "ends"
    match event:
        case CongestionEvent():
            now = f"Since {since}: {_speed(event.average_speed_kmh)}, level {_known(event.congestion_level)} of 100."
            more = f"It lasted {lasted}." if over else now
        case IncidentNotice():
            speeds = f"{_speed(event.average_speed_kmh)} there, {_speed(event.downstream_speed_kmh)} beyond"
            more = f"It lasted {lasted}." if over else f"Since {since}: {speeds}."
        case SensorEvent():
            segment = _name(event.segment_id)
            more = f"It counts again on {segment}, after {lasted}." if over else f"It counts no more on {segment}."
        case GatewayNotice():
            how = "It was disconnected" if event.reason == "disconnected" else "Nothing of it arrives"
            more = f"It was away for {lasted}." if over else f"{how}; last heard at {since}."
        case DataNotice():
            first, until = _clock(event.first_ms, "%d %b %H:%M:%S"), _clock(event.until_ms, "%H:%M:%S")
            times = f"{_duration(event.missing_ms)} between {first} and {until}"
            more = f"{times}." if over else f"{times}; it was asked to send again."
    return more


def _name(name: str) -> str:
    """The name without what would break a line or leave the quotes in which the bus's rules put it."""
    plain = _UNFIT.sub("?", name)
    return plain if len(plain) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 3] + "..."


def _speed(speed_kmh: float | None) -> str:
    return "no vehicle" if speed_kmh is None else f"{speed_kmh:.0f} km/h"


def _known(level: int | None) -> str:
    return "unknown" if level is None else str(level)


def _clock(instant_ms: int, form: str = "%d %b %H:%M") -> str:
    try:
        return f"{datetime.fromtimestamp(instant_ms / 1000, UTC):{form}} UTC"
    except (ValueError, OverflowError, OSError):  # the contract lets instants run beyond the calendar
        return "an unknown time"


def _duration(duration_ms: int) -> str:
    seconds = max(0, duration_ms) // 1000
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    return f"{min(seconds // 3600, 999_999)} h"
