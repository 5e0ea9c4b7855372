"""Events: what must reach people and systems at once, as JSON that any of them can read.

An event carries its place in the gateway's outgoing messages (epoch and sequence), so its id is the same however
often it is sent, and the cloud's acknowledgement covers it like a window.
"""

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from roadside.contract.errors import DecodeError, UnsupportedSchemaError
from roadside.contract.summary import MAX_INTEGER, MAX_UINT32

SCHEMA: Final = 1
CongestionKind = Literal["CongestionStarted", "CongestionCleared"]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # JSON can escape half a character, UTF-8 cannot hold it


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
            if not isinstance(value, str) or not value or _SURROGATE.search(value):
                raise DecodeError(field, value, "must be a text in Unicode that is not empty")
        for field, most in _INTEGERS.items():
            value = getattr(self, field)
            if type(value) is not int or not 0 <= value <= most:
                raise DecodeError(field, value, f"must be an integer from 0 to {most}")
        for field, (kinds, most) in _MEASURES.items():
            value = getattr(self, field)
            if value is not None and (type(value) not in kinds or not 0 <= value <= most):
                number = "a number" if float in kinds else "an integer"
                raise DecodeError(field, value, f"must be null or {number} from 0 to {most}")


_INTEGERS: Final = {
    "epoch_ms": MAX_INTEGER,
    "sequence": MAX_INTEGER,
    "segment_number": MAX_UINT32,
    "occurred_ms": MAX_INTEGER,
    "started_ms": MAX_INTEGER,
}
# A comparison with NaN is false, so the ranges refuse it as they refuse an infinity.
_MEASURES: Final[dict[str, tuple[tuple[type, ...], int]]] = {
    "average_speed_kmh": ((float, int), 255),
    "occupancy": ((float, int), 1),
    "congestion_level": ((int,), 100),
}


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
        body: Any = json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DecodeError("event", payload[:60], f"is no JSON ({error})") from error
    if not isinstance(body, dict):
        raise DecodeError("event", payload[:60], "must be a JSON object")
    if type(body.get("schema")) is not int or body["schema"] != SCHEMA:
        raise UnsupportedSchemaError("schema", body.get("schema"), f"this version reads {SCHEMA}")
    missing = [field.name for field in fields(CongestionEvent) if field.name not in body]
    if missing:
        raise DecodeError("event", missing, "fields are missing")
    return CongestionEvent(**{field.name: body[field.name] for field in fields(CongestionEvent)})


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
