"""A gateway falls silent, loses windows and sends them again: over MQTT, through the deployed functions, to the queue.

Passes are told their instant, so that nobody waits for minutes.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any, Final

import pytest

from roadside.contract import topics
from roadside.contract.bus import Announcement, DataNotice, decode_announcement
from roadside.contract.codec import encode_window
from roadside.contract.commands import ResendCommand, decode_command
from roadside.contract.events import encode_event
from roadside.contract.heartbeat import encode_heartbeat
from simulator.local_cloud.devices import DeviceIdentity, register_devices
from tests.integration.local_cloud.conftest import Platform
from tests.integration.local_cloud.support import Device, eventually
from tests.unit.cloud.gateway_events import CONGESTION
from tests.unit.cloud.messages import make_window
from tests.unit.cloud.test_signs_of_life import BEAT

SILENT, LOSING, BUSY = "sweep-silent", "sweep-losing", "sweep-busy"
FIRST_SEGMENT: Final = 4_100_000
BURST: Final = 120


class City:
    """What the tests do and see of the deployed stack."""

    def __init__(self, platform: Platform, identities: dict[str, DeviceIdentity]) -> None:
        self._platform = platform
        self._identities = identities
        self._seen: dict[str, Announcement] = {}

    def device(self, gateway: str) -> Device:
        return Device(self._platform.cloud, self._identities[gateway])

    def sweep(self, gateway: str, now_ms: int) -> dict[str, int]:
        payload = json.dumps({"now_ms": now_ms, "gateways": [gateway]})
        answer = self._platform.cloud.client("lambda").invoke(
            FunctionName=self._platform.outputs["SweepFunction"], Payload=payload.encode()
        )
        body = answer["Payload"].read().decode()
        assert "FunctionError" not in answer, body
        counts: dict[str, int] = json.loads(body)
        return counts

    def told(self, gateway: str) -> list[str]:
        """Kinds of what the systems' queue has of the gateway, in order; others' messages stay where they are."""
        sqs, url = self._platform.cloud.client("sqs"), self._platform.outputs["SystemsQueueUrl"]
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=2).get(
            "Messages"
        ):
            ours = [m for m in messages if json.loads(m["Body"])["detail"]["gateway"] in self._identities]
            for message in ours:
                announced = decode_announcement(json.dumps(json.loads(message["Body"])["detail"]).encode())
                self._seen[announced.event.event_id] = announced
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [each.event.kind for each in self.events(gateway)]

    def events(self, gateway: str) -> list[Announcement]:
        return [each for each in self._seen.values() if each.event.gateway == gateway]

    def gateway(self, name: str) -> dict[str, Any]:
        item = self._item("GatewaysTable", {"gateway": {"S": name}})
        return {key: next(iter(value.values())) for key, value in item.items()}

    def segment_state(self, number: int) -> str | None:
        item = self._item("SegmentsTable", {"segment": {"N": str(number)}})
        return item["congestion_state"]["S"] if item else None

    def _item(self, output: str, key: dict[str, Any]) -> dict[str, Any]:
        dynamodb = self._platform.cloud.client("dynamodb")
        item: dict[str, Any] = dynamodb.get_item(TableName=self._platform.outputs[output], Key=key).get("Item", {})
        return item


@pytest.fixture(scope="module")
def city(platform: Platform) -> City:
    names = [SILENT, LOSING, BUSY]
    identities = register_devices(platform.cloud, names, platform.outputs["GatewayPolicy"])
    return City(platform, dict(zip(names, identities, strict=True)))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def publish_window(device: Device, gateway: str, start_ms: int, sequence: int, first_segment: int) -> None:
    window = make_window(sequence, gateway=gateway, start_ms=start_ms, first_segment=first_segment)
    assert device.publish(topics.uplink("windows", gateway), encode_window(window)) == 0


def publish_heartbeat(device: Device, gateway: str) -> None:
    beat = encode_heartbeat(replace(BEAT, gateway=gateway, sent_ms=now_ms(), backlog_age_ms=0))
    assert device.publish(topics.uplink("heartbeat", gateway), beat) == 0


def test_killed_gateway_is_offline_within_90_seconds_and_its_segments_are_unknown(city: City) -> None:
    with city.device(SILENT) as device:
        publish_heartbeat(device, SILENT)
        eventually(lambda: city.gateway(SILENT), what="the gateway's item")
        publish_window(device, SILENT, now_ms() // 10_000 * 10_000 - 10_000, 1, FIRST_SEGMENT)
        eventually(lambda: city.segment_state(FIRST_SEGMENT) == "free", what="the segment's state")
        died_ms = now_ms()
    eventually(lambda: city.gateway(SILENT).get("presence") == "disconnected", what="the broker's word")

    assert city.sweep(SILENT, died_ms + 5_000)["GatewaysOffline"] == 0  # it may only change its network
    assert city.sweep(SILENT, died_ms + 85_000)["GatewaysOffline"] == 1

    assert eventually(lambda: city.told(SILENT)) == ["GatewayOffline"]
    assert city.segment_state(FIRST_SEGMENT) == "unknown"

    # When a window arrived is known to the second, and nobody who has been away is back within one.
    eventually(lambda: now_ms() > int(city.gateway(SILENT)["seen_ms"]), what="the second of its last window is over")
    with city.device(SILENT) as device:
        eventually(lambda: city.gateway(SILENT).get("presence") == "connected", what="the broker's word")
        publish_window(device, SILENT, now_ms() // 10_000 * 10_000, 9, FIRST_SEGMENT)
        eventually(lambda: city.segment_state(FIRST_SEGMENT) == "free", what="the segment's state")
        found = city.sweep(SILENT, now_ms() + 1000)
        assert (found["GatewaysOffline"], found["GatewaysFailed"], found["EventsAnnounced"]) == (0, 0, 1)
        assert eventually(lambda: city.told(SILENT)[1:]) == ["GatewayOnline"]


def test_missing_windows_are_asked_for_over_mqtt_and_repaired(city: City) -> None:
    began_ms = now_ms()
    start_ms = began_ms // 10_000 * 10_000 - 160_000
    starts = {sequence: start_ms + 10_000 * sequence for sequence in range(1, 9)}
    with city.device(LOSING) as device:
        device.subscribe(topics.commands(LOSING))
        publish_heartbeat(device, LOSING)
        for sequence in (1, 2, 3, 6, 7, 8):
            publish_window(device, LOSING, starts[sequence], sequence, FIRST_SEGMENT + 10)
        eventually(lambda: city.segment_state(FIRST_SEGMENT + 10), what="the windows")
        eventually(lambda: city.gateway(LOSING), what="the gateway's item")
        eventually(
            lambda: city.sweep(LOSING, began_ms - 95_000)["DataGaps"] or None, what="the gap"
        )  # the last window may be stored after the first
        assert city.told(LOSING) == []

        assert city.sweep(LOSING, now_ms())["ResendsAsked"] == 1

        ((topic, payload),) = eventually(lambda: device.received)
        command = decode_command(payload)
        assert topic == topics.commands(LOSING)
        assert isinstance(command, ResendCommand)
        assert command.runs == ((4, 2),)
        assert eventually(lambda: city.told(LOSING)) == ["DataGap"]

        for first, length in command.runs:
            for sequence in range(first, first + length):
                publish_window(device, LOSING, starts[sequence], sequence, FIRST_SEGMENT + 10)
        eventually(lambda: city.sweep(LOSING, now_ms())["DataGaps"] == 0, what="the repair")

    assert eventually(lambda: city.told(LOSING)[1:]) == ["DataRepaired"]
    gap, repaired = (each.event for each in city.events(LOSING))
    assert isinstance(gap, DataNotice)
    assert isinstance(repaired, DataNotice)
    assert (gap.first_ms, gap.until_ms, repaired.started_ms) == (starts[4], starts[6], gap.started_ms)


def test_a_burst_of_events_reaches_the_queue_whole_and_soon(city: City) -> None:
    events = [
        replace(
            CONGESTION,
            gateway=BUSY,
            sequence=place,
            segment_number=FIRST_SEGMENT + place,
            occurred_ms=now_ms(),
            started_ms=now_ms(),
        )
        for place in range(BURST)
    ]
    with city.device(BUSY) as device:
        published = [device.publish_async(topics.uplink("events", BUSY), encode_event(event)) for event in events]
        for each in published:
            assert each.result(10).puback.reason_code == 0
        began_s = time.monotonic()
        eventually(lambda: len(city.told(BUSY)) == BURST, within_s=30, what="every event")
    took_s = time.monotonic() - began_s

    assert {each.event.event_id for each in city.events(BUSY)} == {event.event_id for event in events}
    assert took_s < 10, "a queue that is drained one by one takes longer"
