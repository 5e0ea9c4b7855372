"""Segments for the emulator's tests."""

from typing import Any

import msgspec

from roadside.runtime.segments import SegmentSettings
from sensor_emulator.settings import EmulatorSettings


def segment(number: int, sensors: int = 4, **changes: Any) -> SegmentSettings:
    """A freeway segment whose sensors have the numbers from 100 times its own."""
    values: dict[str, Any] = {
        "id": f"seg-{number}",
        "number": number,
        "road_class": "freeway",
        "free_flow_kmh": 100.0,
        "lanes": 2,
        "first_sensor_number": 100 * number,
        "sensors": [f"s{100 * number + place}" for place in range(sensors)],
    }
    return SegmentSettings(**values | changes)


def settings(*segments: SegmentSettings, **changes: Any) -> EmulatorSettings:
    """A peak hour on these segments."""
    return EmulatorSettings(**{"segments": list(segments), "demand_share": 1.0} | changes)


def tree(configured: EmulatorSettings) -> dict[str, Any]:
    """As the nucleus hands it out."""
    built: dict[str, Any] = msgspec.to_builtins(configured)
    return built
