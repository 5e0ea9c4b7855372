"""The alerts that reached the systems' queue, against those that the oracle says must have been raised."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from roadside.contract.events import CongestionKind
from simulator.verification.oracle import AlertTruth, Exclusion

Key = tuple[int, bool, int]  # segment number, started, occurred_ms

MAX_FINDINGS: Final = 10
CONGESTION: Final = get_args(CongestionKind)  # the kinds that the oracle foretells


@dataclass(slots=True)
class AlertVerdict:
    """Expected and delivered congestion alerts, without those that readings lost in a crash may have changed.

    Those are counted apart, and so are the events of other kinds, of which the oracle says nothing.
    """

    expected: int = 0
    delivered: int = 0
    repeated: int = 0
    of_killed_gateways: int = 0
    others: dict[str, int] = field(default_factory=dict)  # by kind
    missing: list[Key] = field(default_factory=list)
    unexpected: list[Key] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.missing and not self.unexpected

    def problems(self) -> list[str]:
        """What is wrong, in words."""
        return [
            f"alert {what}: segment {segment}, {'started' if started else 'cleared'}, {occurred_ms}"
            for what, keys in (("missing", self.missing), ("unexpected", self.unexpected))
            for segment, started, occurred_ms in keys[:MAX_FINDINGS]
        ]


class QueueReader:
    """Drains the SQS queue in a thread, as the system behind it would; what occurred before `since_ms` is let go."""

    def __init__(self, sqs: Any, queue_url: str, since_ms: int = 0) -> None:
        self._sqs = sqs
        self._since_ms = since_ms
        self._queue_url = queue_url
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._events: dict[str, dict[str, Any]] = {}
        self._received_ms: dict[str, float] = {}
        self._copies: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._read, name="queue-reader", daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        """Congestion events so far; others are not waited for."""
        with self._lock:
            return sum(event["kind"] in CONGESTION for event in self._events.values())

    @property
    def repeated(self) -> int:
        with self._lock:
            return sum(self._copies.values()) - len(self._copies)

    def events(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._events.values())

    def received(self) -> list[dict[str, Any]]:
        """Every event with `received_ms`, the instant of its first reception, in that order."""
        with self._lock:
            return [{**self._events[key], "received_ms": round(at_ms)} for key, at_ms in self._received_ms.items()]

    def latencies_s(self, until_ms: float) -> list[float]:
        """From the end of a window to the reception of each congestion event that it led to, up to an instant."""
        with self._lock:
            return [
                (self._received_ms[event_id] - event["occurred_ms"]) / 1000
                for event_id, event in self._events.items()
                if event["kind"] in CONGESTION and event["occurred_ms"] <= until_ms
            ]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            messages = self._sqs.receive_message(
                QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            ).get("Messages", [])
            received_ms = 1000 * time.time()
            for message in messages:
                event = json.loads(message["Body"])["detail"]
                if event["occurred_ms"] >= self._since_ms:
                    self._take(event, received_ms)
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _take(self, event: dict[str, Any], received_ms: float) -> None:
        with self._lock:
            self._received_ms.setdefault(event["event_id"], received_ms)
            self._events[event["event_id"]] = event
            self._copies[event["event_id"]] += 1


def declared_exclusions(delivered: Iterable[dict[str, Any]]) -> list[Exclusion]:
    """Which sensors the gateways said to leave out, from their events, for the oracle to leave them out too."""
    events = list(delivered)
    ends = {
        (event["sensor_number"], event["started_ms"]): event["effective_ms"]
        for event in events
        if event["kind"] == "SensorRecovered"
    }
    return [
        Exclusion(number, event["effective_ms"], ends.get((number, event["started_ms"])))
        for event in events
        if event["kind"] == "SensorFault"
        for number in [event["sensor_number"]]
    ]


def verify_alerts(
    expected: Iterable[AlertTruth],
    delivered: Iterable[dict[str, Any]],
    *,
    until_ms: int,
    uncertain: Mapping[int, int],
    repeated: int,
) -> AlertVerdict:
    """Compare congestion by segment, kind and time; windows after `until_ms`, when no sensor measured, are left out.

    Parameters
    ----------
    uncertain : by segment number, start of the first window whose readings came otherwise than planned: its alerts
        from there on are counted apart
    """
    events = list(delivered)
    should = {(alert.segment_number, alert.started, alert.occurred_ms) for alert in expected}
    did = {
        (event["segment_number"], event["kind"] == "CongestionStarted", event["occurred_ms"])
        for event in events
        if event["kind"] in CONGESTION and event["occurred_ms"] <= until_ms
    }
    apart = {key for key in should | did if key[0] in uncertain and key[2] > uncertain[key[0]]}
    should -= apart
    did -= apart
    return AlertVerdict(
        expected=len(should),
        delivered=len(did),
        repeated=repeated,
        of_killed_gateways=len(apart),
        others=dict(Counter(event["kind"] for event in events if event["kind"] not in CONGESTION)),
        missing=sorted(should - did),
        unexpected=sorted(did - should),
    )
