"""The fields of events: one of a name means the same, and has the same range, in whatever event it stands."""

import re
from dataclasses import fields
from typing import Any, Final, Literal, get_args

from roadside.contract.errors import DecodeError
from roadside.contract.json_object import check_choice, check_integer, check_text
from roadside.contract.summary import MAX_INTEGER, MAX_UINT32

SensorFaultName = Literal["silent", "dead", "stuck_on", "constant", "chatter", "occupancy_scale", "undercount"]
OfflineReason = Literal["disconnected", "silent"]

_TEXTS: Final = ("gateway", "sensor_id", "segment_id")
_CHOICES: Final = {"fault": get_args(SensorFaultName), "reason": get_args(OfflineReason)}
_INTEGERS: Final = {
    "epoch_ms": MAX_INTEGER,
    "sequence": MAX_INTEGER,
    "sensor_number": MAX_UINT32,
    "segment_number": MAX_UINT32,
    "occurred_ms": MAX_INTEGER,
    "started_ms": MAX_INTEGER,
    "effective_ms": MAX_INTEGER,
    "first_ms": MAX_INTEGER,
    "until_ms": MAX_INTEGER,
    "missing_ms": MAX_INTEGER,
}
# A comparison with NaN is false, so the ranges refuse it as they refuse an infinity.
_MEASURES: Final[dict[str, tuple[tuple[type, ...], int]]] = {
    "downstream_segment_number": ((int,), MAX_UINT32),
    "average_speed_kmh": ((float, int), 255),
    "downstream_speed_kmh": ((float, int), 255),
    "occupancy": ((float, int), 1),
    "congestion_level": ((int,), 100),
    "score": ((float, int), 1000),
}
# People type it, and it stands in keys and shells.
_EVENT_ID: Final = re.compile(r"[A-Za-z0-9_\-:]{1,300}")


def check_fields(event: Any, kinds: tuple[str, ...]) -> None:
    """Raise DecodeError for the first field of the dataclass whose value is not one of it."""
    for field in fields(event):
        name, value = field.name, getattr(event, field.name)
        if name == "kind":
            check_choice(name, value, kinds)
        elif name in _CHOICES:
            check_choice(name, value, _CHOICES[name])
        elif name in _TEXTS:
            check_text(name, value)
        elif name in _INTEGERS:
            check_integer(name, value, _INTEGERS[name])
        elif name in _MEASURES:
            _check_measure(name, value)
        elif name == "event_id":
            if not isinstance(value, str) or not _EVENT_ID.fullmatch(value):
                raise DecodeError(name, value, f"must match {_EVENT_ID.pattern}")
        elif name == "downstream_gateway" and value is not None:
            check_text(name, value)


def _check_measure(name: str, value: object) -> None:
    types, most = _MEASURES[name]
    if value is None:
        return
    if type(value) not in types or not 0 <= value <= most:  # type: ignore[operator]
        number = "a number" if float in types else "an integer"
        raise DecodeError(name, value, f"must be null or {number} from 0 to {most}")
