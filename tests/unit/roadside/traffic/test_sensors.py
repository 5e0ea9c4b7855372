"""The sensor layer: honest means, device-like noise, and the rules for no vehicle and no movement."""

from __future__ import annotations

import numpy as np
import pytest

from roadside.traffic import (
    Cell,
    CellTransmission,
    Corridor,
    Incident,
    IncidentSchedule,
    Network,
    SensorError,
    SensorLayer,
    SensorLayout,
    TrafficState,
)
from roadside.traffic.sensors import FIELD_LENGTH_M

CELL = Cell(125.0, 3, 100.0)


def state_of(cells: int, flow_vph: float, speed_kmh: float, density_vpkm: float | None = None) -> TrafficState:
    density = flow_vph / speed_kmh if density_vpkm is None else density_vpkm
    return TrafficState(
        np.full(cells, flow_vph / 3600.0), np.full(cells, density / 1000.0), np.full(cells, speed_kmh / 3.6)
    )


def layer_of(sensors: int, lanes: int = 1, seed: int = 7) -> SensorLayer:
    network = Network.of([Corridor((Cell(125.0, lanes, 100.0),), 0.0)])
    place = np.arange(sensors, dtype=np.intp)
    return SensorLayer(network, SensorLayout(np.zeros_like(place), place % lanes), np.random.default_rng(seed))


@pytest.mark.parametrize("interval_s", [1.0, 2.1, 10.0])
@pytest.mark.parametrize(("flow_vph", "speed_kmh"), [(300.0, 100.0), (1900.0, 100.0), (1200.0, 20.0), (340.0, 2.85)])
def test_mean_count_is_the_flow_and_mean_occupancy_is_density_times_length(
    flow_vph: float, speed_kmh: float, interval_s: float
) -> None:
    sensors = 200_000
    sample = layer_of(sensors).sample(state_of(1, flow_vph, speed_kmh), interval_s)
    expected = flow_vph * interval_s / 3600.0
    # Four standard errors of a Poisson mean, which is wider than ours; for occupancy 2 % for the speed noise.
    assert sample.vehicle_count.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / sensors))
    occupancy = flow_vph / speed_kmh / 1000.0 * FIELD_LENGTH_M
    assert sample.occupancy.mean() == pytest.approx(occupancy, rel=0.02)


def test_lanes_share_the_flow_of_the_road() -> None:
    sample = layer_of(300_000, lanes=3).sample(state_of(1, 1500.0, 90.0))
    by_lane = sample.vehicle_count.reshape(-1, 3).mean(axis=0) * 3600
    assert by_lane == pytest.approx([0.92 * 1500, 1.04 * 1500, 1.04 * 1500], rel=0.02)
    speeds = np.nanmean(sample.speed_kmh.reshape(-1, 3), axis=0)
    assert speeds == pytest.approx([0.93 * 90, 90, 1.07 * 90], rel=0.01)


def test_counts_are_more_even_than_poisson_near_capacity() -> None:
    count = layer_of(100_000).sample(state_of(1, 2000.0, 100.0), 10.0).vehicle_count
    assert count.var() < 0.6 * count.mean()


def test_no_vehicle_means_no_speed_and_never_zero() -> None:
    sample = layer_of(1000).sample(state_of(1, 0.0, 100.0))
    assert not sample.vehicle_count.any()
    assert np.isnan(sample.speed_kmh).all()
    assert not sample.occupancy.any()


def test_speed_is_known_exactly_where_a_vehicle_passed() -> None:
    sample = layer_of(10_000).sample(state_of(1, 900.0, 80.0))
    assert np.array_equal(np.isnan(sample.speed_kmh), sample.vehicle_count == 0)
    assert 0 < np.isnan(sample.speed_kmh).sum() < 10_000


def test_standing_vehicles_give_no_count_and_an_occupancy_near_one() -> None:
    sample = layer_of(10_000).sample(state_of(1, 0.0, 0.001, density_vpkm=140.0), 10.0)
    assert not sample.vehicle_count.any()
    assert np.isnan(sample.speed_kmh).all()
    assert sample.occupancy.mean() == pytest.approx(0.924, abs=0.005)


def test_readings_are_rounded_like_a_device() -> None:
    sample = layer_of(5_000).sample(state_of(1, 1500.0, 33.0), 1.0)
    assert sample.vehicle_count.dtype == np.uint16
    assert sample.speed_kmh.dtype == np.float64
    assert sample.occupancy.dtype == np.float64
    seen = sample.speed_kmh[sample.vehicle_count > 0]
    assert np.array_equal(seen, np.round(seen, 1))
    assert np.array_equal(sample.occupancy, np.round(sample.occupancy, 3))
    assert sample.occupancy.min() >= 0.0
    assert sample.occupancy.max() <= 1.0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    state = state_of(1, 1200.0, 70.0)

    def readings(seed: int) -> bytes:
        layer = layer_of(1000, seed=seed)
        samples = [layer.sample(state) for _ in range(5)]
        return b"".join(s.vehicle_count.tobytes() + s.speed_kmh.tobytes() + s.occupancy.tobytes() for s in samples)

    assert readings(3) == readings(3)
    assert readings(3) != readings(4)


def test_the_sensors_recover_the_fundamental_diagram() -> None:
    """Flow against density as an analyst would compute them, from counts and harmonic speeds over twenty minutes."""
    loads = np.linspace(200.0, 1900.0, 10)
    free = [Corridor((CELL,) * 20, load * 3) for load in loads]
    queued = [Corridor((CELL,) * 20, 5700.0) for _ in range(2)]
    network = Network.of(free + queued)
    model = CellTransmission(network)
    # One blockage of each size at the end of the last two corridors puts their middle inside the queue.
    ends = network.last_cell[-2:]
    schedule = IncidentSchedule([Incident(int(ends[0]), 0, 9e9, 1), Incident(int(ends[1]), 0, 9e9, 2)], network.lanes)
    watched = np.repeat((network.first_cell[:, None] + np.arange(6, 14)).ravel(), 3)
    layer = SensorLayer(network, SensorLayout(watched, np.tile(np.arange(3), 12 * 8)), np.random.default_rng(5))
    for _ in range(2400):
        model.step(1.0, capacity_factor=schedule.capacity_factor(model.time_s))
    count, slowness = np.zeros(12), np.zeros(12)
    for _ in range(1200):
        model.step(1.0, capacity_factor=schedule.capacity_factor(model.time_s))
        sample = layer.sample(model.state)
        count += sample.vehicle_count.reshape(12, 24).sum(axis=1)
        slowness += np.nan_to_num(sample.vehicle_count / sample.speed_kmh).reshape(12, 24).sum(axis=1)
    flow = count / 24 * 3600 / 1200
    density = flow / (count / slowness)
    assert flow[:10] == pytest.approx(100.0 * density[:10], rel=0.03)
    assert flow[:10] == pytest.approx(loads, rel=0.05)
    wave_kmh = CELL.wave_speed_kmh
    assert density[10:] == pytest.approx([140 - 980 / wave_kmh, 140 - 340 / wave_kmh], rel=0.05)
    assert flow[10:] == pytest.approx([980.0, 340.0], rel=0.06)


@pytest.mark.parametrize(("cell", "lane", "field"), [(1, 0, "cell"), (-1, 0, "cell"), (0, 3, "lane"), (0, -1, "lane")])
def test_a_sensor_off_the_road_is_refused(cell: int, lane: int, field: str) -> None:
    network = Network.of([Corridor((CELL,), 0.0)])
    layout = SensorLayout(np.array([0, cell], dtype=np.intp), np.array([0, lane], dtype=np.intp))
    with pytest.raises(SensorError) as caught:
        SensorLayer(network, layout, np.random.default_rng(1))
    assert caught.value.field == field
    assert caught.value.value == (cell if field == "cell" else lane)


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("nan")])
def test_an_interval_without_length_is_refused(interval_s: float) -> None:
    with pytest.raises(SensorError, match="interval_s"):
        layer_of(1).sample(state_of(1, 1.0, 1.0), interval_s)
