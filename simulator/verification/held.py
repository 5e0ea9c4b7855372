"""What a deployed stack holds of a run: its tables, read now, as a person or a program finds them.

An item says some of what its message says again, as attributes by which it is found and replaced. Where the two differ,
or where nobody can read the message, that is a finding too: somebody has been there.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloud.deployment import Deployment, in_words
from cloud.query.plain import plain
from roadside.contract.codec import decode_window
from roadside.contract.errors import ContractError
from roadside.contract.sensors import SensorSummary, decode_sensors
from roadside.contract.summary import WindowSummary
from simulator.city.layout import City
from simulator.verification.windows import Finding

Item = dict[str, Any]


@dataclass(slots=True)
class Held:
    """Everything that is compared.

    Attributes
    ----------
    windows : by gateway and start; two epochs of one window are two
    events : as systems got them, each once
    gateways : items of the gateways table by name
    findings : about items that contradict themselves
    problems : the same of summaries of sensors
    """

    windows: dict[tuple[str, int], list[WindowSummary]] = field(default_factory=lambda: defaultdict(list))
    sensors: list[SensorSummary] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    gateways: dict[str, Item] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_held(deployment: Deployment, city: City, from_ms: int, until_ms: int, *, is_its_own: bool) -> Held:
    """Read what the stack holds of the time [from_ms, until_ms) and this city.

    Parameters
    ----------
    is_its_own : whether the stack has never seen anything but this run; then all that it holds counts, whenever and by
        whomever it was sent

    Raises
    ------
    CloudError
    """
    held = Held()
    names = [gateway.gateway_id for gateway in city.gateways]
    span = None if is_its_own else (from_ms, until_ms)
    for item in _of_gateways(deployment, "WindowsTable", "w", names, span):
        _take_window(held, item)
    for item in _of_gateways(deployment, "SensorsTable", "s", names, span):
        _take_sensors(held, item)
    for item in _pages(deployment, "scan", "AlertsTable"):
        if "kind" in item and (is_its_own or (item["gateway"] in names and from_ms <= item["occurred_ms"] < until_ms)):
            held.events.append(json.loads(item["detail"]))
    held.gateways = {item["gateway"]: item for item in _pages(deployment, "scan", "GatewaysTable")}
    return held


def _take_window(held: Held, item: Item) -> None:
    start_ms = int(item["w"].partition("#")[0])
    try:
        window = decode_window(bytes(item["b"]))
    except ContractError as error:
        held.findings.append(Finding(item["g"], start_ms, f"the stored message cannot be read: {error}"))
        return
    held.windows[item["g"], start_ms].append(window)
    should_be = {
        "g": window.gateway,
        "w": f"{window.window_start_ms}#{window.epoch_ms}",
        "r": window.revision,
        "q": window.sequence,
    }
    if contradictions := _contradictions(item, should_be):
        held.findings.append(Finding(item["g"], start_ms, contradictions))


def _take_sensors(held: Held, item: Item) -> None:
    place = f"{item['g']}, sensors from {item['s'].partition('#')[0]}"
    try:
        summary = decode_sensors(bytes(item["b"]))
    except ContractError as error:
        held.problems.append(f"{place}: the stored message cannot be read: {error}")
        return
    held.sensors.append(summary)
    key = f"{summary.interval_start_ms}#{summary.epoch_ms}#{summary.part:03d}"
    if contradictions := _contradictions(item, {"g": summary.gateway, "s": key, "q": summary.sequence}):
        held.problems.append(f"{place}: {contradictions}")


def _contradictions(item: Item, should_be: Mapping[str, object]) -> str:
    return "; ".join(
        f"attribute {name} is {item.get(name)}, should be {value} as its message says"
        for name, value in should_be.items()
        if item.get(name) != value
    )


def _of_gateways(
    deployment: Deployment, table: str, key: str, gateways: list[str], span: tuple[int, int] | None
) -> Iterator[Item]:
    """All items, or those of these gateways and this time."""
    if span is None:
        yield from _pages(deployment, "scan", table, ConsistentRead=True)
        return
    for gateway in gateways:
        yield from _pages(
            deployment,
            "query",
            table,
            ConsistentRead=True,
            KeyConditionExpression=f"g = :g AND {key} BETWEEN :from AND :until",
            ExpressionAttributeValues={
                ":g": {"S": gateway},
                ":from": {"S": str(span[0])},
                ":until": {"S": str(span[1])},
            },
        )


def _pages(deployment: Deployment, operation: str, table: str, **parameters: Any) -> Iterator[Item]:
    with in_words():
        paginator = deployment.client("dynamodb").get_paginator(operation)
        for page in paginator.paginate(TableName=deployment.output(table), **parameters):
            yield from map(plain, page["Items"])
