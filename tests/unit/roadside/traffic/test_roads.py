"""Descriptions of roads, demand and incidents refuse what cannot be and derive what follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roadside.traffic import (
    WEEKDAY,
    Cell,
    Corridor,
    DemandError,
    DemandProfile,
    Incident,
    IncidentError,
    IncidentSchedule,
    Network,
    NetworkError,
    Peak,
    Signal,
    capacity_share,
    day_noise,
)

CELL = Cell(500.0, 3, 104.616, 2000.0, 140.0)


def test_wave_speed_follows_from_the_triangle() -> None:
    assert CELL.wave_speed_kmh / 3.6 == pytest.approx(4.60, abs=0.005)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("length_m", 0.0),
        ("free_flow_kmh", float("nan")),
        ("capacity_vph_lane", -1.0),
        ("jam_density_vpkm_lane", float("inf")),
        ("lanes", 0),
        ("on_ramp_vph", -1.0),
        ("off_ramp_share", 1.0),
        ("capacity_drop", -0.1),
        ("capacity_vph_lane", 20_000.0),
    ],
)
def test_a_cell_no_road_can_have_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(NetworkError) as caught:
        replace(CELL, **{field: value})  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize("times", [(0.0, 0.0), (90.0, 91.0), (90.0, -1.0), (float("nan"), 1.0)])
def test_an_impossible_signal_is_refused(times: tuple[float, float]) -> None:
    with pytest.raises(NetworkError, match=r"cycle_s|green_s"):
        Signal(*times)


def test_an_empty_corridor_and_an_empty_network_are_refused() -> None:
    with pytest.raises(NetworkError, match="cells"):
        Corridor((), 100.0)
    with pytest.raises(NetworkError, match="corridors"):
        Network.of([])


def test_a_network_lays_corridors_one_after_the_other() -> None:
    signalled = replace(CELL, signal=Signal(90.0, 45.0, 3.0))
    network = Network.of([Corridor((CELL, CELL), 3600.0), Corridor((CELL, CELL, signalled), 1800.0)])
    assert network.first_cell.tolist() == [0, 2]
    assert network.last_cell.tolist() == [1, 4]
    assert network.corridor_of_cell.tolist() == [0, 0, 1, 1, 1]
    assert network.entry_veh_s.tolist() == [1.0, 0.5]
    assert network.signal_cell.tolist() == [4]
    assert network.jam_vehicles[0] == pytest.approx(210.0)


def test_a_working_day_has_two_peaks_a_midday_and_a_quiet_night() -> None:
    at = {hour: WEEKDAY.share(hour * 3600.0) for hour in (3, 8, 13, 17.5, 23)}
    assert at[8] == pytest.approx(1.0, abs=0.05)
    assert at[17.5] == pytest.approx(1.0, abs=0.05)
    assert 0.5 < at[13] < 0.75
    assert at[3] < 0.15
    assert at[23] < 0.2


def test_demand_wraps_around_midnight() -> None:
    late = DemandProfile(0.1, (Peak(23.5 * 3600, 3600.0, 1.0),))
    assert late.share(0.5 * 3600) == pytest.approx(late.share(22.5 * 3600))
    assert late.share(86_400.0 + 100.0) == pytest.approx(late.share(100.0))


def test_days_differ_around_the_profile_and_repeat_with_the_seed() -> None:
    noise = day_noise(20_000, np.random.default_rng(1), spread=0.05)
    assert noise.mean() == pytest.approx(1.0, abs=0.002)
    assert noise.std() == pytest.approx(0.05, abs=0.002)
    assert np.array_equal(noise, day_noise(20_000, np.random.default_rng(1), spread=0.05))


@pytest.mark.parametrize("values", [(-1.0, 1.0, 1.0), (0.0, 0.0, 1.0), (0.0, 1.0, -1.0), (86_400.0, 1.0, 1.0)])
def test_an_impossible_peak_is_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(DemandError):
        Peak(*values)


@pytest.mark.parametrize(
    ("lanes", "blocked", "share"), [(2, 0, 0.81), (2, 1, 0.35), (2, 2, 0.0), (3, 2, 0.17), (4, 3, 0.13), (1, 1, 0.0)]
)
def test_capacity_left_is_the_table_of_the_manual(lanes: int, blocked: int, share: float) -> None:
    assert capacity_share(lanes, blocked) == share


@pytest.mark.parametrize(("lanes", "blocked"), [(2, 3), (5, 1), (1, 0)])
def test_capacity_left_is_not_invented(lanes: int, blocked: int) -> None:
    with pytest.raises(IncidentError):
        capacity_share(lanes, blocked)


def test_an_incident_acts_from_its_start_up_to_its_end() -> None:
    schedule = IncidentSchedule([Incident(1, 10.0, 20.0, 1), Incident(1, 15.0, 30.0, 2)], np.array([3, 3, 3]))
    assert [schedule.capacity_factor(t)[1] for t in (9.9, 10.0, 15.0, 20.0, 30.0)] == [1.0, 0.49, 0.17, 0.17, 1.0]
    assert schedule.capacity_factor(15.0)[[0, 2]].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("values", [(-1, 0.0, 1.0, 1), (0, 1.0, 1.0, 1), (0, 0.0, 1.0, -1), (3, 0.0, 1.0, 1)])
def test_an_incident_that_cannot_be_is_refused(values: tuple[int, float, float, int]) -> None:
    with pytest.raises(IncidentError):
        IncidentSchedule([Incident(*values)], np.array([3, 3, 3]))
