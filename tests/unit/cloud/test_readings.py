"""The readings function: one item per reading, whoever sent it, and nothing for what is none."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.core.models import MockAWS

from cloud.functions.readings import handler
from cloud.functions.readings.logic import Reading, read_reading
from cloud.functions.shared.envelope import PoisonError

READING = {
    "sensor_id": "a7-k12-2",
    "timestamp": 1_790_000_640_250,
    "vehicle_count": 2,
    "average_speed_kmh": 87.5,
    "occupancy": 0.031,
    "thing": "a7-k12-2",
    "received_ms": 1_790_000_640_900,
}


@pytest.fixture
def parked_url(account: MockAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An account with the readings table and the queue, whose URL this is."""
    boto3.client("dynamodb").create_table(
        TableName="readings",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "sensor_id", "AttributeType": "S"},
            {"AttributeName": "timestamp_ms", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "sensor_id", "KeyType": "HASH"},
            {"AttributeName": "timestamp_ms", "KeyType": "RANGE"},
        ],
    )
    url: str = boto3.client("sqs").create_queue(QueueName="parked")["QueueUrl"]
    for name, value in {"READINGS_TABLE": "readings", "PARKED_QUEUE_URL": url, "RETENTION_DAYS": "90"}.items():
        monkeypatch.setenv(name, value)
    handler.store.cache_clear()
    handler.parking.cache_clear()
    yield url
    account.reset()


def process(*documents: object) -> dict[str, Any]:
    records = [
        {"kinesis": {"sequenceNumber": str(number), "data": base64.b64encode(json.dumps(document).encode()).decode()}}
        for number, document in enumerate(documents)
    ]
    return handler.handle({"Records": records}, None)


def items() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = boto3.client("dynamodb").scan(TableName="readings")["Items"]
    return sorted(found, key=lambda item: int(item["timestamp_ms"]["N"]))


def test_a_reading_becomes_an_item_and_again_the_same_item(parked_url: str) -> None:
    assert process(READING, READING) == {"batchItemFailures": []}
    assert process(READING) == {"batchItemFailures": []}

    assert items() == [
        {
            "sensor_id": {"S": "a7-k12-2"},
            "timestamp_ms": {"N": "1790000640250"},
            "received_ms": {"N": "1790000640900"},
            "vehicle_count": {"N": "2"},
            "average_speed_kmh": {"N": "87.5"},
            "occupancy": {"N": "0.031"},
            "t": {"N": str(1_790_000_640 + 90 * 86_400)},
        }
    ]


def test_a_batch_larger_than_one_write_is_stored_whole(parked_url: str) -> None:
    assert process(*(READING | {"timestamp": 1_790_000_640_000 + n} for n in range(60))) == {"batchItemFailures": []}

    assert len(items()) == 60


def test_what_is_no_reading_is_parked_and_harms_no_other(parked_url: str) -> None:
    assert process(READING | {"vehicle_count": -1}, READING, "text") == {"batchItemFailures": []}

    assert len(items()) == 1
    messages = boto3.client("sqs").receive_message(QueueUrl=parked_url, MaxNumberOfMessages=10)["Messages"]
    assert {json.loads(message["Body"])["reason"] for message in messages} == {
        "vehicle_count = -1: must be a whole number from 0 to 1000",
        "the record is no JSON object but str",
    }


def test_a_reading_that_the_table_has_no_room_for_is_delivered_again(parked_url: str) -> None:
    client = handler.store()._client

    def leave_unprocessed(parsed: dict[str, Any], **_: object) -> None:
        late = {"sensor_id": {"S": "a7-k12-2"}, "timestamp_ms": {"N": "1790000640251"}}
        parsed["UnprocessedItems"] = {"readings": [{"PutRequest": {"Item": late}}]}

    client.meta.events.register("after-call.dynamodb.BatchWriteItem", leave_unprocessed)

    assert process(READING, READING | {"timestamp": 1_790_000_640_251}) == {
        "batchItemFailures": [{"itemIdentifier": "1"}]
    }


def test_what_was_not_measured_is_none() -> None:
    record = {key: value for key, value in READING.items() if key != "occupancy"} | {"average_speed_kmh": None}

    assert read_reading(json.dumps(record).encode()) == Reading(
        "a7-k12-2", 1_790_000_640_250, 1_790_000_640_900, 2, None, None
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"thing": "a7-k12-3"}, "must be the thing that sent it"),
        ({"sensor_id": None, "thing": None}, "must be the thing that sent it"),
        ({"timestamp": 0}, "timestamp = 0"),
        ({"vehicle_count": True}, "vehicle_count = True"),
        ({"average_speed_kmh": 256}, "average_speed_kmh = 256"),
        ({"occupancy": float("nan")}, "occupancy = nan"),
    ],
)
def test_an_impossible_reading_is_refused_with_the_field(change: dict[str, object], reason: str) -> None:
    with pytest.raises(PoisonError, match=reason):
        read_reading(json.dumps(READING | change).encode())
