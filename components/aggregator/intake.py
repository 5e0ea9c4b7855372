"""Local messages as batches of readings.

A message that is no message of ours, and a reading that has not the right fields, is counted with its reason; the
rest of the same message is taken.
"""

import struct
from collections import Counter

import msgspec
import numpy as np
import numpy.typing as npt

from roadside.contract import topics
from roadside.contract.codec import decode_frame
from roadside.contract.errors import DecodeError
from roadside.core.readings import ReadingBatch, batch_from_integers, batch_from_measurements
from roadside.core.registry import Registry

FRAMES_PREFIX = topics.FRAMES_FILTER.removesuffix("+")


class Reading(msgspec.Struct, gc=False):
    """A reading as JSON. Unknown fields are passed over; null means not measured.

    Parameters
    ----------
    timestamp : epoch milliseconds UTC, whole; the classic nucleus makes doubles of both
    vehicle_count : vehicles since the sensor's previous reading, whole
    average_speed_kmh : their mean speed
    occupancy : share of time that the zone was covered, 0 to 1
    """

    sensor_id: str
    timestamp: float
    vehicle_count: float
    average_speed_kmh: float | None = None
    occupancy: float | None = None


_decode_one = msgspec.json.Decoder(Reading).decode
_decode_many = msgspec.json.Decoder(list[Reading]).decode
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # too deep a nesting is the last


class Intake:
    """Decodes local messages. Attribute `refused` counts what could not be read, by reason."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()

    def decode(self, topic: str, payload: bytes, registry: Registry) -> ReadingBatch | None:
        """The readings in a message, or None if there are none that can be read."""
        if topic.startswith(FRAMES_PREFIX):
            return self._frame(payload, registry)
        readings = self._readings(payload)
        return _batch(readings, registry) if readings else None

    def _frame(self, payload: bytes, registry: Registry) -> ReadingBatch | None:
        try:
            frame = decode_frame(payload)
        except DecodeError as error:
            self.refused[f"frame: {error.field}"] += 1
            return None
        # As signed integers, "none" is NONE, and what is too large is negative: no more in range than before.
        return batch_from_integers(
            registry.index_of_numbers(np.frombuffer(frame.sensor_number, dtype="<u4")),
            frame.base_ms + np.frombuffer(frame.offset_ms, dtype="<u4").astype(np.int64),
            np.frombuffer(frame.vehicle_count, dtype="<i2"),
            np.frombuffer(frame.speed_dkmh, dtype="<i2"),
            np.frombuffer(frame.occupancy_permille, dtype="<i2"),
        )

    def _readings(self, payload: bytes) -> list[Reading]:
        if not payload.lstrip().startswith(b"["):
            return self._readable([payload])
        try:
            return _decode_many(payload)
        except _UNREADABLE:
            pass  # at least one of them; which, is seen one by one
        try:
            return self._readable(_split(payload))
        except _UNREADABLE:
            self.refused["reading: no JSON"] += 1
            return []

    def _readable(self, parts: list[bytes] | list[msgspec.Raw]) -> list[Reading]:
        """Those of the readings that can be read."""
        readings = []
        for part in parts:
            try:
                readings.append(_decode_one(part))
            except msgspec.ValidationError:
                self.refused["reading: wrong fields"] += 1
            except _UNREADABLE:
                self.refused["reading: no JSON"] += 1
        return readings


def _batch(readings: list[Reading], registry: Registry) -> ReadingBatch:
    # Null becomes NaN, which JSON itself does not have.
    speed_kmh = np.array([reading.average_speed_kmh for reading in readings], dtype=np.float64)
    occupancy = np.array([reading.occupancy for reading in readings], dtype=np.float64)
    return batch_from_measurements(
        registry.index_of_ids([reading.sensor_id for reading in readings]),
        _floats([reading.timestamp for reading in readings]),
        _floats([reading.vehicle_count for reading in readings]),
        speed_kmh,
        occupancy,
        has_speed=~np.isnan(speed_kmh),
        has_occupancy=~np.isnan(occupancy),
    )


def _floats(values: list[float]) -> npt.NDArray[np.float64]:
    """The values as an array, in half the time that np.array takes."""
    return np.frombuffer(struct.pack(f"{len(values)}d", *values))
