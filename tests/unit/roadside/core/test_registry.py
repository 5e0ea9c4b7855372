"""Indices, numbers and names of sensors and segments; contradictions."""

from dataclasses import replace

import numpy as np
import pytest

from roadside.core.errors import ConfigurationError
from roadside.core.registry import Registry, RoadClass, Segment
from tests.unit.roadside.core.builders import registry_of

NORTH = Segment("north", 7, RoadClass.FREEWAY, 100.0, 2, ("n1", "n2"), 40)
SOUTH = Segment("south", 3, RoadClass.RAMP, 60.0, 1, ("s1",), 10)


def test_segments_stand_in_the_order_of_their_numbers_and_sensors_with_them() -> None:
    registry = Registry([NORTH, SOUTH])
    assert [segment.segment_id for segment in registry.segments] == ["south", "north"]
    assert registry.sensor_segment.tolist() == [0, 1, 1]
    assert registry.index_of_ids(["n2", "s1", "x", ""]).tolist() == [2, 0, -1, -1]
    assert registry.index_of_numbers(np.array([41, 10, 9, 11, 42, 0, 2**32 - 1])).tolist() == [2, 0, -1, -1, -1, -1, -1]


def test_sensor_numbers_need_not_follow_the_order_of_the_segments() -> None:
    registry = Registry([replace(NORTH, first_sensor_number=0), SOUTH])
    assert registry.index_of_numbers(np.array([0, 1, 10])).tolist() == [1, 2, 0]


def test_numbers_that_lie_far_apart_are_found_as_well() -> None:
    registry = Registry([replace(NORTH, first_sensor_number=2**32 - 2), SOUTH])
    asked = [2**32 - 1, 2**32 - 2, 10, 9, 11, 2**31, 0]
    assert registry.index_of_numbers(np.array(asked)).tolist() == [2, 1, 0, -1, -1, -1, -1]


def test_segments_without_sensors_and_gateways_without_any_know_no_sensor() -> None:
    assert registry_of(1, 0, 1).sensor_segment.tolist() == [0, 2]
    empty = registry_of(0)
    assert empty.index_of_ids(["s0"]).tolist() == [-1]
    assert empty.index_of_numbers(np.array([0, 5])).tolist() == [-1, -1]


def test_the_fingerprint_tells_any_difference_but_not_the_order_of_writing() -> None:
    assert Registry([NORTH, SOUTH]).fingerprint == Registry([SOUTH, NORTH]).fingerprint
    for other in (
        replace(NORTH, free_flow_kmh=99.0),
        replace(NORTH, lanes=3),
        replace(NORTH, sensor_ids=("n2", "n1")),
        replace(NORTH, road_class=RoadClass.ARTERIAL),
        replace(NORTH, first_sensor_number=41),
        replace(NORTH, downstream=3),
    ):
        assert Registry([other, SOUTH]).fingerprint != Registry([NORTH, SOUTH]).fingerprint


def test_neighbours_are_known_both_ways_and_only_where_this_gateway_has_them() -> None:
    middle = Segment("middle", 5, RoadClass.FREEWAY, 100.0, 2, ("m1",), 20)
    registry = Registry([replace(NORTH, downstream=5), replace(middle, downstream=8), SOUTH])  # indices: 3, 5, 7
    assert registry.downstream.tolist() == [-1, -1, 1]
    assert registry.upstream.tolist() == [-1, 2, -1]


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [NORTH, replace(SOUTH, number=7)],
        [NORTH, replace(SOUTH, sensor_ids=("n1",))],
        [NORTH, replace(SOUTH, first_sensor_number=41)],
        [replace(NORTH, free_flow_kmh=0.0)],
        [replace(NORTH, free_flow_kmh=float("nan"))],
        [replace(NORTH, lanes=0)],
        [replace(NORTH, downstream=7)],
        [replace(NORTH, downstream=9), replace(SOUTH, downstream=9)],
    ],
)
def test_contradictions_are_refused(segments: list[Segment]) -> None:
    with pytest.raises(ConfigurationError):
        Registry(segments)
