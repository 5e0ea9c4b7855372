"""On the stack as it is deployed: who is not allowed to cannot, and a permission that is missing is noticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadside.contract import topics
from roadside.contract.codec import decode_ack, encode_window
from simulator.local_cloud.assembly import STACK, ensure_assembly
from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import DeviceIdentity, register_devices
from tests.integration.local_cloud.conftest import Platform
from tests.integration.local_cloud.support import Device, eventually, write_assembly
from tests.unit.cloud.messages import make_window

NOT_AUTHORIZED = 135
MINE, OTHERS = "gw-mine", "gw-others"


@pytest.fixture(scope="module")
def identity(platform: Platform) -> DeviceIdentity:
    """A registered gateway, beside another one."""
    policy, group = platform.outputs["GatewayPolicy"], None
    mine, _ = register_devices(platform.cloud, [MINE, OTHERS], policy, group)
    return mine


@pytest.fixture(scope="module")
def gateway(platform: Platform, identity: DeviceIdentity) -> Iterator[Device]:
    with Device(platform.cloud, identity) as device:
        device.subscribe(topics.acks(MINE))
        yield device


def stored(platform: Platform, gateway: str) -> set[int]:
    """Sequences of the gateway's windows in the table."""
    items = platform.cloud.client("dynamodb").query(
        TableName=platform.outputs["WindowsTable"],
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": gateway}},
        ConsistentRead=True,
    )["Items"]
    return {int(item["q"]["N"]) for item in items}


def acknowledged(device: Device) -> set[int]:
    return {sequence for _, payload in device.received for sequence in decode_ack(payload).stored}


def send(device: Device, sequence: int, gateway: str = MINE, by: str = MINE) -> int:
    """Publish a window of `gateway` on the topic of `by`; the broker's reason code."""
    return device.publish(topics.uplink("windows", by), encode_window(make_window(sequence, gateway=gateway)))


def test_a_gateway_cannot_publish_as_another(platform: Platform, gateway: Device) -> None:
    assert send(gateway, 1, gateway=OTHERS, by=OTHERS) == NOT_AUTHORIZED

    assert send(gateway, 1) == 0
    eventually(lambda: acknowledged(gateway) >= {1})
    assert stored(platform, OTHERS) == set()


def test_a_gateway_cannot_put_anothers_name_into_its_message(platform: Platform, gateway: Device) -> None:
    assert send(gateway, 2, gateway=OTHERS) == 0

    refused = eventually(lambda: [r for _, p in gateway.received for r in decode_ack(p).refused])
    assert "gw-others" in str(refused)
    assert stored(platform, OTHERS) == set()


def test_a_certificate_connects_as_no_other_thing(platform: Platform, identity: DeviceIdentity) -> None:
    with (
        pytest.raises(ConnectionError, match=r"(?i)not.authorized"),
        Device(platform.cloud, identity, client_id=OTHERS),
    ):
        pass


def test_a_certificate_that_is_taken_off_its_thing_connects_no_more(platform: Platform) -> None:
    (identity,) = register_devices(platform.cloud, ["gw-retired"], platform.outputs["GatewayPolicy"])
    with Device(platform.cloud, identity):
        pass
    iot = platform.cloud.client("iot")
    for principal in iot.list_thing_principals(thingName="gw-retired")["principals"]:
        iot.detach_thing_principal(thingName="gw-retired", principal=principal)

    with pytest.raises(ConnectionError, match=r"(?i)not.authorized"), Device(platform.cloud, identity):
        pass


def without(template: dict[str, Any], role: str, action: str, table: str) -> dict[str, Any]:
    """The template, less one action on one table in one role."""
    (properties,) = (
        each["Properties"]
        for name, each in template["Resources"].items()
        if role in name and "Policies" in each["Properties"]
    )
    (policy,) = properties["Policies"]
    before = policy["PolicyDocument"]["Statement"]
    after = [s for s in before if not (action in s["Action"] and table in json.dumps(s["Resource"]))]
    assert len(after) == len(before) - 1
    policy["PolicyDocument"]["Statement"] = after
    return template


def test_a_permission_that_is_missing_loses_nothing_and_is_told(
    platform: Platform, gateway: Device, tmp_path: Path
) -> None:
    whole = ensure_assembly()
    template = json.loads((whole / "TrafficAnalyticsPlatform.template.json").read_text())
    lacking = without(template, "ProcessorRole", "dynamodb:PutItem", "TablesWindows")
    try:
        deploy_assembly(platform.cloud, write_assembly(tmp_path, {STACK: lacking}), [STACK])
        assert send(gateway, 11) == 0
        log = eventually(lambda: denials(platform), within_s=30, what="a denial in the processor's log")
        assert "AccessDenied" in log
        assert "dynamodb:PutItem" in log
        assert 11 not in stored(platform, MINE) | acknowledged(gateway)
    finally:
        deploy_assembly(platform.cloud, whole, [STACK])

    # Not acknowledged, so the gateway sends it again.
    assert send(gateway, 11) == 0
    eventually(lambda: acknowledged(gateway) >= {11})
    assert 11 in stored(platform, MINE)


def denials(platform: Platform) -> str:
    """What the processor logged of records that failed."""
    logs = platform.cloud.client("logs")
    function = platform.cloud.client("lambda").get_function(FunctionName=platform.outputs["ProcessorFunction"])
    group = function["Configuration"]["LoggingConfig"]["LogGroup"]
    events = logs.filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events if "record failed" in event["message"])
