"""What a city needs and would cost a month on AWS, beside the first design of the platform."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from cloud.app import read_context
from cloud.capacity.bill import (
    Bill,
    Readers,
    fairer_first_design_bill,
    first_design_bill,
    quicksight_bill,
    roadside_bill,
    split_bill,
)
from cloud.capacity.city import City, CityError, Operation
from cloud.capacity.limits import Limit, first_design_limits, limits
from cloud.capacity.prices import PriceError, Prices
from cloud.capacity.roadside import traffic
from cloud.capacity.sizing import size, thresholds
from cloud.capacity.split import FILL, Split, breaking_points, split
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
    """A city, what it needs, and what that costs beside the other designs.

    Attributes
    ----------
    regions : the prices of each region that has parts of it
    split, ours : its parts, and what they cost together
    unsplit_usd : what one account would cost in the first region, if it had no limits
    limits : of one account that held the whole city
    breaks : at how many sensors each of them breaks while the city grows
    first_design_accounts : how many the first design needs, as far as its connections and publishes ask for
    """

    city: City
    operation: Operation
    regions: tuple[Prices, ...]
    split: Split
    ours: Bill
    unsplit_usd: float
    first: Bill
    fairer: Bill
    quicksight: Bill
    limits: tuple[Limit, ...]
    breaks: Mapping[str, int | None]
    first_design_accounts: int

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
        return self.ours.usd - split_bill(self.split, replace(self.operation, **change), self.regions).usd


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


def make_plan(city: City, operation: Operation, *regions: Prices, fill: float = FILL, raised: bool = False) -> Plan:
    """The plan of a city, spread over the regions whose prices are given.

    Raises
    ------
    CityError
        when the city cannot be shared out so that no part uses more than `fill` of a limit.
    PriceError
        when a region's prices lack some, or are given twice.
    """
    names = [prices.region for prices in regions]
    if len(set(names)) < len(names):
        raise PriceError(f"prices of {', '.join(names)}: give one file for each region")
    made = split(city, operation, fill, raised=raised, regions=len(regions))
    return Plan(
        city=city,
        operation=operation,
        regions=regions,
        split=made,
        ours=split_bill(made, operation, regions),
        unsplit_usd=roadside_bill(city, operation, regions[0]).usd,
        first=first_design_bill(city, regions[0]),
        fairer=fairer_first_design_bill(city, regions[0]),
        quicksight=quicksight_bill(Readers(), regions[0]),
        limits=limits(city, operation),
        breaks=breaking_points(city, operation),
        first_design_accounts=max(math.ceil(limit.used / fill) for limit in first_design_limits(city)),
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
        "limits": [
            {**asdict(limit), "used": round(limit.used, 4), "breaks_at_sensors": plan.breaks[limit.name]}
            for limit in plan.limits
        ],
        "split": _split(plan),
        "direct_design_accounts": plan.first_design_accounts,
        "sizing": asdict(size(plan.city)),
        "thresholds": asdict(thresholds(plan.city)),
        "messages_per_month": asdict(traffic(plan.city, plan.operation)),
        "assumptions": {
            **asdict(plan.city),
            "segments": plan.city.segments,
            **asdict(plan.operation),
            "month_days": 30,
            "region": plan.regions[0].region,
            "regions": [prices.region for prices in plan.regions],
            "prices_as_of": plan.regions[0].as_of,
            "prices_standing": plan.regions[0].standing,
        },
    }


def _split(plan: Plan) -> dict[str, Any]:
    made = plan.split
    return {
        "parts": made.parts,
        "accounts": made.accounts(len(plan.regions)),
        "regions": dict(zip((prices.region for prices in plan.regions), made.shares(len(plan.regions)), strict=True)),
        "sensors_each": made.part.sensors,
        "gateways_each": made.part.gateways,
        "sizing_each": asdict(size(made.part)),
        "most_of_a_limit": made.fill,
        "asked_by": made.asked_by and made.asked_by.name,
        "raises": [
            {"name": limit.name, "need": round(limit.need, 3), "has": limit.quota, "unit": limit.unit}
            for limit in made.raises
        ],
        "adds_usd": round(plan.ours.usd - plan.unsplit_usd, 2),
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
