"""The oracle: against sums by hand, against a dictionary, and apart from the code it judges."""

from __future__ import annotations

import ast
import random
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from simulator.verification import oracle as oracle_module
from simulator.verification.oracle import NO_SPEED, AlertTruth, Exclusion, Oracle, SegmentFacts, SegmentTruth

FREEWAY = SegmentFacts(0, True, 100.0)
STREET = SegmentFacts(1, False, 50.0)
Row = tuple[int, int, int, int, int]  # sensor, timestamp_ms, vehicles, speed_dkmh, occupancy_permille


def make_oracle(window_ms: int = 10_000, interval_ms: int = 1000) -> Oracle:
    """Sensors 0 to 2 on a freeway, 3 and 4 on a street."""
    return Oracle([FREEWAY, STREET], np.array([0, 0, 0, 1, 1]), window_ms, interval_ms, lateness_ms=2000)


def note(oracle: Oracle, rows: list[Row], delivered_ms: list[int] | None = None) -> None:
    columns = [np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)]
    due = [(row[1] // 1000 + 1) * 1000 for row in rows] if delivered_ms is None else delivered_ms
    oracle.note(*columns, np.array(due, dtype=np.int64))  # type: ignore[call-arg]  # five columns


def test_sums_by_hand() -> None:
    oracle = make_oracle()
    note(oracle, [(0, 0, 2, 500, 100), (1, 9_999, 1, 1000, 50), (0, 1000, 0, NO_SPEED, 1000), (0, 10_000, 1, 400, 0)])
    windows = oracle.windows()
    assert windows.keys() == {0, 10_000}
    assert windows[0] == {
        0: SegmentTruth(
            readings=3,
            sensors=2,
            vehicle_count=3,
            speed_sum=2 * 500 + 1000,
            pace_sum=2 * 72_000 + 36_000,  # ms per km at 50 and at 100 km/h
            speed_square_sum=2 * 500**2 + 1000**2,
            speed_min=500,
            speed_max=1000,
            occupied_ms=100 + 50 + 1000,
            observed_ms=3000,
            p15_kmh=50.0,
            p50_kmh=50.0,
            p85_kmh=50.0,  # floor(0.85 * 2) is the second of 50, 50, 100
        )
    }
    assert windows[10_000][0].vehicle_count == 1


def test_declared_sensors_are_left_out_of_the_windows_that_were_declared() -> None:
    oracle = make_oracle()
    note(oracle, [(sensor, 10_000 * window, 1, 500, 10) for window in range(5) for sensor in (0, 1, 3)])
    oracle.exclusions = [Exclusion(0, 10_000, 30_000), Exclusion(3, 20_000)]

    readings = {
        start_ms: {segment: truth.readings for segment, truth in segments.items()}
        for start_ms, segments in oracle.windows().items()
    }
    assert readings == {
        0: {0: 2, 1: 1},
        10_000: {0: 1, 1: 1},
        20_000: {0: 1},
        30_000: {0: 2},
        40_000: {0: 2},
    }


def test_segment_without_vehicles_has_no_speed_rather_than_0() -> None:
    oracle = make_oracle()
    note(oracle, [(3, 0, 0, NO_SPEED, 0)])
    truth = oracle.windows()[0][1]
    assert (truth.speed_min, truth.speed_max, truth.p15_kmh, truth.p50_kmh, truth.p85_kmh) == (None,) * 5
    assert (truth.speed_sum, truth.pace_sum, truth.vehicle_count, truth.readings) == (0, 0, 0, 1)


def test_vehicles_without_a_speed_are_counted_and_weigh_nothing() -> None:
    oracle = make_oracle()
    note(oracle, [(0, 0, 5, NO_SPEED, 100), (1, 0, 1, 600, 100)])
    truth = oracle.windows()[0][0]
    assert (truth.vehicle_count, truth.speed_sum, truth.speed_min, truth.pace_sum) == (6, 600, 600, 60_000)


def test_standing_vehicle_weighs_like_one_at_3_kmh() -> None:
    oracle = make_oracle()
    note(oracle, [(0, 0, 1, 0, 1000)])
    truth = oracle.windows()[0][0]
    assert (truth.pace_sum, truth.speed_min, truth.p50_kmh) == (1_200_000, 0, 0.0)


@pytest.mark.parametrize(
    ("q_field", "share", "place"),
    [("p15_kmh", 0.15, 3), ("p50_kmh", 0.50, 10), ("p85_kmh", 0.85, 17)],
)
def test_quantile_is_the_order_statistic_floor_of_q_times_n_minus_1(q_field: str, share: float, place: int) -> None:
    oracle = make_oracle()
    speeds = [100 + 10 * i for i in range(21)]
    assert place == int(share * 20)
    random.Random(1).shuffle(speeds)  # noqa: S311 - a test
    note(oracle, [(0, 100 * i, 1, speed, 0) for i, speed in enumerate(speeds)])
    assert getattr(oracle.windows()[0][0], q_field) == (100 + 10 * place) / 10


@pytest.mark.parametrize(("window_ms", "interval_ms"), [(10_000, 1000), (60_000, 10_000), (1000, 500)])
def test_windows_equal_a_dictionary_kept_by_a_plain_loop(window_ms: int, interval_ms: int) -> None:
    rng = random.Random(7)  # noqa: S311 - a test
    oracle = make_oracle(window_ms, interval_ms)
    rows: list[Row] = []
    for _ in range(3000):
        vehicles = rng.choice([0, 0, 1, 2, 7])
        speed = NO_SPEED if vehicles == 0 or rng.random() < 0.1 else rng.randrange(0, 1400)
        rows.append((rng.randrange(5), rng.randrange(0, 4 * window_ms), vehicles, speed, rng.randrange(0, 1001)))
    for first in range(0, len(rows), 700):  # told in several parts
        note(oracle, rows[first : first + 700])

    expected: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        expected[row[1] // window_ms * window_ms, 0 if row[0] < 3 else 1].append(row)
    windows = oracle.windows()
    assert {(start, number) for start, segments in windows.items() for number in segments} == expected.keys()
    for (start, number), members in expected.items():
        truth = windows[start][number]
        speeds = sorted(speed for _, _, count, speed, _ in members if speed != NO_SPEED for _ in range(count))
        assert truth.readings == len(members)
        assert truth.sensors == len({row[0] for row in members})
        assert truth.vehicle_count == sum(row[2] for row in members)
        assert truth.speed_sum == sum(speeds)
        assert truth.speed_square_sum == sum(speed**2 for speed in speeds)
        assert truth.pace_sum == sum(int(Fraction(36_000_000, max(s, 30)) + Fraction(1, 2)) for s in speeds)
        assert truth.occupied_ms == sum(int(Fraction(row[4] * interval_ms, 1000) + Fraction(1, 2)) for row in members)
        assert truth.observed_ms == len(members) * interval_ms
        assert (truth.speed_min, truth.speed_max) == (speeds[0], speeds[-1])
        assert truth.p15_kmh == speeds[15 * (len(speeds) - 1) // 100] / 10
        assert truth.p50_kmh == speeds[(len(speeds) - 1) // 2] / 10
        assert truth.p85_kmh == speeds[85 * (len(speeds) - 1) // 100] / 10


def test_nothing_noted_is_no_window_and_no_alert() -> None:
    assert make_oracle().windows() == {}
    assert make_oracle().alerts() == []


# Alerts, in 10 s windows: SLOW and FREE are one window of traffic on the freeway, GONE one without any.

SLOW, FREE, GONE, STANDING = "slow", "free", "gone", "standing"


def windows_of(*kinds: str) -> list[Row]:
    """A thousand vehicles a second, so that each window outweighs the memory of those before; street sensors always."""
    rows: list[Row] = []
    for index, kind in enumerate(kinds):
        for second in range(10):
            at_ms = 10_000 * index + 1000 * second
            rows.append((3, at_ms, 0, NO_SPEED, 0))
            if kind == SLOW:
                rows.append((0, at_ms, 100, 200, 200))
            elif kind == FREE:
                rows.append((0, at_ms, 1000, 1000, 100))
            elif kind == STANDING:
                rows.append((0, at_ms, 0, NO_SPEED, 1000))
    return rows


def alerts_of(*kinds: str) -> list[AlertTruth]:
    oracle = make_oracle()
    note(oracle, windows_of(*kinds))
    return oracle.alerts()


def test_alert_starts_after_two_slow_windows_and_not_after_one() -> None:
    assert alerts_of(SLOW, SLOW, SLOW) == [AlertTruth(0, True, 20_000)]
    assert alerts_of(SLOW, FREE, FREE) == []
    # The free one has ten times the vehicles: 10,000 at 100 km/h fading by e^-(10/40) and 1,000 at 20 are 68.7 km/h, so
    # still free; another 1,000 at 20 bring it to 52.
    assert alerts_of(FREE, SLOW, SLOW) == []
    assert alerts_of(FREE, SLOW, SLOW, SLOW) == [AlertTruth(0, True, 40_000)]


def test_alert_clears_after_three_free_windows_and_not_after_two() -> None:
    assert alerts_of(SLOW, SLOW, FREE, FREE) == [AlertTruth(0, True, 20_000)]
    assert alerts_of(SLOW, SLOW, FREE, FREE, FREE) == [AlertTruth(0, True, 20_000), AlertTruth(0, False, 50_000)]


def test_standing_traffic_without_a_count_is_congestion() -> None:
    assert alerts_of(STANDING, STANDING) == [AlertTruth(0, True, 20_000)]


def test_a_queue_of_which_nothing_is_seen_lasts_until_it_is_stale() -> None:
    # Unknown from the 9th empty window on, so it has contradicted the alert for 30 s at the end of the 11th.
    assert alerts_of(SLOW, SLOW, *[GONE] * 10) == [AlertTruth(0, True, 20_000)]
    assert alerts_of(SLOW, SLOW, *[GONE] * 11)[1:] == [AlertTruth(0, False, 130_000)]


# Three segments in driving order, two lanes each; the middle one may have a lane without a sensor. A row a second.


def starts_on_a_road(
    kinds: tuple[tuple[int, int, int], ...], *, unseen_lane: bool = False, in_a_row: bool = True, seconds: int = 20
) -> list[int]:
    """Segments with an alert, after so many seconds of the same (vehicles, speed_dkmh, occupancy_permille) at each."""
    facts = [SegmentFacts(i, True, 100.0, i + 1 if in_a_row else None, unseen_lane and i == 1) for i in range(3)]
    oracle = Oracle(facts, np.arange(3), 10_000, 1000, lateness_ms=2000)
    note(oracle, [(sensor, 1000 * second, *kinds[sensor]) for second in range(seconds) for sensor in range(3)])
    return [alert.segment_number for alert in oracle.alerts() if alert.started]


FREELY, RATHER_SLOWLY, QUEUE, JAM = (10, 950, 60), (10, 700, 90), (10, 400, 200), (10, 200, 240)


def test_beside_a_jam_less_slowness_is_congestion() -> None:
    assert starts_on_a_road((JAM, RATHER_SLOWLY, FREELY)) == [0, 1]
    assert starts_on_a_road((FREELY, RATHER_SLOWLY, JAM)) == [1, 2]
    assert starts_on_a_road((FREELY, RATHER_SLOWLY, QUEUE)) == [2]
    assert starts_on_a_road((JAM, RATHER_SLOWLY, FREELY), in_a_row=False) == [0]


def test_between_two_queues_less_slowness_is_congestion() -> None:
    assert starts_on_a_road((QUEUE, RATHER_SLOWLY, QUEUE)) == [0, 1, 2]
    assert starts_on_a_road((QUEUE, RATHER_SLOWLY, (10, 950, 300))) == [0, 1, 2]
    assert starts_on_a_road((QUEUE, (10, 735, 90), QUEUE)) == [0, 2]


def test_covered_sensors_are_congestion_at_any_speed() -> None:
    assert starts_on_a_road((FREELY, (10, 950, 251), FREELY)) == [1]
    assert starts_on_a_road((FREELY, (10, 950, 250), FREELY)) == []


def test_queue_before_an_exit_whose_lane_has_no_sensor_is_also_in_its_segment() -> None:
    leaving = ((40, 400, 200), (39, 950, 60), FREELY)
    assert starts_on_a_road(((20, 400, 200), (18, 950, 60), FREELY), unseen_lane=True) == [0, 1]
    assert starts_on_a_road(leaving, unseen_lane=True) == [0]  # 39 of 40 are no exit
    assert starts_on_a_road(((20, 400, 200), (18, 950, 60), FREELY)) == [0]
    assert starts_on_a_road((FREELY, (9, 950, 60), FREELY), unseen_lane=True) == []


def test_state_has_a_band_in_which_it_stays_as_it_was() -> None:
    oracle = make_oracle()
    for speed, expected in [(590, []), (570, [AlertTruth(0, True, 20_000)])]:
        oracle = make_oracle()
        note(oracle, [(0, 1000 * second, 1, speed, 0) for second in range(30)])
        assert oracle.alerts() == expected
    # 60 km/h is no congestion of its own, but no end of one either; 62 is.
    for speed, clears in [(600, 0), (620, 1)]:
        oracle = make_oracle()
        note(oracle, [(0, 1000 * s, 1, 575, 0) for s in range(20)])
        note(oracle, [(0, 1000 * s, 1000, speed, 0) for s in range(20, 90)])
        assert len(oracle.alerts()) == 1 + clears


def test_streets_raise_no_alert_in_the_oracle() -> None:
    oracle = make_oracle()
    note(oracle, [(3, 1000 * second, 1, 10, 1000) for second in range(60)])
    assert oracle.alerts() == []


def test_late_readings_count_for_windows_but_not_for_alerts() -> None:
    slow = windows_of(SLOW, SLOW, SLOW, SLOW)
    free = [(1, row[1], 1000, 1000, 100) for row in slow if row[0] == 0 and row[1] < 20_000]
    on_time = make_oracle()
    note(on_time, slow + free)
    assert on_time.alerts() == []
    late = make_oracle()
    note(late, slow)
    note(late, free, [row[1] // 10_000 * 10_000 + 13_001 for row in free])
    assert late.alerts() == [AlertTruth(0, True, 20_000)]
    assert late.windows() == on_time.windows()
    assert on_time.late() == {}
    assert late.late() == {(0, 0): 10, (10_000, 0): 10}


def test_the_last_windows_are_closed_by_silence_after_all_that_is_under_way() -> None:
    oracle = make_oracle()
    rows = windows_of(SLOW, SLOW)
    free = [(1, row[1], 1000, 1200, 100) for row in rows if row[0] == 0]
    note(oracle, rows)
    note(oracle, free, [30_000] * len(free))
    # Window [0, 10) closed at 12 s, before them; window [10, 20) is still open when they come.
    assert oracle.alerts() == []


MODULES = ("oracle", "stations", "summing", "truth")


def test_oracle_shares_no_code_with_what_it_judges() -> None:
    folder = Path(oracle_module.__file__).parent
    trees = [ast.parse((folder / f"{name}.py").read_text(encoding="utf-8")) for name in MODULES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    standard = {"copy", "math", "collections", "collections.abc", "dataclasses", "typing"}
    own = {f"simulator.verification.{name}" for name in MODULES}
    assert imported <= standard | own | {"numpy", "numpy.typing"}


# Condensing, on readings of half an hour by plain chance: some late, of a sensor that is left out for a while.


def told_in_order(oracle: Oracle, seconds: int = 1800) -> None:
    rng = random.Random(3)  # noqa: S311 - a test
    for second in range(3000, 3000 + seconds):
        rows, due = [], []
        for sensor in range(5):
            slow = 3300 < second < 4000
            vehicles = rng.choice([0, 1, 2])
            speed = rng.randrange(100, 300) if slow else rng.randrange(700, 1200)
            rows.append((sensor, 1000 * second + 7 * sensor, vehicles, speed if vehicles else NO_SPEED, 100))
            due.append(1000 * (second + 1 + (rng.randrange(5, 40) if rng.random() < 0.05 else 0)))
        if second != 3555:
            note(oracle, rows, due)


def test_condensed_windows_say_what_they_said_before() -> None:
    whole, condensed = make_oracle(), make_oracle()
    condensed.kept_ms = 60_000
    for oracle in (whole, condensed):
        oracle.exclusions = [Exclusion(1, 3_500_000, 4_000_000)]
        told_in_order(oracle)
    assert condensed.condensed_until_ms() >= 4_700_000
    assert condensed.windows() == whole.windows()
    assert condensed.late() == whole.late() != {}
    assert [alert.started for alert in whole.alerts()] == [True, False]
    assert condensed.alerts() == whole.alerts()
    assert condensed.hours() == whole.hours()
    assert len(whole.hours()) == 2
    for mine, others in zip(condensed.sensors(4_000_000, 4_790_000), whole.sensors(4_000_000, 4_790_000), strict=True):
        for name in ("readings_accepted", "vehicle_count", "pace_sum_ms_per_km", "occupied_ms"):
            assert getattr(mine, name).tolist() == getattr(others, name).tolist()
    assert condensed.windows() == whole.windows()  # asking changes nothing


def test_an_hour_is_summed_from_its_readings() -> None:
    oracle = make_oracle()
    told_in_order(oracle)
    as_hours = Oracle([FREEWAY, STREET], np.array([0, 0, 0, 1, 1]), 3_600_000, 1000, lateness_ms=2000)
    told_in_order(as_hours)
    assert oracle.hours() == as_hours.windows()


def test_what_is_forgotten_is_asked_for_no_more_and_alerts_stay() -> None:
    oracle = make_oracle()
    oracle.kept_ms = 60_000
    told_in_order(oracle)
    alerts = oracle.alerts()
    oracle.forget(4_000_000)
    assert min(oracle.windows()) == 4_000_000
    assert oracle.alerts() == alerts


def test_readings_older_than_all_corrections_are_counted_and_change_nothing() -> None:
    oracle = make_oracle()
    oracle.kept_ms = 60_000
    told_in_order(oracle)
    before = oracle.windows()
    note(oracle, [(0, 3_000_000, 5, 500, 0)])
    assert oracle.windows() == before
    assert oracle.too_old == 1


def test_an_exclusion_that_was_told_after_its_windows_were_condensed_is_not_hidden() -> None:
    oracle = make_oracle()
    oracle.kept_ms = 60_000
    told_in_order(oracle)
    oracle.exclusions = [Exclusion(0, 4_000_000, 4_020_000), Exclusion(0, 4_795_000)]
    assert oracle.excluded_too_late() == [4_000_000, 4_010_000]
