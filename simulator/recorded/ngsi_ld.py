"""The format `ngsi-ld`: entities TrafficFlowObserved of the smart data models, normalized or key-values.

Files *.json[.gz] hold one entity, an array of them, or a notification with them in `data`; files *.jsonl[.gz] and
*.ndjson[.gz] hold one a line, and are read without being held in memory. `intensity` is the number of vehicles in the
period, in spite of its name; the instant is the start of the period: dateObservedFrom, else dateObserved.

A sensor is a lane of a road segment (`refRoadSegment`, `laneId` from 1), else the entity itself. The model tells
neither class nor limit nor order of roads: a `sensors.csv` beside, as the format `loops` has it, does; without it each
segment is a street of 50 km/h.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from simulator.recorded.loops import milliseconds, read_sensors
from simulator.recorded.values import RecordedReading, RecordedSensor, RecordingError, TextFile

WHOLE: Final = (".json", ".json.gz", ".jsonld", ".jsonld.gz")
BY_LINE: Final = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
STREET_KMH: Final = 50.0
TYPE: Final = "TrafficFlowObserved"

Entity = Mapping[str, Any]


class NgsiLd:
    """Reads such a folder.

    Raises
    ------
    RecordingError
        There are no such files or entities, or sensors.csv makes no sense.
    """

    def __init__(self, folder: Path) -> None:
        self.rejected: Counter[str] = Counter()
        self.files: Sequence[Path] = sorted(p for p in folder.iterdir() if p.name.endswith((*WHOLE, *BY_LINE)))
        if not self.files:
            raise RecordingError(f"{folder}: no *.json or *.jsonl; name a folder that holds entities {TYPE}")
        described = folder / "sensors.csv"
        self._sensors = read_sensors(described) if described.exists() else self._streets()
        if not self._sensors:
            raise RecordingError(f"{self.files[0]}: holds no entity {TYPE} with an id")

    def sensors(self) -> Mapping[str, Sequence[RecordedSensor]]:
        return self._sensors

    def readings(self) -> Iterator[RecordedReading]:
        """One reading of each entity; what is none is counted."""
        self.rejected.clear()
        for entity in self._observations():
            sensor_id, _, _ = _place(entity)
            instant = _value(entity, "dateObservedFrom") or _value(entity, "dateObserved")
            if not isinstance(instant, str):
                self.rejected["no dateObserved"] += 1
                continue
            count = _measure(entity, "intensity")
            speed = _measure(entity, "averageVehicleSpeed")
            yield RecordedReading(
                sensor_id,
                milliseconds(instant.split("/")[0]),
                count,
                None if count == 0.0 and speed == 0.0 else speed,  # "zero because the volume is zero" is no speed
                _measure(entity, "occupancy"),
            )

    def _observations(self) -> Iterator[Entity]:
        for entity in self._entities():
            if not isinstance(entity, dict) or _value(entity, "type") != TYPE:
                self.rejected[f"no {TYPE}"] += 1
            elif not _place(entity)[0]:
                self.rejected["no id"] += 1
            else:
                yield entity

    def _entities(self) -> Iterator[Any]:
        for path in self.files:
            if path.name.endswith(BY_LINE):
                yield from self._lines(path)
            else:
                yield from _whole(path)

    def _lines(self, path: Path) -> Iterator[Any]:
        file = TextFile(path)
        with file as stream:
            for line in stream:
                file.line += 1
                if not line.strip():
                    continue
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    self.rejected["a line that is no JSON"] += 1

    def _streets(self) -> dict[str, list[RecordedSensor]]:
        sensors: dict[str, dict[str, RecordedSensor]] = {}
        for entity in self._observations():
            sensor_id, segment_id, lane = _place(entity)
            if sensor_id not in sensors.setdefault(segment_id, {}):
                sensors[segment_id][sensor_id] = RecordedSensor(
                    sensor_id, segment_id, lane, "arterial", segment_id, STREET_KMH
                )
        return {segment: list(lanes.values()) for segment, lanes in sensors.items()}


def _whole(path: Path) -> Iterator[Any]:
    with TextFile(path) as stream:
        text = stream.read()
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecordingError(f"{path}: is no JSON: {error}; entities one a line belong into *.jsonl") from error
    if isinstance(tree, dict) and isinstance(tree.get("data"), list):
        tree = tree["data"]
    yield from tree if isinstance(tree, list) else [tree]


def _place(entity: Entity) -> tuple[str, str, int]:
    """Sensor, segment and lane from 0 of an entity; the sensor is empty where the entity has no name."""
    identity, segment, lane = (_value(entity, name) for name in ("id", "refRoadSegment", "laneId"))
    is_lane = isinstance(lane, int) and lane >= 1
    name = segment if isinstance(segment, str) and segment else identity
    if not isinstance(name, str) or not name:
        return "", "", 0
    direction = _value(entity, "laneDirection")
    segment_id = f"{name}-{direction}" if isinstance(direction, str) and direction else name
    return (f"{segment_id}-{lane}" if is_lane else segment_id), segment_id, (lane - 1 if is_lane else 0)


def _value(entity: Entity, name: str) -> Any:
    """What an attribute says: itself, or inside of a Property, a Relationship or a DateTime."""
    told = entity.get(name)
    while isinstance(told, dict):
        told = next((told[key] for key in ("value", "object", "@value") if key in told), None)
    return told


def _measure(entity: Entity, name: str) -> float | str | None:
    value = _value(entity, name)
    if value is None or isinstance(value, str):
        return value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
