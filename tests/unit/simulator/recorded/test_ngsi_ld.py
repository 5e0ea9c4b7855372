"""TrafficFlowObserved, normalized and key-values, whole files and lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.recorded.formats import Format
from simulator.recorded.recording import RecordedReading, Recording, RecordingError

EIGHT_MS = 1_715_673_600_000  # 2024-05-14T08:00:00Z
KEY_VALUES: dict[str, Any] = {
    "id": "urn:ngsi-ld:TrafficFlowObserved:1",
    "type": "TrafficFlowObserved",
    "refRoadSegment": "urn:ngsi-ld:RoadSegment:main",
    "laneId": 2,
    "dateObserved": "2024-05-14T08:00:00Z/2024-05-14T08:01:00Z",
    "intensity": 12,
    "averageVehicleSpeed": 47.5,
    "occupancy": 0.08,
}
NORMALIZED: dict[str, Any] = {
    "id": "urn:ngsi-ld:TrafficFlowObserved:1",
    "type": "TrafficFlowObserved",
    "refRoadSegment": {"type": "Relationship", "object": "urn:ngsi-ld:RoadSegment:main"},
    "laneId": {"type": "Property", "value": 2},
    "dateObserved": {"type": "Property", "value": {"@type": "DateTime", "@value": "2024-05-14T08:01:00Z"}},
    "dateObservedFrom": {"type": "Property", "value": {"@type": "DateTime", "@value": "2024-05-14T08:00:00Z"}},
    "intensity": {"type": "Property", "value": 12, "unitCode": "E50"},
    "averageVehicleSpeed": {"type": "Property", "value": 47.5},
    "occupancy": {"type": "Property", "value": 0.08},
}
READING = RecordedReading("urn:ngsi-ld:RoadSegment:main-2", EIGHT_MS, 12.0, 47.5, 0.08)


def recorded(folder: Path, content: object, name: str = "observed.json") -> Recording:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return Recording(folder, 100.0)


@pytest.mark.parametrize("entity", [KEY_VALUES, NORMALIZED], ids=["key-values", "normalized"])
@pytest.mark.parametrize("shape", ["array", "one", "notification", "lines"])
def test_an_entity_is_a_reading_of_its_lane_in_every_form(tmp_path: Path, entity: dict[str, Any], shape: str) -> None:
    if shape == "lines":
        recording = recorded(tmp_path, f"{json.dumps(entity)}\n\n", "observed.jsonl")
    else:
        tree = {"array": [entity], "one": entity, "notification": {"type": "Notification", "data": [entity]}}[shape]
        recording = recorded(tmp_path, tree)
    assert recording.file_format is Format.NGSI_LD
    assert list(recording.readings()) == [READING]
    assert not recording.rejected
    [gateway] = recording.gateways
    assert [(s.id, s.road_class, s.lanes, list(s.sensors)) for s in gateway.segments] == [
        ("urn:ngsi-ld:RoadSegment:main", "arterial", 2, ["urn:ngsi-ld:RoadSegment:main-2"])
    ]


def test_an_entity_without_segment_and_lane_is_a_sensor_by_itself(tmp_path: Path) -> None:
    entity = {k: v for k, v in KEY_VALUES.items() if k not in {"refRoadSegment", "laneId"}}
    [reading] = recorded(tmp_path, [entity]).readings()
    assert reading.sensor_id == KEY_VALUES["id"]


def test_directions_of_one_segment_are_two_roads(tmp_path: Path) -> None:
    both = [KEY_VALUES | {"laneDirection": direction} for direction in ("forward", "backward")]
    recording = recorded(tmp_path, both)
    assert len(recording.gateways[0].segments) == 2
    assert len({reading.sensor_id for reading in recording.readings()}) == 2


@pytest.mark.parametrize(
    ("changes", "measured"),
    [
        ({"intensity": 0, "averageVehicleSpeed": 0}, (0.0, None, 0.08)),  # no vehicle, no speed
        ({"intensity": 3, "averageVehicleSpeed": 0}, (3.0, 0.0, 0.08)),
        ({"intensity": None, "occupancy": None}, (None, 47.5, None)),
        ({"intensity": "many"}, ("many", 47.5, 0.08)),
        ({"intensity": True}, ("True", 47.5, 0.08)),
    ],
)
def test_what_is_measured_is_taken_as_it_stands(
    tmp_path: Path, changes: dict[str, Any], measured: tuple[object, ...]
) -> None:
    [reading] = recorded(tmp_path, [KEY_VALUES | changes]).readings()
    assert reading[2:] == measured


def test_what_is_no_reading_is_counted_with_its_reason(tmp_path: Path) -> None:
    lines = [
        json.dumps(KEY_VALUES),
        "{broken",
        json.dumps({"id": "x", "type": "Device"}),
        json.dumps({"type": "TrafficFlowObserved"}),
        json.dumps({"id": "y", "type": "TrafficFlowObserved"}),
        "[]",
    ]
    recording = recorded(tmp_path, "\n".join(lines), "observed.jsonl")
    assert list(recording.readings()) == [READING]
    assert dict(recording.rejected) == {
        "a line that is no JSON": 1,
        "no TrafficFlowObserved": 2,
        "no id": 1,
        "no dateObserved": 1,
    }


def test_streets_that_one_gateway_cannot_hold_have_more(tmp_path: Path) -> None:
    entities = [KEY_VALUES | {"refRoadSegment": f"street-{number}"} for number in range(150)]
    gateways = recorded(tmp_path, entities).gateways
    assert [(gateway.gateway_id, len(gateway.segments)) for gateway in gateways] == [
        ("streets-1", 100),
        ("streets-2", 50),
    ]


def test_a_sensors_csv_beside_tells_what_the_model_does_not(tmp_path: Path) -> None:
    (tmp_path / "sensors.csv").write_text(
        "sensor_id,edge_id,lane,road_class,road,speed_limit_kmh,order\n"
        "urn:ngsi-ld:RoadSegment:main-2,main,1,freeway,A7-N,110,1\n"
    )
    [gateway] = recorded(tmp_path, [KEY_VALUES]).gateways
    assert (gateway.gateway_id, gateway.segments[0].road_class) == ("A7-N", "freeway")


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ('{"a": 1}\n{"b": 2}', "x.json", r"x\.json: is no JSON: .*; entities one a line belong into \*\.jsonl"),
        ("[]", "x.json", r"x\.json: holds no entity TrafficFlowObserved with an id"),
        ("\n", "x.jsonl", r"x\.jsonl: holds no entity TrafficFlowObserved with an id"),
    ],
)
def test_files_without_an_entity_are_named(tmp_path: Path, content: str, name: str, words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        recorded(tmp_path, content, name)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(json.dumps(KEY_VALUES).encode() + b"\n" + "{}".encode("utf-16"))
    with pytest.raises(RecordingError, match=r"x\.jsonl: damaged after line \d .*utf-8"):
        Recording(tmp_path, 100.0)


def test_a_folder_without_entities_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"no \*\.json or \*\.jsonl"):
        Recording(tmp_path, 100.0, file_format=Format.NGSI_LD)
