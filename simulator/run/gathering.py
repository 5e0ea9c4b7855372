"""What every source says of every gateway's readings, gathered for the account of a run."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from roadside.contract.summary import WindowSummary
from simulator.city.layout import City, GatewayPlan
from simulator.faults.delivery import Readings
from simulator.fleet.feed import CityFeed
from simulator.fleet.fleet import Fleet
from simulator.fleet.gateways import Books
from simulator.run.target import StoredWindows
from simulator.verification.accounting import Told, gaps, readings_by_window
from simulator.verification.oracle import Exclusion, SegmentTruth


class Tally:
    """Readings in windows by gateway, as they are stored and as the oracle knows them; part of a run after part.

    Attributes
    ----------
    stored, expected : by gateway
    gaps : by gateway and start of the window, how many readings more are expected than stored, where that is any
    """

    def __init__(self) -> None:
        self.stored: Counter[str] = Counter()
        self.expected: Counter[str] = Counter()
        self.gaps: dict[str, dict[int, int]] = defaultdict(dict)

    def add(self, city: City, truth: Mapping[int, Mapping[int, SegmentTruth]], windows: StoredWindows) -> None:
        """Take windows that nothing was said of before."""
        of_gateway: dict[str, list[WindowSummary]] = defaultdict(list)
        for (name, _), epochs in windows.items():
            of_gateway[name] += epochs
        for plan in city.gateways:
            name = plan.gateway_id
            expected = _expected(plan, truth)
            self.expected[name] += sum(expected.values())
            self.stored[name] += sum(readings_by_window(of_gateway[name]).values())
            self.gaps[name] |= gaps(expected, of_gateway[name])


def gather(city: City, feed: CityFeed, fleet: Fleet, tally: Tally, exclusions: Iterable[Exclusion]) -> list[Told]:
    """Ask feed and gateways too, after the fleet has ended."""
    excluded = {exclusion.sensor for exclusion in exclusions}
    books, at_risk = fleet.books(), fleet.at_risk()
    return [
        _told(index, plan, feed, books[plan.gateway_id], at_risk.get(plan.gateway_id, []), tally, excluded)
        for index, plan in enumerate(city.gateways)
    ]


def _told(
    index: int,
    plan: GatewayPlan,
    feed: CityFeed,
    books: Books,
    at_risk: list[Readings],
    tally: Tally,
    excluded: Collection[int],
) -> Told:
    name = plan.gateway_id
    sensors = range(plan.first_sensor_number, plan.first_sensor_number + plan.sensor_count)
    leaves_out = [sensor for sensor in excluded if sensor in sensors]
    return Told(
        gateway=name,
        made=int(feed.made[index]),
        repeated=int(feed.repeated[index]),
        lost_on_the_way=int(feed.lost[index]),
        refusable={reason: int(counts[index]) for reason, counts in feed.refused.items()},
        accepted=books.accepted,
        duplicates=books.duplicate,
        rejected=books.rejected,
        windows_given_up=books.windows_given_up,
        lost_by_books=books.lost_in_ends,
        at_risk=sum(len(readings) for readings in at_risk),
        stored=tally.stored[name],
        excludable=int(feed.noted[index]) - tally.expected[name] if leaves_out else 0,
        excludable_at_risk=sum(int(np.isin(readings.sensor, leaves_out).sum()) for readings in at_risk),
        window_gaps=tally.gaps[name],
    )


def _expected(plan: GatewayPlan, truth: Mapping[int, Mapping[int, SegmentTruth]]) -> dict[int, int]:
    """Readings that the oracle knows of a gateway, by start of their window."""
    own = [segment.number for segment in plan.segments]
    return {
        start_ms: sum(segments[number].readings for number in own if number in segments)
        for start_ms, segments in truth.items()
    }
