"""Every message that can wait for a person is understood, and its way on leads to where it came from."""

import json
from base64 import b64encode
from typing import Any

import pytest

from cloud.functions.processor.logic import WindowRecord, read_record
from cloud.functions.shared.envelope import MessageId, PoisonError
from cloud.functions.shared.parking import Parking
from cloud.redrive.letters import FromStream, Invoke, Letter, ToBus, ToEvents, ToStream, ToSystems, read
from roadside.contract import topics
from roadside.contract.codec import encode_window
from tests.unit.cloud.messages import make_window

SENT_MS = 1_790_000_200_000


def letter(document: dict[str, Any], **attributes: str) -> Letter:
    return read(json.dumps(document), attributes, SENT_MS)


class Kept:
    """A queue that keeps what it is sent."""

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803 - boto3's
        self.body = MessageBody


def parked(function: str, raw: str, coordinates: dict[str, object]) -> Letter:
    queue = Kept()
    poison = PoisonError("schema = 9: upgrade the cloud", MessageId("gw-0001", 5, 7))
    Parking(queue, "url", function).park(poison, raw, coordinates)  # type: ignore[arg-type]
    return read(queue.body, {}, SENT_MS)


def test_parked_record_goes_back_onto_the_stream_as_it_came() -> None:
    found = parked("processor", b64encode(b"record").decode(), {"partition_key": "gw-0001"})

    assert found == Letter(
        "processor's message 7", "gw-0001", "schema = 9: upgrade the cloud", ToStream("gw-0001", b"record")
    )


def test_parked_event_goes_back_to_the_events() -> None:
    assert parked("alerts", '{"payload": ""}', {}).way == ToEvents('{"payload": ""}')


@pytest.mark.parametrize("prefix", ["", "$aws/rules/roadside_windows/"])
def test_what_a_rule_could_not_hand_on_is_wrapped_as_the_rule_would_have(prefix: str) -> None:
    payload = encode_window(make_window(3))
    found = letter(
        {
            "ruleName": topics.rule_name("windows"),
            "topic": f"{prefix}roadside/v1/gw-0001/windows",
            "clientId": "gw-0001",
            "base64OriginalPayload": b64encode(payload).decode(),
            "failures": [{"failedAction": "KinesisAction", "failedResource": "s", "errorMessage": "throttled"}],
        }
    )

    assert (found.gateway, found.reason) == ("gw-0001", "KinesisAction: throttled")
    assert isinstance(found.way, ToStream)
    assert found.way.partition_key == "gw-0001"
    record = read_record(found.way.data)
    assert isinstance(record, WindowRecord)
    assert (record.window.sequence, record.envelope.received_ms) == (3, SENT_MS)


def test_event_that_a_rule_could_not_hand_on_goes_to_the_events() -> None:
    found = letter(
        {
            "ruleName": "roadside_events",
            "topic": "roadside/v1/gw-1/events",
            "base64OriginalPayload": "e30=",
            "failures": [],
        }
    )

    assert isinstance(found.way, ToEvents)
    assert json.loads(found.way.body) == {
        "payload": "e30=",
        "gateway": "gw-1",
        "received_ms": SENT_MS,
        "kind": "events",
    }


def test_records_that_the_mapping_gave_up_are_still_in_the_stream() -> None:
    found = letter(
        {
            "requestContext": {"condition": "RetryAttemptsExhausted", "functionArn": "f"},
            "KinesisBatchInfo": {
                "shardId": "shardId-000000000000",
                "startSequenceNumber": "10",
                "endSequenceNumber": "12",
                "approximateArrivalOfFirstRecord": "2026-11-25T20:00:00Z",
                "batchSize": 3,
            },
        }
    )

    assert found.what == "3 record(s) of the stream"
    assert found.reason == "RetryAttemptsExhausted; arrived 2026-11-25T20:00:00Z"
    assert found.way == FromStream("shardId-000000000000", "10", "12")


def test_failed_invocation_is_made_again() -> None:
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:alerts"
    found = letter(
        {
            "requestContext": {"condition": "RetriesExhausted", "functionArn": f"{arn}:$LATEST"},
            "requestPayload": {"gateway": "gw-0001"},
            "responsePayload": {"errorType": "NotPublishedError", "errorMessage": "the bus is down"},
        }
    )

    assert (found.what, found.gateway) == ("invocation of alerts", "gw-0001")
    assert found.reason == "RetriesExhausted: NotPublishedError the bus is down"
    assert found.way == Invoke(arn, '{"gateway": "gw-0001"}')


EVENT = {
    "id": "1",
    "source": "roadside",
    "detail-type": "IncidentConfirmed",
    "detail": {"event_id": "gw-0001:5:7", "gateway": "gw-0001"},
}


def test_event_that_no_system_could_handle_goes_back_into_their_queue() -> None:
    found = letter(EVENT)

    assert (found.what, found.gateway) == ("IncidentConfirmed gw-0001:5:7", "gw-0001")
    assert isinstance(found.way, ToSystems)
    assert json.loads(found.way.body) == EVENT


def test_event_that_a_rule_could_not_deliver_is_put_on_the_bus_again() -> None:
    found = letter(EVENT, TARGET_ARN="arn:topic", ERROR_CODE="SDK_CLIENT_ERROR", ERROR_MESSAGE="not authorised")

    assert found.reason == "not delivered to arn:topic: SDK_CLIENT_ERROR: not authorised"
    assert found.way == ToBus("roadside", "IncidentConfirmed", json.dumps(EVENT["detail"]))


@pytest.mark.parametrize(
    ("kind", "way"), [("windows", ToStream), ("sensors", ToStream), ("events", ToEvents), ("heartbeat", ToEvents)]
)
def test_message_that_a_function_failed_at_takes_its_way_again(kind: str, way: type) -> None:
    found = letter({"payload": "e30=", "gateway": "gw-1", "received_ms": 1, "kind": kind})

    assert found.gateway == "gw-1"
    assert isinstance(found.way, way)


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"raw": 1}', '{"payload": 1}', '{"base64OriginalPayload": ""}'])
def test_what_is_none_of_ours_is_told_and_goes_nowhere(body: str) -> None:
    found = read(body, {}, SENT_MS)

    assert found.way is None
    assert found.reason.startswith("nothing of Roadside wrote this")
