"""The life of a deployment by the stock CDK command line, with the way of single readings (`ingest=raw`) built in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud import node
from roadside.contract import topics
from simulator.local_cloud.assembly import REPOSITORY, STACK, ensure_assembly
from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import register_devices
from simulator.local_cloud.local_cloud import LocalCloud
from tests.integration.local_cloud.conftest import Platform
from tests.integration.local_cloud.support import Device, eventually

CDK = REPOSITORY / "cloud" / "node_modules" / ".bin" / "cdk"
NOT_AUTHORIZED = 135


@pytest.fixture(scope="module")
def assembly() -> Path:
    return ensure_assembly(raw=True)


@pytest.fixture(scope="module")
def empty() -> Iterator[LocalCloud]:
    """An account of its own: one account has one Roadside, for the names of the rules are fixed."""
    with LocalCloud() as started:
        yield started


@pytest.fixture(scope="module")
def before(empty: LocalCloud) -> dict[str, set[str]]:
    return everything_in(empty)


@pytest.fixture(scope="module")
def raw(empty: LocalCloud, before: dict[str, set[str]], assembly: Path) -> Platform:
    return Platform(empty, deploy_assembly(empty, assembly, [STACK])[STACK])


def everything_in(cloud: LocalCloud) -> dict[str, set[str]]:
    """Names of all that a stack of ours can leave in an account."""
    listings: dict[str, tuple[str, dict[str, Any], str, str]] = {
        "athena": ("list_work_groups", {}, "WorkGroups", "Name"),
        "dynamodb": ("list_tables", {}, "TableNames", ""),
        "events": ("list_event_buses", {}, "EventBuses", "Name"),
        "firehose": ("list_delivery_streams", {}, "DeliveryStreamNames", ""),
        "glue": ("get_databases", {}, "DatabaseList", "Name"),
        "iam": ("list_roles", {}, "Roles", "RoleName"),
        "iot": ("list_topic_rules", {}, "rules", "ruleName"),
        "kinesis": ("list_streams", {}, "StreamNames", ""),
        "lambda": ("list_functions", {}, "Functions", "FunctionName"),
        "logs": ("describe_log_groups", {}, "logGroups", "logGroupName"),
        "s3": ("list_buckets", {}, "Buckets", "Name"),
        "scheduler": ("list_schedules", {}, "Schedules", "Name"),
        "sns": ("list_topics", {}, "Topics", "TopicArn"),
        "sqs": ("list_queues", {}, "QueueUrls", ""),
    }
    found = {}
    for service, (operation, arguments, key, name) in listings.items():
        entries = getattr(cloud.client(service), operation)(**arguments).get(key, [])
        found[service] = {entry[name] if name else entry for entry in entries}
    found["s3"] = {name for name in found["s3"] if not name.startswith("cdk-")}  # the bootstrap's, for code
    iot = cloud.client("iot")
    found["things"] = {group["groupName"] for group in iot.list_thing_groups()["thingGroups"]}
    found["policies"] = {policy["policyName"] for policy in iot.list_policies()["policies"]}
    found["alarms"] = {alarm["AlarmName"] for alarm in cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    found["layers"] = {layer["LayerName"] for layer in cloud.client("lambda").list_layers()["Layers"]}
    return found


def cdk(cloud: LocalCloud, assembly: Path, *words: str) -> subprocess.CompletedProcess[str]:
    node.provide()
    environment = cloud.environment({})
    environment["PATH"] = f"{Path(os.environ['JSII_NODE']).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [str(CDK), *words, "--app", str(assembly), "--exclusively", "--no-notices", "TrafficAnalyticsPlatform"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_a_reading_of_a_sensor_without_a_gateway_reaches_its_table(raw: Platform) -> None:
    reading = {"timestamp": 1_790_000_640_250, "vehicle_count": 2, "average_speed_kmh": 87.5, "occupancy": 0.031}
    sensor, _ = register_devices(raw.cloud, ["s-1", "s-2"], raw.outputs["SensorPolicy"])
    with Device(raw.cloud, sensor) as device:
        forged = json.dumps(reading | {"sensor_id": "s-2"}).encode()
        assert device.publish(topics.direct_reading("s-2"), forged) == NOT_AUTHORIZED
        assert device.publish(topics.direct_reading("s-1"), forged) == 0  # the policy cannot see into the message
        assert device.publish(topics.direct_reading("s-1"), json.dumps(reading | {"sensor_id": "s-1"}).encode()) == 0

    dynamodb = raw.cloud.client("dynamodb")
    (item,) = eventually(lambda: dynamodb.scan(TableName=raw.outputs["ReadingsTable"])["Items"])
    assert item["sensor_id"] == {"S": "s-1"}
    assert item["timestamp_ms"] == {"N": "1790000640250"}
    sqs = raw.cloud.client("sqs")
    parked = eventually(lambda: sqs.receive_message(QueueUrl=raw.outputs["ParkedQueueUrl"]).get("Messages"))
    assert "must be the thing that sent it" in parked[0]["Body"]


def test_a_second_deployment_changes_nothing(raw: Platform, assembly: Path) -> None:
    cloudformation = raw.cloud.client("cloudformation")
    events = len(cloudformation.describe_stack_events(StackName=STACK)["StackEvents"])

    assert deploy_assembly(raw.cloud, assembly, [STACK])[STACK] == raw.outputs
    assert len(cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]) == events


@pytest.mark.skipif(not CDK.exists(), reason="no CDK command line in cloud/node_modules (run: make synth)")
def test_the_command_line_finds_no_difference_and_leaves_nothing(
    raw: Platform, before: dict[str, set[str]], assembly: Path
) -> None:
    # Last of this file, for it takes the deployment away.
    diff = cdk(raw.cloud, assembly, "diff", "--fail")
    assert diff.returncode == 0, diff.stdout + diff.stderr
    assert "no differences" in diff.stdout + diff.stderr

    raw.cloud.client("s3").put_object(Bucket=raw.outputs["LakeBucket"], Key="segment_windows/row", Body=b"row")
    iot = raw.cloud.client("iot")  # as docs/operations.md says: first the devices, which are not the stack's
    for policy in (raw.outputs["GatewayPolicy"], raw.outputs["SensorPolicy"]):
        for target in iot.list_targets_for_policy(policyName=policy)["targets"]:
            iot.detach_policy(policyName=policy, target=target)
    destroy = cdk(raw.cloud, assembly, "destroy", "--force")
    assert destroy.returncode == 0, destroy.stdout + destroy.stderr
    assert everything_in(raw.cloud) == before
