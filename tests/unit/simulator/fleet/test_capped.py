"""The cap on what a fleet publishes: nothing goes beyond it, and it is near before it is reached."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from roadside.contract import topics
from roadside.runtime.ports import BusUnavailableError
from simulator.fleet.capped import Cap, CappedConnection
from simulator.fleet.link import LinkPublisher
from simulator.fleet.mqtt import DeviceOfflineError
from simulator.run.memory_target import MemoryTarget

TOPIC = topics.uplink("windows", "gw-000")


def test_so_many_messages_go_through_and_then_the_connection_is_away() -> None:
    target, cap = MemoryTarget(), Cap(3, reserve=1)
    connections = [CappedConnection(target.connect("gw-000"), "gw-000", cap) for _ in range(2)]
    published = [connections[number % 2].publish(TOPIC, b"no window") for number in range(5)]
    assert [future.exception() is None for future in published] == [True, True, True, False, False]
    assert isinstance(published[-1].exception(), DeviceOfflineError)
    assert target.parked == cap.used == 3
    assert not any(connection.connected for connection in connections)
    with pytest.raises(BusUnavailableError):  # so a gateway keeps what it has
        LinkPublisher(connections[0], lambda: 0).publish_cloud(TOPIC, b"no window")


def test_the_readings_are_to_end_while_the_reserve_is_still_there() -> None:
    cap = Cap(10, reserve=4)
    near = []
    for _ in range(10):
        near.append(cap.is_near)
        assert cap.take()
    assert near == [False] * 6 + [True] * 4
    assert cap.reached
    assert not cap.take()


def test_many_threads_take_no_more_than_there_is() -> None:
    cap = Cap(500, reserve=0)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: cap.take(), range(2000)))
    assert sum(taken) == cap.used == 500
