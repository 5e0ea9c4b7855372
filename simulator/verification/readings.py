"""The readings table of the first design against what the sensors measured, reading by reading."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from simulator.faults.delivery import NO_SPEED, Readings
from simulator.verification.archive import ArchiveError

IntColumn = npt.NDArray[np.int64]
FloatColumn = npt.NDArray[np.float64]

FILE: Final = "readings.npz"
MAX_FINDINGS: Final = 50


@dataclass(frozen=True, slots=True)
class StoredReadings:
    """Rows of the table as columns; NaN is what a reading did not measure."""

    sensor: IntColumn
    timestamp_ms: IntColumn
    received_ms: IntColumn
    vehicle_count: IntColumn
    average_speed_kmh: FloatColumn
    occupancy: FloatColumn

    def __len__(self) -> int:
        return len(self.sensor)

    def write(self, folder: Path) -> None:
        """Keep them in the folder of the run."""
        columns = {name: getattr(self, name) for name in StoredReadings.__dataclass_fields__}
        np.savez_compressed(folder / FILE, **columns)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` kept. Raises ArchiveError."""
        path = folder / FILE
        try:
            with np.load(path, allow_pickle=False) as columns:
                return cls(**{name: columns[name] for name in StoredReadings.__dataclass_fields__})
        except FileNotFoundError as error:
            raise ArchiveError(f"{path}: no such file; give the --out of a finished run with --mode raw") from error
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise ArchiveError(f"{path} cannot be read ({error}); run again") from error


@dataclass(frozen=True, slots=True)
class ReadingsVerdict:
    """What the comparison found."""

    expected: int
    stored: int
    missing: int
    altered: int
    unexpected: int
    findings: tuple[str, ...]


class ToldReadings:
    """A witness that keeps the valid readings in memory: of a city as small as one that publishes them singly."""

    def __init__(self) -> None:
        self._parts: list[Readings] = []

    def note(
        self,
        sensor: IntColumn,
        timestamp_ms: IntColumn,
        vehicle_count: IntColumn,
        speed_dkmh: IntColumn,
        occupancy_permille: IntColumn,
        delivered_ms: IntColumn,  # noqa: ARG002 - of a gateway
    ) -> None:
        self._parts.append(Readings(sensor, timestamp_ms, vehicle_count, speed_dkmh, occupancy_permille))

    def readings(self) -> Readings:
        """All of them."""
        names = Readings.__dataclass_fields__
        none = np.zeros(0, dtype=np.int64)
        return Readings(*(np.concatenate([none, *(getattr(part, name) for part in self._parts)]) for name in names))


def scan_readings(dynamodb: Any, table: str) -> Iterator[Mapping[str, Any]]:
    """All items of the table, by a DynamoDB client."""
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def stored_readings(items: Iterable[Mapping[str, Any]], sensor_numbers: Mapping[str, int]) -> StoredReadings:
    """Items of a DynamoDB client's scan as columns, in order of sensor and time; -1 is a sensor that nobody knows."""
    rows = sorted(
        (
            sensor_numbers.get(item["sensor_id"]["S"], -1),
            int(item["timestamp_ms"]["N"]),
            int(item["received_ms"]["N"]),
            int(item["vehicle_count"]["N"]),
            _measured(item, "average_speed_kmh"),
            _measured(item, "occupancy"),
        )
        for item in items
    )
    sensor, timestamp_ms, received_ms, vehicle_count, speed, occupancy = zip(*rows, strict=True) if rows else [()] * 6
    return StoredReadings(
        sensor=np.array(sensor, dtype=np.int64),
        timestamp_ms=np.array(timestamp_ms, dtype=np.int64),
        received_ms=np.array(received_ms, dtype=np.int64),
        vehicle_count=np.array(vehicle_count, dtype=np.int64),
        average_speed_kmh=np.array(speed, dtype=np.float64),
        occupancy=np.array(occupancy, dtype=np.float64),
    )


def _measured(item: Mapping[str, Any], name: str) -> float:
    return float(item[name]["N"]) if name in item else np.nan


def verify_readings(told: Readings, stored: StoredReadings, sensor_ids: Mapping[int, str]) -> ReadingsVerdict:
    """Compare every reading with its row; the table's key sees to it that none is there twice."""
    told_key, stored_key = _keys(told, stored)
    _, in_both, in_table = np.intersect1d(told_key, stored_key, return_indices=True)
    missing = np.setdiff1d(np.arange(len(told)), in_both)
    unexpected = np.setdiff1d(np.arange(len(stored)), in_table)
    findings = [f"{_where(told, row, sensor_ids)}: the reading is not in the table" for row in missing[:MAX_FINDINGS]]
    findings += [
        f"{_where(stored, row, sensor_ids)}: the table holds a reading that no sensor made"
        for row in unexpected[:MAX_FINDINGS]
    ]
    altered = np.zeros(len(in_both), dtype=bool)
    for name, of_sensors, of_table in (
        ("vehicle_count", told.vehicle_count, stored.vehicle_count),
        ("average_speed_kmh", speed_kmh(told), stored.average_speed_kmh),
        ("occupancy", told.occupancy_permille / 1000, stored.occupancy),
    ):
        measured, kept = of_sensors[in_both], of_table[in_table]
        differs = ~((measured == kept) | (np.isnan(measured) & np.isnan(kept)))
        altered |= differs
        findings += [
            f"{_where(told, in_both[place], sensor_ids)}: {name} is {kept[place]:g}, should be {measured[place]:g}"
            for place in np.flatnonzero(differs)[:MAX_FINDINGS]
        ]
    return ReadingsVerdict(
        expected=len(told),
        stored=len(stored),
        missing=len(missing),
        altered=int(altered.sum()),
        unexpected=len(unexpected),
        findings=tuple(findings[:MAX_FINDINGS]),
    )


def speed_kmh(readings: Readings) -> FloatColumn:
    """Speeds as a sensor tells them, NaN without a vehicle."""
    return np.where(readings.speed_dkmh == NO_SPEED, np.nan, readings.speed_dkmh / 10)


def _where(source: Readings | StoredReadings, row: np.intp, sensor_ids: Mapping[int, str]) -> str:
    return f"{sensor_ids.get(int(source.sensor[row]), 'an unknown sensor')} at {source.timestamp_ms[row]}"


def _keys(told: Readings, stored: StoredReadings) -> tuple[IntColumn, IntColumn]:
    """One number for sensor and instant."""
    instants = np.concatenate([told.timestamp_ms, stored.timestamp_ms])
    if not len(instants):
        return told.sensor, stored.sensor
    base_ms, span_ms = int(instants.min()), int(np.ptp(instants)) + 1
    return (
        told.sensor * span_ms + told.timestamp_ms - base_ms,
        stored.sensor * span_ms + stored.timestamp_ms - base_ms,
    )
