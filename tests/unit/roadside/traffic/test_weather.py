"""Weather: less speed and capacity on the same roads, and queues that follow from it by theory."""

from __future__ import annotations

import numpy as np
import pytest

from roadside.traffic import (
    WEATHER,
    Cell,
    CellTransmission,
    Corridor,
    Network,
    StepError,
    Weather,
    WeatherError,
)

CELL = Cell(125.0, 3, 100.0, 2000.0, 140.0)


def road(cells: int, vph_lane: float) -> Network:
    return Network.of([Corridor((CELL,) * cells, vph_lane * 3)])


@pytest.mark.parametrize("kind", sorted(WEATHER))
def test_weather_scales_speed_and_capacity_and_leaves_the_jam(kind: str) -> None:
    dry, shares = road(3, 1500.0), WEATHER[kind]
    wet = dry.in_weather(shares.free_flow_share, shares.capacity_share)

    assert wet.free_flow_m_s == pytest.approx(dry.free_flow_m_s * shares.free_flow_share)
    assert wet.capacity_veh_s == pytest.approx(dry.capacity_veh_s * shares.capacity_share)
    assert np.array_equal(wet.jam_vehicles, dry.jam_vehicles)
    # The wave speed is that of a cell which has always been like this.
    always = Cell(125.0, 3, 100.0 * shares.free_flow_share, 2000.0 * shares.capacity_share, 140.0)
    assert wet.wave_m_s * 3.6 == pytest.approx(np.full(3, always.wave_speed_kmh))


def test_heavier_weather_takes_more() -> None:
    for light, heavy in (("clear", "rain"), ("rain", "heavy-rain"), ("clear", "snow"), ("snow", "heavy-snow")):
        assert WEATHER[heavy].free_flow_share < WEATHER[light].free_flow_share
        assert WEATHER[heavy].capacity_share < WEATHER[light].capacity_share


def test_the_front_of_a_storm_sends_a_shock_upstream_at_the_speed_of_theory() -> None:
    """Snow over the downstream half of a road that carries 1,900 veh/h a lane: its capacity, 7 % less, discharges."""
    cells, demand = 120, 1900.0
    dry = road(cells, demand)
    stormy = np.arange(cells) >= 90
    snow = WEATHER["heavy-snow"]
    model = CellTransmission(dry)
    for _ in range(900):
        model.step(1.0)
    model.use(dry.in_weather(np.where(stormy, snow.free_flow_share, 1.0), np.where(stormy, snow.capacity_share, 1.0)))
    passed = 2000.0 * snow.capacity_share
    queue_density, free_density = 140.0 - passed / CELL.wave_speed_kmh, demand / 100.0
    theory_m_s = (demand - passed) / (queue_density - free_density) / 3.6
    tails_m, times_s = [], []
    for second in range(1500):
        model.step(1.0)
        queued = np.flatnonzero(model.density_vpkm_lane[:90] > (queue_density + free_density) / 2)
        if second > 300 and queued.size and queued[0] > 5:
            tails_m.append(queued[0] * 125.0)
            times_s.append(second)
    assert len(times_s) > 300
    assert -np.polyfit(times_s, tails_m, 1)[0] == pytest.approx(theory_m_s, rel=0.10)
    assert abs(model.conservation_error) < 1e-6


def test_traffic_goes_on_when_weather_changes_and_recovers_with_it() -> None:
    dry = road(30, 1000.0)
    model = CellTransmission(dry)
    fog = WEATHER["fog"]
    for network, speed_kmh in (
        (dry, 100.0),
        (dry.in_weather(fog.free_flow_share, fog.capacity_share), 89.0),
        (dry, 100.0),
    ):
        model.use(network)
        for _ in range(300):
            model.step(1.0)
        assert model.state.speed_m_s * 3.6 == pytest.approx(np.full(30, speed_kmh))
        assert model.state.flow_veh_s_lane * 3600 == pytest.approx(np.full(30, 1000.0), rel=1e-3)
    assert abs(model.conservation_error) < 1e-6


def test_entries_and_ramps_may_be_asked_for_more_or_less() -> None:
    ramp = Cell(125.0, 3, 100.0, on_ramp_vph=600.0)
    model = CellTransmission(Network.of([Corridor((CELL, CELL, ramp, CELL), 1200.0)]))
    for _ in range(400):
        model.step(1.0, demand_share=0.5, entry_factor=np.array([3.0]), ramp_factor=np.array([9.0, 9.0, 2.0, 9.0]))
    assert model.state.flow_veh_s_lane * 3 * 3600 == pytest.approx([1800.0, 1800.0, 2400.0, 2400.0])


@pytest.mark.parametrize(("factor", "words"), [(np.ones(3), "give 1 factors"), (np.array([-1.0]), "at least 0")])
def test_senseless_factors_are_refused(factor: np.ndarray, words: str) -> None:
    with pytest.raises(StepError, match=words):
        CellTransmission(road(3, 100.0)).step(1.0, entry_factor=factor)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_weather_without_meaning_is_refused(share: float) -> None:
    with pytest.raises(WeatherError, match="free_flow_share"):
        Weather(share, 1.0)
    with pytest.raises(WeatherError, match="capacity_share"):
        road(2, 100.0).in_weather(1.0, np.array([1.0, share]))


def test_a_speed_at_which_capacity_would_be_denser_than_a_jam_is_refused() -> None:
    with pytest.raises(WeatherError, match="denser than a jam"):
        road(2, 100.0).in_weather(0.1, 1.0)
