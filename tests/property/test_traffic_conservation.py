"""Whatever the roads, the demand and the blockages: no vehicle appears, vanishes or overlaps another."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.traffic import Cell, CellTransmission, Corridor, Network, SensorLayer, SensorLayout, Signal

signals = st.none() | st.builds(
    Signal, cycle_s=st.floats(20, 120), green_s=st.floats(0, 20), offset_s=st.floats(-200, 200)
)
cells = st.builds(
    Cell,
    length_m=st.floats(60, 800),
    lanes=st.integers(1, 5),
    free_flow_kmh=st.floats(30, 130),
    capacity_vph_lane=st.floats(1200, 2200),
    jam_density_vpkm_lane=st.floats(120, 160),
    on_ramp_vph=st.sampled_from([0.0, 0.0, 600.0, 5000.0]),
    off_ramp_share=st.sampled_from([0.0, 0.0, 0.1, 0.9]),
    capacity_drop=st.sampled_from([0.0, 0.07]),
    signal=signals,
)
cell_chains = st.lists(cells, min_size=1, max_size=8).map(tuple)
corridors = st.builds(Corridor, cells=cell_chains, entry_vph=st.floats(0, 12_000))
networks = st.lists(corridors, min_size=1, max_size=4).map(Network.of)


@settings(max_examples=60, deadline=None)
@given(network=networks, seed=st.integers(0, 2**32 - 1), dt_s=st.floats(0.1, 1.6))
def test_vehicles_are_conserved_and_fit_their_cells(network: Network, seed: int, dt_s: float) -> None:
    rng = np.random.default_rng(seed)
    model = CellTransmission(network)
    for _ in range(200):
        factor = rng.choice([0.0, 0.17, 1.0], network.cell_count, p=[0.05, 0.05, 0.9])
        model.step(dt_s, demand_share=rng.uniform(0, 2, network.corridor_count), capacity_factor=factor)
        assert np.all(model.vehicles >= -1e-9)
        assert np.all(model.vehicles <= network.jam_vehicles + 1e-9)
        assert np.all(model.state.flow_veh_s_lane >= 0.0)
        assert np.all(model.state.speed_m_s <= network.free_flow_m_s * (1 + 1e-9))
    assert model.entry_queue.min() >= 0.0
    assert model.ramp_queue.min() >= 0.0
    assert abs(model.conservation_error) < 1e-6


@settings(max_examples=40, deadline=None)
@given(network=networks, seed=st.integers(0, 2**32 - 1), interval_s=st.floats(0.2, 30.0))
def test_readings_obey_the_null_rules_in_any_traffic(network: Network, seed: int, interval_s: float) -> None:
    model = CellTransmission(network)
    cell = np.arange(network.cell_count, dtype=np.intp)
    layer = SensorLayer(network, SensorLayout(cell, network.lanes - 1), np.random.default_rng(seed))
    for _ in range(60):
        model.step(1.0)
        sample = layer.sample(model.state, interval_s)
        seen = sample.vehicle_count > 0
        assert np.array_equal(np.isnan(sample.speed_kmh), ~seen)
        assert np.all((sample.speed_kmh[seen] >= 1.0) & (sample.speed_kmh[seen] <= 250.0))
        assert np.all((sample.occupancy >= 0.0) & (sample.occupancy <= 1.0))
