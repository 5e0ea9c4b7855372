"""A month's bill: what is used, priced. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cloud.capacity import first_design, roadside
from cloud.capacity.city import City, Operation
from cloud.capacity.metering import Use
from cloud.capacity.prices import PriceError, Prices
from cloud.capacity.split import Split


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill."""

    service: str
    item: str
    quantity: float
    unit: str
    usd: float


@dataclass(frozen=True, slots=True)
class Bill:
    """What a month costs."""

    lines: tuple[Line, ...]

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)

    def by_service(self) -> dict[str, float]:
        """The sum of each service's lines, the dearest first."""
        sums: dict[str, float] = {}
        for line in self.lines:
            sums[line.service] = sums.get(line.service, 0.0) + line.usd
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


@dataclass(frozen=True, slots=True)
class Readers:
    """Who looks at dashboards in QuickSight."""

    authors: int = 1
    readers: int = 5
    spice_gb: float = 5.0


def roadside_bill(city: City, operation: Operation, prices: Prices) -> Bill:
    """Roadside, QuickSight apart."""
    return price(roadside.uses(city, operation), prices)


def split_bill(split: Split, operation: Operation, regions: Sequence[Prices]) -> Bill:
    """A city in parts, spread over regions; in one part it is `roadside_bill`.

    Accounts of one organization are billed together, so that their use of a region climbs its tiers together.
    """
    sums: dict[tuple[str, str], Line] = {}
    for parts, prices in zip(split.shares(len(regions)), regions, strict=True):
        for line in price(_uses_of_parts(split, parts, operation), prices).lines:
            key = line.service, line.item
            known = sums.get(key, replace(line, quantity=0.0, usd=0.0))
            sums[key] = replace(known, quantity=known.quantity + line.quantity, usd=known.usd + line.usd)
    return Bill(tuple(sums.values()))


def _uses_of_parts(split: Split, parts: int, operation: Operation) -> Iterator[Use]:
    for use in roadside.uses(split.part, operation):
        yield replace(use, quantity=parts * use.quantity)
    if split.parts > 1:
        # One bus hears of all parts' events, so that people and systems have one place to listen.
        events = parts * roadside.traffic(split.part, operation).events
        yield Use("EventBridge", "events of all parts on one bus", "eventbridge_events", events)


def first_design_bill(city: City, prices: Prices) -> Bill:
    """Every sensor direct to IoT Core, one item a reading."""
    return price(first_design.uses(city), prices)


def fairer_first_design_bill(city: City, prices: Prices) -> Bill:
    """The same with Basic Ingest and provisioned writes."""
    return price(first_design.fairer_uses(city), prices)


def quicksight_bill(readers: Readers, prices: Prices) -> Bill:
    """Licences follow people, not sensors: a bill of its own."""
    return price(
        (
            Use("QuickSight", "authors", "quicksight_authors", readers.authors),
            Use("QuickSight", "readers", "quicksight_readers", readers.readers),
            Use("QuickSight", "SPICE", "quicksight_spice_gb", readers.spice_gb),
        ),
        prices,
    )


def price(uses: Iterable[Use], prices: Prices) -> Bill:
    """`uses` as a bill. Tiers count for all lines of one price together; each bears its share.

    Raises
    ------
    PriceError
        A price is missing; all that are missing are named.
    """
    uses = tuple(uses)
    missing = sorted({use.price for use in uses} - prices.of.keys())
    if missing:
        names = ", ".join(map(repr, missing))
        raise PriceError(f"prices of {prices.region} lack {names}; add them as they stand in cloud/prices.json")
    totals: dict[str, float] = {}
    for use in uses:
        totals[use.price] = totals.get(use.price, 0.0) + use.quantity
    lines = []
    for use in uses:
        priced = prices.of[use.price]
        usd = priced.usd(totals[use.price]) * use.quantity / totals[use.price] if use.quantity else 0.0
        lines.append(Line(use.service, use.item, use.quantity, priced.unit, usd))
    return Bill(tuple(lines))
