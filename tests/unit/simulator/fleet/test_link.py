"""The metered link: what a run still has to wait for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from roadside.contract import topics
from roadside.contract.codec import encode_ack, encode_window
from roadside.contract.sensors import SensorSummary, encode_sensors
from roadside.contract.summary import Ack, SegmentSummary, WindowSummary
from simulator.fleet.link import Meter, MeteredLink

GATEWAY = "gw-7"
START_MS = 1_800_000_000_000
WINDOWS = topics.uplink("windows", GATEWAY)


class Connection:
    """Takes everything; hands back what a test says the cloud sent."""

    connected = True

    def __init__(self) -> None:
        self.handlers: list[Callable[[str, bytes], None]] = []

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def subscribe(self, topic_filter: str, handler: Callable[[str, bytes], None]) -> Future[None]:
        self.handlers.append(handler)
        return self.publish(topic_filter, b"")

    def on_state(self, callback: Callable[[bool], None]) -> None:
        raise AssertionError("nobody here asks for the state")

    def close(self) -> None:
        self.handlers.clear()

    def acknowledge(self, *stored: int, refused: tuple[tuple[int, str], ...] = ()) -> None:
        for handler in self.handlers:
            handler(topics.acks(GATEWAY), encode_ack(Ack(1, stored, refused)))


def opened() -> tuple[MeteredLink, Connection]:
    connection = Connection()
    link = MeteredLink(connection, GATEWAY, Meter())
    link.subscribe(topics.acks(GATEWAY), lambda *_: None)
    return link, connection


def window(sequence: int, after_ms: int = 0, **changes: Any) -> bytes:
    values = {"window_ms": 10_000, "segments": (SegmentSummary(1),), **changes}
    return encode_window(WindowSummary(GATEWAY, 1, sequence, START_MS + after_ms, **values))


def test_messages_are_waited_for_until_the_cloud_says_that_it_has_or_refuses_them() -> None:
    link, connection = opened()
    for sequence in (1, 2, 3):
        link.publish(WINDOWS, window(sequence))
    assert link.unacknowledged(START_MS) == 3
    connection.acknowledge(1, refused=((2, "poison"),))
    assert link.unacknowledged(START_MS) == 1
    assert link.acknowledged_starts_ms == {START_MS}


def test_a_repetition_of_what_was_acknowledged_is_not_waited_for() -> None:
    link, connection = opened()
    link.publish(WINDOWS, window(1))
    connection.acknowledge(1)
    link.publish(WINDOWS, window(1))
    assert link.unacknowledged(START_MS) == 0


def test_summaries_of_sensors_are_waited_for_by_the_end_of_their_interval_and_are_no_windows() -> None:
    link, connection = opened()
    link.publish(topics.uplink("sensors", GATEWAY), encode_sensors(SensorSummary(GATEWAY, 1, 5, START_MS, 20_000, ())))
    assert link.unacknowledged(START_MS + 10_000) == 0
    assert link.unacknowledged(START_MS + 20_000) == 1
    connection.acknowledge(5)
    assert link.unacknowledged(START_MS + 20_000) == 0
    assert (link.acknowledged_starts_ms, link.acknowledged_ends_ms) == (set(), {START_MS + 20_000})


def test_windows_that_silence_closes_after_the_last_reading_are_not_waited_for() -> None:
    link, _ = opened()
    link.publish(WINDOWS, window(1, after_ms=10_000))
    assert link.unacknowledged(START_MS) == 0
    assert link.unacknowledged(START_MS + 10_000) == 1
