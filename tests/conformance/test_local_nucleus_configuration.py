"""Component configuration of the stand-in nucleus, through the unmodified AWS SDK."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from awsiot.greengrasscoreipc import model

from tests.conformance.local_nucleus_rig import WAIT_S, Bench, open_bench


@pytest.fixture(params=["classic", "lite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench(request.param, tmp_path)


def test_configuration_is_read_whole_by_leaf_and_by_branch(bench: Bench) -> None:
    component = bench.connect()
    text = bench.nucleus.profile.name == "lite"
    whole = component.configuration()
    assert whole["windowSeconds"] == ("60" if text else 60)
    assert whole["enabled"] == ("true" if text else True)
    assert "accessControl" in whole
    assert component.configuration("output", "localTopic") == {"localTopic": "out/x"}
    assert component.configuration("output") == {"localTopic": "out/x", "limits": ["1", "2"] if text else [1, 2]}
    assert component.configuration(component="test.Two")["enabled"] == whole["enabled"]


def test_a_missing_key_is_not_found(bench: Bench) -> None:
    component = bench.connect()
    for attempt in (
        lambda: component.configuration("absent"),
        lambda: component.configuration("windowSeconds", "below"),
        lambda: component.configuration(component="test.Nobody"),
        lambda: component.subscribe_to_configuration("absent"),
    ):
        with pytest.raises(model.ResourceNotFoundError):
            attempt()


def test_keys_are_case_sensitive_on_lite_only(bench: Bench) -> None:
    component = bench.connect()
    if bench.nucleus.profile.name == "lite":
        with pytest.raises(model.ResourceNotFoundError):
            component.configuration("WINDOWSECONDS")
    else:
        assert component.configuration("WINDOWSECONDS") == {"windowSeconds": 60}


def test_a_component_updates_its_configuration_and_is_told(bench: Bench) -> None:
    component = bench.connect()
    everything, branch = component.subscribe_to_configuration(), component.subscribe_to_configuration("output")
    component.update({"windowSeconds": 10})
    component.update({"localTopic": "out/y"}, "output")
    assert everything.get(timeout=WAIT_S) == ["windowSeconds"]
    assert everything.get(timeout=WAIT_S) == ["output", "localTopic"]
    assert branch.get(timeout=WAIT_S) == ["output", "localTopic"]
    assert branch.empty()
    assert component.configuration("output")["localTopic"] == "out/y"
    value = component.configuration("windowSeconds")["windowSeconds"]
    assert (value, type(value)) == (10, float if bench.nucleus.profile.name == "classic" else int)


def test_a_deployment_changes_configuration_and_an_equal_value_is_no_event(bench: Bench) -> None:
    component = bench.connect()
    events = component.subscribe_to_configuration()
    bench.nucleus.update_configuration("test.One", {"output": {"localTopic": "out/x"}, "logLevel": "DEBUG"})
    bench.nucleus.update_configuration("test.One", {"logLevel": "INFO"})
    repeats = 1 if bench.nucleus.profile.name == "lite" else 2
    assert [events.get(timeout=WAIT_S) for _ in range(repeats + 1)] == [["logLevel"]] * (repeats + 1)
    assert component.configuration("logLevel") == {"logLevel": "INFO"}


def test_a_deployment_can_change_access_control(bench: Bench) -> None:
    component = bench.connect()
    policy = {"more": {"operations": ["aws.greengrass#PublishToTopic"], "resources": ["other"]}}
    bench.nucleus.update_configuration("test.One", {"accessControl": {"aws.greengrass.ipc.pubsub": policy}})
    component.publish("other", b"allowed now")


def test_a_stale_update_fails_on_classic_and_is_ignored_on_lite(bench: Bench) -> None:
    component = bench.connect()
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    if bench.nucleus.profile.name == "lite":
        component.update({"windowSeconds": 5}, at=long_ago)
    else:
        with pytest.raises(model.FailedUpdateConditionCheckError):
            component.update({"windowSeconds": 5}, at=long_ago)
    assert component.configuration("windowSeconds")["windowSeconds"] in (60, "60")


def test_a_component_cannot_update_its_access_control(bench: Bench) -> None:
    component = bench.connect()
    for values, path in (({"accessControl": {}}, ()), ({"x": 1}, ("accessControl",))):
        with pytest.raises(model.InvalidArgumentsError):
            component.update(values, *path)
