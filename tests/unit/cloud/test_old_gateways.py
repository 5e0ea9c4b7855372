"""Today's functions and what gateways of every released version send: all of it is stored and acknowledged."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.functions.alerts import handler as alerts
from cloud.functions.processor import handler as processor
from roadside.contract.codec import decode_window
from roadside.contract.events import decode_event
from roadside.contract.sensors import decode_sensors
from tests.unit.cloud.messages import START_MS, kinesis_record, wrap
from tests.unit.cloud.world import World

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
GATEWAY = "gw-0042"  # who sent the golden messages
VERSIONS = sorted(folder.name for folder in GOLDEN.glob("v*"))

every_version = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture(autouse=True)
def fresh_processes(world: World) -> Iterator[None]:
    processor.processor.cache_clear()
    alerts.delivery.cache_clear()
    yield
    processor.processor.cache_clear()
    alerts.delivery.cache_clear()


def messages(version: str, kind: str) -> list[bytes]:
    found = [path.read_bytes() for path in sorted((GOLDEN / version).glob(f"{kind}-*.bin"))]
    assert found
    return found


def acknowledged(world: World) -> set[tuple[int, int]]:
    """Epoch and sequence of every message that was called stored; a refusal is a failure."""
    acks = [ack for _, ack in world.acks()]
    assert [ack.refused for ack in acks if ack.refused] == []
    return {(ack.epoch_ms, sequence) for ack in acks for sequence in ack.stored}


@every_version
def test_windows_and_summaries_of_sensors_are_stored_and_acknowledged(world: World, version: str) -> None:
    windows, sensors = messages(version, "window"), messages(version, "sensors")
    wrapped = [wrap(body, GATEWAY, START_MS) for body in windows]
    wrapped += [wrap(body, GATEWAY, START_MS, "sensors") for body in sensors]
    records = [kinesis_record(document, number) for number, document in enumerate(wrapped)]

    assert processor.handle({"Records": records}, None) == {"batchItemFailures": []}

    sent = [decode_window(body) for body in windows] + [decode_sensors(body) for body in sensors]
    assert world.parked() == []
    assert acknowledged(world) == {(message.epoch_ms, message.sequence) for message in sent}
    keys = {(window.window_start_ms, window.epoch_ms) for window in map(decode_window, windows)}
    assert len(world.items("windows")) == len(keys)
    assert len(world.items("sensors")) == len(sensors)


@every_version
def test_windows_come_also_by_the_rule_of_a_stack_that_did_not_tell_their_kind(world: World, version: str) -> None:
    wrapped = [wrap(body, GATEWAY, START_MS) for body in messages(version, "window")]
    for document in wrapped:
        del document["kind"]
    records = [kinesis_record(document, number) for number, document in enumerate(wrapped)]

    assert processor.handle({"Records": records}, None) == {"batchItemFailures": []}
    assert world.parked() == []


@every_version
def test_events_are_published_and_acknowledged(world: World, version: str) -> None:
    bodies = messages(version, "event")
    queued = [
        {"messageId": str(place), "body": json.dumps(wrap(body, GATEWAY, START_MS, "events"))}
        for place, body in enumerate(bodies)
    ]

    assert alerts.handle({"Records": queued}, None) == {"batchItemFailures": []}

    sent = {(event.epoch_ms, event.sequence) for event in map(decode_event, bodies)}
    assert world.parked() == []
    assert acknowledged(world) == sent
    assert len(world.published()) == len(sent)
