"""A plan as a person reads it."""

import math
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from cloud.capacity.bill import Bill, split_bill
from cloud.capacity.sizing import size
from cloud.capacity.split import ACCOUNTS, split
from simulator.planning.curve import short
from simulator.planning.plan import BAR_CITY, BAR_USD, Plan


def print_plan(plan: Plan, console: Console, *, every_line: bool) -> None:
    """The plan as a person reads it."""
    city = plan.city
    console.print(
        f"{city.sensors:,} sensors at {city.reading_hz:g} Hz on {city.gateways:,} gateways, {city.segments:,} segments,"
        f" windows of {city.window_s} s; {_regions(plan)}, prices as of {plan.regions[0].as_of}",
        highlight=False,
    )
    console.print(_comparison(plan))
    if every_line:
        console.print(_every_line(plan.ours))
    console.print(_levers(plan))
    console.print(_limits(plan))
    if plan.split.parts > 1:
        console.print(_parts(plan))
        for number, step in enumerate(_what_to_do(plan), start=1):
            console.print(f"{number}. {step}", highlight=False)
    if plan.first_design_accounts > 1:
        console.print(
            f"Every reading by itself would need {plan.first_design_accounts:,} accounts, to connect and to publish.",
            highlight=False,
        )
    if city == BAR_CITY:
        verdict = "met" if plan.ours.usd <= BAR_USD else "[red]not met[/red]"
        console.print(
            f"bar: at most ${BAR_USD:,.0f} a month for this city, QuickSight apart: {verdict}", highlight=False
        )
    console.print(
        f"QuickSight apart, for it follows people: ${plan.quicksight.usd:,.2f} for one author and five readers.\n"
        f"Not counted: gateways and their uplink, support, taxes, free tier, what data a reader takes out of AWS.\n"
        f"{plan.regions[0].standing}",
        style="dim",
        highlight=False,
    )


def _regions(plan: Plan) -> str:
    return ", ".join(prices.region for prices in plan.regions)


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
    title = "What breaks in one account, the first before the others" if plan.exceeded else "What would break first"
    table = Table(title=title, title_justify="left")
    table.add_column("limit", no_wrap=True)
    for name in ("needs", "has", "used", "breaks at"):
        table.add_column(name, justify="right")
    for limit in plan.limits:
        breaks_at = plan.breaks[limit.name]
        table.add_row(
            limit.name + ("" if limit.raisable else " *"),
            f"{limit.need:,.1f}" if limit.need < 10 else f"{limit.need:,.0f}",
            f"{limit.quota:,.0f} {limit.unit}",
            f"{limit.used:,.0%}",
            "-" if breaks_at is None else short(breaks_at),
            style="red" if limit.used > 1 else None,
        )
    table.caption_justify = "left"
    table.caption = (
        "breaks at: so many sensors of a growing city in one account and region\n* AWS raises the others on request"
    )
    return table


def _parts(plan: Plan) -> Table:
    made, regions = plan.split, plan.regions
    each, sized = made.part, size(made.part)
    table = Table(title=f"{made.parts} parts, each a whole platform in its account and region", title_justify="left")
    table.add_column("region", no_wrap=True)
    for name in ("parts", "sensors", "gateways", "shards", "processors", "$"):
        table.add_column(name, justify="right", no_wrap=True)
    for prices, parts in zip(regions, made.shares(len(regions)), strict=True):
        usd = split_bill(replace(made, parts=parts), plan.operation, (prices,)).usd / parts
        table.add_row(
            prices.region,
            f"{parts}",
            f"{each.sensors:,}",
            f"{each.gateways:,}",
            f"{sized.shards}",
            f"{sized.processor_concurrency}",
            _usd(usd),
        )
    return table


def _what_to_do(plan: Plan) -> Iterator[str]:
    """Steps for those who run it."""
    made, accounts = plan.split, plan.split.accounts(len(plan.regions))
    if made.asked_by is None:
        yield f"One part in each of {len(plan.regions)} regions was asked for; one would be enough."
    else:
        left = "" if made.fill >= 1 else f", so that {1 - made.fill:.0%} of each limit is left"
        yield f"{made.asked_by.name} asks for {made.parts} parts{left}."
    more = f": ask Service Quotas for more than the {ACCOUNTS} of an organization" if accounts > ACCOUNTS else ""
    yield f"Open {accounts} accounts in one organization{more}."
    for limit in made.raises:
        yield (
            f"In each, ask for {limit.name}: {math.ceil(limit.need / made.fill):,} {limit.unit} "
            f"instead of {limit.quota:,.0f}."
        )
    part = made.part
    yield (
        "In each, deploy with -c stage=prod "
        f"-c sensors={part.sensors} -c gateways={part.gateways} -c window_s={part.window_s}."
    )
    yield "Cut where roads end: pairs of stations on two parts are judged by nobody, so an incident there is not told."
    yield "Let each part's bus put its events on one bus, where people and systems listen."
    added = plan.ours.usd - plan.unsplit_usd
    yield f"The split adds {_usd(added)} a month (alarms, metrics, schedules of every part; events on one bus)."
    other = split(plan.city, plan.operation, made.fill, raised=not made.raises, regions=len(plan.regions))
    if other.parts < made.parts:
        usd = split_bill(other, plan.operation, plan.regions).usd
        raises = ", ".join(limit.name for limit in other.raises)
        yield f"{other.parts} parts would do for ${usd:,.0f} if AWS raises {raises} in each (--raised)."


def _usd(usd: float) -> str:
    return f"{usd:,.2f}" if usd else "-"
