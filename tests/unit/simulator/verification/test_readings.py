"""The readings table: whatever is missing, altered or too much is found and named, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.faults.delivery import NO_SPEED, Readings
from simulator.verification.readings import (
    ReadingsVerdict,
    StoredReadings,
    ToldReadings,
    stored_readings,
    verify_readings,
)

START_MS = 1_790_000_640_000
IDS = {0: "s-0", 1: "s-1"}
NUMBERS = {name: number for number, name in IDS.items()}


def told() -> Readings:
    """Two sensors, two seconds; one reading has no vehicle, one a speed that no float holds."""
    witness = ToldReadings()
    for second in range(2):
        witness.note(
            np.array([0, 1]),
            START_MS + 1000 * second + np.array([250, 750]),
            np.array([2, second]),
            np.array([873, 1011 if second else NO_SPEED]),
            np.array([31, 0]),
            np.array([0, 0]),
        )
    return witness.readings()


def item(sensor: str, timestamp_ms: int, vehicles: int, speed: float | None, occupancy: float) -> dict[str, Any]:
    """As the readings function writes it."""
    found = {
        "sensor_id": {"S": sensor},
        "timestamp_ms": {"N": str(timestamp_ms)},
        "received_ms": {"N": str(timestamp_ms + 40)},
        "vehicle_count": {"N": str(vehicles)},
        "occupancy": {"N": str(occupancy)},
        "t": {"N": "1790000000"},
    }
    return found if speed is None else found | {"average_speed_kmh": {"N": str(speed)}}


ITEMS = (
    item("s-1", START_MS + 1750, 1, 101.1, 0.0),
    item("s-0", START_MS + 250, 2, 87.3, 0.031),
    item("s-0", START_MS + 1250, 2, 87.3, 0.031),
    item("s-1", START_MS + 750, 0, None, 0.0),
)


def verdict_on(items: list[dict[str, Any]]) -> ReadingsVerdict:
    return verify_readings(told(), stored_readings(items, NUMBERS), IDS)


def test_a_table_that_holds_what_was_told_is_found_so() -> None:
    assert verdict_on(list(ITEMS)) == ReadingsVerdict(4, 4, 0, 0, 0, ())


def test_a_missing_reading_is_named() -> None:
    assert verdict_on(list(ITEMS[1:])) == ReadingsVerdict(
        4, 3, 1, 0, 0, (f"s-1 at {START_MS + 1750}: the reading is not in the table",)
    )


@pytest.mark.parametrize("stranger", [("s-0", START_MS + 251), ("s-9", START_MS + 250)])
def test_a_reading_that_no_sensor_made_is_named(stranger: tuple[str, int]) -> None:
    found = verdict_on([*ITEMS, item(*stranger, 1, 50.0, 0.1)])
    assert (found.missing, found.altered, found.unexpected) == (0, 0, 1)
    name = stranger[0] if stranger[0] in NUMBERS else "an unknown sensor"
    assert found.findings == (f"{name} at {stranger[1]}: the table holds a reading that no sensor made",)


@pytest.mark.parametrize(
    ("altered", "words"),
    [
        (item("s-0", START_MS + 250, 3, 87.3, 0.031), "vehicle_count is 3, should be 2"),
        (item("s-0", START_MS + 250, 2, 87.4, 0.031), "average_speed_kmh is 87.4, should be 87.3"),
        (item("s-0", START_MS + 250, 2, None, 0.031), "average_speed_kmh is nan, should be 87.3"),
        (item("s-0", START_MS + 250, 2, 87.3, 0.032), "occupancy is 0.032, should be 0.031"),
    ],
)
def test_an_altered_reading_is_named_with_both_values(altered: dict[str, Any], words: str) -> None:
    found = verdict_on([altered, ITEMS[0], ITEMS[2], ITEMS[3]])
    assert (found.missing, found.altered, found.unexpected) == (0, 1, 0)
    assert found.findings == (f"s-0 at {START_MS + 250}: {words}",)


def test_an_empty_table_misses_everything() -> None:
    assert verdict_on([]).missing == 4


def test_stored_readings_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    stored = stored_readings(ITEMS, NUMBERS)
    stored.write(tmp_path)
    read = StoredReadings.read(tmp_path)
    for name in StoredReadings.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(read, name), getattr(stored, name), name)
    assert verify_readings(told(), replace(read, vehicle_count=read.vehicle_count + 1), IDS).altered == 4
