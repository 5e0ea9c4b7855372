"""Delivery: who comes when, by shares and by seed, and that nobody is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.city.traffic import SensorTick
from simulator.faults.delivery import NO_SPEED, REASONS, Delivery, Readings, Second
from simulator.faults.kinds import Kind
from simulator.faults.plan import Fault
from simulator.faults.schedule import SLICES, Struck
from tests.unit.simulator.faults.on_the_way import always, at_some_sensors, shares

SENSORS = 400
START_MS = 1_700_000_003_000
GATEWAYS = 4
GATEWAY_OF_SENSOR = np.repeat(np.arange(GATEWAYS), SENSORS // GATEWAYS)
EVERYDAY = shares(duplicate=0.01, disordered=0.01, late=0.0005, invalid=0.0002)


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


def plans(faults: list[Struck], *, seed: int = 1, seconds: int = 30, window_s: int = 10) -> list[Second]:
    delivery = Delivery(faults, seed, GATEWAY_OF_SENSOR, START_MS, seconds, window_s, lateness_s=2)
    return [delivery.plan(tick(second)) for second in range(seconds)]


def columns(readings: Readings) -> list[list[int]]:
    return [getattr(readings, name).tolist() for name in Readings.__dataclass_fields__]


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    def told(seed: int) -> list[object]:
        return [
            (columns(p.valid), p.delivered_second.tolist(), columns(p.duplicates), columns(p.refused))
            for p in plans(EVERYDAY, seed=seed)
        ]

    assert told(5) == told(5)
    assert told(5) != told(6)


def test_readings_are_the_tick_quantised() -> None:
    readings = plans([], seconds=1)[0].valid
    source = tick(0)
    assert readings.sensor.tolist() == list(range(SENSORS))
    assert (readings.timestamp_ms - START_MS).tolist() == source.offset_ms.tolist()
    for row in range(SENSORS):
        speed = source.speed_kmh[row]
        assert readings.speed_dkmh[row] == (NO_SPEED if np.isnan(speed) else round(float(speed) * 10))
        assert readings.occupancy_permille[row] == round(float(source.occupancy[row]) * 1000)
        assert readings.vehicle_count[row] == source.vehicle_count[row]


def test_without_faults_every_reading_comes_in_its_second() -> None:
    for second, plan in enumerate(plans([])):
        assert set(plan.delivered_second.tolist()) == {second}
        assert len(plan.duplicates) == len(plan.refused) == len(plan.lost) == 0


def test_shares_are_respected() -> None:
    faults = shares(duplicate=0.02, disordered=0.03, late=0.01, invalid=0.005)
    all_plans = plans(faults, seconds=200)
    n = 190 * SENSORS
    delays = np.concatenate([p.delivered_second - second for second, p in enumerate(all_plans[:190])])
    duplicates = sum(len(p.duplicates) for p in all_plans[:190])
    invalid = sum(len(p.refused) for p in all_plans[:190])
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
    for plan in plans(shares(invalid=0.1)):
        found += len(plan.refused)
        assert (plan.refused.occupancy_permille > 1000).all()
        assert (plan.refused.timestamp_ms == plan.valid.timestamp_ms[plan.refused.sensor]).all()
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
    faults = shares(duplicate=0.1, disordered=disordered_share, late=late_share, late_s=shortest_s, invalid=0.1)
    delivery = Delivery(faults, seed, np.zeros(50, dtype=np.int64), start_ms, seconds, window_s, lateness_s)
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


def test_what_is_lost_is_neither_delivered_nor_repeated_and_counted_once() -> None:
    faults = [always(Kind.LOSS, share=0.2), always(Kind.DUPLICATES, share=1.0)]
    for plan in plans(faults):
        there = set(plan.valid.sensor.tolist())
        lost = plan.lost.tolist()
        assert len(lost) == len(set(lost)) > 0
        assert there.isdisjoint(lost)
        assert there | set(lost) == set(range(SENSORS))
        assert set(plan.duplicates.sensor.tolist()) == there


def test_leaving_one_fault_out_changes_nothing_in_the_others() -> None:
    alone = plans([always(Kind.LOSS, share=0.2)])
    among = plans([always(Kind.DISORDER, share=0.5), always(Kind.LOSS, share=0.2), always(Kind.DELAY, share=0)])
    assert [plan.lost.tolist() for plan in alone] == [plan.lost.tolist() for plan in among]


def test_a_gateway_without_power_gets_nothing_of_what_is_due_in_the_dark_and_its_neighbours_all() -> None:
    cut = Struck(Fault("cut", Kind.POWER_CUT, 10.4, 5.0), (2,))  # dark from the slice after 10.5 s to 15.5 s
    faults = [cut, *shares(duplicate=0.5, disordered=0.3, late=0.1, invalid=0.2)]
    lost = due = 0
    for second, plan in enumerate(plans(faults)):
        told = [
            (plan.valid, plan.delivered_second),
            (plan.duplicates, np.full(len(plan.duplicates), second + 1)),
            (plan.refused, plan.refused_second),
        ]
        for readings, delivered in told:
            late_ms = readings.timestamp_ms - START_MS - 1000 * delivered
            at_s = delivered + np.clip(late_ms // 250, 0, SLICES - 1) / SLICES
            in_the_dark = (GATEWAY_OF_SENSOR[readings.sensor] == 2) & (at_s >= 10.5) & (at_s < 15.5)
            assert not in_the_dark.any()
        # Whoever hears of a reading hears of it once as itself: where that fell into the dark, its repetition is it.
        assert set(plan.duplicates.sensor.tolist()) <= set(plan.valid.sensor.tolist())
        made = len(plan.made) + len(plan.repeated)
        assert made == len(plan.valid) + len(plan.duplicates) + len(plan.refused) + len(plan.lost)
        assert (GATEWAY_OF_SENSOR[plan.lost] == 2).all()
        assert set(plan.duplicates.sensor.tolist()) <= set(plan.valid.sensor.tolist()), "what is lost is not repeated"
        lost += len(plan.lost)
        due += made
    assert lost == pytest.approx(due / GATEWAYS / 30 * 5, rel=0.25)  # less: what is lost is not repeated


@pytest.mark.parametrize(("skew_ms", "reason"), [(-2500, None), (-86_400_500, "too_late"), (7_200_500, "future")])
def test_a_sensor_with_a_wrong_clock_dates_its_readings_anew_and_is_refused_or_late(
    skew_ms: int, reason: str | None
) -> None:
    wrong = [3, 77, 301]
    for second, plan in enumerate(plans([at_some_sensors(Kind.CLOCK_SKEW, wrong, SENSORS, skew_ms=skew_ms)])):
        told = plan.refused if reason else plan.valid
        rows = np.isin(told.sensor, wrong)
        assert sorted(told.sensor[rows].tolist()) == wrong
        offset_ms = wrong_offsets(told.sensor[rows])
        assert (told.timestamp_ms[rows] == START_MS + 1000 * second + offset_ms + skew_ms).all()
        assert len(plan.refused) == (len(wrong) if reason else 0)
        assert all(REASONS[place] == reason for place in plan.refused_as.tolist())
        if reason is None:  # late, and beyond doubt on which side of its window's closing
            end_second = ((told.timestamp_ms[rows] // 10_000 + 1) * 10_000 - START_MS) // 1000
            assert (plan.delivered_second[rows] != end_second + 2).all()


def test_of_two_wrong_clocks_a_sensor_has_the_first() -> None:
    behind = at_some_sensors(Kind.CLOCK_SKEW, [3, 4], SENSORS, skew_ms=-86_400_500)
    ahead = Struck(
        Fault("ahead", Kind.CLOCK_SKEW, whole_run=True, numbers={"skew_ms": 7_200_500}), (0,), behind.sensors
    )
    for second, plan in enumerate(plans([behind, ahead])):
        assert [REASONS[place] for place in plan.refused_as.tolist()] == ["too_late", "too_late"]
        told_ms = START_MS + 1000 * second + wrong_offsets(plan.refused.sensor) - 86_400_500
        assert (plan.refused.timestamp_ms == told_ms).all()
        assert not len(plan.struck["ahead"])


def wrong_offsets(sensors: np.ndarray) -> np.ndarray:
    return sensors * 997 % 1000


def test_lying_sensors_are_delivered_with_their_lies_and_silent_ones_not_at_all() -> None:
    faults = [
        at_some_sensors(Kind.SENSOR_SILENT, [1, 2], SENSORS),
        at_some_sensors(Kind.SENSOR_STUCK, [7], SENSORS),
        at_some_sensors(Kind.SENSOR_CHATTER, [9], SENSORS, vehicles_per_30s=300.0),
        at_some_sensors(Kind.SENSOR_MIS_SCALED, [11], SENSORS, factor=0.0),
    ]
    chattered = 0
    for plan in plans(faults):
        rows = {int(sensor): row for row, sensor in enumerate(plan.valid.sensor)}
        assert set(range(SENSORS)) - rows.keys() == {1, 2}
        assert len(plan.made) == SENSORS - 2
        stuck = rows[7]
        assert (plan.valid.vehicle_count[stuck], plan.valid.occupancy_permille[stuck]) == (0, 1000)
        assert plan.valid.speed_dkmh[stuck] == NO_SPEED
        assert plan.valid.occupancy_permille[rows[11]] == 0
        chattered += int(plan.valid.vehicle_count[rows[9]])
    assert chattered == pytest.approx(300, rel=0.3)
