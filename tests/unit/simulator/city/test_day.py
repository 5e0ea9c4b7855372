"""A whole day of a city with everything at once: vehicles are conserved, and the hours differ as they do in life."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from roadside.traffic import CellTransmission, IncidentSchedule
from simulator.city.layout import City, make_city
from simulator.city.scenario import Closure, PlannedIncident, Scenario, Surge, WeatherSpell
from simulator.city.staging import Staging

STEP_S = 4.0
"""A tenth less than the time in which the fastest vehicle crosses a cell, so that a day takes seconds."""


def at(text: str) -> datetime.time:
    return datetime.time.fromisoformat(text)


EVERYTHING = Scenario(
    start_time_of_day=at("00:00"),
    weather=(
        WeatherSpell(kind="heavy-snow", start=at("06:30"), end=at("10:00")),
        WeatherSpell(kind="fog", start=at("20:00"), end=at("03:00"), districts=("Northgate",)),
    ),
    surge=(Surge(factor=6.0, start=at("21:00"), end=at("22:30"), rise_min=10.0),),
    closure=(Closure(segment="gw-000-seg02", start=at("15:00"), end=at("18:00"), diverted_share=0.5),),
    incident=(PlannedIncident(segment="gw-001-seg01", start=at("08:00"), end=at("08:40"), lanes_blocked=2),),
)


class Day:
    """What each hour of it saw."""

    def __init__(self, city: City, scenario: Scenario) -> None:
        staging = Staging(scenario, city)
        incidents = IncidentSchedule([incident.on(city) for incident in staging.incidents], city.network.lanes)
        self.model = CellTransmission(city.network)
        self.arrived: list[float] = []
        self.stored: list[float] = []
        model = self.model
        while model.time_s < 86_400.0:
            network = staging.network(model.time_s)
            if network is not model.network:
                model.use(network)
            entries, ramps = staging.demand_factors(model.time_s)
            model.step(
                STEP_S,
                demand_share=scenario.profile.share(model.time_s),
                entry_factor=entries,
                ramp_factor=ramps,
                capacity_factor=incidents.capacity_factor(model.time_s),
            )
            if model.time_s % 3600.0 == 0.0:
                self.arrived.append(model.vehicles_arrived)
                self.stored.append(model.vehicles_stored)


@pytest.fixture(scope="module")
def day() -> Day:
    return Day(make_city(200, 2), EVERYTHING)


def test_vehicles_are_conserved_over_a_day_of_ramps_signals_weather_closures_and_incidents(day: Day) -> None:
    assert day.model.vehicles_arrived > 50_000
    assert max(day.stored) > 10 * day.stored[3]  # queues stood, and are gone at night
    assert abs(day.model.conservation_error) < 1e-6


def test_the_hours_differ_as_they_do_in_life_and_as_the_scenario_says(day: Day) -> None:
    by_hour = np.diff([0.0, *day.arrived])
    night, morning, noon, evening_closed, surge = by_hour[[3, 8, 12, 17, 21]]
    assert night < 0.15 * morning
    assert 0.5 < noon / morning < 0.75
    assert night < evening_closed < morning  # those who keep away from the closed road
    assert surge > 1.5 * by_hour[20]
