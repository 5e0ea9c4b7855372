"""An account with the stack's tables, queues and bus, empty for each test."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.models import MockAWS

from tests.unit.cloud.messages import ACCOUNT, REGION
from tests.unit.cloud.world import World


@pytest.fixture(scope="module")
def account() -> Iterator[MockAWS]:
    """AWS for one module, since a session's first clients take a second to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        mock = mock_aws()
        mock.start()
        yield mock
        mock.stop()


@pytest.fixture
def world(account: MockAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An empty account with the stack's tables, queues and bus, and the functions' environment."""
    for name, value in {
        "WINDOWS_TABLE": "windows",
        "SENSORS_TABLE": "sensors",
        "SEGMENTS_TABLE": "segments",
        "HOURS_TABLE": "hours",
        "WINDOW_ROWS_STREAM": "segment_windows",
        "SENSOR_ROWS_STREAM": "sensor_intervals",
        "ALERTS_TABLE": "alerts",
        "GATEWAYS_TABLE": "gateways",
        "EVENT_BUS": "bus",
        "WINDOWS_DAYS": "90",
        "RETENTION_DAYS": "90",
        "SEGMENT_REFRESH_S": "300",
        "GATHER_ACKS": "false",
    }.items():
        monkeypatch.setenv(name, value)
    dynamodb, sqs, events = boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("events")
    for table, keys in {
        "windows": ("g", "w"),
        "sensors": ("g", "s"),
        "segments": ("segment",),
        "hours": ("h", "k"),
        "alerts": ("event_id",),
        "gateways": ("gateway",),
    }.items():
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": "N" if key == "segment" else "S"} for key in keys
            ],
            KeySchema=[
                {"AttributeName": key, "KeyType": "RANGE" if position else "HASH"} for position, key in enumerate(keys)
            ],
        )
    for index, keys in {"ByDay": ("day", "occurred_ms"), "Open": ("open", "started_ms")}.items():
        _add_index(dynamodb, "alerts", index, keys)
    _add_index(dynamodb, "segments", "ByCongestion", ("band", "congestion_level"))
    boto3.client("s3").create_bucket(Bucket="lake")
    for stream in ("segment_windows", "sensor_intervals"):
        boto3.client("firehose").create_delivery_stream(
            DeliveryStreamName=stream,
            ExtendedS3DestinationConfiguration={
                "BucketARN": "arn:aws:s3:::lake",
                "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/lake",
                "Prefix": f"{stream}/",
            },
        )
    parked_url = sqs.create_queue(QueueName="parked")["QueueUrl"]
    bus_queue_url = sqs.create_queue(QueueName="systems")["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:systems"
    events.create_event_bus(Name="bus")
    events.put_rule(Name="all", EventBusName="bus", EventPattern=json.dumps({"source": ["roadside"]}))
    events.put_targets(Rule="all", EventBusName="bus", Targets=[{"Id": "systems", "Arn": queue_arn}])
    monkeypatch.setenv("PARKED_QUEUE_URL", parked_url)
    yield World(dynamodb, sqs, events, parked_url, bus_queue_url)
    account.reset()


def _add_index(dynamodb: Any, table: str, index: str, keys: tuple[str, str]) -> None:
    schema = [{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)]
    dynamodb.update_table(
        TableName=table,
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": "N" if key.endswith(("_ms", "_level")) else "S"} for key in keys
        ],
        GlobalSecondaryIndexUpdates=[
            {"Create": {"IndexName": index, "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}}
        ],
    )


@pytest.fixture
def emitted_metrics(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, float]]:
    """The metrics printed since the last call, added up by name."""

    def read() -> dict[str, float]:
        totals: dict[str, float] = defaultdict(float)  # what is zero is not printed
        for line in capsys.readouterr().out.splitlines():
            document = json.loads(line) if line.startswith("{") else {}
            for metric in document.get("_aws", {}).get("CloudWatchMetrics", [{}])[0].get("Metrics", []):
                totals[metric["Name"]] += sum(document[metric["Name"]])
        return totals

    return read
