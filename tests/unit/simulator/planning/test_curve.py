"""The curve from 5,000 to 50 million sensors: what it says of cost, and where it puts its marks."""

from itertools import pairwise

import pytest

from cloud.capacity.city import City
from cloud.capacity.prices import load_prices
from cloud.dashboard.svg import LogScale
from simulator.planning.curve import SENSORS, Point, curve, draw, short
from simulator.planning.plan import as_operated, make_plan

CITY = City(50_000, 200)


@pytest.fixture(scope="module")
def points() -> tuple[Point, ...]:
    return curve(CITY, as_operated(), [load_prices()], 0.8, raised=False)


def test_it_goes_from_five_thousand_to_fifty_million_through_the_city_of_the_plan(points: tuple[Point, ...]) -> None:
    made = make_plan(CITY, as_operated(), load_prices())
    (own,) = (point for point in points if point.sensors == CITY.sensors)

    assert (SENSORS[0], SENSORS[-1]) == (points[0].sensors, points[-1].sensors) == (5000, 50_000_000)
    assert (own.ours_usd, own.first_usd, own.fairer_usd) == (made.ours.usd, made.first.usd, made.fairer.usd)


def test_a_sensor_costs_no_more_in_a_larger_city_parts_included(points: tuple[Point, ...]) -> None:
    for smaller, larger in pairwise(points):
        assert larger.ours_usd / larger.sensors <= smaller.ours_usd / smaller.sensors * 1.02
        assert larger.parts >= smaller.parts


def test_only_limits_that_break_within_the_picture_are_marked(points: tuple[Point, ...]) -> None:
    breaks = {"tight": 6000, "never": None, "beyond": 10**9, "loose": 20_000_000}
    drawn = draw(points, breaks, points[4])

    assert "1  tight: breaks at 6,000 sensors" in drawn
    assert "2  loose: breaks at 20,000,000 sensors" in drawn
    assert "beyond" not in drawn
    assert "never" not in drawn


def test_ten_times_as_much_is_always_as_far() -> None:
    scale = LogScale(5000, 50_000_000, 0.0, 400.0)

    assert [scale(value) for value in (5e3, 5e4, 5e7)] == pytest.approx([0, 100, 400])
    assert scale.ticks == (1e4, 1e5, 1e6, 1e7)
    assert LogScale(10, 1000, 300.0, 0.0).ticks == (10, 100, 1000)


def test_numbers_of_an_axis_are_short() -> None:
    values = (60, 5000, 1_408_241, 5e7, 2.2e8, 1.7e9)

    assert [short(value) for value in values] == ["60", "5k", "1.41M", "50M", "220M", "1.7G"]
