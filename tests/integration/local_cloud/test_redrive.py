"""`python -m cloud.redrive` empties the queues that wait for a person, and everything arrives where it belongs."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cloud.redrive.__main__ import app
from roadside.contract.codec import encode_window
from roadside.contract.events import encode_event
from tests.integration.local_cloud.conftest import Platform
from tests.integration.local_cloud.support import eventually
from tests.unit.cloud.gateway_events import CONGESTION
from tests.unit.cloud.messages import make_window, wrap


def redrive(platform: Platform, *words: str) -> Result:
    return CliRunner().invoke(app, words, env=platform.cloud.environment({}))


def record(gateway: str) -> bytes:
    """A window as its rule puts it on the stream."""
    payload = base64.b64encode(encode_window(make_window(gateway=gateway))).decode()
    return json.dumps(
        {"payload": payload, "gateway": gateway, "received_ms": 1_790_000_200_000, "kind": "windows"}
    ).encode()


def windows(platform: Platform, gateway: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = platform.cloud.client("dynamodb").query(
        TableName=platform.outputs["WindowsTable"],
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": gateway}},
        ConsistentRead=True,
    )["Items"]
    return items


def received(platform: Platform) -> list[dict[str, Any]]:
    """Take events off the systems' queue."""
    sqs, url = platform.cloud.client("sqs"), platform.outputs["SystemsQueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]


def put(platform: Platform, output: str, body: dict[str, Any]) -> None:
    platform.cloud.client("sqs").send_message(QueueUrl=platform.outputs[output], MessageBody=json.dumps(body))


def test_parked_message_is_listed_then_sent_and_stored(platform: Platform) -> None:
    data = base64.b64encode(record("gw-parked")).decode()
    put(
        platform,
        "ParkedQueueUrl",
        {
            "function": "processor",
            "reason": "schema = 9",
            "gateway": "gw-parked",
            "sequence": 7,
            "coordinates": {"partition_key": "gw-parked"},
            "raw": data,
        },
    )
    put(platform, "ParkedQueueUrl", {"something": "else"})

    for _ in range(2):  # it is still there after the first
        listed = redrive(platform, "list", "parked", "--about", "gw-parked")
        assert "schema = 9" in listed.output
        assert "1 message(s)" in listed.output
    sent = redrive(platform, "send", "parked", "--about", "gw-parked")

    assert (sent.exit_code, sent.output) == (0, "1 sent, 0 could not be\n")
    eventually(lambda: windows(platform, "gw-parked"))
    stranger = redrive(platform, "send", "parked", "--about", "something")
    assert stranger.exit_code == 1
    assert "nothing of Roadside wrote this" in stranger.output
    assert redrive(platform, "drop", "parked", "--about", "something").output == "1 dropped\n"


def test_records_that_were_given_up_are_read_from_the_stream_again(platform: Platform) -> None:
    put_record = platform.cloud.client("kinesis").put_record(
        StreamName=platform.outputs["WindowsStream"], PartitionKey="gw-again", Data=record("gw-again")
    )
    (item,) = eventually(lambda: windows(platform, "gw-again"))
    platform.cloud.client("dynamodb").delete_item(
        TableName=platform.outputs["WindowsTable"], Key={"g": item["g"], "w": item["w"]}
    )
    number = put_record["SequenceNumber"]
    batch = {
        "shardId": put_record["ShardId"],
        "startSequenceNumber": number,
        "endSequenceNumber": number,
        "approximateArrivalOfFirstRecord": "2026-11-25T20:00:00Z",
        "batchSize": 1,
    }
    put(
        platform,
        "UndeliveredQueueUrl",
        {"requestContext": {"condition": "MaxRecordAgeExceeded"}, "KinesisBatchInfo": batch},
    )

    assert redrive(platform, "send", "undelivered").output == "1 sent, 0 could not be\n"
    assert eventually(lambda: windows(platform, "gw-again")) == [item]


def test_event_that_a_system_gave_up_waits_for_it_again(platform: Platform) -> None:
    event = {
        "id": "1",
        "source": "roadside",
        "detail-type": "IncidentConfirmed",
        "detail": {"event_id": "gw-untold:1:1", "gateway": "gw-untold"},
    }
    put(platform, "AlertDeadLettersUrl", event)

    assert redrive(platform, "send", "untold").output == "1 sent, 0 could not be\n"
    assert redrive(platform, "list", "untold").output == "0 message(s)\n"
    eventually(lambda: event in received(platform))


def test_parked_event_reaches_systems_once_it_can_be_read(platform: Platform) -> None:
    gateway = "gw-parked-event"
    wrapped = wrap(encode_event(replace(CONGESTION, gateway=gateway)), gateway, kind="events")
    body = {"function": "alerts", "reason": "schema = 9", "gateway": gateway, "raw": json.dumps(wrapped)}
    put(platform, "ParkedQueueUrl", body)

    assert redrive(platform, "send", "parked", "--about", gateway).output == "1 sent, 0 could not be\n"
    eventually(lambda: gateway in [event["detail"]["gateway"] for event in received(platform)])


@pytest.mark.parametrize("words", [("list", "parked", "--stage", "nowhere")])
def test_what_is_not_deployed_is_said_in_a_sentence(platform: Platform, words: tuple[str, ...]) -> None:
    result = redrive(platform, *words)

    assert result.exit_code == 2
    assert "stack roadside-nowhere is not deployed" in result.output


def test_what_the_smoke_test_leaves_can_be_dropped(platform: Platform) -> None:
    """As docs/operations/cloud.md has it: an object that is no message of ours, and the words that find it."""
    platform.cloud.client("kinesis").put_record(
        StreamName=platform.outputs["WindowsStream"], PartitionKey="smoke-test", Data=b"{}\n"
    )

    eventually(lambda: redrive(platform, "drop", "parked", "--about", "gateway = None").output == "1 dropped\n")
