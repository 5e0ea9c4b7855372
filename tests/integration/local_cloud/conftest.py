"""One local cloud for the session, with one stack that most tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud.app import FLEET
from simulator.local_cloud.assembly import STACK, ensure_assembly
from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import DeviceIdentity, register_devices
from simulator.local_cloud.local_cloud import LocalCloud, LocalCloudSettings
from simulator.local_cloud.schedules import end_schedule
from tests.integration.local_cloud.support import traffic_stack, write_assembly


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    python = LocalCloudSettings().python
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.local_cloud)
            if not python.exists():
                item.add_marker(pytest.mark.skip(reason="no .venv-cloud (run: make test)"))


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed traffic stack and its outputs."""

    cloud: LocalCloud
    outputs: dict[str, str]

    def items(self, gateway: str) -> list[dict[str, Any]]:
        """A gateway's stored items, sorted by payload."""
        table = self.cloud.client("dynamodb")
        answer = table.query(
            TableName=self.outputs["TableName"],
            KeyConditionExpression="gateway = :g",
            ExpressionAttributeValues={":g": {"S": gateway}},
        )
        return [{key: next(iter(value.values())) for key, value in item.items()} for item in answer["Items"]]

    def payloads(self, gateway: str) -> list[bytes]:
        return [bytes.fromhex(item["payload"]) for item in self.items(gateway)]

    def messages(self, output: str) -> list[str]:
        """Take every message off a queue."""
        sqs = self.cloud.client("sqs")
        url = self.outputs[output]
        taken = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            taken += [message["Body"] for message in batch]
            for message in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as started:
        yield started


@pytest.fixture(scope="session")
def stack(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    assembly = write_assembly(tmp_path_factory.mktemp("assembly"), {"Traffic": traffic_stack()})
    return Stack(cloud, deploy_assembly(cloud, assembly, ["Traffic"])["Traffic"])


@dataclass(frozen=True, slots=True)
class Platform:
    """Roadside's own stack, as a run deploys it, and its outputs."""

    cloud: LocalCloud
    outputs: dict[str, str]


def deploy_platform(cloud: LocalCloud) -> Platform:
    """The platform with the sweep at rest: the gateways of a test fall silent when it is over, which tells nobody."""
    outputs = deploy_assembly(cloud, ensure_assembly(), [STACK])[STACK]
    end_schedule(cloud, outputs["SweepFunction"])
    return Platform(cloud, outputs)


@pytest.fixture(scope="session")
def platform(cloud: LocalCloud) -> Platform:
    return deploy_platform(cloud)


@pytest.fixture(scope="session")
def gateways(stack: Stack) -> tuple[DeviceIdentity, DeviceIdentity]:
    """Two registered devices, gw1 and gw2."""
    first, second = register_devices(
        stack.cloud, ["gw1", "gw2"], stack.outputs["DevicePolicyName"], stack.outputs["GatewaysName"]
    )
    return first, second


@pytest.fixture(scope="session")
def fleet(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The fleet stack's outputs. It is deployed as it is, but for the role alias, which the local cloud lacks."""
    assembly, changed = ensure_assembly(), tmp_path_factory.mktemp("fleet")
    for entry in assembly.iterdir():
        (changed / entry.name).symlink_to(entry)
    template_file = changed / f"{FLEET}.template.json"
    template = json.loads(template_file.read_text())
    template_file.unlink()
    template_file.write_text(json.dumps(_without_role_alias(template)))
    return deploy_assembly(platform.cloud, changed, ["roadside-dev-fleet"])["roadside-dev-fleet"]


def _without_role_alias(template: dict[str, Any]) -> Any:
    (alias,) = (name for name, each in template["Resources"].items() if each["Type"] == "AWS::IoT::RoleAlias")
    del template["Resources"][alias]

    def without(value: Any) -> Any:
        match value:
            case {"Ref": name} | {"Fn::GetAtt": [name, _]} if name == alias:
                return "arn:aws:iot:us-east-1:000000000000:rolealias/absent"
            case dict():
                return {key: without(item) for key, item in value.items()}
            case list():
                return [without(item) for item in value]
            case _:
                return value

    return without(template)


@pytest.fixture
def claim(platform: Platform, fleet: dict[str, str]) -> DeviceIdentity:
    """The certificate that is on every new gateway."""
    iot = platform.cloud.client("iot")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=fleet["ClaimPolicy"], target=made["certificateArn"])
    return DeviceIdentity("claim", made["certificatePem"], made["keyPair"]["PrivateKey"], platform.cloud.ca_pem)
