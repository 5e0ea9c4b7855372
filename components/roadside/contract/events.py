"""Events: what must reach people and systems at once, as JSON that any of them can read.

An event carries its place in the gateway's outgoing messages (epoch and sequence), so its id is the same however
often it is sent, and the cloud's acknowledgement covers it like a window.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from roadside.contract.errors import DecodeError, UnsupportedSchemaError

SCHEMA: Final = 1
CongestionKind = Literal["CongestionStarted", "CongestionCleared"]


@dataclass(frozen=True, slots=True)
class CongestionEvent:
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

    @property
    def event_id(self) -> str:
        return f"{self.gateway}:{self.epoch_ms}:{self.sequence}"

    def __post_init__(self) -> None:
        if self.kind not in get_args(CongestionKind):
            raise DecodeError("kind", self.kind, f"must be one of {', '.join(get_args(CongestionKind))}")
        for field in ("gateway", "segment_id"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value:
                raise DecodeError(field, value, "must be a text that is not empty")
        for field in ("epoch_ms", "sequence", "segment_number", "occurred_ms", "started_ms"):
            value = getattr(self, field)
            if type(value) is not int or value < 0:
                raise DecodeError(field, value, "must be an integer that is not negative")
        for field in ("average_speed_kmh", "occupancy", "congestion_level"):
            value = getattr(self, field)
            if value is not None and (type(value) not in (int, float) or not math.isfinite(value) or value < 0):
                raise DecodeError(field, value, "must be null or a finite number that is not negative")


def encode_event(event: CongestionEvent) -> bytes:
    """The event as compact JSON, with its schema and its id."""
    body = {"schema": SCHEMA, "event_id": event.event_id, **asdict(event)}
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def decode_event(payload: bytes) -> CongestionEvent:
    """The event in `payload`; fields that a later version may add are passed over.

    Raises
    ------
    DecodeError
        Not JSON, a field missing or out of its range.
    UnsupportedSchemaError
        A schema of the future.
    """
    try:
        body: Any = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise DecodeError("event", payload[:60], f"is no JSON ({error})") from error
    if not isinstance(body, dict):
        raise DecodeError("event", payload[:60], "must be a JSON object")
    if body.get("schema") != SCHEMA:
        raise UnsupportedSchemaError("schema", body.get("schema"), f"this version reads {SCHEMA}")
    missing = [field.name for field in fields(CongestionEvent) if field.name not in body]
    if missing:
        raise DecodeError("event", missing, "fields are missing")
    return CongestionEvent(**{field.name: body[field.name] for field in fields(CongestionEvent)})
