"""The Aggregator's configuration, as both nuclei hand it over."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from aggregator.settings import AggregatorSettings
from roadside.core.errors import ConfigurationError
from roadside.runtime.settings import SettingsError, load_settings
from tests.unit.aggregator.rig import Gateway, Reading, segment, settings

RECIPE = Path(__file__).parents[3] / "recipes" / "city.roadside.Aggregator.yaml"


def in_the_recipe() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(RECIPE.read_text())["ComponentConfiguration"]["DefaultConfiguration"]
    return tree


def as_strings(value: Any) -> Any:
    """A tree as nucleus lite hands it over: every scalar of the YAML a string."""
    if isinstance(value, dict):
        return {key: as_strings(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_strings(item) for item in value]
    return str(value)


def as_floats(value: Any) -> Any:
    """A tree as the classic nucleus hands it over after a change: every integer a float."""
    if isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {key: as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize("nucleus", [dict, as_strings, as_floats])
def test_the_defaults_are_those_of_the_recipe(nucleus: Any) -> None:
    assert load_settings(AggregatorSettings, nucleus(in_the_recipe())) == AggregatorSettings()
    assert load_settings(AggregatorSettings, {}) == AggregatorSettings()


@pytest.mark.parametrize("nucleus", [as_strings, as_floats])
def test_a_whole_configuration_survives_either_nucleus(nucleus: Any) -> None:
    configured = settings("added", window_seconds=60, publishes_per_second=5, log_level="DEBUG")
    configured = msgspec.structs.replace(configured, segments=[*configured.segments, segment(9, 90, downstream=1)])
    assert load_settings(AggregatorSettings, nucleus(msgspec.to_builtins(configured))) == configured


def test_every_fault_is_told_at_once() -> None:
    tree = {
        "windowSeconds": 0,
        "correctionSeconds": "soon",
        "publishesPerSecond": 91,
        "logLevel": "loud",
        "windowSecond": 10,
        "segments": [msgspec.to_builtins(segment(1, 10)) | {"lanes": 0, "roadClass": "river"}, {"id": ""}],
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(AggregatorSettings, tree)
    fields = {fault.field for fault in caught.value.faults}
    assert fields >= {"windowSeconds", "correctionSeconds", "publishesPerSecond", "logLevel", "windowSecond"}
    assert fields >= {"segments[0].lanes", "segments[0].roadClass", "segments[1].id", "segments[1].number"}


@pytest.mark.parametrize(
    ("segments", "field"),
    [
        ([segment(1, 10, 11), segment(1, 20)], "segment number"),
        ([segment(1, 10, 11), segment(2, 11)], "sensor number"),
        ([segment(1, 10), segment(2, 20, sensors=["s10"])], "sensor id"),
        ([segment(1, 10, sensors=["a", "a"])], "sensor id"),
    ],
)
def test_segments_that_contradict_each_other_change_nothing(segments: Any, field: str) -> None:
    gateway = Gateway(settings())
    refused = settings(segments=segments, publishes_per_second=3, window_seconds=60)
    with pytest.raises(ConfigurationError, match="occurs twice") as caught:
        gateway.pipeline.apply(refused)
    assert caught.value.field == field
    assert gateway.pipeline._uplink.settings.publishes_per_second == 20
    gateway.receive(Reading(20, gateway.wall_ms))
    last = gateway.finish()
    assert [window.window_ms for window in gateway.cloud.windows(last)] == [10_000]


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"windowSeconds": 7}, "must divide an hour"),
        ({"windowSeconds": 3600, "readingIntervalMs": 100}, "reading intervals"),
        ({"segments": [msgspec.to_builtins(segment(number, number)) for number in range(101)]}, "at most 100"),
    ],
)
def test_what_windows_cannot_be_is_refused(tree: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load_settings(AggregatorSettings, tree)
