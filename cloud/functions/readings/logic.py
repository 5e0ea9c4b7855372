"""What the readings function decides, without touching anything: which records are readings. Pure."""

import json
from dataclasses import dataclass
from typing import Any, Final

from cloud.functions.shared.envelope import PoisonError

_MAX_VEHICLES: Final = 1000
_MAX_KMH: Final = 255
_MAX_MS: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a sensor that has no gateway; None is what it did not measure."""

    sensor_id: str
    timestamp_ms: int
    received_ms: int
    vehicle_count: int
    average_speed_kmh: float | None
    occupancy: float | None


def read_reading(record: bytes) -> Reading:
    """The reading in a record of the stream, as the rule of readings writes it.

    Raises
    ------
    PoisonError
        It is none, or tells of another sensor than the one that was allowed to publish it.
    """
    try:
        document = json.loads(record)
    except ValueError as error:
        raise PoisonError(f"the record is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise PoisonError(f"the record is no JSON object but {type(document).__name__}")
    sensor_id = document.get("sensor_id")
    if not isinstance(sensor_id, str) or sensor_id != document.get("thing"):
        raise PoisonError(
            f"sensor_id = {sensor_id!r:.40}: must be the thing that sent it, {document.get('thing')!r:.140}"
        )
    return Reading(
        sensor_id=sensor_id,
        timestamp_ms=_whole(document, "timestamp", 1, _MAX_MS),
        received_ms=_whole(document, "received_ms", 1, _MAX_MS),
        vehicle_count=_whole(document, "vehicle_count", 0, _MAX_VEHICLES),
        average_speed_kmh=_measured(document, "average_speed_kmh", _MAX_KMH),
        occupancy=_measured(document, "occupancy", 1),
    )


def _whole(document: dict[str, Any], field: str, least: int, most: int) -> int:
    value = document.get(field)
    if type(value) is not int or not least <= value <= most:
        raise PoisonError(f"{field} = {value!r:.40}: must be a whole number from {least} to {most}")
    return value


def _measured(document: dict[str, Any], field: str, most: int) -> float | None:
    value = document.get(field)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise PoisonError(f"{field} = {value!r:.40}: must be a number from 0 to {most}, or null")
    return float(value)
