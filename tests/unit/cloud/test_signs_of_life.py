"""Heartbeats and the broker's word end in the gateways table, the newest of each, whatever order they come in."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any, Final

import pytest

from cloud.functions.alerts import handler
from roadside.contract.heartbeat import ComponentHealth, Heartbeat, SystemState, encode_heartbeat
from tests.unit.cloud.messages import START_MS, wrap
from tests.unit.cloud.world import World

BEAT: Final = Heartbeat(
    gateway="gw-0001",
    sent_ms=START_MS - 2_000,
    uptime_ms=90_000,
    reason="beat",
    nucleus="2.12.6",
    components=(
        ComponentHealth("city.roadside.Aggregator", "running", "0.1.0", 4_000, 90_000, 1, 0, {"windows": 9}),
        ComponentHealth("city.roadside.SensorIngest", "missing", None, None, None, 0, 0, {}),
    ),
    backlog_messages=3,
    backlog_bytes=2_900,
    backlog_age_ms=75_000,
    given_up=0,
    shed=0,
    dead_letters=0,
    spent_bytes=1_000_000,
    budget_bytes=None,
    system=SystemState(cpu_share=0.25, clock_synchronised=True),
)


@pytest.fixture(autouse=True)
def fresh_process(world: World) -> Iterator[None]:
    handler.gateways.cache_clear()
    yield
    handler.gateways.cache_clear()


def beat(received_ms: int = START_MS, payload: bytes | None = None, gateway: str = "gw-0001") -> dict[str, Any]:
    return wrap(encode_heartbeat(BEAT) if payload is None else payload, gateway, received_ms, "heartbeat")


def presence(kind: str, at_ms: int, session: str = "s1", gateway: str = "gw-0001") -> dict[str, Any]:
    return {"gateway": gateway, "kind": kind, "at_ms": at_ms, "session": session}


def take(*documents: dict[str, Any]) -> None:
    for document in documents:
        assert handler.handle(document, None) is None


def gateway(world: World) -> dict[str, Any]:
    (item,) = world.items("gateways")
    return {name: next(iter(value.values())) for name, value in item.items()}


def test_heartbeat_is_written_down_with_what_a_table_of_gateways_shows(world: World) -> None:
    take(beat())

    item = gateway(world)
    assert (item["heartbeat_ms"], item["clock_offset_ms"], item["backlog_age_ms"]) == (str(START_MS), "-2000", "75000")
    health = json.loads(item["health"])
    assert health["components"] == {
        "city.roadside.Aggregator": ["running", "0.1.0", 1, 0],
        "city.roadside.SensorIngest": ["missing", None, 0, 0],
    }
    assert (health["backlog_messages"], health["cpu_share"]) == (3, 0.25)
    assert "budget_bytes" not in health


def test_heartbeats_that_overtake_each_other_or_come_twice_leave_the_newest(world: World) -> None:
    late = beat(START_MS - 60_000, encode_heartbeat(replace(BEAT, backlog_age_ms=None)))
    take(beat(), late, beat())

    item = gateway(world)
    assert (item["heartbeat_ms"], item["backlog_age_ms"]) == (str(START_MS), "75000")


@pytest.mark.parametrize("payload", [b"\xff", b"{}", b'{"schema": 9}'])
def test_heartbeat_that_nobody_can_read_is_a_sign_of_life_all_the_same(
    world: World, payload: bytes, emitted_metrics: Callable[[], dict[str, float]]
) -> None:
    take(beat(), beat(START_MS + 60_000, payload))

    item = gateway(world)
    assert (item["heartbeat_ms"], item["backlog_age_ms"]) == (str(START_MS + 60_000), "75000")
    assert "fault" in json.loads(item["health"])
    assert emitted_metrics()["HeartbeatsNotUnderstood"] == 1


@pytest.mark.parametrize(
    "document",
    [
        beat(payload=encode_heartbeat(replace(BEAT, gateway="gw-0002"))),
        {**beat(), "received_ms": "soon"},
        {**beat(), "kind": "windows"},
        presence("connected", -1),
        {},
    ],
    ids=["forged", "no time", "another kind", "no instant", "nothing"],
)
def test_what_is_no_sign_is_refused_and_counted(
    world: World, document: dict[str, Any], emitted_metrics: Callable[[], dict[str, float]]
) -> None:
    take(document)

    assert world.items("gateways") == []
    assert emitted_metrics() == {"SignsRefused": 1}


def test_comings_and_goings_end_the_same_in_any_order_and_however_often(world: World) -> None:
    take(beat())
    told = [
        presence("connected", START_MS),
        presence("disconnected", START_MS + 5),
        presence("connected", START_MS + 9, "s2"),
    ]

    for order in permutations([*told, told[1]]):
        take(*order)
        item = gateway(world)
        assert (item["presence"], item["presence_ms"], item["presence_session"]) == (
            "connected",
            str(START_MS + 9),
            "s2",
        )
        world.dynamodb.delete_item(TableName="gateways", Key={"gateway": {"S": "gw-0001"}})
        take(beat())


def test_end_of_an_older_session_is_none_of_the_newer(world: World) -> None:
    take(beat(), presence("connected", START_MS, "old"), presence("connected", START_MS + 1000, "new"))
    take(presence("disconnected", START_MS + 1002, "old"))
    assert gateway(world)["presence"] == "connected"

    take(presence("disconnected", START_MS + 5000, "new"))
    assert gateway(world)["presence"] == "disconnected"


@pytest.mark.parametrize("client", ["claim-1", "gw-0001#2", "a/b", ""])
def test_clients_that_are_no_gateways_leave_no_trace(world: World, client: str) -> None:
    take(presence("connected", START_MS, gateway=client))

    assert world.items("gateways") == []


def test_health_of_an_ordinary_gateway_costs_one_write_unit(world: World) -> None:
    components = tuple(
        ComponentHealth(f"city.roadside.{name}", "running", "0.12.3", 4_000, 90_000, 10, 10, {})
        for name in ("Aggregator", "SensorIngest", "Monitor", "SensorEmulator")
    )
    take(beat(payload=encode_heartbeat(replace(BEAT, components=components))))

    assert sum(len(name) + len(str(value)) for name, value in gateway(world).items()) < 900
