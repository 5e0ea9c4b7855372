"""A simulated morning: the same from the same seed, and its truth is what its sensors see."""

from itertools import combinations

import numpy as np
import pytest

from simulator.evaluation.corridor import BEGIN_MS, INTERVAL_S, ROADS, STATIONS, SimulatedDay
from simulator.recorded.recording import RecordedReading

HOURS = 0.75


@pytest.fixture(scope="module")
def morning() -> SimulatedDay:
    return SimulatedDay(7, HOURS, 5)


@pytest.fixture(scope="module")
def rows(morning: SimulatedDay) -> list[RecordedReading]:
    return list(morning.readings())


def test_the_same_seed_gives_the_same_readings_and_another_seed_others(rows: list[RecordedReading]) -> None:
    again, other = (list(SimulatedDay(seed, HOURS, 20).readings()) for seed in (7, 8))

    assert again == rows  # however many gateways share the stations
    assert other != rows


def test_every_sensor_tells_every_interval_and_no_speed_without_vehicles(rows: list[RecordedReading]) -> None:
    sensors = len(ROADS) * STATIONS * 3
    intervals = round(HOURS * 3600) // INTERVAL_S

    assert len({(row.sensor_id, row.timestamp_ms) for row in rows}) == len(rows) == sensors * intervals
    assert rows[-1].timestamp_ms == BEGIN_MS + 1000 * INTERVAL_S * (intervals - 1)
    assert all((row.speed_kmh is None) == (row.vehicle_count == 0) for row in rows)


def test_sensors_see_the_truth_of_their_segment(morning: SimulatedDay, rows: list[RecordedReading]) -> None:
    minutes = round(HOURS * 60)
    counts = np.array([row.vehicle_count for row in rows], dtype=np.float64).reshape(minutes, 6, -1, 3)
    speeds = np.array([row.speed_kmh or np.nan for row in rows], dtype=np.float64).reshape(counts.shape)
    vehicles = counts.sum(axis=(1, 3))
    measured = vehicles / np.nansum(counts / speeds, axis=(1, 3))
    free = morning.labels.speed_kmh > 90

    assert free.mean() > 0.5
    assert np.median(measured[free] / morning.labels.speed_kmh[free]) == pytest.approx(1.0, abs=0.02)


def test_incidents_are_apart_and_lie_between_their_stations(morning: SimulatedDay) -> None:
    incidents = SimulatedDay(3, 2.0, 5).labels.incidents

    assert len(incidents) == 4
    for incident in incidents:
        own = morning.labels.roads[incident.road]
        assert own[incident.station] == incident.segments[0]
        assert incident.segments[-1] in own[incident.station : incident.station + 2]
        assert 6 <= (incident.end_s - incident.start_s) / 60 <= 19
    for one, other in combinations(incidents, 2):
        assert one.road != other.road or other.start_s >= one.end_s + 1500


def test_days_of_history_have_the_same_roads_and_no_incident(morning: SimulatedDay) -> None:
    before = SimulatedDay(7, HOURS, 5, history=1)

    assert not before.labels.incidents
    assert morning.labels.incidents
    assert before.gateways == morning.gateways
    assert not np.array_equal(before.labels.speed_kmh, morning.labels.speed_kmh)
