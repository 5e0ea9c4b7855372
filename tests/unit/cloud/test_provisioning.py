"""The pre-provisioning hook lets in who is registered, as often as is allowed, into the group of its district."""

import json
from typing import Any

import boto3
import pytest

from cloud.functions.provisioning import handler
from cloud.functions.provisioning.store import GatewayStore
from cloud.functions.shared.environment import SettingsError
from tests.unit.cloud.world import World

GROUPS = {"Old Town": "roadside-dev-old-town"}


@pytest.fixture(autouse=True)
def gateways(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GATEWAYS_TABLE", "registered")
    monkeypatch.setenv("DISTRICT_GROUPS", json.dumps(GROUPS))
    monkeypatch.setenv("MOST_PROVISIONINGS", "2")
    world.dynamodb.create_table(
        TableName="registered",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "gateway", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "gateway", "KeyType": "HASH"}],
    )
    table = boto3.resource("dynamodb").Table("registered")
    table.put_item(Item={"gateway": "gw-0001", "district": "Old Town"})
    handler.parts.cache_clear()
    return table


def ask(parameters: Any) -> dict[str, Any]:
    return handler.handle({"claimCertificateId": "c", "certificateId": "d", "parameters": parameters}, None)


def test_a_registered_gateway_is_let_into_the_group_of_its_district(gateways: Any) -> None:
    answered = ask({"ThingName": "gw-0001", "DistrictGroup": "everything"})

    assert answered == {
        "allowProvisioning": True,
        "parameterOverrides": {"DistrictGroup": "roadside-dev-old-town"},
    }
    assert gateways.get_item(Key={"gateway": "gw-0001"})["Item"]["provisioned"] == 1


@pytest.mark.parametrize(
    "parameters", [{"ThingName": "gw-0009"}, {"ThingName": ""}, {"ThingName": 5}, {}, None, "gw-0001"]
)
def test_strangers_are_refused(parameters: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(parameters) == {"allowProvisioning": False}
    assert vars(caplog.records[-1])["reason"].startswith("it ")


def test_a_gateway_that_was_only_heard_of_is_refused(gateways: Any) -> None:
    gateways.put_item(Item={"gateway": "gw-0002", "last_heartbeat_ms": 5})

    assert ask({"ThingName": "gw-0002"}) == {"allowProvisioning": False}
    assert "provisioned" not in gateways.get_item(Key={"gateway": "gw-0002"})["Item"]


def test_a_district_without_a_group_is_refused_and_named(gateways: Any, caplog: pytest.LogCaptureFixture) -> None:
    gateways.put_item(Item={"gateway": "gw-0003", "district": "Atlantis"})

    assert ask({"ThingName": "gw-0003"}) == {"allowProvisioning": False}
    assert "'Atlantis' has no thing group" in vars(caplog.records[-1])["reason"]


def test_a_gateway_provisioned_too_often_is_refused_until_somebody_has_looked(gateways: Any) -> None:
    answers = [ask({"ThingName": "gw-0001"})["allowProvisioning"] for _ in range(4)]
    gateways.update_item(Key={"gateway": "gw-0001"}, UpdateExpression="REMOVE provisioned")

    assert answers == [True, True, False, False]
    assert ask({"ThingName": "gw-0001"})["allowProvisioning"]


def test_of_two_that_ask_at_once_under_one_name_one_is_let_in(world: World) -> None:
    store = GatewayStore(world.dynamodb, "registered")

    assert [store.count("gw-0001", 0, 5), store.count("gw-0001", 0, 5)] == [True, False]
    assert [store.count("gw-0001", 1, 6), store.count("gw-0001", 1, 6)] == [True, False]


def test_an_item_that_is_no_registration_is_never_counted(world: World) -> None:
    assert not GatewayStore(world.dynamodb, "registered").count("gw-0009", 0, 5)


def test_settings_at_fault_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAYS_TABLE", "")
    monkeypatch.setenv("MOST_PROVISIONINGS", "none")
    handler.parts.cache_clear()
    with pytest.raises(SettingsError) as caught:
        ask({"ThingName": "gw-0001"})
    assert len(caught.value.faults) == 2

    monkeypatch.setenv("GATEWAYS_TABLE", "registered")
    monkeypatch.setenv("MOST_PROVISIONINGS", "1")
    monkeypatch.setenv("DISTRICT_GROUPS", "[]")
    with pytest.raises(SettingsError, match="DISTRICT_GROUPS"):
        ask({"ThingName": "gw-0001"})
