"""Faulty sensors are found, healthy ones left alone, and a sensor that is well again is believed again."""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from roadside.core.errors import ConfigurationError
from roadside.core.health import ClassRules, HealthRules, SensorChange, SensorFault, SensorHealth
from roadside.core.registry import Registry, RoadClass, Segment
from roadside.core.sensor_sums import SensorSums

WINDOW_MS: Final = 30_000
MINUTE: Final = 2  # windows
HOUR: Final = 120
LANES: Final = 3
LENGTH_M: Final = 6.6

Table = npt.NDArray[np.int64]
Lie = Callable[["Truth", int], None]


class Truth:
    """Hours of traffic, a table of windows and sensors each: vehicles, their speed, and how long zones were covered.

    A platoon that passes one station passes the next, lane by lane, so stations count the same.
    """

    def __init__(self, registry: Registry, hours: float, per_lane: float = 9.0, seed: int = 1) -> None:
        draw = np.random.default_rng(seed)
        windows = round(hours * HOUR)
        lanes = draw.poisson(per_lane * np.array([0.8, 1.1, 1.1][:LANES]), (windows, LANES))
        self.registry = registry
        self.vehicles: Table = np.tile(lanes, registry.sensor_count // LANES)
        self.speed_dkmh: Table = draw.integers(800, 1100, self.vehicles.shape)
        self.occupied_ms = self._covered(LENGTH_M)
        self.reading: Table = draw.integers(1, 1 << 40, self.vehicles.shape)
        self.heard = np.ones(self.vehicles.shape, dtype=bool)

    def _covered(self, length_m: float) -> Table:
        covered: Table = (self.vehicles * length_m * 36_000 / self.speed_dkmh).astype(np.int64)
        return np.minimum(covered, WINDOW_MS)

    def windows(self) -> Iterable[SensorSums]:
        for row in range(len(self.vehicles)):
            heard = self.heard[row]
            vehicles = self.vehicles[row] * heard
            told = np.where((vehicles == 0) & (self.occupied_ms[row] == 0), 0, self.reading[row])
            speed = self.speed_dkmh[row]
            yield SensorSums(
                readings=30 * heard,
                vehicle_count=vehicles,
                vehicles_with_speed=vehicles,
                clipped_vehicles=0 * vehicles,
                speed_sum=vehicles * speed,
                pace_sum=vehicles * 36_000_000 // speed,
                speed_square_sum=vehicles * speed * speed,
                speed_min=speed,
                speed_max=speed,
                occupied_ms=self.occupied_ms[row] * heard,
                observed_ms=WINDOW_MS * heard,
                reading=np.where(heard, told, -1),
                measured=(np.arange(len(speed)), speed, vehicles),
            )


def road(stations: int = 5, road_class: RoadClass = RoadClass.FREEWAY) -> Registry:
    return Registry(
        Segment(
            f"s{number}",
            number,
            road_class,
            100.0,
            LANES,
            tuple(f"s{number}-{lane}" for lane in range(LANES)),
            LANES * number,
            number + 1 if number + 1 < stations else None,
        )
        for number in range(stations)
    )


def judged(truth: Truth, rules: HealthRules | None = None) -> list[SensorChange]:
    health = SensorHealth(truth.registry, rules or HealthRules())
    return [
        change
        for window, sums in enumerate(truth.windows(), start=1)
        for change in health.update(sums, window * WINDOW_MS, WINDOW_MS)
    ]


def found(changes: list[SensorChange]) -> dict[int, SensorFault]:
    return {change.sensor: change.fault for change in changes if change.faulty}


# --- Lies, each from a window on ---


def silent(truth: Truth, sensor: int, at: int = 0, until: int | None = None) -> None:
    truth.heard[at:until, sensor] = False


def dead(truth: Truth, sensor: int, at: int = 0, until: int | None = None) -> None:
    truth.vehicles[at:until, sensor] = truth.occupied_ms[at:until, sensor] = 0


def stuck_on(truth: Truth, sensor: int, at: int = 0, until: int | None = None) -> None:
    truth.vehicles[at:until, sensor] = 0
    truth.occupied_ms[at:until, sensor] = WINDOW_MS


def constant(truth: Truth, sensor: int, at: int = 0, until: int | None = None) -> None:
    truth.vehicles[at:until, sensor] = 9
    truth.occupied_ms[at:until, sensor] = 2100
    truth.speed_dkmh[at:until, sensor] = 900
    truth.reading[at:until, sensor] = 4711


def chatter(truth: Truth, sensor: int, at: int = 0, until: int | None = None) -> None:
    truth.vehicles[at:until, sensor] = 40


def occupancy_scale(truth: Truth, sensor: int, at: int = 0, until: int | None = None) -> None:
    truth.occupied_ms[at:until, sensor] = truth.occupied_ms[at:until, sensor] * 5 // 2


def undercount(truth: Truth, sensor: int, at: int = 0, until: int | None = None) -> None:
    seen = np.random.default_rng(5).binomial(truth.vehicles[at:until, sensor], 0.5)
    passed = np.maximum(truth.vehicles[at:until, sensor], 1)
    truth.occupied_ms[at:until, sensor] = truth.occupied_ms[at:until, sensor] * seen // passed
    truth.vehicles[at:until, sensor] = seen


LIES: Final = {
    SensorFault.SILENT: (silent, 10),
    SensorFault.CHATTER: (chatter, 1),
    SensorFault.STUCK_ON: (stuck_on, 30),
    SensorFault.CONSTANT: (constant, 11),
    SensorFault.DEAD: (dead, 45),
    SensorFault.OCCUPANCY_SCALE: (occupancy_scale, 30),
    SensorFault.UNDERCOUNT: (undercount, 90),
}


@pytest.mark.parametrize("fault", LIES, ids=lambda fault: fault.name.lower())
def test_fault_is_found_by_its_name_within_its_patience_and_no_other_sensor_with_it(fault: SensorFault) -> None:
    lie, minutes = LIES[fault]
    truth = Truth(road(), hours=1.6)
    lie(truth, 7)

    (change,) = [change for change in judged(truth) if change.faulty]

    assert (change.sensor, change.fault) == (7, fault)
    assert change.occurred_ms <= minutes * 60_000
    assert change.started_ms == change.occurred_ms


@pytest.mark.parametrize("fault", LIES, ids=lambda fault: fault.name.lower())
def test_sensor_that_is_well_again_is_believed_again(fault: SensorFault) -> None:
    lie, _ = LIES[fault]
    truth = Truth(road(), hours=5)
    lie(truth, 7, 0, 2 * HOUR)

    begins, ends = judged(truth)

    assert (begins.faulty, ends.faulty) == (True, False)
    assert (ends.sensor, ends.fault, ends.started_ms) == (7, fault, begins.occurred_ms)
    assert 2 * 3_600_000 < ends.occurred_ms < 4.2 * 3_600_000


def test_healthy_traffic_of_any_density_flags_nobody() -> None:
    for per_lane, seed in ((0.06, 2), (1.5, 3), (18.0, 4)):
        assert judged(Truth(road(), hours=4, per_lane=per_lane, seed=seed)) == []


def test_standing_queue_over_all_lanes_is_no_fault() -> None:
    truth = Truth(road(), hours=2)
    for sensor in range(9):
        stuck_on(truth, sensor, 30 * MINUTE, 110 * MINUTE)

    assert judged(truth) == []


def test_lane_blocked_for_half_an_hour_is_no_fault() -> None:
    truth = Truth(road(), hours=2)
    blocked = slice(60 * MINUTE, 90 * MINUTE)
    for column in (truth.vehicles, truth.occupied_ms):
        column[blocked, 8] += column[blocked, 7]
    dead(truth, 7, 60 * MINUTE, 90 * MINUTE)

    assert judged(truth) == []


def test_gateway_that_hears_nothing_blames_no_sensor() -> None:
    truth = Truth(road(), hours=1)
    truth.heard[10 * MINUTE :] = False

    assert judged(truth) == []


def test_station_whose_sensors_are_all_dead_is_found_by_its_neighbours() -> None:
    truth = Truth(road(), hours=1)
    for sensor in (6, 7, 8):
        dead(truth, sensor)

    assert found(judged(truth)) == dict.fromkeys((6, 7, 8), SensorFault.DEAD)


def test_two_that_miss_vehicles_side_by_side_and_one_behind_the_other_are_all_found() -> None:
    for sensors in ((6, 8), (7, 10)):
        truth = Truth(road(6), hours=2.5)
        for sensor in sensors:
            undercount(truth, sensor)

        assert found(judged(truth)) == dict.fromkeys(sensors, SensorFault.UNDERCOUNT)


def test_lane_blocked_beside_stations_with_dead_lanes_is_no_undercount() -> None:
    """Vehicles of the blocked lane pass in the others, of which the neighbours do not count all."""
    truth = Truth(road(7), hours=4)
    for sensor in (5, 8, 14, 17):  # the fast lane, at the two stations on either side of the third
        dead(truth, sensor)
    blocked = slice(2 * HOUR, 3 * HOUR)
    for column in (truth.vehicles, truth.occupied_ms):
        moved = column[blocked, 10] * 2 // 3
        column[blocked, 11] += moved
        column[blocked, 10] -= moved

    assert found(judged(truth)) == dict.fromkeys((5, 8, 14, 17), SensorFault.DEAD)


def test_ramp_that_takes_vehicles_away_makes_no_undercount() -> None:
    truth = Truth(road(6), hours=3)
    for sensor in range(9, 18, LANES):  # from the fourth station on, the slow lane carries half
        undercount(truth, sensor)

    assert judged(truth) == []


def test_street_without_traffic_at_night_is_not_dead_for_a_day() -> None:
    truth = Truth(road(road_class=RoadClass.ARTERIAL), hours=9, per_lane=0.0)

    assert judged(truth) == []
    assert set(found(judged(Truth(road(), hours=9, per_lane=0.0))).values()) == {SensorFault.DEAD}


def test_device_that_sees_all_lanes_may_count_more_than_one_carries() -> None:
    registry = Registry(
        [Segment("s", 0, RoadClass.FREEWAY, 100.0, 3, ("radar", "other", "third"), 0)],
    )
    wide = Registry([Segment("s", 0, RoadClass.FREEWAY, 100.0, 9, ("radar", "other", "third"), 0)])

    for place, expected in ((registry, {0: SensorFault.CHATTER}), (wide, {})):
        truth = Truth(place, hours=0.2)
        chatter(truth, 0)
        assert found(judged(truth)) == expected


def test_rule_that_is_off_and_health_that_is_off_find_nothing() -> None:
    truth = Truth(road(), hours=0.2)
    chatter(truth, 7)
    silent(truth, 3)

    patient = HealthRules(freeway=ClassRules(chatter_vehicles=0, silent_ms=0))
    assert judged(truth, patient) == []
    assert judged(truth, HealthRules(enabled=False)) == []
    assert set(found(judged(truth))) == {3, 7}


@pytest.mark.parametrize(
    "off",
    [HealthRules(enabled=False), HealthRules(freeway=ClassRules(chatter_vehicles=0))],
    ids=["health", "the rule"],
)
def test_what_is_switched_off_believes_its_faulty_sensors_again(off: HealthRules) -> None:
    truth = Truth(road(), hours=0.2)
    chatter(truth, 7)
    health = SensorHealth(truth.registry, HealthRules())
    changes = []
    for window, sums in enumerate(truth.windows(), start=1):
        if window == 10:
            health.rules = off
        changes += health.update(sums, window * WINDOW_MS, WINDOW_MS)

    assert [(change.sensor, change.faulty) for change in changes] == [(7, True), (7, False)]
    assert changes[1].occurred_ms == 10 * WINDOW_MS
    assert not health.excluded.any()


def test_memory_taken_over_goes_on_where_it_was() -> None:
    truth = Truth(road(), hours=2)
    dead(truth, 7)
    undercount(truth, 10)
    windows = list(truth.windows())
    whole = SensorHealth(truth.registry, HealthRules())
    first = SensorHealth(truth.registry, HealthRules())
    second = SensorHealth(truth.registry, HealthRules())
    everywhere = np.arange(truth.registry.sensor_count)

    expected = [c for i, sums in enumerate(windows, 1) for c in whole.update(sums, i * WINDOW_MS, WINDOW_MS)]
    changes = [c for i, sums in enumerate(windows[:70], 1) for c in first.update(sums, i * WINDOW_MS, WINDOW_MS)]
    second.inherit(everywhere, first, everywhere)
    changes += [c for i, sums in enumerate(windows[70:], 71) for c in second.update(sums, i * WINDOW_MS, WINDOW_MS)]

    assert changes == expected
    assert len(expected) == 2


def test_rules_that_contradict_are_refused_by_name() -> None:
    for make in (
        lambda: ClassRules(dead_ms=-1),
        lambda: HealthRules(flow_memory_ms=0),
        lambda: HealthRules(length_max_m=2.0),
        lambda: HealthRules(length_max_ratio=0.9),
    ):
        with pytest.raises(ConfigurationError):
            make()
