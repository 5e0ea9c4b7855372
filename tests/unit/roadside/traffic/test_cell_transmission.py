"""The cell-transmission model against kinematic-wave theory."""

from __future__ import annotations

import numpy as np
import pytest

from roadside.traffic import Cell, CellTransmission, Corridor, Incident, IncidentSchedule, Network, Signal, StepError

LANES, FREE_FLOW_KMH, CAPACITY, JAM = 3, 104.6, 2000.0, 140.0
CRITICAL = CAPACITY / FREE_FLOW_KMH
WAVE_KMH = CAPACITY / (JAM - CRITICAL)


def freeway(cells: int, length_m: float = 125.0, **changes: float) -> tuple[Cell, ...]:
    return tuple(Cell(length_m, LANES, FREE_FLOW_KMH, CAPACITY, JAM, **changes) for _ in range(cells))  # type: ignore[arg-type]


def model_of(*corridors: Corridor) -> CellTransmission:
    return CellTransmission(Network.of(corridors))


def run(model: CellTransmission, seconds: int, schedule: IncidentSchedule | None = None, share: float = 1.0) -> None:
    for _ in range(seconds):
        factor = None if schedule is None else schedule.capacity_factor(model.time_s)
        model.step(1.0, demand_share=share, capacity_factor=factor)


def test_free_flow_stays_free_and_carries_the_demand() -> None:
    model = model_of(Corridor(freeway(40), entry_vph=1500.0 * LANES))
    run(model, 900)
    assert model.state.speed_m_s * 3.6 == pytest.approx(np.full(40, FREE_FLOW_KMH), rel=1e-9)
    assert model.state.flow_veh_s_lane * 3600 == pytest.approx(np.full(40, 1500.0), rel=1e-6)
    assert model.density_vpkm_lane == pytest.approx(np.full(40, 1500.0 / FREE_FLOW_KMH), rel=1e-6)


@pytest.mark.parametrize(("lanes_blocked", "share_left"), [(1, 0.49), (2, 0.17), (3, 0.0)])
def test_shock_runs_upstream_at_the_speed_of_theory(lanes_blocked: int, share_left: float) -> None:
    demand = 1600.0
    model = model_of(Corridor(freeway(80), entry_vph=demand * LANES))
    run(model, 600)
    schedule = IncidentSchedule([Incident(70, 600.0, 9e9, lanes_blocked)], model.network.lanes)
    queue_flow = share_left * CAPACITY
    queue_density = JAM - queue_flow / WAVE_KMH
    free_density = demand / FREE_FLOW_KMH
    theory_m_s = (demand - queue_flow) / (queue_density - free_density) / 3.6

    # The tail of the queue is where density passes half-way between the two states.
    tails_m, times_s = [], []
    for second in range(1200):
        run(model, 1, schedule)
        queued = np.flatnonzero(model.density_vpkm_lane > (queue_density + free_density) / 2)
        if second > 300 and queued.size and queued[0] > 5:
            tails_m.append(queued[0] * 125.0)
            times_s.append(second)
    assert len(times_s) > 300
    slope_m_s = np.polyfit(times_s, tails_m, 1)[0]
    assert -slope_m_s == pytest.approx(theory_m_s, rel=0.10)
    assert model.density_vpkm_lane[69] == pytest.approx(queue_density, rel=0.01)


def test_an_incident_queues_upstream_and_leaves_free_flow_downstream() -> None:
    model = model_of(Corridor(freeway(60), entry_vph=1600.0 * LANES))
    run(model, 600)
    run(model, 600, IncidentSchedule([Incident(40, 600.0, 1200.0, 2)], model.network.lanes))
    speed_kmh = model.state.speed_m_s * 3.6
    assert np.all(speed_kmh[30:41] < 10.0)
    assert speed_kmh[41:] == pytest.approx(np.full(19, FREE_FLOW_KMH))
    assert speed_kmh[:10] == pytest.approx(np.full(10, FREE_FLOW_KMH))
    assert model.state.flow_veh_s_lane[41:] * 3600 == pytest.approx(np.full(19, 0.17 * CAPACITY), rel=1e-6)


def test_a_queue_discharges_below_capacity_and_then_dissolves() -> None:
    model = model_of(Corridor(freeway(60), entry_vph=1600.0 * LANES))
    run(model, 600)
    schedule = IncidentSchedule([Incident(40, 600.0, 900.0, 3)], model.network.lanes)
    run(model, 300, schedule)
    run(model, 60, schedule)
    assert model.state.flow_veh_s_lane[40] * 3600 == pytest.approx(0.93 * CAPACITY, rel=0.01)
    run(model, 3000, schedule)
    assert model.state.speed_m_s * 3.6 == pytest.approx(np.full(60, FREE_FLOW_KMH))


def test_every_vehicle_is_stored_or_has_left() -> None:
    signalled = (*freeway(5), Cell(125.0, LANES, 50.0, signal=Signal(90.0, 40.0, 7.0)))
    ramps = (*freeway(6), *freeway(1, on_ramp_vph=1500.0), *freeway(3), *freeway(1, off_ramp_share=0.2), *freeway(4))
    model = model_of(Corridor(signalled, 4000.0), Corridor(ramps, 6500.0))
    run(model, 7200, IncidentSchedule([Incident(12, 600.0, 3600.0, 2)], model.network.lanes))
    assert model.vehicles_arrived > 20_000
    assert model.entry_queue.min() > 100
    assert abs(model.conservation_error) < 1e-6


def test_demand_that_finds_no_room_waits_before_the_entry() -> None:
    model = model_of(Corridor(freeway(4), entry_vph=1.25 * CAPACITY * LANES))
    run(model, 3600)
    assert model.entry_queue[0] == pytest.approx(0.25 * CAPACITY * LANES, rel=0.01)


def test_an_on_ramp_goes_first_up_to_half_of_the_room() -> None:
    cells = (*freeway(10), *freeway(1, on_ramp_vph=0.8 * CAPACITY * LANES, capacity_drop=0.0), *freeway(10))
    model = model_of(Corridor(cells, entry_vph=0.9 * CAPACITY * LANES))
    run(model, 1800)
    total = model.state.flow_veh_s_lane[15] * 3600
    mainline = model.state.flow_veh_s_lane[9] * 3600
    assert total == pytest.approx(CAPACITY, rel=0.02)
    assert mainline == pytest.approx(0.5 * CAPACITY, rel=0.02)
    assert model.ramp_queue[10] > 500


def test_an_off_ramp_takes_its_share_and_waits_with_the_queue() -> None:
    cells = (*freeway(5), *freeway(1, off_ramp_share=0.25), *freeway(10))
    model = model_of(Corridor(cells, entry_vph=1600.0 * LANES))
    run(model, 900)
    assert model.state.flow_veh_s_lane[10] / model.state.flow_veh_s_lane[5] == pytest.approx(0.75, rel=1e-6)
    # A queue from below holds the cell to what the road ahead takes, and the exit gets its share of that only.
    run(model, 1200, IncidentSchedule([Incident(8, 0.0, 9e9, 1)], model.network.lanes))
    assert model.state.flow_veh_s_lane[5] * 3600 == pytest.approx(0.49 * CAPACITY / 0.75, rel=1e-3)
    assert model.density_vpkm_lane[6] == pytest.approx(JAM - 0.49 * CAPACITY / WAVE_KMH, rel=1e-3)


def test_a_signal_holds_traffic_on_red_and_lets_the_mean_through() -> None:
    cell = Cell(75.0, 2, 50.0, 1800.0, 150.0, capacity_drop=0.0)
    stop = Cell(75.0, 2, 50.0, 1800.0, 150.0, capacity_drop=0.0, signal=Signal(90.0, 45.0))
    model = model_of(Corridor((cell,) * 8 + (stop,), entry_vph=1200.0))
    run(model, 900)
    flows = []
    for second in range(900):
        run(model, 1)
        flows.append(model.state.flow_veh_s_lane[8])
        if second % 90 >= 45:
            assert flows[-1] == 0.0
    assert np.mean(flows) * 2 * 3600 == pytest.approx(1200.0, rel=0.01)


def test_corridors_do_not_touch() -> None:
    full, empty = Corridor(freeway(6), 9000.0), Corridor(freeway(6), 0.0)
    model = model_of(empty, full, empty)
    run(model, 300)
    assert model.vehicles[:6].sum() == 0.0
    assert model.vehicles[12:].sum() == 0.0
    alone = model_of(full)
    run(alone, 300)
    assert np.array_equal(model.vehicles[6:12], alone.vehicles)


def test_demand_share_may_differ_between_corridors() -> None:
    model = model_of(Corridor(freeway(4), 3000.0), Corridor(freeway(4), 3000.0))
    for _ in range(300):
        model.step(1.0, demand_share=[1.0, 0.5])
    flow_vph = model.state.flow_veh_s_lane[[3, 7]] * LANES * 3600
    assert flow_vph == pytest.approx([3000.0, 1500.0], rel=1e-6)


def test_empty_road_has_free_flow_speed_and_no_flow() -> None:
    model = model_of(Corridor(freeway(3), 0.0))
    run(model, 5)
    assert model.state.speed_m_s * 3.6 == pytest.approx(np.full(3, FREE_FLOW_KMH))
    assert not model.state.flow_veh_s_lane.any()


def test_a_step_longer_than_the_crossing_of_a_cell_is_refused() -> None:
    model = model_of(Corridor((*freeway(3), Cell(20.0, LANES, 72.0)), 100.0))
    model.step(1.0)
    with pytest.raises(StepError, match=r"dt_s = 1\.1.*at most 1\.000 s"):
        model.step(1.1)


@pytest.mark.parametrize("dt_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_without_length_is_refused(dt_s: float) -> None:
    with pytest.raises(StepError, match="dt_s"):
        model_of(Corridor(freeway(3), 100.0)).step(dt_s)


@pytest.mark.parametrize("share", [-0.1, float("nan"), [1.0, 1.0]])
def test_a_senseless_demand_share_is_refused(share: object) -> None:
    with pytest.raises(StepError, match="demand_share"):
        model_of(Corridor(freeway(3), 100.0)).step(1.0, demand_share=share)  # type: ignore[arg-type]


def test_capacity_factors_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(StepError, match="capacity_factor"):
        model_of(Corridor(freeway(3), 100.0)).step(1.0, capacity_factor=np.ones(1))


def test_state_before_the_first_step_is_refused() -> None:
    with pytest.raises(StepError, match="step"):
        _ = model_of(Corridor(freeway(3), 100.0)).state
