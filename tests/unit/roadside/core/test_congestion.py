"""Timing and thresholds of the congestion state and its alert, by example."""

import math
from typing import Any

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
    """One segment's; a reading covers a second."""
    zero = np.zeros(1, dtype=np.int64)
    values = dict.fromkeys(SegmentSums.__dataclass_fields__, zero)
    pace = int(PACE_MS_PER_KM[int(speed_kmh * 10)])
    values |= {
        "vehicle_count": np.array([vehicles]),
        "vehicles_with_speed": np.array([vehicles]),
        "pace_sum": np.array([vehicles * pace]),
        "occupied_ms": np.array([round(occupancy * observed_ms)]),
        "observed_ms": np.array([observed_ms]),
        "readings_accepted": np.array([observed_ms // 1000]),
    }
    return SegmentSums(**values)


def side_by_side(*sums: SegmentSums) -> SegmentSums:
    """The sums of a gateway whose segments see these."""
    return SegmentSums(
        **{name: np.concatenate([getattr(one, name) for one in sums]) for name in SegmentSums.__dataclass_fields__}
    )


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


def test_a_queue_of_which_nothing_is_seen_is_not_known_any_more_after_ninety_seconds() -> None:
    detector = detector_of()
    assert len(run(detector, SLOW, 0, 60)) == 1
    assert run(detector, EMPTY, 60, 140) == []
    assert detector.state.tolist() == [State.CONGESTED]
    (change,) = run(detector, EMPTY, 140, 200)
    assert detector.state.tolist() == [State.UNKNOWN]
    assert (change.congested, change.occurred_ms) == (False, 170_000)  # unknown from 140 to 150 on, then 30 s


def test_an_empty_freeway_stays_free_and_is_forgotten_after_five_minutes() -> None:
    detector = detector_of()
    run(detector, FLOWING, 0, 60)
    run(detector, EMPTY, 60, 350)
    assert detector.state.tolist() == [State.FREE]
    run(detector, EMPTY, 350, 360)
    assert detector.state.tolist() == [State.UNKNOWN]


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


def test_speed_on_a_street_congests_nothing() -> None:
    street = detector_of(RoadClass.RAMP)
    run(street, sums_of(10, 5, 0.29), 0, 600)
    assert street.state.tolist() == [State.FREE]


@pytest.mark.parametrize(("occupancy", "state"), [(0.25, State.FREE), (0.2501, State.CONGESTED)])
def test_a_freeway_covered_for_more_than_a_quarter_of_the_time_is_congested_at_any_speed(
    occupancy: float, state: State
) -> None:
    # One lane of three stands, the others pass it at speed: no vehicle that passes tells of the queue.
    detector = detector_of()
    run(detector, sums_of(10, 95, occupancy), 0, 60)
    assert detector.state.tolist() == [state]


def test_occupancy_on_a_freeway_is_smoothed_like_speed_and_on_a_street_over_signal_cycles() -> None:
    for road_class, remembered in ((RoadClass.FREEWAY, math.exp(-60 / 40)), (RoadClass.RAMP, math.exp(-60 / 120))):
        detector = detector_of(road_class)
        detector.update(sums_of(10, 95, 1.0), 10_000, 10_000)
        run(detector, sums_of(10, 95, 0.0), 10, 70)
        weights = sum(remembered ** (i / 6) for i in range(7))
        assert detector.occupancy()[0] == pytest.approx(remembered / weights)


RATHER_SLOW, QUEUE, JAM = sums_of(10, 70, 0.09), sums_of(10, 40, 0.2), sums_of(10, 20, 0.24)


def states_on_a_road(*sums: SegmentSums, sensors: tuple[int, ...] = (2, 2, 2), **registry: Any) -> list[State]:
    """States of segments of two lanes in driving order that each have seen the same for a minute."""
    detector = CongestionDetector(registry_of(*sensors, **{"in_a_row": True, **registry}), CongestionRules())
    run(detector, side_by_side(*sums), 0, 60)
    return [State(state) for state in detector.state]


FREE, CONGESTED = State.FREE, State.CONGESTED


def test_beside_a_jam_less_slowness_is_congestion() -> None:
    # The jam's tail has come into the segment, or its head has not left it: the sensors see the speed between.
    assert states_on_a_road(FLOWING, RATHER_SLOW, JAM) == [FREE, CONGESTED, CONGESTED]
    assert states_on_a_road(JAM, RATHER_SLOW, FLOWING) == [CONGESTED, CONGESTED, FREE]
    assert states_on_a_road(JAM, sums_of(10, 74, 0.09), FLOWING) == [CONGESTED, FREE, FREE]
    assert states_on_a_road(FLOWING, RATHER_SLOW, QUEUE) == [FREE, FREE, CONGESTED]  # a queue, but no jam


def test_beside_a_jam_the_state_also_ends_at_a_higher_speed() -> None:
    detector = CongestionDetector(registry_of(2, 2, in_a_row=True), CongestionRules())
    run(detector, side_by_side(JAM, RATHER_SLOW), 0, 60)
    run(detector, side_by_side(JAM, sums_of(10, 75, 0.09)), 60, 600)
    assert detector.state.tolist() == [CONGESTED, CONGESTED]
    run(detector, side_by_side(JAM, sums_of(10, 77, 0.09)), 600, 900)
    assert detector.state.tolist() == [CONGESTED, FREE]


def test_between_two_queues_less_slowness_is_congestion_as_well() -> None:
    # Stop and go: traffic that moves between a queue and the next one has not left it.
    dense = sums_of(10, 95, 0.3)
    assert states_on_a_road(QUEUE, RATHER_SLOW, QUEUE) == [CONGESTED] * 3
    assert states_on_a_road(QUEUE, RATHER_SLOW, dense) == [CONGESTED] * 3
    assert states_on_a_road(QUEUE, sums_of(10, 74, 0.09), QUEUE) == [CONGESTED, FREE, CONGESTED]
    assert states_on_a_road(QUEUE, RATHER_SLOW, FLOWING) == [CONGESTED, FREE, FREE]


def test_a_station_that_knows_no_neighbour_is_judged_alone() -> None:
    assert states_on_a_road(JAM, RATHER_SLOW, JAM, in_a_row=False) == [CONGESTED, FREE, CONGESTED]


def test_a_jam_on_a_ramp_says_nothing_of_the_freeway() -> None:
    road = (RoadClass.FREEWAY, RoadClass.RAMP, RoadClass.FREEWAY)
    assert states_on_a_road(RATHER_SLOW, JAM, RATHER_SLOW, road_class=road)[::2] == [FREE, FREE]


def test_a_jam_of_which_nothing_is_seen_any_more_does_not_count() -> None:
    detector = CongestionDetector(registry_of(2, 2, in_a_row=True), CongestionRules())
    run(detector, side_by_side(JAM, RATHER_SLOW), 0, 60)
    run(detector, side_by_side(EMPTY, RATHER_SLOW), 60, 140)
    assert detector.state.tolist() == [CONGESTED, CONGESTED]
    run(detector, side_by_side(EMPTY, RATHER_SLOW), 140, 150)
    assert detector.state.tolist() == [State.UNKNOWN, FREE]


def test_covered_sensors_that_have_fallen_silent_do_not_count_either() -> None:
    silent = sums_of(observed_ms=0)
    detector = CongestionDetector(registry_of(2, 2, 2, in_a_row=True), CongestionRules())
    run(detector, side_by_side(sums_of(10, 95, 0.3), RATHER_SLOW, QUEUE), 0, 60)
    run(detector, side_by_side(silent, RATHER_SLOW, QUEUE), 60, 140)
    assert detector.state.tolist() == [CONGESTED, CONGESTED, CONGESTED]
    run(detector, side_by_side(silent, RATHER_SLOW, QUEUE), 140, 150)
    assert detector.state.tolist() == [State.UNKNOWN, FREE, CONGESTED]


def test_the_queue_of_an_exit_shows_at_the_station_before_it() -> None:
    # One vehicle in ten leaves by the lane that has no sensor; the queue there slows the station upstream alone.
    slow_before, past_the_exit = sums_of(20, 45, 0.2), sums_of(18, 95, 0.06)
    assert states_on_a_road(slow_before, past_the_exit, FLOWING, sensors=(2, 1, 2)) == [CONGESTED, CONGESTED, FREE]
    dense_before = sums_of(20, 66, 0.3)
    assert states_on_a_road(dense_before, past_the_exit, FLOWING, sensors=(2, 1, 2)) == [CONGESTED, CONGESTED, FREE]
    # Nobody leaves, every lane has a sensor, nobody is slow, or nobody lies upstream: no queue of an exit.
    assert states_on_a_road(slow_before, sums_of(20, 95, 0.06), FLOWING, sensors=(2, 1, 2)) == [CONGESTED, FREE, FREE]
    assert states_on_a_road(slow_before, past_the_exit, FLOWING) == [CONGESTED, FREE, FREE]
    assert states_on_a_road(sums_of(20, 95, 0.06), past_the_exit, FLOWING, sensors=(2, 1, 2)) == [FREE, FREE, FREE]
    assert states_on_a_road(slow_before, past_the_exit, FLOWING, sensors=(2, 1, 2), in_a_row=False) == [
        *(CONGESTED, FREE, FREE)
    ]


def test_an_exit_is_told_by_vehicles_per_reading_so_a_silent_sensor_makes_none() -> None:
    half_silent = sums_of(10, 95, 0.06, observed_ms=5_000)
    assert states_on_a_road(sums_of(20, 45, 0.2), half_silent, FLOWING, sensors=(2, 1, 2)) == [CONGESTED, FREE, FREE]


def test_an_exit_is_remembered_when_its_queue_spoils_the_counts() -> None:
    detector = CongestionDetector(registry_of(2, 1, in_a_row=True), CongestionRules())
    run(detector, side_by_side(sums_of(20, 95, 0.06), sums_of(18, 95, 0.06)), 0, 1_800)
    run(detector, side_by_side(sums_of(15, 45, 0.2), sums_of(15, 95, 0.06)), 1_800, 2_100)
    assert detector.state.tolist() == [CONGESTED, CONGESTED]


@pytest.mark.parametrize(
    ("road_class", "between", "free", "slow"),
    [
        (RoadClass.FREEWAY, sums_of(10, 60, 0.1), FLOWING, SLOW),
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
    detector = detector_of(rules=CongestionRules(enter_speed_ratio=0.6))
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
        {"jam_speed_ratio": 0.59},
        {"jam_speed_ratio": math.nan},
        {"beside_jam_ratio": -0.01},
        {"dense_occupancy": 0},
        {"dense_occupancy": 1.1},
        {"exit_flow_ratio": 1.01},
        {"flow_memory_ms": 0},
        {"stale_ms": -1},
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
