"""Messages that are none: what a gateway's local bus may carry and no gateway may choke on."""

from collections.abc import Callable
from typing import Final

import numpy as np

from roadside.contract import topics
from simulator.fleet.packing import packed_frame

SOURCE: Final = "poison"
OVERSIZE_BYTES: Final = 64 * 1024
_READINGS: Final = topics.readings(SOURCE)
_FRAMES: Final = topics.frames(SOURCE)


def poison(number: int) -> tuple[str, bytes]:
    """Topic and payload of the how manieth message: each sort in turn. None of them holds a reading."""
    topic, make = _SORTS[number % len(_SORTS)]
    return topic, make(np.random.default_rng(number))


def _garbage(rng: np.random.Generator) -> bytes:
    return b"\xff" + rng.bytes(200)  # 0xff begins no field of protobuf and no JSON


def _torn(_: np.random.Generator) -> bytes:
    column = np.arange(9, dtype=np.int64)
    frame = packed_frame(SOURCE, 0, column, column, column, column, column)
    return frame[: len(frame) // 2]


def _oversize(rng: np.random.Generator) -> bytes:
    return b"\xff" + rng.bytes(OVERSIZE_BYTES)


def _wrong_types(_: np.random.Generator) -> bytes:
    return b'{"sensor_id":7,"timestamp":"yesterday","vehicle_count":"many","average_speed_kmh":[],"occupancy":{}}'


def _no_json(_: np.random.Generator) -> bytes:
    return b'{"sensor_id":"S1","timestamp":'


_SORTS: Final[tuple[tuple[str, Callable[[np.random.Generator], bytes]], ...]] = (
    (_FRAMES, _garbage),
    (_READINGS, _wrong_types),
    (_FRAMES, _torn),
    (_READINGS, _no_json),
    (_FRAMES, _oversize),
)
