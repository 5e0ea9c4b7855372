"""What a city would cost a month on AWS, beside the first design of the platform, as a table and as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from cloud.app import read_context
from cloud.capacity.bill import (
    Bill,
    Readers,
    fairer_first_design_bill,
    first_design_bill,
    quicksight_bill,
    roadside_bill,
)
from cloud.capacity.city import City, CityError, Operation
from cloud.capacity.limits import Limit, limits
from cloud.capacity.prices import Prices
from cloud.capacity.roadside import traffic
from cloud.capacity.sizing import size, thresholds
from cloud.config import Config

BAR_USD: Final = 160.0  # for the city below, QuickSight apart
BAR_CITY: Final = City(sensors=50_000, gateways=200)

# The way of a window from its gateway to its item, and no more: what the first design is counted by.
_WAY_OF_A_WINDOW: Final = (
    ("IoT Core", "connectivity, gateways"),
    ("IoT Core", "rules, windows"),
    ("IoT Core", "actions, windows"),
    ("Kinesis", "shards"),
    ("Kinesis", "PUT units"),
    ("Lambda", "processor, invocations"),
    ("Lambda", "processor, compute"),
    ("DynamoDB", "windows, writes"),
    ("DynamoDB", "windows, write capacity"),
    ("DynamoDB", "windows, storage"),
    ("Greengrass", "core devices"),
)

# What would lower the bill, each by itself.
_LEVERS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("a processor called every two seconds", {"batching_s": 2}),
    ("provisioned capacity for the table of windows", {"provision_windows": True}),
    ("acks of live windows gathered", {"gather_acks": True}),
    ("windows in DynamoDB for 8 days; the lake has them all", {"windows_days": 8}),
    ("an unchanged segment written every 25 minutes", {"segment_refresh_s": 1500}),
    ("a summary of sensors every quarter of an hour", {"sensor_summary_s": 900}),
    (
        "a stream that keeps messages for 24 h; gateways keep what is not acknowledged for 7 days",
        {"stream_retention_h": 24},
    ),
    ("no traces of the two busy functions", {"trace_busy_functions": False}),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A city, what it needs, and what that costs beside the other designs."""

    city: City
    operation: Operation
    prices: Prices
    ours: Bill
    first: Bill
    fairer: Bill
    quicksight: Bill
    limits: tuple[Limit, ...]

    @property
    def ratio(self) -> float:
        return self.first.usd / self.ours.usd

    @property
    def way_of_a_window_usd(self) -> float:
        """What compares line by line with the first design."""
        return sum(line.usd for line in self.ours.lines if (line.service, line.item) in _WAY_OF_A_WINDOW)

    @property
    def exceeded(self) -> tuple[Limit, ...]:
        return tuple(limit for limit in self.limits if limit.used > 1)

    def levers(self) -> list[tuple[str, float]]:
        """What would lower the bill and by how much, each by itself; the last is all of them together."""
        found = []
        changes: dict[str, Any] = {}
        for what, change in _LEVERS:
            saved = self._saved(change)
            if saved > 0.005:
                found.append((what, saved))
                changes |= change
        found.sort(key=lambda lever: -lever[1])
        return [*found, ("all of these together", self._saved(changes))] if len(found) > 1 else found

    def _saved(self, change: dict[str, Any]) -> float:
        return self.ours.usd - roadside_bill(self.city, replace(self.operation, **change), self.prices).usd


def as_operated() -> Operation:
    """The platform as it is configured in production."""
    config = Config.from_context({**read_context(), "stage": "prod"})
    return Operation(
        windows_days=config.windows_days,
        retention_days=config.retention_days,
        stream_retention_h=config.stream_retention_h,
        segment_refresh_s=config.segment_refresh_s,
        log_retention_days=config.log_retention_days,
        batching_s=config.batching_s,
        provision_windows=config.table_mode == "provisioned",
        gather_acks=config.gather_acks,
        trace_busy_functions=config.trace_busy_functions,
    )


def as_measured(report: Mapping[str, Any], operation: Operation) -> tuple[City, Operation]:
    """The city of a run's report, and its messages for each window as they were counted in it.

    Raises
    ------
    CityError
        The report lacks a figure or holds one that cannot be.
    """
    try:
        city = City(report["sensors"], report["gateways"], report["window_s"])
        others = (
            report["sensor_summaries_stored"]
            + report["events_expected"]
            + sum(report["events_of_other_kinds"].values())
        )
        editions = (report["messages_published"] - others) / report["windows_stored"]
    except (AttributeError, KeyError, TypeError, ZeroDivisionError) as error:
        raise CityError(f"no report of a finished run ({type(error).__name__}: {error})") from None
    if editions < 1:
        raise CityError(f"messages_published = {report['messages_published']}: fewer than windows were stored")
    return city, replace(operation, editions_per_window=editions)


def make_plan(city: City, operation: Operation, prices: Prices) -> Plan:
    """The plan of a city."""
    return Plan(
        city=city,
        operation=operation,
        prices=prices,
        ours=roadside_bill(city, operation, prices),
        first=first_design_bill(city, prices),
        fairer=fairer_first_design_bill(city, prices),
        quicksight=quicksight_bill(Readers(), prices),
        limits=limits(city, operation),
    )


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan with every line and assumption."""
    return {
        "monthly_usd": round(plan.ours.usd, 2),
        "direct_design_monthly_usd": round(plan.first.usd, 2),
        "fairer_direct_design_monthly_usd": round(plan.fairer.usd, 2),
        "way_of_a_window_monthly_usd": round(plan.way_of_a_window_usd, 2),
        "ratio": round(plan.ratio, 1),
        "fairer_ratio": round(plan.fairer.usd / plan.ours.usd, 1),
        "quicksight_monthly_usd": round(plan.quicksight.usd, 2),
        "bar_monthly_usd": BAR_USD if plan.city == BAR_CITY else None,
        "services": {service: round(usd, 2) for service, usd in plan.ours.by_service().items()},
        "lines": _lines(plan.ours),
        "direct_design_lines": _lines(plan.first),
        "fairer_direct_design_lines": _lines(plan.fairer),
        "quicksight_lines": _lines(plan.quicksight),
        "levers": [{"what": what, "saves_usd": round(saved, 2)} for what, saved in plan.levers()],
        "limits": [{**asdict(limit), "used": round(limit.used, 4)} for limit in plan.limits],
        "sizing": asdict(size(plan.city)),
        "thresholds": asdict(thresholds(plan.city)),
        "messages_per_month": asdict(traffic(plan.city, plan.operation)),
        "assumptions": {
            **asdict(plan.city),
            "segments": plan.city.segments,
            **asdict(plan.operation),
            "month_days": 30,
            "region": plan.prices.region,
            "prices_as_of": plan.prices.as_of,
            "prices_standing": plan.prices.standing,
        },
    }


def _lines(bill: Bill) -> list[dict[str, Any]]:
    return [
        {
            "service": line.service,
            "item": line.item,
            "quantity": round(line.quantity, 3),
            "unit": line.unit,
            "usd": round(line.usd, 4),
        }
        for line in bill.lines
    ]


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(plan), indent=2) + "\n", encoding="utf-8")


def print_plan(plan: Plan, console: Console, *, every_line: bool) -> None:
    """The plan as a person reads it."""
    city = plan.city
    console.print(
        f"{city.sensors:,} sensors at {city.reading_hz:g} Hz on {city.gateways:,} gateways, {city.segments:,} segments,"
        f" windows of {city.window_s} s; {plan.prices.region}, prices as of {plan.prices.as_of}",
        highlight=False,
    )
    console.print(_comparison(plan))
    if every_line:
        console.print(_every_line(plan.ours))
    console.print(_levers(plan))
    console.print(_limits(plan))
    if city == BAR_CITY:
        verdict = "met" if plan.ours.usd <= BAR_USD else "[red]not met[/red]"
        console.print(
            f"bar: at most ${BAR_USD:,.0f} a month for this city, QuickSight apart: {verdict}", highlight=False
        )
    console.print(
        f"QuickSight apart, for it follows people: ${plan.quicksight.usd:,.2f} for one author and five readers.\n"
        f"Not counted: gateways and their uplink, support, taxes, free tier, what data a reader takes out of AWS.\n"
        f"{plan.prices.standing}",
        style="dim",
        highlight=False,
    )


def _comparison(plan: Plan) -> Table:
    table = Table(title="US dollars a month", title_justify="left")
    for name in ("", "Roadside", "every reading by itself", "the same, fairer"):
        table.add_column(name, justify="left" if not name else "right")
    ours, first, fairer = plan.ours.by_service(), plan.first.by_service(), plan.fairer.by_service()
    for service in ours:
        row = (ours[service], first.get(service, 0.0), fairer.get(service, 0.0))
        table.add_row(service, *(_usd(usd) for usd in row))
    table.add_section()
    table.add_row("all", _usd(plan.ours.usd), _usd(plan.first.usd), _usd(plan.fairer.usd), style="bold")
    alone = _usd(plan.way_of_a_window_usd)
    table.add_row("of it the way of a window or reading", alone, _usd(plan.first.usd), _usd(plan.fairer.usd))
    table.add_row("times Roadside", "1", f"{plan.ratio:,.0f}", f"{plan.fairer.usd / plan.ours.usd:,.0f}", style="bold")
    return table


def _every_line(bill: Bill) -> Table:
    table = Table(title="Line by line", title_justify="left")
    table.add_column("service")
    table.add_column("item")
    table.add_column("quantity", justify="right")
    table.add_column("of")
    table.add_column("$", justify="right")
    for line in bill.lines:
        table.add_row(line.service, line.item, f"{line.quantity:,.1f}", line.unit, _usd(line.usd))
    return table


def _levers(plan: Plan) -> Table:
    table = Table(title="What would lower it", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for what, saved in plan.levers():
        table.add_row(what, f"-{_usd(saved)}")
    return table


def _limits(plan: Plan) -> Table:
    broken = plan.exceeded
    title = "What breaks, the first before the others" if broken else "What would break first"
    table = Table(title=title, title_justify="left")
    for name in ("limit", "needs", "has", "used"):
        table.add_column(name, justify="left" if name == "limit" else "right")
    for limit in broken or plan.limits[:3]:
        raisable = " (raised on request)" if limit.raisable else ""
        style = "red" if limit.used > 1 else None
        needs, has = f"{limit.need:,.0f}", f"{limit.quota:,.0f} {limit.unit}{raisable}"
        table.add_row(limit.name, needs, has, f"{limit.used:,.0%}", style=style)
    return table


def _usd(usd: float) -> str:
    return f"{usd:,.2f}" if usd else "-"
