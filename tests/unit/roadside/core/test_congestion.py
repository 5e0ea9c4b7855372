"""Timing and thresholds of the congestion state and its alert, by example."""

import math

import numpy as np
import pytest

from roadside.core.congestion import (
    NO_LEVEL,
    CongestionChange,
    CongestionDetector,
    CongestionRules,
    State,
    congestion_level,
    level_of_service,
    standing,
)
from roadside.core.errors import ConfigurationError
from roadside.core.registry import RoadClass
from roadside.core.summary import PACE_MS_PER_KM, SegmentSums
from tests.unit.roadside.core.builders import registry_of


def sums_of(vehicles: int = 0, speed_kmh: float = 0, occupancy: float = 0.0, observed_ms: int = 10_000) -> SegmentSums:
    zero = np.zeros(1, dtype=np.int64)
    values = dict.fromkeys(SegmentSums.__dataclass_fields__, zero)
    pace = int(PACE_MS_PER_KM[int(speed_kmh * 10)])
    values |= {
        "vehicle_count": np.array([vehicles]),
        "vehicles_with_speed": np.array([vehicles]),
        "pace_sum": np.array([vehicles * pace]),
        "occupied_ms": np.array([round(occupancy * observed_ms)]),
        "observed_ms": np.array([observed_ms]),
    }
    return SegmentSums(**values)


def detector_of(road_class: RoadClass = RoadClass.FREEWAY, rules: CongestionRules | None = None) -> CongestionDetector:
    return CongestionDetector(registry_of(1, road_class=road_class), rules or CongestionRules())


def run(
    detector: CongestionDetector, sums: SegmentSums, from_s: int, to_s: int, window_s: int = 10
) -> list[CongestionChange]:
    ends = range(from_s + window_s, to_s + 1, window_s)
    return [change for end in ends for change in detector.update(sums, end * 1000, window_s * 1000)]


FLOWING, SLOW, EMPTY = sums_of(10, 95, 0.05), sums_of(10, 20, 0.4), sums_of()
COVERED = sums_of(0, 0, 0.95)


@pytest.mark.parametrize("window_s", [1, 2, 5, 10, 20])
def test_the_alert_starts_once_the_state_has_lasted_twenty_seconds(window_s: int) -> None:
    # state  |cccccccccc|cccccccccc|        alert at 20 s, whatever the window
    (change,) = run(detector_of(), SLOW, 0, 60, window_s)
    assert (change.congested, change.occurred_ms, change.started_ms) == (True, 20_000, 20_000)
    assert change.average_speed_kmh == pytest.approx(20)
    assert change.level == 80


@pytest.mark.parametrize("window_s", [1, 2, 5, 10, 15])
def test_the_alert_clears_once_the_state_has_been_otherwise_for_thirty_seconds(window_s: int) -> None:
    # A memory too short to matter shows the patience alone: 30 s after the first free window began.
    rules = CongestionRules(speed_memory_ms=100)
    detector = detector_of(rules=rules)
    assert len(run(detector, SLOW, 0, 60, window_s)) == 1
    (change,) = run(detector, FLOWING, 60, 150, window_s)
    assert (change.congested, change.occurred_ms) == (False, 90_000)
    assert change.started_ms == -(-20 // window_s) * window_s * 1000


def test_a_slow_platoon_is_no_alert_and_a_gap_in_a_queue_does_not_end_one() -> None:
    detector = detector_of(rules=CongestionRules(speed_memory_ms=100))
    assert run(detector, SLOW, 0, 10) == []
    assert run(detector, FLOWING, 10, 20) == []
    assert len(run(detector, SLOW, 20, 60)) == 1
    assert run(detector, FLOWING, 60, 80) == []
    assert run(detector, SLOW, 80, 90) == []
    assert run(detector, FLOWING, 90, 110) == []  # patience began anew


@pytest.mark.parametrize(
    "rules", [CongestionRules(confirm_ms=0), CongestionRules(clear_ms=0), CongestionRules(confirm_ms=0, clear_ms=0)]
)
def test_without_patience_the_alert_follows_the_state_and_does_not_flap(rules: CongestionRules) -> None:
    detector = detector_of(rules=rules)
    assert run(detector, FLOWING, 0, 100) == []
    assert [change.congested for change in run(detector, SLOW, 100, 300)] == [True]


def test_traffic_that_stands_under_a_covered_sensor_congests_a_freeway_and_is_level_100() -> None:
    assert standing(COVERED).tolist() == [True]
    assert congestion_level(COVERED.average_speed_kmh(), np.array([100.0]), standing(COVERED)).tolist() == [100]
    (change,) = run(detector_of(), COVERED, 0, 60)
    assert (change.congested, change.occurred_ms, change.level) == (True, 20_000, 97)  # as of one vehicle at 3 km/h


@pytest.mark.parametrize(("occupancy", "stands"), [(0.6, False), (0.6001, True), (0.0, False)])
def test_standing_needs_more_than_sixty_percent(occupancy: float, stands: bool) -> None:
    assert standing(sums_of(0, 0, occupancy)).tolist() == [stands]
    assert standing(sums_of(1, 50, occupancy)).tolist() == [False]
    assert standing(sums_of(0, 0, 0.0, observed_ms=0)).tolist() == [False]


def test_an_empty_freeway_keeps_its_state_and_forgets_it_after_five_minutes() -> None:
    detector = detector_of()
    assert len(run(detector, SLOW, 0, 60)) == 1
    assert run(detector, EMPTY, 60, 350) == []
    assert detector.state.tolist() == [State.CONGESTED]
    (change,) = run(detector, EMPTY, 350, 400)
    assert detector.state.tolist() == [State.UNKNOWN]
    assert (change.congested, change.occurred_ms) == (False, 380_000)  # unknown from 350 to 360 on, then 30 s


def test_a_street_is_unknown_until_two_signal_cycles_were_observed() -> None:
    detector = detector_of(RoadClass.ARTERIAL)
    run(detector, SLOW, 0, 110)
    run(detector, sums_of(0, 0, 0, observed_ms=0), 110, 150)  # time without observation warms up nothing
    assert detector.state.tolist() == [State.UNKNOWN]
    run(detector, SLOW, 150, 160)
    assert detector.state.tolist() == [State.CONGESTED]


def test_a_street_that_nothing_observes_is_forgotten_and_warms_up_again() -> None:
    detector, blind = detector_of(RoadClass.ARTERIAL), sums_of(0, 0, 0, observed_ms=0)
    assert len(run(detector, SLOW, 0, 300)) == 1
    assert run(detector, blind, 300, 590) == []
    assert detector.state.tolist() == [State.CONGESTED]
    (change,) = run(detector, blind, 590, 3_000)
    assert (change.congested, change.occurred_ms) == (False, 620_000)
    run(detector, SLOW, 3_000, 3_110)
    assert detector.state.tolist() == [State.UNKNOWN]
    run(detector, SLOW, 3_110, 3_120)
    assert detector.state.tolist() == [State.CONGESTED]


@pytest.mark.parametrize(("blind_until_s", "state"), [(590, State.CONGESTED), (600, State.UNKNOWN)])
def test_five_minutes_without_observation_and_not_less_end_the_warmth_of_a_street(
    blind_until_s: int, state: State
) -> None:
    detector = detector_of(RoadClass.ARTERIAL)
    run(detector, SLOW, 0, 300)
    run(detector, sums_of(0, 0, 0, observed_ms=0), 300, blind_until_s)
    run(detector, SLOW, blind_until_s, blind_until_s + 10)
    assert detector.state.tolist() == [state]


def test_a_day_that_no_window_covers_forgets_as_well() -> None:
    for road_class in RoadClass:
        detector = detector_of(road_class)
        run(detector, SLOW, 0, 300)
        assert detector.state.tolist() == [State.CONGESTED]
        detector.skip(86_400_000)
        detector.update(EMPTY, 87_000_000, 10_000)
        assert detector.state.tolist() == [State.UNKNOWN]


def test_speed_on_a_street_congests_nothing_and_occupancy_on_a_freeway_neither() -> None:
    street, freeway = detector_of(RoadClass.RAMP), detector_of()
    run(street, sums_of(10, 5, 0.29), 0, 600)
    run(freeway, sums_of(10, 95, 0.9), 0, 600)
    assert (street.state[0], freeway.state[0]) == (State.FREE, State.FREE)


@pytest.mark.parametrize(
    ("road_class", "between", "free", "slow"),
    [
        (RoadClass.FREEWAY, sums_of(10, 61, 0.1), FLOWING, SLOW),
        (RoadClass.ARTERIAL, sums_of(10, 30, 0.26), sums_of(5, 50, 0.05), sums_of(5, 50, 0.6)),
    ],
)
def test_between_the_thresholds_the_state_stays_what_it_was(
    road_class: RoadClass, between: SegmentSums, free: SegmentSums, slow: SegmentSums
) -> None:
    for before, state in ((free, State.FREE), (slow, State.CONGESTED)):
        detector = detector_of(road_class)
        run(detector, before, 0, 300)
        run(detector, between, 300, 1_500)
        assert detector.state.tolist() == [state]


def test_exactly_at_the_threshold_a_freeway_is_free() -> None:
    detector = detector_of()
    detector.update(sums_of(10, 60), 10_000, 10_000)
    assert detector.state.tolist() == [State.FREE]


@pytest.mark.parametrize(
    ("density", "letter"),
    [
        (0.1, "A"),
        (6.79, "A"),
        (6.81, "B"),
        (11.21, "C"),
        (16.21, "D"),
        (21.71, "E"),
        (27.99, "E"),
        (28.01, "F"),
        (150, "F"),
    ],
)
def test_level_of_service_follows_the_density_bounds_of_the_hcm(density: float, letter: str) -> None:
    # 1,000 vehicles an hour on one lane at 1000 / density km/h have just that density.
    assert level_of_service(np.array([1000]), np.array([1000 / density]), np.array([1]), 3_600_000).tolist() == [letter]


def test_no_vehicles_or_no_speed_has_no_level() -> None:
    nothing = np.array([math.nan])
    assert level_of_service(np.array([0]), nothing, np.array([1]), 10_000).tolist() == [""]
    assert level_of_service(np.array([3]), nothing, np.array([1]), 10_000).tolist() == [""]
    assert congestion_level(nothing, np.array([100.0]), np.array([False])).tolist() == [NO_LEVEL]


@pytest.mark.parametrize(
    "values",
    [
        {"enter_speed_ratio": 0.7, "leave_speed_ratio": 0.6},
        {"enter_speed_ratio": 0},
        {"enter_speed_ratio": math.nan},
        {"leave_occupancy": 0.4},
        {"enter_occupancy": 1.1},
        {"speed_memory_ms": 0},
        {"occupancy_memory_ms": -1},
        {"confirm_ms": -1},
    ],
)
def test_impossible_rules_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        CongestionRules(**values)
