"""Each event reaches the bus, and again only when nobody can know whether it did."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cloud.functions.alerts import handler
from cloud.functions.alerts.logic import read_event
from cloud.functions.alerts.settings import Settings
from cloud.functions.alerts.store import NotPublishedError
from cloud.functions.shared.envelope import MessageId, PoisonError
from cloud.functions.shared.environment import SettingsError
from roadside.contract.events import CongestionEvent, Event, IncidentEvent, SensorEvent, encode_event
from roadside.contract.summary import Ack
from tests.unit.cloud.messages import EPOCH_MS, START_MS, wrap
from tests.unit.cloud.world import World

ACKS = "roadside/v1/gw-0001/acks"
EVENT = CongestionEvent(
    kind="CongestionStarted",
    gateway="gw-0001",
    epoch_ms=EPOCH_MS,
    sequence=12,
    segment_id="A100-3",
    segment_number=3,
    occurred_ms=START_MS,
    started_ms=START_MS,
    average_speed_kmh=21.5,
    occupancy=0.31,
    congestion_level=74,
)


@pytest.fixture(autouse=True)
def fresh_process(world: World) -> Iterator[None]:
    handler.delivery.cache_clear()
    yield
    handler.delivery.cache_clear()


def deliver(document: dict[str, Any] | None = None) -> None:
    handler.handle(wrap(encode_event(EVENT)) if document is None else document, None)


def body(**changes: object) -> bytes:
    return json.dumps(json.loads(encode_event(EVENT)) | changes).encode()


INCIDENT = IncidentEvent(
    kind="IncidentDetected",
    gateway="gw-0001",
    epoch_ms=EPOCH_MS,
    sequence=13,
    segment_id="A100-3",
    segment_number=3,
    downstream_segment_number=4,
    occurred_ms=START_MS,
    started_ms=START_MS,
    average_speed_kmh=21.5,
    downstream_speed_kmh=80.0,
    occupancy=0.31,
    score=3.5,
)
FAULT = SensorEvent(
    kind="SensorFault",
    gateway="gw-0001",
    epoch_ms=EPOCH_MS,
    sequence=14,
    sensor_id="a100-3-2",
    sensor_number=32,
    segment_id="A100-3",
    segment_number=3,
    fault="chatter",
    occurred_ms=START_MS,
    started_ms=START_MS,
    effective_ms=START_MS,
)


@pytest.mark.parametrize("event", [INCIDENT, FAULT], ids=lambda event: event.kind)
def test_events_of_every_kind_take_the_same_way(world: World, event: Event) -> None:
    deliver(wrap(encode_event(event)))

    (published,) = world.published()
    assert published["detail-type"] == event.kind
    assert published["detail"] == json.loads(encode_event(event))
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(event.sequence,)))]


def test_event_reaches_the_bus_with_its_id_and_is_acknowledged(world: World) -> None:
    deliver()

    (published,) = world.published()
    assert published["source"] == "roadside"
    assert published["detail-type"] == "CongestionStarted"
    assert published["detail"] == json.loads(encode_event(EVENT))
    assert published["detail"]["event_id"] == f"gw-0001:{EPOCH_MS}:12"
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(12,)))]
    (item,) = world.items("alerts")
    assert item["status"] == {"S": "published"}
    assert item["t"] == {"N": str((START_MS + 60_000) // 1000 + 90 * 86_400)}


def test_replay_of_a_published_event_publishes_nothing_and_is_acknowledged_again(world: World) -> None:
    deliver()
    world.acks()

    deliver()

    assert len(world.published()) == 1
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(12,)))]


def test_crash_between_table_and_bus_is_made_good_by_the_replay(world: World) -> None:
    handler.delivery()._alerts.begin(read_event(wrap(encode_event(EVENT))))

    deliver()

    assert len(world.published()) == 1
    assert world.items("alerts")[0]["status"] == {"S": "published"}
    assert len(world.acks()) == 1


def test_crash_between_bus_and_table_publishes_twice_under_one_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(handler.delivery()._alerts, "mark_published", crash)
        with pytest.raises(MemoryError):
            deliver()
    assert world.acks() == []

    deliver()

    assert len({event["detail"]["event_id"] for event in world.published()}) == 1
    assert world.items("alerts")[0]["status"] == {"S": "published"}
    assert len(world.acks()) == 1


def test_entry_that_the_bus_failed_is_an_error_and_not_acknowledged(world: World) -> None:
    client = handler.delivery()._publisher._client

    def fail(parsed: dict[str, Any], **_: object) -> None:
        parsed["FailedEntryCount"] = 1
        parsed["Entries"] = [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]

    client.meta.events.register("after-call.events.PutEvents", fail)

    with pytest.raises(NotPublishedError, match="ThrottlingException"):
        deliver()

    assert world.items("alerts")[0]["status"] == {"S": "received"}
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
def test_poison_is_parked_with_its_reason(world: World, payload: bytes, reason: str) -> None:
    document = wrap(payload)

    deliver(document)

    (parked,) = world.parked()
    assert reason in parked["reason"]
    assert json.loads(parked["raw"]) == document
    assert base64.b64decode(document["payload"]) == payload
    assert world.published() == []
    assert world.items("alerts") == []


def test_poison_with_a_sequence_is_refused_to_its_sender(world: World) -> None:
    deliver(wrap(body(gateway="gw-0002")))

    ((topic, ack),) = world.acks()
    assert topic == ACKS
    assert ack.stored == ()
    assert [sequence for sequence, _ in ack.refused] == [12]


def test_sequence_that_no_ack_can_name_is_refused_to_nobody() -> None:
    with pytest.raises(PoisonError) as caught:
        read_event(wrap(body(sequence=1 << 64)))

    assert caught.value.message_id is None


def test_schema_of_the_future_is_refused_by_its_sequence() -> None:
    with pytest.raises(PoisonError) as caught:
        read_event(wrap(body(schema=9)))

    assert caught.value.message_id == MessageId("gw-0001", EPOCH_MS, 12)


def test_poison_that_cannot_be_parked_is_an_error(world: World) -> None:
    world.sqs.delete_queue(QueueUrl=world.parked_url)

    with pytest.raises(world.sqs.exceptions.QueueDoesNotExist):
        deliver(wrap(b"rubbish"))


def test_missing_settings_are_named_all_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({})

    assert len(caught.value.faults) == 5
