"""The configuration is taken whole, with every fault told at once, in the forms that both nuclei hand out."""

from typing import Any

import pytest

from roadside.runtime.settings import SettingsError, load_settings
from sensor_ingest.settings import IngestSettings, MqttSettings, UdpSettings

SEGMENT = {
    "id": "A6-N-12", "number": 3, "roadClass": "freeway", "freeFlowKmh": 110, "lanes": 2, "firstSensorNumber": 40,
    "sensors": ["s40", "s41"],
}  # fmt: skip


def faults(tree: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(IngestSettings, tree)
    return str(caught.value)


def test_sensor_numbers_come_from_the_aggregators_segments_and_from_other_names_for_them() -> None:
    settings = load_settings(IngestSettings, {"segments": [SEGMENT], "sensors": {"vendor-7": 41, "spare": "90"}})
    assert settings.sensor_numbers() == {"s40": 40, "s41": 41, "vendor-7": 41, "spare": 90}


def test_values_come_as_strings_and_floats_too() -> None:
    tree = {
        "beatMs": "100",
        "segments": [SEGMENT | {"firstSensorNumber": "40", "sensors": ["a"], "lanes": "2"}],
        "udp": [{"name": "u", "port": 5000.0}],
        "mqtt": [{"name": "m", "topics": ["t/#"], "tls": "null", "sensorIdLevel": "2"}],
    }
    settings = load_settings(IngestSettings, tree)
    assert settings.beat_ms == 100
    assert settings.sensor_numbers() == {"a": 40}
    assert settings.adapters() == {
        "u": UdpSettings(name="u", port=5000),
        "m": MqttSettings(name="m", topics=["t/#"], sensor_id_level=2),
    }


def test_every_fault_of_values_is_told_at_once() -> None:
    told = faults(
        {
            "beatMs": 1,
            "frameReadings": 481,
            "udp": [{"name": "a/b", "port": 70_000}],
            "http": [{"name": "h", "port": 1, "path": "no-slash"}],
            "mqtt": [
                {"name": "m", "topics": []},
                {"name": "n", "topics": ["t"], "tls": {"caFile": "/a", "keyFile": "/k"}},
            ],
            "mappings": [{"name": "x", "occupancyUnit": "promille"}],
            "segments": [SEGMENT, {"sensors": ["x"]}],
            "filez": [],
        }
    )
    for field in ("beatMs", "frameReadings", "udp[0].name", "udp[0].port", "http[0].path", "mqtt[0].topics",
                  "mqtt[1].tls", "mappings[0].occupancyUnit", "segments[1].roadClass",
                   "did you mean 'files'"):  # fmt: skip
        assert field in told


def test_every_contradiction_is_told_at_once() -> None:
    told = faults(
        {
            "segments": [SEGMENT],
            "sensors": {"s40": 1},
            "mappings": [{"name": "mine", "timeZone": "Mars/Olympus"}, {"name": "pems"}],
            "udp": [{"name": "one", "port": 1, "mapping": "mine"}, {"name": "two", "port": 1, "mapping": "yours"}],
            "files": [{"name": "one", "path": "/log"}],
        }
    )
    for part in ("'one' stands for 2 adapters", "'pems' stands for 2 mappings", "no mapping 'yours'", "Mars/Olympus",
                 "sensor 's40' has the numbers 1 and 40"):  # fmt: skip
        assert part in told
