"""A fleet that comes up by and by: who is on from when, and a connection that is made after its gateway."""

from __future__ import annotations

import pytest

from roadside.contract import topics
from simulator.city.layout import make_city
from simulator.city.traffic import CityTraffic
from simulator.faults.delivery import Delivery
from simulator.fleet.feed import CityFeed, gateway_of_sensor
from simulator.fleet.late_connection import LateConnection
from simulator.fleet.link import Connection
from simulator.fleet.mqtt import DeviceConnectionError, DeviceOfflineError
from simulator.fleet.ramp import first_seconds
from simulator.run.memory_target import MemoryTarget
from simulator.verification.judging import make_oracle
from simulator.verification.windows import starts_by_gateway
from tests.unit.simulator.faults.on_the_way import shares

SECONDS = 12


def test_gateways_come_one_after_the_other_and_the_first_at_once() -> None:
    assert first_seconds(4, 8).tolist() == [0, 2, 4, 6]
    assert first_seconds(5, 3).tolist() == [0, 0, 1, 1, 2]
    assert first_seconds(3, 0).tolist() == [0, 0, 0]


def test_sensors_measure_and_the_oracle_knows_from_when_their_gateway_is_on() -> None:
    """No window that ends before is expected of it, and each reading that was generated is accounted for."""
    city, start_ms = make_city(230, 4, 1), 1_700_000_000_000  # windows begin with the run
    oracle = make_oracle(city, window_s=2, lateness_ms=2000)
    faults = shares(duplicate=0.05, disordered=0.05, late=0.05, invalid=0.05)
    delivery = Delivery(faults, 1, gateway_of_sensor(city), start_ms, SECONDS, 2, 2)
    first = first_seconds(4, 8)
    feed = CityFeed(city, CityTraffic(city, 1), delivery, oracle, start_ms, first_seconds=first)
    came: dict[int, int] = dict.fromkeys(range(4), 0)
    second = 0
    while second < SECONDS or not feed.exhausted:
        if second < SECONDS:
            feed.draw(second)
        for arrivals in feed.deliver(second):
            for index, readings in arrivals:
                assert readings.timestamp_ms.min() >= start_ms + 1000 * first[index]
                came[index] += len(readings)
        second += 1
    assert sum(came.values()) == feed.generated + feed.duplicates
    starts = starts_by_gateway(city, oracle.windows())
    for index, gateway in enumerate(city.gateways):
        windows = range(int(first[index]), SECONDS, 2)
        assert starts[gateway.gateway_id] == [start_ms + 1000 * from_s for from_s in windows]
        valid = sum(
            truth.readings
            for of_window in oracle.windows().values()
            for number, truth in of_window.items()
            if number in {segment.number for segment in gateway.segments}
        )
        assert valid == gateway.sensor_count * (SECONDS - first[index])


def test_late_connection_is_away_until_it_is_opened_and_then_hears_what_was_subscribed_to_before() -> None:
    target, heard, states = MemoryTarget(), list[bytes](), list[bool]()
    late = LateConnection("gw-000", target.connect)
    assert late.subscribe(topics.acks("gw-000"), lambda _topic, payload: heard.append(payload)).done()
    late.on_state(states.append)
    assert not late.connected
    refused = late.publish(topics.uplink("windows", "gw-000"), b"")
    assert isinstance(refused.exception(), DeviceOfflineError)

    late.open()

    assert late.connected
    assert states == [True]
    assert late.publish(topics.uplink("windows", "gw-000"), b"no window").exception() is None
    assert target.parked == 1
    late.close()


def test_late_connection_raises_what_connecting_raises() -> None:
    def refuse(gateway: str) -> Connection:
        raise DeviceConnectionError(gateway, "the broker refused")

    late = LateConnection("gw-000", refuse)
    with pytest.raises(DeviceConnectionError, match="gw-000: the broker refused"):
        late.open()
    assert not late.connected
    late.close()
