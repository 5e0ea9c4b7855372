"""Scenarios: one file, checked whole, and a day in the city that goes as the file says."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from simulator.city.incidents import CityIncident
from simulator.city.layout import City, make_city
from simulator.city.scenario import (
    Closure,
    PlannedIncident,
    RandomIncidents,
    Scenario,
    ScenarioError,
    Surge,
    WeatherSpell,
    read_scenario,
)
from simulator.city.staging import Staging
from simulator.city.traffic import CityTraffic

READY_MADE = sorted((Path(__file__).parents[4] / "simulator/examples/scenarios").glob("*.toml"))
QUIET = RandomIncidents(per_hour_per_1000_segments=0.0, opening=False)


def at(text: str) -> datetime.time:
    return datetime.time.fromisoformat(text)


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(2_000, 8)


@pytest.mark.parametrize("file", READY_MADE, ids=lambda file: file.stem)
def test_ready_made_scenarios_can_be_played_in_a_small_city(file: Path) -> None:
    assert Staging(read_scenario(file), make_city(1_000, 8)).truth()["scenario"] != Scenario().name


def test_every_mistake_of_a_file_is_told_at_once_with_field_value_and_advice(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(
        'demnd = "weekday"\nstart_time_of_day = "noon"\n[[weather]]\nkind = "hail"\nstart = 07:00:00\n'
        "[[surge]]\nfactor = -2\nstart = 07:00:00\nend = 08:00:00\n"
    )
    with pytest.raises(ScenarioError) as raised:
        read_scenario(file)
    said = str(raised.value)
    for words in (
        "start_time_of_day = 'noon': invalid RFC3339 encoded time; write a time of day as 07:30:00, without quotes",
        "weather[0].kind = 'hail': invalid enum value 'hail'",
        "weather[0].end = missing: must be given",
        "surge[0].factor = -2: expected float >= 0.0",
        "demnd = 'weekday': unknown key, did you mean 'demand'?",
    ):
        assert words in said
    assert len(raised.value.faults) == 5


@pytest.mark.parametrize("content", [b"[weather", b"\xff\xfe\x00"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(ScenarioError, match=r"x\.toml: is no TOML"):
        read_scenario(tmp_path / "x.toml")


def test_what_the_city_does_not_have_is_told_at_once_with_what_it_has(city: City) -> None:
    span = {"start": at("07:00"), "end": at("08:00")}
    scenario = Scenario(
        weather=(WeatherSpell(kind="fog", districts=("Atlantis",), **span),),
        closure=(Closure(segment="gw-001-seg77", **span), Closure(segment="main-street", **span)),
        incident=(PlannedIncident(segment="gw-000-seg24", lanes_blocked=3, **span),),
    )
    with pytest.raises(ScenarioError) as raised:
        Staging(scenario, city)
    weather, closure, street, incident = raised.value.faults
    assert weather.startswith("weather[0].districts = 'Atlantis': this city has Beacon Hill, Harbour")
    assert closure == "closure[0].segment = 'gw-001-seg77': gw-001 has gw-001-seg00 to gw-001-seg24"
    assert street.startswith("closure[1].segment = 'main-street': this city has gateways gw-000 to gw-007")
    assert incident == "incident[0].lanes_blocked = 3: the segment has 2"


@pytest.mark.parametrize(
    ("start", "end", "run", "span_h"),
    [
        ("08:00", "09:00", "07:00", (1, 2)),
        ("08:00", "10:00", "09:00", (-1, 1)),  # under way
        ("08:00", "09:00", "09:00", (23, 24)),  # over: tomorrow
        ("23:00", "01:00", "00:30", (-1.5, 0.5)),  # since yesterday
        ("23:00", "01:00", "22:00", (1, 3)),
        ("06:00", "06:00", "06:00", (0, 24)),  # all day
    ],
)
def test_a_time_of_day_is_under_way_or_comes_within_a_day(
    start: str, end: str, run: str, span_h: tuple[float, float]
) -> None:
    surge = Surge(factor=2.0, start=at(start), end=at(end))
    begins = at(run).hour * 3600 + at(run).minute * 60
    assert surge.span_s(begins) == tuple(3600.0 * hours for hours in span_h)


def test_weather_comes_to_its_district_and_goes(city: City) -> None:
    spell = WeatherSpell(kind="heavy-snow", start=at("08:00"), end=at("09:00"), districts=("Northgate",))
    all_over = WeatherSpell(kind="rain", start=at("08:30"), end=at("09:30"))
    staging = Staging(Scenario(start_time_of_day=at("08:00"), weather=(spell, all_over)), city)
    dry = city.network

    assert staging.network(-1.0) is dry
    snow = staging.network(0.0)
    assert staging.network(1799.0) is snow
    share = snow.free_flow_m_s / dry.free_flow_m_s
    assert np.unique(share.round(6)).tolist() == [0.87, 1.0]
    both = staging.network(1800.0)
    assert np.unique((both.capacity_veh_s / dry.capacity_veh_s).round(6)).tolist() == [0.7757, 0.9276]
    assert np.unique((staging.network(3600.0).capacity_veh_s / dry.capacity_veh_s).round(6)).tolist() == [0.9276]
    assert staging.network(5400.0).capacity_veh_s == pytest.approx(dry.capacity_veh_s)


def test_a_surge_rises_and_falls_where_it_is(city: City) -> None:
    surge = Surge(
        factor=3.0, start=at("08:00"), end=at("09:00"), at="on-ramps", districts=("Northgate",), rise_min=10.0
    )
    staging = Staging(Scenario(start_time_of_day=at("08:00"), surge=(surge,)), city)

    assert staging.demand_factors(-1.0) == (None, None)
    assert staging.demand_factors(3600.0) == (None, None)
    for time_s, factor in ((300.0, 2.0), (600.0, 3.0), (1800.0, 3.0), (3300.0, 2.0)):
        entries, ramps = staging.demand_factors(time_s)
        assert entries is not None
        assert ramps is not None
        assert set(entries.tolist()) == {1.0}
        assert sorted(set(ramps.tolist())) == [1.0, factor]


def test_a_closed_road_stands_upstream_is_empty_downstream_and_is_told(city: City) -> None:
    closed = city.corridors[0].segment_numbers[6]
    name = [segment.segment_id for segment in city.segments()][closed]
    closure = Closure(segment=name, start=at("08:00"), end=at("12:00"), diverted_share=1.0)
    traffic = CityTraffic(city, 3, Scenario(start_time_of_day=at("08:05"), closure=(closure,), random_incidents=QUIET))
    # It was closed before the run began, within the warm-up, so its queue stands.
    traffic.tick()
    cells = city.segment_cells
    middle = int(cells[closed].sum()) // 2
    flow = traffic.model.state.flow_veh_s_lane
    assert flow[middle] == 0.0
    assert traffic.model.density_vpkm_lane[middle] == pytest.approx(140.0, rel=0.01)
    assert traffic.model.density_vpkm_lane[middle + 1] < 1.0
    [told] = traffic.truth()["incidents"]
    assert told == {
        "segment": closed,
        "segment_id": name,
        "into_segment_m": 375.0,
        "start_s": -300.0,
        "end_s": 14_100.0,
        "lanes_blocked": 3,
        "capacity_share": 0.0,
        "cause": "closure",
    }
    entries, ramps = traffic._staging.demand_factors(0.0)
    assert entries is not None
    assert ramps is not None
    assert np.flatnonzero(entries == 0.0).tolist() == [0]
    assert np.flatnonzero(ramps == 0.0).tolist() == list(range(cells[closed][0]))


def test_a_day_off_has_less_traffic_and_chance_brings_no_incident_where_none_is_asked_for(city: City) -> None:
    def vehicles(scenario: Scenario) -> float:
        traffic = CityTraffic(city, 1, scenario)
        traffic.tick()
        assert traffic.city_incidents == []
        return traffic.model.vehicles_stored

    day = Scenario(start_time_of_day=at("08:00"), random_incidents=QUIET)
    assert vehicles(msgspec.structs.replace(day, demand="holiday")) < 0.5 * vehicles(day)
    assert vehicles(msgspec.structs.replace(day, start_time_of_day=at("03:00"))) < 0.25 * vehicles(day)


def test_truth_holds_the_incidents_that_have_begun_in_order_and_of_every_hour(city: City) -> None:
    traffic = CityTraffic(city, 1)
    traffic.tick()
    told = traffic.truth()["incidents"]
    assert json.loads(json.dumps(told)) == told
    for each in told:
        first, end = city.segment_cells[each["segment"]]
        assert 0 < each["into_segment_m"] <= city.network.length_m[first:end].sum()
    starts = [incident["start_s"] for incident in told]
    assert starts == sorted(starts)
    assert max(starts) < 1.0
    later = [incident for incident in traffic.city_incidents if incident.start_s > 1.0]
    assert {incident.cause for incident in later} == {"chance"}
    assert all(0.0 < incident.start_s < 3600.0 for incident in later)
    assert all(isinstance(incident, CityIncident) for incident in traffic.city_incidents)


def test_the_same_seed_and_scenario_give_the_same_bytes_and_another_scenario_does_not() -> None:
    city = make_city(300, 2)

    def digest(scenario: Scenario) -> str:
        sha = hashlib.sha256()
        traffic = CityTraffic(city, 5, scenario)
        for _ in range(30):
            tick = traffic.tick()
            for column in (tick.offset_ms, tick.vehicle_count, tick.speed_kmh, tick.occupancy):
                sha.update(column.tobytes())
        return sha.hexdigest()

    snowy, match = (read_scenario(file) for file in READY_MADE if file.stem in {"snowy-evening", "match-night"})
    assert digest(snowy) == digest(snowy)
    assert len({digest(snowy), digest(match), digest(Scenario())}) == 3
