"""Deploying an assembly: outputs, updates, and errors that say what to mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import DeviceIdentity
from simulator.local_cloud.errors import DeployError
from simulator.local_cloud.local_cloud import LocalCloud
from tests.integration.local_cloud.conftest import Stack
from tests.integration.local_cloud.support import (
    PROCESSOR_ASSET,
    Device,
    arn,
    eventually,
    ref,
    role,
    traffic_stack,
    write_assembly,
)


def test_second_deploy_changes_nothing_and_a_third_updates(cloud: LocalCloud, tmp_path: Path) -> None:
    template = traffic_stack()
    first = deploy_assembly(cloud, write_assembly(tmp_path, {"Again": template}), ["Again"])
    assert deploy_assembly(cloud, tmp_path, ["Again"]) == first
    template["Resources"]["Extra"] = {"Type": "AWS::SQS::Queue"}
    template["Outputs"]["ExtraUrl"] = {"Value": ref("Extra")}
    third = deploy_assembly(cloud, write_assembly(tmp_path, {"Again": template}), ["Again"])["Again"]
    assert "Extra" in third.pop("ExtraUrl")
    assert third == first["Again"]


def test_stacks_share_exports(cloud: LocalCloud, tmp_path: Path) -> None:
    core = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"Queue": {"Value": arn("Queue"), "Export": {"Name": "Core:Queue"}}},
    }
    user = {
        "Resources": {"Role": role("lambda.amazonaws.com", (["sqs:SendMessage"], {"Fn::ImportValue": "Core:Queue"}))},
        "Outputs": {"Seen": {"Value": {"Fn::ImportValue": "Core:Queue"}}},
    }
    outputs = deploy_assembly(cloud, write_assembly(tmp_path, {"Core": core, "User": user}), ["Core", "User"])
    assert outputs["User"]["Seen"] == outputs["Core"]["Queue"]


def test_unknown_resource_type_is_named(cloud: LocalCloud, tmp_path: Path) -> None:
    template = {"Resources": {"Chart": {"Type": "AWS::QuickSight::Dashboard", "Properties": {}}}}
    with pytest.raises(DeployError, match=r"stack Charts.*AWS::QuickSight::Dashboard"):
        deploy_assembly(cloud, write_assembly(tmp_path, {"Charts": template}), ["Charts"])


def test_unknown_stack_is_named(cloud: LocalCloud, tmp_path: Path) -> None:
    assembly = write_assembly(tmp_path, {"Known": traffic_stack()})
    with pytest.raises(DeployError, match=r"stack Unknown: not in the assembly .* Known"):
        deploy_assembly(cloud, assembly, ["Unknown"])


def test_mapping_whose_role_cannot_read_the_stream_fails_and_can_be_mended(cloud: LocalCloud, tmp_path: Path) -> None:
    template = traffic_stack()
    allowed = statements(template, "ProcessorRole")
    read = allowed.pop(0)
    with pytest.raises(DeployError, match="Cannot access stream") as caught:
        deploy_assembly(cloud, write_assembly(tmp_path, {"Blind": template}), ["Blind"])
    assert caught.value.resource == "Mapping"
    allowed.insert(0, read)
    assert deploy_assembly(cloud, write_assembly(tmp_path, {"Blind": template}), ["Blind"])["Blind"]["MappingName"]


def test_mapping_whose_role_cannot_park_records_fails(cloud: LocalCloud, tmp_path: Path) -> None:
    template = traffic_stack()
    statements(template, "ProcessorRole").pop()
    with pytest.raises(DeployError, match="sqs:SendMessage"):
        deploy_assembly(cloud, write_assembly(tmp_path, {"Unparked": template}), ["Unparked"])


def test_rule_whose_role_may_not_put_takes_its_error_action(
    cloud: LocalCloud, tmp_path: Path, gateways: tuple[DeviceIdentity, DeviceIdentity]
) -> None:
    template = traffic_stack()
    statements(template, "RuleRole").pop(0)
    stack = Stack(cloud, deploy_assembly(cloud, write_assembly(tmp_path, {"Mute": template}), ["Mute"])["Mute"])
    with Device(cloud, gateways[0]) as device:
        topic = f"$aws/rules/{stack.outputs['WindowsRuleName']}/roadside/v1/gw1/windows"
        assert device.publish(topic, b"\xff\x00") == 0
    report = json.loads(eventually(lambda: stack.messages("RuleErrorsUrl"))[0])
    assert report["topic"] == "roadside/v1/gw1/windows"
    assert report["base64OriginalPayload"] == "/wA="
    assert report["failures"][0]["failedResource"] == stack.outputs["WindowsName"]
    assert "kinesis:PutRecord" in report["failures"][0]["errorMessage"]


def test_function_whose_role_may_not_write_is_denied(cloud: LocalCloud, tmp_path: Path) -> None:
    template = {
        "Resources": {
            "Table": traffic_stack()["Resources"]["Table"],
            "Role": role("lambda.amazonaws.com", (["dynamodb:GetItem"], arn("Table"))),
            "Function": {
                **traffic_stack()["Resources"]["Processor"],
                "Properties": {
                    **traffic_stack()["Resources"]["Processor"]["Properties"],
                    "Role": arn("Role"),
                    "Code": {
                        "S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"},
                        "S3Key": f"{PROCESSOR_ASSET}.zip",
                    },
                },
            },
        },
        "Outputs": {"Name": {"Value": ref("Function")}},
    }
    outputs = deploy_assembly(cloud, write_assembly(tmp_path, {"Denied": template}), ["Denied"])["Denied"]
    record = {
        "kinesis": {
            "data": "eyJwYXlsb2FkIjoiQUE9PSIsImdhdGV3YXkiOiJnIiwicmVjZWl2ZWRfbXMiOjB9",
            "sequenceNumber": "1",
            "partitionKey": "g",
        }
    }
    answer = cloud.client("lambda").invoke(
        FunctionName=outputs["Name"], Payload=json.dumps({"Records": [record]}).encode()
    )
    assert answer["FunctionError"] == "Unhandled"
    assert "AccessDenied" in answer["Payload"].read().decode()


def statements(template: dict[str, Any], role_id: str) -> list[Any]:
    policies = template["Resources"][role_id]["Properties"]["Policies"]
    found: list[Any] = policies[0]["PolicyDocument"]["Statement"]
    return found
