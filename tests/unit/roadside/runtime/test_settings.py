import math
from typing import Annotated, Any

import msgspec
import pytest

from roadside.runtime.settings import SettingsError, SettingsFault, load_settings


class Input(msgspec.Struct, rename="camel", frozen=True):
    local_topic: str = "roadside/v1/readings/+"
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=7000)] = 7000


class Place(msgspec.Struct, rename="camel", frozen=True):
    segment_id: str
    free_flow_kmh: Annotated[float, msgspec.Meta(gt=0)] = 50.0


class Settings(msgspec.Struct, rename="camel", frozen=True):
    window_seconds: Annotated[int, msgspec.Meta(ge=1, le=300)] = 60
    grace_seconds: int = 5
    corrections: bool = True
    budget_bytes: int | None = None
    label: str | None = None
    speeds: tuple[float, ...] = ()
    sensors: dict[str, int] = {}
    input: Input = Input()
    places: tuple[Place, ...] = ()

    def __post_init__(self) -> None:
        if self.grace_seconds > self.window_seconds:
            raise ValueError("graceSeconds must be at most windowSeconds")


def faults(tree: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(Settings, tree)
    for fault in caught.value.faults:
        assert str(fault) in str(caught.value)
    return {fault.field: fault.reason for fault in caught.value.faults}


def test_an_empty_configuration_gives_the_defaults() -> None:
    assert load_settings(Settings, {}) == Settings()


def test_what_nucleus_lite_made_strings_of_is_read_as_what_it_was() -> None:
    tree = {
        "windowSeconds": "30",
        "corrections": "false",
        "budgetBytes": "null",
        "label": "null",
        "speeds": ["1.5", "2"],
        "sensors": {"a": "1"},
        "input": {"localTopic": "60", "maxBytes": "100"},
        "places": [{"segmentId": "7", "freeFlowKmh": "30"}],
    }
    assert load_settings(Settings, tree) == Settings(
        window_seconds=30,
        corrections=False,
        speeds=(1.5, 2.0),
        sensors={"a": 1},
        input=Input("60", 100),
        places=(Place("7", 30.0),),
    )


def test_what_the_classic_nucleus_made_floats_of_is_read_as_integers() -> None:
    settings = load_settings(Settings, {"windowSeconds": 30.0, "budgetBytes": 5.0})
    assert (settings.window_seconds, settings.budget_bytes) == (30, 5)
    assert isinstance(settings.window_seconds, int)


def test_access_control_is_left_aside() -> None:
    assert load_settings(Settings, {"accessControl": {"aws.greengrass.ipc.pubsub": {}}}) == Settings()


def test_every_fault_is_told_at_once_with_its_field_and_value() -> None:
    tree = {
        "windowSeconds": "0",
        "corrections": "perhaps",
        "budgetBytes": 1.5,
        "speeds": ["1", "fast"],
        "sensors": [],
        "input": {"maxBytes": 7001, "topic": "x"},
        "places": [{"segmentId": "1"}, {"freeFlowKmh": -1}, 3],
        "windowSecond": 5,
    }
    assert faults(tree) == {
        "windowSeconds": "expected int >= 1",
        "corrections": "expected bool, got str",
        "budgetBytes": "expected int | null, got float",
        "speeds[1]": "expected float, got str",
        "sensors": "expected object, got array",
        "input.maxBytes": "expected int <= 7000",
        "input.topic": "unknown key, did you mean 'localTopic'?",
        "places[1].segmentId": "must be given",
        "places[1].freeFlowKmh": "expected float > 0.0",
        "places[2]": "expected an object",
        "windowSecond": "unknown key, did you mean 'windowSeconds'?",
    }


def test_a_key_in_another_case_is_unknown_and_the_right_one_is_named() -> None:
    assert faults({"windowseconds": 5}) == {"windowseconds": "unknown key, did you mean 'windowSeconds'?"}


def test_an_unknown_key_without_a_likeness_names_all_known_ones() -> None:
    assert "windowSeconds" in faults({"zzz": 1})["zzz"]


def test_null_is_refused_where_a_value_must_be() -> None:
    assert set(faults({"windowSeconds": "null", "graceSeconds": None})) == {"windowSeconds", "graceSeconds"}


@pytest.mark.parametrize("value", ["nan", "inf", math.nan, math.inf, [1.0, "nan"]])
def test_numbers_that_are_none_are_refused(value: object) -> None:
    speeds = value if isinstance(value, list) else [value]
    assert faults({"speeds": speeds}) == {"speeds": "must be a finite number"}


def test_a_fault_between_fields_is_told() -> None:
    assert "graceSeconds must be" in faults({"windowSeconds": 1})["settings"]


def test_the_value_in_a_fault_is_short() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(Settings, {"windowSeconds": "x" * 500})
    [fault] = caught.value.faults
    assert fault == SettingsFault("windowSeconds", "'" + "x" * 76 + "...", "expected int, got str")
