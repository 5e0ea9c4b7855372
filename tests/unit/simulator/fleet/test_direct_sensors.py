"""Sensors that publish singly: every reading once, over its own connection, not before its instant."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from roadside.contract import topics
from simulator.city.layout import City, make_city
from simulator.city.traffic import CityTraffic
from simulator.faults.delivery import NO_SPEED, Delivery
from simulator.fleet import direct_sensors
from simulator.fleet.direct_sensors import DirectSensors
from simulator.fleet.feed import CityFeed, gateway_of_sensor
from simulator.verification.readings import ToldReadings
from tests.unit.simulator.faults.on_the_way import shares

SECONDS = 2
FAULTS = shares(duplicate=0.1, disordered=0.1, invalid=0.1)


class Line:
    """A connection that answers at once, or never."""

    def __init__(self, name: str, heard: list[tuple[str, str, bytes, float]], *, answers: bool) -> None:
        self._name = name
        self._heard = heard
        self._answers = answers
        self.closed = False

    @property
    def connected(self) -> bool:
        return not self.closed

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:
        assert qos == 1
        self._heard.append((self._name, topic, payload, time.time()))
        future: Future[None] = Future()
        if self._answers:
            future.set_result(None)
        return future

    def subscribe(self, topic_filter: str, handler: Callable[[str, bytes], None]) -> Future[None]:
        raise AssertionError(f"{self._name} listens to nobody: {topic_filter}, {handler}")

    def on_state(self, callback: Callable[[bool], None]) -> None:
        raise AssertionError(f"nobody asks {self._name} for its state: {callback}")

    def close(self) -> None:
        self.closed = True


class Street:
    """A city of 20 sensors whose connections are lines, and what they heard."""

    def __init__(self, *, answers: bool = True) -> None:
        self.city: City = make_city(20, 1, 1)
        self.start_ms = int(1000 * time.time())
        self.told = ToldReadings()
        delivery = Delivery(FAULTS, 1, gateway_of_sensor(self.city), self.start_ms, SECONDS, 10, 2)
        self.feed = CityFeed(self.city, CityTraffic(self.city, 1), delivery, self.told, self.start_ms)
        self.heard: list[tuple[str, str, bytes, float]] = []
        self.lines: list[Line] = []
        self.sensors = DirectSensors(self.city.sensor_ids(), lambda name: self._line(name, answers=answers))

    def _line(self, name: str, *, answers: bool) -> Line:
        self.lines.append(Line(name, self.heard, answers=answers))
        return self.lines[-1]

    def run(self) -> int:
        with self.sensors:
            self.sensors.run(self.feed, self.start_ms, SECONDS, lambda _second: None)
        return self.feed.seconds


@pytest.fixture(scope="module")
def street() -> Street:
    """One on which all has been said."""
    street = Street()
    assert street.run() == SECONDS
    return street


def test_every_reading_is_published_by_its_own_sensor_at_its_time(street: Street) -> None:
    feed, ids = street.feed, street.city.sensor_ids()
    assert len(street.heard) == feed.generated + feed.duplicates == street.sensors.meter.messages
    assert feed.duplicates > 0
    assert feed.invalid > 0
    assert street.sensors.acknowledged == len(street.heard)
    said = {}
    for line, topic, payload, at_s in street.heard:
        reading = json.loads(payload)
        assert line == reading["sensor_id"]
        assert topic == topics.direct_reading(line)
        assert at_s >= reading["timestamp"] / 1000
        if reading["occupancy"] <= 1:
            said[line, reading["timestamp"]] = reading
    readings = street.told.readings()
    assert len(said) == len(readings) == 20 * SECONDS
    for sensor, at_ms, vehicles, speed, share in zip(
        *(getattr(readings, name).tolist() for name in type(readings).__dataclass_fields__), strict=True
    ):
        reading = said[ids[sensor], at_ms]
        assert reading["vehicle_count"] == vehicles
        assert reading["average_speed_kmh"] == (None if speed == NO_SPEED else speed / 10)
        assert reading["occupancy"] == share / 1000
    assert all(line.closed for line in street.lines)


def test_a_run_with_gateways_knows_the_bytes_of_this_to_the_last(street: Street) -> None:
    once = {(topic, payload) for _, topic, payload, _ in street.heard}
    assert street.feed.raw_messages == len(once)
    assert street.feed.raw_bytes == sum(len(topic) + len(payload) for topic, payload in once)
    assert street.sensors.meter.message_bytes == sum(len(topic) + len(said) for _, topic, said, _ in street.heard)
    assert street.sensors.meter.metered.write_units == len(street.heard)


def test_no_more_is_measured_when_the_broker_no_longer_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_sensors, "TOO_LATE_S", 0.5)
    street = Street(answers=False)
    assert street.run() == 1
    assert len(street.told.readings()) == 20
    assert street.sensors.acknowledged == 0
    assert street.sensors.under_way == street.sensors.meter.messages >= 20


def test_a_connection_that_cannot_be_made_closes_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_sensors, "CONNECTING_AT_ONCE", 1)
    lines: list[Line] = []

    def connect(name: str) -> Line:
        if len(lines) == 2:
            raise ConnectionRefusedError(name)
        lines.append(Line(name, [], answers=True))
        return lines[-1]

    with pytest.raises(ConnectionRefusedError), DirectSensors({n: f"s-{n}" for n in range(4)}, connect):
        pass
    assert [line.closed for line in lines] == [True, True]
