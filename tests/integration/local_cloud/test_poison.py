"""A record that cannot be processed is parked alone; its neighbours land."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.local_cloud import LocalCloud
from tests.integration.local_cloud.conftest import Stack
from tests.integration.local_cloud.support import eventually, traffic_stack, write_assembly


def put(stack: Stack, gateway: str, payloads: Sequence[bytes], keys: Sequence[str] | None = None) -> None:
    """Put records as the rule would, all in one call and so in one batch."""
    records = [
        {
            "Data": json.dumps(
                {"payload": base64.b64encode(payload).decode(), "gateway": gateway, "received_ms": 0}
            ).encode(),
            "PartitionKey": keys[index] if keys else gateway,
        }
        for index, payload in enumerate(payloads)
    ]
    answer = stack.cloud.client("kinesis").put_records(StreamName=stack.outputs["WindowsName"], Records=records)
    assert answer["FailedRecordCount"] == 0


def good(count: int) -> list[bytes]:
    return [f"good{number:02}".encode() for number in range(count)]


@pytest.mark.parametrize(
    ("kind", "position"), [(b"poison", 0), (b"poison", 5), (b"poison", 10), (b"throw", 5), (b"crash", 5)]
)
def test_poisoned_batch_loses_only_the_poison(stack: Stack, kind: bytes, position: int) -> None:
    gateway = f"gw-{kind.decode()}-{uuid.uuid4().hex[:6]}"
    payloads = good(10)
    payloads.insert(position, kind)
    put(stack, gateway, payloads)
    reports = [json.loads(text) for text in eventually(lambda: stack.messages("ParkedUrl"))]
    # The lane carries one batch at a time: what it stores after the report would be stored before this marker.
    put(stack, gateway, [b"zz-marker"])
    eventually(lambda: b"zz-marker" in stack.payloads(gateway))
    assert stack.payloads(gateway) == [*good(10), b"zz-marker"]
    assert stack.messages("ParkedUrl") == []
    (report,) = reports
    info = report["KinesisBatchInfo"]
    assert info["batchSize"] == 1
    assert info["startSequenceNumber"] == info["endSequenceNumber"]
    assert info["streamArn"] == stack.outputs["WindowsArn"]
    assert report["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert report["requestContext"]["functionArn"].endswith(stack.outputs["ProcessorName"])
    assert report["requestContext"]["approximateInvokeCount"] == 2


def test_parked_report_leads_to_the_record(stack: Stack) -> None:
    put(stack, "gw-lookup", [b"poison-find-me"])
    (text,) = eventually(lambda: stack.messages("ParkedUrl"))
    info = json.loads(text)["KinesisBatchInfo"]
    kinesis = stack.cloud.client("kinesis")
    iterator = kinesis.get_shard_iterator(
        StreamName=stack.outputs["WindowsName"],
        ShardId=info["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=info["startSequenceNumber"],
    )["ShardIterator"]
    record = kinesis.get_records(ShardIterator=iterator, Limit=1)["Records"][0]
    assert base64.b64decode(json.loads(record["Data"])["payload"]) == b"poison-find-me"


def test_without_bisecting_the_rest_of_the_batch_is_parked(cloud: LocalCloud, tmp_path: Path) -> None:
    stack = deploy(cloud, tmp_path, "Coarse", BisectBatchOnFunctionError=False, MaximumRetryAttempts=0)
    put(stack, "gw", [b"good00", b"good01", b"poison", b"good02", b"good03"])
    (text,) = eventually(lambda: stack.messages("ParkedUrl"))
    assert json.loads(text)["KinesisBatchInfo"]["batchSize"] == 3


def test_parallel_lanes_and_shards_deliver_every_record_in_order_of_its_key(cloud: LocalCloud, tmp_path: Path) -> None:
    stack = deploy(cloud, tmp_path, "Parallel", shards=2, ParallelizationFactor=3, BatchSize=7)
    payloads = [f"{number:03}".encode() for number in range(200)]
    put(stack, "gw", payloads, keys=[f"key{number % 20}" for number in range(200)])
    eventually(lambda: len(stack.items("gw")) == 200)
    assert stack.payloads("gw") == payloads
    assert max(int(item["batch"]) for item in stack.items("gw")) <= 7
    assert len({item["partition_key"] for item in stack.items("gw")}) == 20
    # Another factor regroups the keys; nothing put before, during or after is lost.
    functions = cloud.client("lambda")
    functions.update_event_source_mapping(UUID=stack.outputs["MappingName"], ParallelizationFactor=1)
    put(stack, "gw", [b"after0", b"after1", b"after2"], keys=["key0", "key1", "key2"])
    eventually(lambda: len(stack.items("gw")) == 203)


def test_disabled_mapping_continues_where_it_stood(cloud: LocalCloud, tmp_path: Path) -> None:
    stack = deploy(cloud, tmp_path, "Paused", MaximumBatchingWindowInSeconds=0)
    functions = cloud.client("lambda")
    put(stack, "before", [b"one"])
    eventually(lambda: stack.payloads("before"))
    delete_item(stack, "before", b"one")
    functions.update_event_source_mapping(UUID=stack.outputs["MappingName"], Enabled=False)
    eventually(lambda: functions.get_event_source_mapping(UUID=stack.outputs["MappingName"])["State"] == "Disabled")
    functions.update_event_source_mapping(UUID=stack.outputs["MappingName"], Enabled=True)
    put(stack, "after", [b"two"])
    eventually(lambda: stack.payloads("after"))
    assert stack.payloads("before") == []  # not read a second time


def test_batching_window_gathers_records(cloud: LocalCloud, tmp_path: Path) -> None:
    stack = deploy(cloud, tmp_path, "Gathered", MaximumBatchingWindowInSeconds=1)
    for payload in good(5):
        put(stack, "gw", [payload])
    eventually(lambda: len(stack.items("gw")) == 5)
    assert {int(item["batch"]) for item in stack.items("gw")} == {5}


def deploy(cloud: LocalCloud, directory: Path, name: str, **settings: Any) -> Stack:
    assembly = write_assembly(directory, {name: traffic_stack(**settings)})
    return Stack(cloud, deploy_assembly(cloud, assembly, [name])[name])


def delete_item(stack: Stack, gateway: str, payload: bytes) -> None:
    stack.cloud.client("dynamodb").delete_item(
        TableName=stack.outputs["TableName"], Key={"gateway": {"S": gateway}, "payload": {"S": payload.hex()}}
    )
