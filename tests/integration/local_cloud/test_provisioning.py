"""From a claim certificate to a gateway whose window is stored, through the fleet stack's template and hook."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from roadside.contract import topics
from roadside.contract.codec import encode_window
from simulator.local_cloud.devices import DeviceIdentity
from tests.integration.local_cloud.conftest import Platform
from tests.integration.local_cloud.support import Device, eventually
from tests.unit.cloud.messages import make_window

NOT_AUTHORIZED = 135
CREATE = "$aws/certificates/create/json"


def register(platform: Platform, gateway: str, **attributes: Any) -> None:
    table = platform.cloud.client("dynamodb")
    item = {"gateway": {"S": gateway}, **attributes}
    table.put_item(TableName=platform.outputs["GatewaysTable"], Item=item)


def provision(platform: Platform, fleet: Mapping[str, str], claim: DeviceIdentity, gateway: str) -> Any:
    """What a new gateway does: the answer to its request for a certificate, and that to its registration."""
    provisioning = f"$aws/provisioning-templates/{fleet['ProvisioningTemplate']}/provision/json"
    with Device(platform.cloud, claim, client_id=f"new-{gateway}") as device:
        for topic in (CREATE, provisioning):
            for answer in ("accepted", "rejected"):
                device.subscribe(f"{topic}/{answer}")
        device.publish(CREATE, b"{}")
        ((_, made),) = eventually(lambda: list(device.received), what="certificate")
        certificate = json.loads(made)
        request = {
            "certificateOwnershipToken": certificate["certificateOwnershipToken"],
            "parameters": {"ThingName": gateway, "DistrictGroup": "roadside-dev-harbour"},
        }
        device.publish(provisioning, json.dumps(request).encode())
        topic, answered = eventually(lambda: device.received[1:], what="registration")[0]
    return certificate, topic.rpartition("/")[2], json.loads(answered)


def window(gateway: str) -> bytes:
    return encode_window(make_window(gateway=gateway, start_ms=int(time.time() * 1000) // 10_000 * 10_000))


def test_a_registered_gateway_gets_a_certificate_and_its_window_is_stored(
    platform: Platform, fleet: dict[str, str], claim: DeviceIdentity
) -> None:
    cloud, gateway = platform.cloud, "gw-claim-1"
    register(platform, gateway, district={"S": "Old Town"})

    certificate, result, answered = provision(platform, fleet, claim, gateway)

    assert (result, answered["thingName"]) == ("accepted", gateway)
    groups = cloud.client("iot").list_thing_groups_for_thing(thingName=gateway)["thingGroups"]
    # The hook's word on the district counts, not the device's.
    assert "roadside-dev-old-town" in {group["groupName"] for group in groups}
    assert len(groups) == 2
    own = DeviceIdentity(gateway, certificate["certificatePem"], certificate["privateKey"], cloud.ca_pem)
    with Device(cloud, own) as device:
        assert device.publish(topics.uplink("windows", "gw-claim-2"), window("gw-claim-2")) == NOT_AUTHORIZED
        assert device.publish(topics.uplink("windows", gateway), window(gateway)) == 0
    table = cloud.client("dynamodb")
    eventually(
        lambda: table.query(
            TableName=platform.outputs["WindowsTable"],
            KeyConditionExpression="g = :g",
            ExpressionAttributeValues={":g": {"S": gateway}},
        )["Items"],
        what="window in the table",
    )


def test_a_claim_certificate_can_do_nothing_else(
    platform: Platform, fleet: dict[str, str], claim: DeviceIdentity
) -> None:
    with Device(platform.cloud, claim, client_id="gw-claim-1") as device:
        assert device.publish(topics.uplink("windows", "gw-claim-1"), window("gw-claim-1")) == NOT_AUTHORIZED


@pytest.mark.parametrize(
    ("gateway", "attributes"),
    [("gw-claim-3", None), ("gw-claim-4", {}), ("gw-claim-5", {"district": {"S": "Atlantis"}})],
    ids=["unknown", "only heard of", "of a district without a group"],
)
def test_who_is_not_registered_is_refused(
    platform: Platform, fleet: dict[str, str], claim: DeviceIdentity, gateway: str, attributes: dict[str, Any] | None
) -> None:
    if attributes is not None:
        register(platform, gateway, **attributes)

    _, result, answered = provision(platform, fleet, claim, gateway)

    assert (result, answered["errorCode"]) == ("rejected", "AccessDenied")
    assert gateway not in {thing["thingName"] for thing in platform.cloud.client("iot").list_things()["things"]}


def test_a_gateway_provisioned_too_often_is_refused(
    platform: Platform, fleet: dict[str, str], claim: DeviceIdentity
) -> None:
    register(platform, "gw-claim-6", district={"S": "Harbour"}, provisioned={"N": "3"})

    _, result, _ = provision(platform, fleet, claim, "gw-claim-6")

    assert result == "rejected"
