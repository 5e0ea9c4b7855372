"""Delivery: who comes when, by shares and by seed, and that nobody is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.city.traffic import SensorTick
from simulator.faults.delivery import NO_SPEED, Delivery, DeliveryFaults, Readings, Second

SENSORS = 400
START_MS = 1_700_000_003_000
NO_FAULTS = DeliveryFaults(0.0, 0.0, 0.0, (5, 8), 0.0)


def tick(second: int, sensors: int = SENSORS) -> SensorTick:
    rng = np.random.default_rng(second)
    count = rng.integers(0, 3, sensors).astype(np.uint16)
    return SensorTick(
        second=second,
        offset_ms=np.arange(sensors) * 997 % 1000,
        vehicle_count=count,
        speed_kmh=np.where(count > 0, rng.uniform(0, 130, sensors), np.nan),
        occupancy=rng.random(sensors),
    )


def plans(faults: DeliveryFaults, *, seed: int = 1, seconds: int = 30, window_s: int = 10) -> list[Second]:
    delivery = Delivery(faults, seed, START_MS, seconds, window_s, lateness_s=2)
    return [delivery.plan(tick(second)) for second in range(seconds)]


def columns(readings: Readings) -> list[list[int]]:
    return [getattr(readings, name).tolist() for name in Readings.__dataclass_fields__]


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    def told(seed: int) -> list[object]:
        return [
            (columns(p.valid), p.delivered_second.tolist(), columns(p.duplicates), columns(p.invalid))
            for p in plans(DeliveryFaults(), seed=seed)
        ]

    assert told(5) == told(5)
    assert told(5) != told(6)


def test_readings_are_the_tick_quantised() -> None:
    readings = plans(NO_FAULTS, seconds=1)[0].valid
    source = tick(0)
    assert readings.sensor.tolist() == list(range(SENSORS))
    assert (readings.timestamp_ms - START_MS).tolist() == source.offset_ms.tolist()
    for row in range(SENSORS):
        speed = source.speed_kmh[row]
        assert readings.speed_dkmh[row] == (NO_SPEED if np.isnan(speed) else round(float(speed) * 10))
        assert readings.occupancy_permille[row] == round(float(source.occupancy[row]) * 1000)
        assert readings.vehicle_count[row] == source.vehicle_count[row]


def test_without_faults_every_reading_comes_in_its_second() -> None:
    for second, plan in enumerate(plans(NO_FAULTS)):
        assert set(plan.delivered_second.tolist()) == {second}
        assert len(plan.duplicates) == len(plan.invalid) == 0


def test_shares_are_respected() -> None:
    faults = DeliveryFaults(0.02, 0.03, 0.01, (5, 8), 0.005)
    all_plans = plans(faults, seconds=200)
    n = 190 * SENSORS
    delays = np.concatenate([p.delivered_second - second for second, p in enumerate(all_plans[:190])])
    duplicates = sum(len(p.duplicates) for p in all_plans[:190])
    invalid = sum(len(p.invalid) for p in all_plans[:190])
    for found, share in [
        ((delays == 1).sum(), 0.03),
        ((delays >= 5).sum(), 0.01),
        (duplicates, 0.02 * 0.96),  # neither late nor disordered ones are repeated
        (invalid, 0.005),
    ]:
        assert found == pytest.approx(n * share, abs=5 * np.sqrt(n * share))
    assert set(delays.tolist()) == {0, 1, 5, 6, 7, 8, 9}  # 9: moved out of the second in which its window closes


def test_invalid_readings_are_impossible_copies_of_valid_ones() -> None:
    found = 0
    for plan in plans(DeliveryFaults(invalid_share=0.1)):
        found += len(plan.invalid)
        assert (plan.invalid.occupancy_permille > 1000).all()
        assert (plan.invalid.timestamp_ms == plan.valid.timestamp_ms[plan.invalid.sensor]).all()
        assert (plan.valid.occupancy_permille <= 1000).all()
    assert found > 500


@settings(max_examples=60)
@given(
    late_share=st.floats(0, 1),
    disordered_share=st.floats(0, 1),
    seconds=st.integers(1, 25),
    window_s=st.sampled_from([1, 5, 10, 60]),
    shortest_s=st.integers(3, 12),
    seed=st.integers(0, 1000),
    start_s=st.integers(0, 60),
)
def test_late_readings_keep_clear_of_the_closing_second_and_of_the_end(
    late_share: float, disordered_share: float, seconds: int, window_s: int, shortest_s: int, seed: int, start_s: int
) -> None:
    lateness_s = 2
    start_ms = 1_700_000_000_000 + 1000 * start_s
    faults = DeliveryFaults(0.1, disordered_share, late_share, (shortest_s, shortest_s + 3), 0.1)
    delivery = Delivery(faults, seed, start_ms, seconds, window_s, lateness_s)
    for second in range(seconds):
        plan = delivery.plan(tick(second, 50))
        assert len(plan.valid) == len(plan.delivered_second) == 50  # each once, and none left out
        window_ms = 1000 * window_s
        end_second = ((plan.valid.timestamp_ms // window_ms + 1) * window_ms - start_ms) // 1000
        behind = plan.delivered_second - second
        late = behind > 1
        assert not (late & (plan.delivered_second == end_second + lateness_s)).any()
        assert (behind >= 0).all()
        assert not np.isin(
            plan.duplicates.sensor, np.flatnonzero(behind)
        ).any()  # a repeat never comes before its first
        # One second after the end for what was moved there, and another for what must keep clear.
        assert plan.delivered_second.max() <= seconds + 2
