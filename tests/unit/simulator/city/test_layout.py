"""The made-up city: numbering without gaps for any sensible numbers, and a peak in which something happens."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from simulator.city.layout import City, CityError, make_city
from simulator.city.traffic import CityTraffic, SensorTick


def congested_windows(city: City, ticks: list[SensorTick], window_s: int = 10) -> np.ndarray:
    """Return windows x segments: harmonic segment speed below 0.6 of free flow; the last state where nothing passed."""
    segments = list(city.segments())
    segment_of = np.repeat(np.arange(len(segments)), [len(segment.sensor_ids) for segment in segments])
    free_flow_kmh = np.array([segment.free_flow_kmh for segment in segments])
    state = np.zeros(len(segments), dtype=bool)
    states = []
    for start in range(0, len(ticks), window_s):
        count = np.sum([tick.vehicle_count for tick in ticks[start : start + window_s]], axis=0)
        slowness = np.sum(
            [np.nan_to_num(tick.vehicle_count / tick.speed_kmh) for tick in ticks[start : start + window_s]], axis=0
        )
        vehicles = np.bincount(segment_of, count, len(segments))
        hours_per_km = np.bincount(segment_of, slowness, len(segments))
        state = np.where(vehicles > 0, vehicles < 0.6 * free_flow_kmh * hours_per_km, state)
        states.append(state)
    return np.array(states)


def starts(states: np.ndarray) -> int:
    """Segments that were free, then congested for two windows in a row."""
    return int(sum((~a & b & c).sum() for a, b, c in zip(states, states[1:], states[2:], strict=False)))


@pytest.fixture(scope="module")
def default_city() -> City:
    return make_city()


def test_the_default_city_is_the_one_we_promise(default_city: City) -> None:
    assert len(default_city.gateways) == 200
    assert default_city.sensor_count == 50_000
    assert default_city.segment_count == 5_000
    freeways = sum(segment.road_class == "freeway" for segment in default_city.segments())
    assert freeways == 3_000
    assert len({gateway.district for gateway in default_city.gateways}) == 9


def test_registry_configuration_has_the_form_of_the_component(default_city: City) -> None:
    configuration = default_city.gateways[1].registry_configuration()
    assert json.loads(json.dumps(configuration)) == configuration
    assert len(configuration) == 25
    first = configuration[0]
    assert list(first) == [
        *("id", "number", "roadClass", "freeFlowKmh", "lanes", "firstSensorNumber", "sensors", "downstream")
    ]
    assert first["id"] == "gw-001-seg00"
    assert first["number"] == 25
    assert first["roadClass"] == "freeway"
    assert first["lanes"] == 3
    assert first["firstSensorNumber"] == 250
    assert first["sensors"] == [f"gw-001-s{place:04d}" for place in range(10)]
    assert configuration[1]["sensors"][0] == "gw-001-s0010"  # type: ignore[index]


def test_each_segment_names_the_next_one_of_its_corridor_and_the_last_one_none(default_city: City) -> None:
    downstream = {segment.number: segment.downstream for segment in default_city.segments()}
    for corridor in default_city.corridors:
        numbers = corridor.segment_numbers
        assert [downstream[number] for number in numbers] == [*numbers[1:], None]
    last = default_city.corridors[0].segment_numbers[-1]
    [told] = [
        row for gateway in default_city.gateways for row in gateway.registry_configuration() if row["number"] == last
    ]
    assert "downstream" not in told


@pytest.mark.parametrize(
    ("sensors", "gateways", "per_segment"),
    [(50_000, 200, 10), (2_000, 8, 10), (1, 1, 10), (7, 7, 10), (1_003, 7, 10), (997, 13, 4), (200, 2, 1), (40, 3, 64)],
)
def test_numbers_run_without_gaps_for_uneven_divisions(sensors: int, gateways: int, per_segment: int) -> None:
    city = make_city(sensors, gateways, sensors_per_segment=per_segment)
    segments = list(city.segments())
    sensor_ids = [sensor_id for segment in segments for sensor_id in segment.sensor_ids]
    assert city.sensor_count == sensors == len(sensor_ids) == len(set(sensor_ids))
    assert [segment.number for segment in segments] == list(range(city.segment_count))
    assert len({segment.segment_id for segment in segments}) == len(segments)
    assert segments[0].first_sensor_number == 0
    for one, following in pairwise(segments):
        assert following.first_sensor_number == one.first_sensor_number + len(one.sensor_ids)
    for one_gateway, following_gateway in pairwise(city.gateways):
        assert following_gateway.first_sensor_number == one_gateway.first_sensor_number + one_gateway.sensor_count
    assert all(1 <= len(segment.sensor_ids) <= per_segment for segment in segments)
    counts = [gateway.sensor_count for gateway in city.gateways]
    assert max(counts) - min(counts) <= 1
    freeways = sum(segment.road_class == "freeway" for segment in segments)
    assert freeways == round(0.6 * len(segments))


def test_every_sensor_stands_in_a_cell_of_its_own_segment() -> None:
    city = make_city(1_003, 7)
    for segment in city.segments():
        numbers = slice(segment.first_sensor_number, segment.first_sensor_number + len(segment.sensor_ids))
        first, end = city.segment_cells[segment.number]
        cells = city.layout.cell[numbers]
        assert cells.min() == first
        assert cells.max() < end
        assert city.layout.lane[numbers].max() < segment.lanes
        assert np.all(city.network.lanes[cells] == segment.lanes)
        assert city.network.free_flow_m_s[cells] * 3.6 == pytest.approx(np.full(cells.size, segment.free_flow_kmh))


def test_corridors_hold_each_segment_once_and_cross_gateways(default_city: City) -> None:
    members = [number for corridor in default_city.corridors for number in corridor.segment_numbers]
    assert sorted(members) == list(range(default_city.segment_count))
    gateway_of = np.repeat(np.arange(200), 25)
    crossing = [c for c in default_city.corridors if len(set(gateway_of[list(c.segment_numbers)])) > 1]
    assert len(crossing) > 100
    for corridor in default_city.corridors:
        cells = default_city.segment_cells[list(corridor.segment_numbers)]
        assert np.array_equal(cells[1:, 0], cells[:-1, 1])


def test_segments_lie_around_the_city_and_apart(default_city: City) -> None:
    places = {(segment.latitude, segment.longitude) for segment in default_city.segments()}
    assert len(places) == default_city.segment_count
    latitudes, longitudes = np.array(sorted(places)).T
    assert 54.0 < latitudes.min() < latitudes.max() < 55.6
    assert 1.0 < longitudes.min() < longitudes.max() < 3.6


def test_the_same_seed_gives_the_same_city_and_ids_do_not_depend_on_it() -> None:
    one, again, other = make_city(500, 4, seed=3), make_city(500, 4, seed=3), make_city(500, 4, seed=4)
    assert one.gateways == again.gateways
    assert np.array_equal(one.network.entry_veh_s, again.network.entry_veh_s)
    assert one.gateways != other.gateways
    assert [s.sensor_ids for s in one.segments()] == [s.sensor_ids for s in other.segments()]


def test_memory_grows_with_the_number_of_sensors() -> None:
    def bytes_of(sensors: int) -> int:
        tracemalloc.start()
        city = make_city(sensors, sensors // 250)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert city.sensor_count == sensors
        return taken

    assert bytes_of(12_000) < 4.4 * bytes_of(3_000)


@pytest.mark.parametrize(
    ("arguments", "flag", "value"),
    [
        ({"sensors": 0}, "--sensors", 0),
        ({"sensors": 5, "gateways": 8}, "--sensors", 5),
        ({"gateways": 0}, "--gateways", 0),
        ({"sensors": 1_001, "gateways": 1}, "--gateways", 1),
        ({"sensors": 50_000_000, "gateways": 200_000}, "--sensors", 50_000_000),
        ({"seed": -1}, "--seed", -1),
        ({"sensors_per_segment": 0}, "--sensors-per-segment", 0),
    ],
)
def test_impossible_numbers_are_refused_by_flag_and_value(arguments: dict[str, int], flag: str, value: int) -> None:
    with pytest.raises(CityError, match=f"{flag} {value}: ") as caught:
        make_city(**arguments)
    assert caught.value.flag == flag
    assert caught.value.value == value


def test_the_same_seed_gives_the_same_bytes() -> None:
    city = make_city(600, 3)

    def run(seed: int) -> bytes:
        traffic = CityTraffic(city, seed)
        ticks = [traffic.tick() for _ in range(5)]
        return b"".join(
            t.offset_ms.tobytes() + t.vehicle_count.tobytes() + t.speed_kmh.tobytes() + t.occupancy.tobytes()
            for t in ticks
        )

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_tick_reads_every_sensor_once_with_a_fixed_phase() -> None:
    traffic = CityTraffic(make_city(600, 3))
    first, second = traffic.tick(), traffic.tick()
    assert (first.second, second.second) == (0, 1)
    assert np.array_equal(first.offset_ms, second.offset_ms)
    assert first.offset_ms.dtype == np.int64
    assert first.offset_ms.min() >= 0
    assert 990 < first.offset_ms.max() <= 999
    for tick in (first, second):
        assert tick.vehicle_count.shape == tick.speed_kmh.shape == tick.occupancy.shape == (600,)
        assert np.array_equal(np.isnan(tick.speed_kmh), tick.vehicle_count == 0)


@pytest.mark.parametrize("sensors", [1, 12, 1_000])
def test_small_cities_run(sensors: int) -> None:
    traffic = CityTraffic(make_city(sensors, 1))
    for _ in range(3):
        assert traffic.tick().vehicle_count.size == sensors


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_short_run_of_a_small_city_has_something_to_detect(seed: int) -> None:
    city = make_city(2_000, 8, seed)
    traffic = CityTraffic(city, seed)
    states = congested_windows(city, [traffic.tick() for _ in range(30)])
    assert starts(states) >= 1


def test_a_minute_of_the_whole_city_congests_and_frees_many_segments(default_city: City) -> None:
    traffic = CityTraffic(default_city)
    states = congested_windows(default_city, [traffic.tick() for _ in range(60)])
    assert starts(states) >= 20
    assert starts(~states) >= 5
    assert states.mean() < 0.10
    assert abs(traffic.model.conservation_error) < 1e-6
