"""Which stations tell their lanes to whoever judges the pairs across a gateway's border."""

import numpy as np
import pytest

from roadside.core.aggregator import Aggregator, AggregatorConfig
from roadside.core.health import HealthRules
from roadside.core.readings import NONE, batch_from_measurements
from roadside.core.registry import Registry, RoadClass, Segment


def segment(
    number: int, downstream: int | None, sensors: int = 3, road_class: RoadClass = RoadClass.FREEWAY
) -> Segment:
    names = tuple(f"{number}_{lane}" for lane in range(sensors))
    return Segment(f"E{number}", number, road_class, 100.0, 3, names, 10 * number, downstream)


def closed_lanes(segments: list[Segment], readings: dict[str, int]) -> dict[int, list[int]]:
    """Lanes told of a window with one reading of each sensor named, by segment number."""
    registry = Registry(segments)
    aggregator = Aggregator(registry, AggregatorConfig(health=HealthRules(enabled=False)))
    count = np.array(list(readings.values()), dtype=np.float64)
    known = np.ones(len(readings), dtype=np.bool_)
    batch = batch_from_measurements(
        registry.index_of_ids(readings), np.full(len(readings), 1e6), count, np.full(len(count), 90.0),
        np.full(len(count), 0.1), has_speed=known, has_occupancy=known,
    )  # fmt: skip
    aggregator.feed(batch, 1_000_000, 1_000_000)
    (window,) = aggregator.drain().windows
    return {registry.segments[index].number: lanes.tolist() for index, lanes in window.lanes.items()}


def test_a_road_tells_lanes_where_it_comes_in_and_at_its_last_two_stations_before_it_goes_on() -> None:
    road = [segment(number, number + 1) for number in range(5, 10)]
    readings = {f"{number}_{lane}": number + lane for number in range(5, 10) for lane in range(3)}

    assert closed_lanes(road, readings) == {5: [5, 6, 7], 8: [8, 9, 10], 9: [9, 10, 11]}


def test_a_road_that_ends_here_tells_lanes_only_where_it_comes_in() -> None:
    road = [segment(5, 6), segment(6, 7), segment(7, None)]

    assert set(closed_lanes(road, {"5_0": 1})) == {5}


def test_a_lane_that_is_silent_is_told_as_such() -> None:
    assert closed_lanes([segment(5, 6)], {"5_0": 4, "5_2": 0}) == {5: [4, NONE, 0]}


@pytest.mark.parametrize(
    "station",
    [segment(5, 6, sensors=4), segment(5, 6, sensors=1), segment(5, 6, road_class=RoadClass.RAMP), segment(5, None)],
    ids=["sensors at several places", "one lane", "no freeway", "a road of one station"],
)
def test_what_cannot_be_compared_across_a_border_is_not_told(station: Segment) -> None:
    assert closed_lanes([station], {"5_0": 1}) == {}
