"""What every source says of every gateway's readings, gathered for the account of a run."""

from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np

from roadside.contract.summary import WindowSummary
from simulator.city.layout import City, GatewayPlan
from simulator.faults.delivery import Readings
from simulator.fleet.feed import CityFeed
from simulator.fleet.fleet import Fleet
from simulator.fleet.gateways import Books
from simulator.run.target import StoredWindows
from simulator.verification.accounting import Told, gaps, readings_by_window
from simulator.verification.oracle import Oracle, SegmentTruth


def gather(city: City, feed: CityFeed, fleet: Fleet, oracle: Oracle, stored: StoredWindows) -> list[Told]:
    """Ask feed, gateways, table and oracle; after the fleet has ended, and the oracle knows of the exclusions."""
    truth = oracle.windows()
    of_gateway: dict[str, list[WindowSummary]] = defaultdict(list)
    for (name, _), windows in stored.items():
        of_gateway[name] += windows
    return [
        _told(
            index,
            plan,
            feed,
            gateway.books(),
            gateway.lost,
            gateway.at_risk(),
            of_gateway[plan.gateway_id],
            _expected(plan, truth),
            {exclusion.sensor for exclusion in oracle.exclusions},
        )
        for index, (plan, gateway) in enumerate(zip(city.gateways, fleet.gateways, strict=True))
    ]


def _told(
    index: int,
    plan: GatewayPlan,
    feed: CityFeed,
    books: Books,
    lost: int | None,
    at_risk: list[Readings],
    windows: list[WindowSummary],
    expected: Mapping[int, int],
    excluded: Collection[int],
) -> Told:
    sensors = range(plan.first_sensor_number, plan.first_sensor_number + plan.sensor_count)
    leaves_out = [sensor for sensor in excluded if sensor in sensors]
    return Told(
        gateway=plan.gateway_id,
        made=int(feed.made[index]),
        repeated=int(feed.repeated[index]),
        lost_on_the_way=int(feed.lost[index]),
        refusable={reason: int(counts[index]) for reason, counts in feed.refused.items()},
        accepted=books.accepted,
        duplicates=books.duplicate,
        rejected=books.rejected,
        windows_given_up=books.windows_given_up,
        lost_by_books=lost,
        at_risk=sum(len(readings) for readings in at_risk),
        stored=sum(readings_by_window(windows).values()),
        excludable=int(feed.noted[index]) - sum(expected.values()) if leaves_out else 0,
        excludable_at_risk=sum(int(np.isin(readings.sensor, leaves_out).sum()) for readings in at_risk),
        window_gaps=gaps(expected, windows),
    )


def _expected(plan: GatewayPlan, truth: Mapping[int, Mapping[int, SegmentTruth]]) -> dict[int, int]:
    """Readings that the oracle knows of a gateway, by start of their window."""
    own = [segment.number for segment in plan.segments]
    return {
        start_ms: sum(segments[number].readings for number in own if number in segments)
        for start_ms, segments in truth.items()
    }
