"""Each event reaches the bus, and again only when nobody can know whether it did."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloud.functions.alerts import handler
from cloud.functions.alerts.logic import read_event
from cloud.functions.alerts.settings import Settings
from cloud.functions.shared.envelope import MessageId, PoisonError
from cloud.functions.shared.environment import SettingsError
from roadside.contract.bus import decode_announcement, from_gateway
from roadside.contract.events import Event, encode_event
from roadside.contract.summary import Ack
from tests.unit.cloud.gateway_events import CONGESTION, FAULT, INCIDENT
from tests.unit.cloud.messages import EPOCH_MS, wrap
from tests.unit.cloud.world import World

ACKS = "roadside/v1/gw-0001/acks"


@pytest.fixture(autouse=True)
def fresh_process(world: World) -> Iterator[None]:
    handler.delivery.cache_clear()
    yield
    handler.delivery.cache_clear()


def batch(*documents: dict[str, Any] | str) -> dict[str, Any]:
    """Messages of the queue as Lambda's mapping hands them over, named by their place."""
    bodies = [each if isinstance(each, str) else json.dumps(each) for each in documents]
    return {"Records": [{"messageId": str(place), "body": each} for place, each in enumerate(bodies)]}


def deliver(*documents: dict[str, Any] | str) -> list[str]:
    """Hand a batch over; the places of those that shall come again."""
    answer = handler.handle(batch(*(documents or (wrap(encode_event(CONGESTION)),))), None)
    assert answer is not None
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def body(**changes: object) -> bytes:
    return json.dumps(json.loads(encode_event(CONGESTION)) | changes).encode()


@pytest.mark.parametrize("event", [CONGESTION, INCIDENT, FAULT], ids=lambda event: event.kind)
def test_event_of_every_kind_reaches_the_bus_as_an_announcement_and_is_acknowledged(world: World, event: Event) -> None:
    assert deliver(wrap(encode_event(event))) == []

    (published,) = world.published()
    announced = decode_announcement(json.dumps(published["detail"]).encode())
    assert announced.event == from_gateway(event)
    assert published["source"] == "roadside"
    assert published["detail-type"] == announced.event.kind
    assert published["detail"]["event_id"] == f"gw-0001:{EPOCH_MS}:{event.sequence}"
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(event.sequence,)))]


def test_what_the_bus_says_of_congestion_and_sensors_is_the_gateways_word_and_more(world: World) -> None:
    deliver(wrap(encode_event(CONGESTION)), wrap(encode_event(FAULT)))

    details = {each["detail-type"]: each["detail"] for each in world.published()}
    assert json.loads(encode_event(CONGESTION)).items() <= details["CongestionStarted"].items()
    assert json.loads(encode_event(FAULT)).items() <= details["SensorFault"].items()


def test_replay_of_a_published_event_publishes_nothing_and_is_acknowledged_again(
    world: World, emitted_metrics: Callable[[], dict[str, float]]
) -> None:
    deliver()
    world.acks()
    emitted_metrics()

    deliver()

    assert len(world.published()) == 1
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(12,)))]
    counted = emitted_metrics()
    assert (counted["EventsPublished"], counted["EventsReplayed"]) == (0, 1)


def test_one_batch_publishes_a_repetition_in_it_once(world: World) -> None:
    assert deliver(*[wrap(encode_event(CONGESTION))] * 3) == []

    assert len(world.published()) == 1
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(12,)))]


def test_a_batch_of_one_gateway_is_acknowledged_at_once(world: World) -> None:
    deliver(*(wrap(encode_event(event)) for event in (CONGESTION, INCIDENT, FAULT)))

    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(12, 13, 14)))]


def test_crash_between_bus_and_table_publishes_twice_under_one_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("cloud.functions.shared.alerts_table.AlertsTable.put_together", crash)
        with pytest.raises(MemoryError):
            deliver()
    assert world.acks() == []

    deliver()

    assert len({event["detail"]["event_id"] for event in world.published()}) == 1
    assert len(world.acks()) == 1


def test_entries_that_the_bus_fails_come_again_and_harm_no_other(world: World) -> None:
    client = handler.delivery()._announcer._client

    def fail_one(parsed: dict[str, Any], **_: object) -> None:
        parsed["FailedEntryCount"] = 1
        parsed["Entries"][1] = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}

    client.meta.events.register("after-call.events.PutEvents", fail_one)

    assert deliver(*(wrap(encode_event(event)) for event in (CONGESTION, INCIDENT, FAULT))) == ["1"]

    kinds = {item["kind"]["S"] for item in world.items("alerts") if "kind" in item}
    assert kinds == {"CongestionStarted", "SensorFault"}
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(12, 14)))]


def test_a_table_that_cannot_be_read_brings_the_whole_batch_again(world: World) -> None:
    world.dynamodb.delete_table(TableName="alerts")

    assert deliver(wrap(encode_event(CONGESTION)), wrap(encode_event(FAULT))) == ["0", "1"]

    assert world.published() == []
    assert world.acks() == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff", "no JSON"),
        (b"[]", "object"),
        (body(schema=9), "9"),
        (body(kind="CongestionInvented"), "kind"),
        (body(sequence=-1), "sequence"),
        (body(sequence=1 << 64), "sequence"),
        (body(gateway="gw-0002"), "gw-0002"),
        (body(average_speed_kmh=10**400), "average_speed_kmh"),
    ],
)
def test_poison_is_parked_with_its_reason_and_harms_no_other(world: World, payload: bytes, reason: str) -> None:
    document = wrap(payload)

    assert deliver(document, wrap(encode_event(FAULT))) == []

    (parked,) = world.parked()
    assert reason in parked["reason"]
    assert json.loads(parked["raw"]) == document
    assert base64.b64decode(document["payload"]) == payload
    assert [each["detail-type"] for each in world.published()] == ["SensorFault"]


@pytest.mark.parametrize("raw", ["", "{", "7", "[" * 100_000])
def test_what_no_rule_wrote_is_parked(world: World, raw: str) -> None:
    assert deliver(raw) == []

    assert [parked["raw"] for parked in world.parked()] == [raw]


def test_poison_with_a_sequence_is_refused_to_its_sender(world: World) -> None:
    deliver(wrap(body(gateway="gw-0002")))

    ((topic, ack),) = world.acks()
    assert topic == ACKS
    assert ack.stored == ()
    assert [sequence for sequence, _ in ack.refused] == [12]


def test_sequence_that_no_ack_can_name_is_refused_to_nobody() -> None:
    with pytest.raises(PoisonError) as caught:
        read_event(json.dumps(wrap(body(sequence=1 << 64))))

    assert caught.value.message_id is None


def test_schema_of_the_future_is_refused_by_its_sequence() -> None:
    with pytest.raises(PoisonError) as caught:
        read_event(json.dumps(wrap(body(schema=9))))

    assert caught.value.message_id == MessageId("gw-0001", EPOCH_MS, 12)


def test_poison_that_cannot_be_parked_comes_again(world: World) -> None:
    world.sqs.delete_queue(QueueUrl=world.parked_url)

    assert deliver(wrap(b"rubbish")) == ["0"]


def test_missing_settings_are_named_all_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({})

    assert len(caught.value.faults) == 5
