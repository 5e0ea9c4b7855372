"""How the playground is: figures of its traffic, what its cloud holds, what its processes take."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from cloud.deployment import Deployment, in_words
from cloud.playground import Playground
from cloud.query.city import City
from simulator.playground.lasting import Figures, read_figures
from simulator.playground.processes import family, resident_bytes


@dataclass(frozen=True, slots=True)
class Status:
    """What there is to say of a playground that runs."""

    playground: Playground
    up_s: float
    figures: Figures | None
    gateways: dict[str, int]  # how many are online, offline, unknown
    windows_stored: int
    last_alert: dict[str, Any] | None
    processes: int
    memory_bytes: int


def look(playground: Playground, deployment: Deployment) -> Status:
    """Ask the cloud and the machine. Raises CloudError."""
    city = City(deployment)
    gateways: dict[str, int] = {}
    for gateway in city.gateways():
        gateways[gateway.status] = gateways.get(gateway.status, 0) + 1
    members = family(playground.pid)
    return Status(
        playground=playground,
        up_s=time.time() - playground.started_ms / 1000,
        figures=read_figures(Path(playground.logs)),
        gateways=gateways,
        windows_stored=_count(deployment, "WindowsTable"),
        last_alert=next(city.alerts(playground.started_ms - 86_400_000), None),
        processes=len(members),
        memory_bytes=resident_bytes(members),
    )


def table(status: Status) -> Table:
    """For people."""
    found, flow = status.playground, status.figures
    alert = status.last_alert
    rows = [
        ("up", f"{status.up_s / 60:.0f} min, {found.what}"),
        ("process", f"{found.pid}, {status.processes} with what it started, {status.memory_bytes / 1e6:,.0f} MB"),
        ("gateways", ", ".join(f"{count} {state}" for state, count in sorted(status.gateways.items())) or "none"),
        ("windows in the table", f"{status.windows_stored:,}"),
        ("last alert", "none" if alert is None else f"{alert['headline']} ({_clock(alert['occurred_ms'])})"),
        ("cloud", found.environment["AWS_ENDPOINT_URL"]),
        ("devices", found.device_endpoint),
        ("logs", found.logs),
    ]
    if flow is not None:
        sent = f"{flow.messages:,} messages, {flow.message_bytes:,} bytes, of {flow.readings:,} readings"
        rows.insert(3, ("sent so far", sent))
    shown = Table(show_header=False)
    shown.add_column(style="cyan")
    shown.add_column(overflow="fold")
    for name, value in rows:
        shown.add_row(name, value)
    return shown


def _count(deployment: Deployment, table: str) -> int:
    pages = deployment.client("dynamodb").get_paginator("scan")
    with in_words():
        found = pages.paginate(TableName=deployment.output(table), Select="COUNT")
        return sum(int(page["Count"]) for page in found)


def _clock(instant_ms: int) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(instant_ms / 1000))
