"""Delivered alerts against expected ones, and the reader of the queue."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import Any

from simulator.verification.alerts import AlertVerdict, QueueReader, verify_alerts
from simulator.verification.oracle import AlertTruth

EXPECTED = [AlertTruth(1, True, 20_000), AlertTruth(1, False, 60_000), AlertTruth(7, True, 30_000)]


def event(segment: int, kind: str, occurred_ms: int) -> dict[str, Any]:
    return {"segment_number": segment, "kind": kind, "occurred_ms": occurred_ms}


DELIVERED = [
    event(7, "CongestionStarted", 30_000),
    event(1, "CongestionStarted", 20_000),
    event(1, "CongestionCleared", 60_000),
]


def judged(
    delivered: list[dict[str, Any]], *, until_ms: int = 100_000, uncertain: dict[int, int] | None = None
) -> AlertVerdict:
    return verify_alerts(EXPECTED, delivered, until_ms=until_ms, uncertain=uncertain or {}, repeated=0)


def test_same_alerts_in_any_order_are_well() -> None:
    verdict = judged(DELIVERED)
    assert verdict.ok
    assert (verdict.expected, verdict.delivered) == (3, 3)


def test_missing_and_unexpected_alerts_are_named() -> None:
    verdict = judged([*DELIVERED[1:], event(8, "CongestionStarted", 30_000)])
    assert not verdict.ok
    assert verdict.missing == [(7, True, 30_000)]
    assert verdict.unexpected == [(8, True, 30_000)]


def test_events_of_other_kinds_are_counted_apart() -> None:
    verdict = judged([*DELIVERED, event(7, "IncidentDetected", 30_000), event(7, "SensorFault", 30_000)])
    assert verdict.ok
    assert (verdict.delivered, verdict.others) == (3, {"IncidentDetected": 1, "SensorFault": 1})


def test_kind_and_time_must_agree() -> None:
    for wrong in (event(7, "CongestionCleared", 30_000), event(7, "CongestionStarted", 30_001)):
        verdict = judged([wrong, *DELIVERED[1:]])
        assert (len(verdict.missing), len(verdict.unexpected)) == (1, 1)


def test_alerts_that_lost_readings_may_have_changed_are_counted_apart() -> None:
    verdict = judged([*DELIVERED[1:], event(7, "CongestionStarted", 40_000)], uncertain={7: 20_000})
    assert verdict.ok
    assert (verdict.expected, verdict.delivered, verdict.of_killed_gateways) == (2, 2, 2)


def test_alerts_before_a_loss_are_verified_all_the_same() -> None:
    verdict = judged(DELIVERED[1:], uncertain={7: 30_000})
    assert verdict.missing == [(7, True, 30_000)]


def test_alerts_after_the_last_reading_are_left_out() -> None:
    late = event(9, "CongestionCleared", 100_001)
    assert judged([*DELIVERED, late]).ok
    assert not judged([*DELIVERED, {**late, "occurred_ms": 100_000}]).ok


class _Queue:
    """An SQS client with one queue: a message stays until it is deleted."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.deleted: list[str] = []
        self.asked = threading.Event()

    def send(self, handle: str, event_id: str, *, kind: str = "CongestionStarted", occurred_ms: int = 0) -> None:
        body = json.dumps({"detail": {"event_id": event_id, "kind": kind, "occurred_ms": occurred_ms}})
        self.waiting.put({"Body": body, "ReceiptHandle": handle})

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self.asked.set()
        try:
            return {"Messages": [self.waiting.get(timeout=0.02)]}
        except queue.Empty:
            return {}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803 - as boto3 names them
        assert QueueUrl == "url"
        self.deleted.append(ReceiptHandle)


def test_reader_takes_every_message_off_the_queue_and_tells_repeats() -> None:
    sqs = _Queue()
    for handle, event_id in [("a", "e1"), ("b", "e2"), ("c", "e1")]:
        sqs.send(handle, event_id)
    reader = QueueReader(sqs, "url")
    deadline_s = time.monotonic() + 5
    while len(sqs.deleted) < 3 and time.monotonic() < deadline_s:
        time.sleep(0.005)
    reader.stop()
    assert sqs.deleted == ["a", "b", "c"]
    assert (reader.count, reader.repeated) == (2, 1)
    assert [found["event_id"] for found in reader.events()] == ["e1", "e2"]


def test_alert_is_timed_from_the_end_of_its_window_to_its_first_reception() -> None:
    now_ms = int(1000 * time.time())
    sqs = _Queue()
    sqs.send("a", "told", occurred_ms=now_ms - 2_000)
    sqs.send("b", "told", occurred_ms=now_ms - 2_000)
    sqs.send("c", "after the last reading", occurred_ms=now_ms)
    sqs.send("d", "of the cloud", kind="GatewayOffline", occurred_ms=now_ms - 2_000)
    reader = QueueReader(sqs, "url")
    deadline_s = time.monotonic() + 5
    while len(sqs.deleted) < 4 and time.monotonic() < deadline_s:
        time.sleep(0.005)
    reader.stop()

    (latency_s,) = reader.latencies_s(until_ms=now_ms - 1)
    assert 2 <= latency_s < 7
