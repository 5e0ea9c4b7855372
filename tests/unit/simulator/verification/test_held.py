"""What a stack holds is read as it is, and an item that contradicts its own message is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloud.deployment import Deployment
from cloud.functions.processor.items import window_key
from roadside.contract.codec import encode_window
from roadside.contract.summary import SegmentSummary, WindowSummary
from simulator.city.layout import make_city
from simulator.verification.gateways import gateway_problems
from simulator.verification.held import Held, read_held

CITY = make_city(40, 2, 1)
START_MS, EPOCH_MS = 1_764_115_200_000, 1_764_115_000_000
TABLES = ("WindowsTable", "SensorsTable", "AlertsTable", "GatewaysTable")
Item = dict[str, dict[str, Any]]


class Tables:
    """DynamoDB as far as it is asked here: scans, and queries by gateway and a span of the sort key."""

    def __init__(self, **items: list[Item]) -> None:
        self._items = items

    def get_paginator(self, operation: str) -> Paginator:
        return Paginator(operation, self._items)


class Paginator:
    def __init__(self, operation: str, items: dict[str, list[Item]]) -> None:
        self._operation = operation
        self._items = items

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        items = self._items.get(asked["TableName"], [])
        if self._operation == "query":
            values = asked["ExpressionAttributeValues"]
            key = asked["KeyConditionExpression"].split()[4]
            items = [
                item
                for item in items
                if item["g"] == values[":g"] and values[":from"]["S"] <= item[key]["S"] <= values[":until"]["S"]
            ]
        yield {"Items": items}


def item(gateway: str = "gw-000", start_ms: int = START_MS) -> Item:
    window = WindowSummary(
        gateway=gateway,
        epoch_ms=EPOCH_MS,
        sequence=4,
        window_start_ms=start_ms,
        window_ms=10_000,
        revision=1,
        segments=(SegmentSummary(number=0),),
    )
    return {
        "g": {"S": gateway},
        "w": {"S": window_key(start_ms, EPOCH_MS)},
        "r": {"N": "1"},
        "q": {"N": "4"},
        "b": {"B": encode_window(window)},
    }


def held(*windows: Item, is_its_own: bool = True, **others: list[Item]) -> Held:
    tables = Tables(WindowsTable=list(windows), **others)
    deployment = Deployment("dev", {name: name for name in TABLES}, lambda _: tables)
    return read_held(deployment, CITY, START_MS, START_MS + 60_000, is_its_own=is_its_own)


def test_windows_are_read_by_gateway_and_start() -> None:
    read = held(item(), item("gw-001"))

    assert set(read.windows) == {("gw-000", START_MS), ("gw-001", START_MS)}
    assert read.findings == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"r": {"N": "9"}}, "attribute r is 9, should be 1 as its message says"),
        ({"q": {"N": "5"}}, "attribute q is 5, should be 4"),
        ({"g": {"S": "gw-001"}}, "attribute g is gw-001, should be gw-000"),
        ({"w": {"S": f"{START_MS}#7"}}, f"attribute w is {START_MS}#7, should be {START_MS}#{EPOCH_MS}"),
        ({"b": {"B": b"\x08"}}, "the stored message cannot be read: "),
    ],
)
def test_an_item_that_contradicts_its_message_is_named(changed: Item, words: str) -> None:
    [finding] = held(item() | changed).findings

    assert words in finding.what
    assert finding.window_start_ms == START_MS


def test_on_a_shared_stack_only_the_runs_gateways_and_time_count() -> None:
    strangers = [item("gw-777"), item(start_ms=START_MS - 10_000), item(start_ms=START_MS + 70_000)]
    alerts: list[Item] = [
        {
            "event_id": {"S": f"{gateway}{at_ms}"},
            "kind": {"S": "CongestionStarted"},
            "gateway": {"S": gateway},
            "occurred_ms": {"N": str(at_ms)},
            "detail": {"S": f'{{"event_id": "{gateway}{at_ms}"}}'},
        }
        for gateway, at_ms in (("gw-000", START_MS), ("gw-777", START_MS), ("gw-001", START_MS - 1))
    ]

    shared = held(item(), *strangers, is_its_own=False, AlertsTable=alerts)
    own = held(item(), *strangers, is_its_own=True, AlertsTable=alerts)

    assert (len(shared.windows), len(shared.events)) == (1, 1)
    assert (len(own.windows), len(own.events)) == (4, 3)


def test_gateways_that_are_missing_or_elsewhere_are_named() -> None:
    first, second = CITY.gateways
    whole = {"district": first.district, "segment_count": len(first.segments)}

    assert gateway_problems(CITY, {first.gateway_id: whole | {"district": "Moon"}}) == [
        f"gw-000: district is Moon, should be {first.district}",
        f"{second.gateway_id} is not in the gateways table",
    ]
