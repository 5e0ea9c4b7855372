"""Sound messages of every kind with their decoders, and what a refusal of a changed one must look like."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from roadside.contract.codec import (
    decode_ack,
    decode_frame,
    decode_window,
)
from roadside.contract.errors import DecodeError
from roadside.contract.events import decode_event
from roadside.contract.heartbeat import decode_heartbeat
from roadside.contract.sensors import decode_sensors
from roadside.contract.status import decode_status

GOLDEN: Final = Path(__file__).parents[3] / "golden" / "v0.1"
WINDOW: Final = (GOLDEN / "window-three-segments.bin").read_bytes()
PLAIN_WINDOW: Final = (GOLDEN / "window-one-segment.bin").read_bytes()
ACK: Final = (GOLDEN / "ack-refused.bin").read_bytes()
FRAME: Final = (GOLDEN / "frame-three-readings.bin").read_bytes()
EVENT: Final = (GOLDEN / "event-started.bin").read_bytes()
INCIDENT: Final = (GOLDEN / "event-incident-detected.bin").read_bytes()
SENSOR: Final = (GOLDEN / "event-sensor-fault.bin").read_bytes()
STATUS: Final = (GOLDEN / "status-of-aggregator.bin").read_bytes()
HEARTBEAT: Final = (GOLDEN / "heartbeat-two-components.bin").read_bytes()

Decoder = Callable[[bytes], object]
SENSORS: Final = (GOLDEN / "sensors-three.bin").read_bytes()
DECODERS: Final[dict[str, tuple[Decoder, bytes]]] = {
    "window": (decode_window, WINDOW),
    "plain window": (decode_window, PLAIN_WINDOW),
    "sensors": (decode_sensors, SENSORS),
    "ack": (decode_ack, ACK),
    "frame": (decode_frame, FRAME),
    "event": (decode_event, EVENT),
    "incident": (decode_event, INCIDENT),
    "sensor event": (decode_event, SENSOR),
    "status": (decode_status, STATUS),
    "heartbeat": (decode_heartbeat, HEARTBEAT),
}
each_decoder = pytest.mark.parametrize(("decode", "payload"), DECODERS.values(), ids=DECODERS)


def error_of(decode: Decoder, payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(payload)
    assert caught.value.field in str(caught.value)
    assert caught.value.value in str(caught.value)
    assert len(caught.value.value) <= 80
    return caught.value


def readable(decode: Decoder, payload: bytes) -> bool:
    try:
        decode(payload)
    except DecodeError:
        return False
    return True
