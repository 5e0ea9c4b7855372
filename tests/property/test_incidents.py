"""Laws of incident detection on random traffic: the future changes nothing, and an interruption neither."""

from __future__ import annotations

import numpy as np
import pytest

from roadside.core import snapshot
from roadside.core.aggregator import Aggregator, AggregatorConfig
from roadside.core.incidents import IncidentChange
from roadside.core.readings import batch_from_integers
from tests.unit.roadside.core.test_incidents import LANES, START_MS, STATIONS, road

CONFIG = AggregatorConfig(reading_interval_ms=10_000)
STEPS = 360


def readings(seed: int) -> np.ndarray:
    """Random traffic with stretches of queue and of empty lanes: int64 [STEPS, STATIONS * LANES, 3]."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(4, (STEPS, STATIONS, LANES))
    speed = rng.normal(930, 40, (STEPS, STATIONS, LANES))
    occupancy = np.full((STEPS, STATIONS, LANES), 60)
    for _ in range(4):
        begin, station = int(rng.integers(90, STEPS - 30)), int(rng.integers(STATIONS - 1))
        during = slice(begin, begin + int(rng.integers(12, 90)))
        speed[during, station], occupancy[during, station] = 200, 400
        count[during, station + 1, rng.integers(LANES)] = 0
    return np.stack([count, np.clip(speed, 0, 2550), occupancy], axis=-1).astype(np.int64).reshape(STEPS, -1, 3)


def feed(core: Aggregator, rows: np.ndarray, first_step: int) -> list[IncidentChange]:
    sensors = np.arange(STATIONS * LANES)
    changes: list[IncidentChange] = []
    for step, row in enumerate(rows, start=first_step):
        start_ms = START_MS + 10_000 * step
        batch = batch_from_integers(sensors, np.full(len(sensors), start_ms), *row.T)
        core.feed(batch, start_ms + 10_000, start_ms + 10_000)
        changes += core.advance(start_ms + 12_000).incidents
    return changes


@pytest.mark.parametrize("seed", range(2))
def test_cutting_a_day_short_changes_no_earlier_alert(seed: int) -> None:
    rows = readings(seed)
    whole = feed(Aggregator(road(), CONFIG), rows, 0)
    assert any(change.detected for change in whole)
    for cut in (211, 300):
        told = feed(Aggregator(road(), CONFIG), rows[:cut], 0)
        assert told == whole[: len(told)]
        # The last windows wait for the allowed lateness.
        assert all(change.occurred_ms > START_MS + 10_000 * (cut - 2) for change in whole[len(told) :])


@pytest.mark.parametrize("seed", range(2))
def test_a_restored_detector_goes_on_as_if_nothing_had_happened(seed: int) -> None:
    rows = readings(seed)
    expected = feed(Aggregator(road(), CONFIG), rows, 0)
    stored: dict[str, bytes] = {}
    told: list[IncidentChange] = []
    core = Aggregator(road(), CONFIG)
    for first in range(0, STEPS, 45):
        told += feed(core, rows[first : first + 45], first)
        taken = snapshot.take(core)
        stored = {name: piece for name, piece in (stored | dict(taken.changed)).items() if name in taken.live}
        core = snapshot.restore(stored, road(), CONFIG, START_MS + 10_000 * (first + 45) + 2_000)
    assert told == expected
