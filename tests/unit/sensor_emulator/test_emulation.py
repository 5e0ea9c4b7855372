"""Roads to fit the segments, and readings as sensors on them would tell, true and false ones."""

from typing import Any

import numpy as np
import pytest

from roadside.contract.summary import MAX_FRAME_READINGS, ReadingFrame
from roadside.traffic import TrafficError
from sensor_emulator.emulation import SOURCE, Emulation, Readings, frames
from sensor_emulator.roads import make_roads
from sensor_emulator.settings import FaultSettings, IncidentSettings
from tests.unit.sensor_emulator.world import segment, settings

NOON_S = 12 * 3600.0
START_MS = 1_790_000_000_000
NONE = ReadingFrame.NO_SPEED


def run(seconds: int, *segments: Any, **changes: Any) -> list[Readings]:
    emulation = Emulation(settings(*segments, **changes), NOON_S)
    return [emulation.next_second(START_MS + 1000 * second, NOON_S) for second in range(seconds)]


def of_sensor(readings: list[Readings], number: int) -> Readings:
    whole = Readings(*(np.concatenate([getattr(each, name) for each in readings]) for name in Readings.__slots__))
    return whole.rows(whole.sensor_number == number)


def pairs(readings: Readings) -> list[tuple[int, int]]:
    """Who measured when."""
    return list(zip(readings.sensor_number.tolist(), readings.timestamp_ms.tolist(), strict=True))


def test_every_sensor_stands_on_a_lane_of_its_segment_and_roads_follow_downstream() -> None:
    roads = make_roads(
        [segment(3, 5, downstream=1), segment(1, 4), segment(2, 4, road_class="arterial", free_flow_kmh=50.0)]
    )
    assert roads.network.corridor_count == 2
    assert roads.sensor_number.tolist() == [300, 301, 302, 303, 304, 100, 101, 102, 103, 200, 201, 202, 203]
    assert roads.layout.lane.tolist() == [0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1]
    assert roads.layout.cell.tolist()[:9] == [0, 0, 1, 1, 2, 3, 3, 4, 4], "segment 3 leads into segment 1"
    assert roads.middle_cell == {"seg-3": 1, "seg-1": 4, "seg-2": 8}
    assert roads.network.signal_cell.tolist() == [9], "behind the last sensor of the street"


def test_ring_is_cut_and_slow_roads_and_unknown_neighbours_are_roads_too() -> None:
    roads = make_roads(
        [segment(1, downstream=2), segment(2, downstream=1), segment(3, free_flow_kmh=5.0, downstream=99)]
    )
    assert roads.network.corridor_count == 2
    assert len(roads.sensor_number) == 12


def test_each_sensor_tells_once_a_second_within_that_second_and_alike_for_the_same_seed() -> None:
    first, again = (run(20, segment(1), segment(2)) for _ in range(2))
    for second, readings in enumerate(first):
        assert sorted(readings.sensor_number.tolist()) == [100, 101, 102, 103, 200, 201, 202, 203]
        assert set(((readings.timestamp_ms - START_MS) // 1000).tolist()) == {second}
        for name in Readings.__slots__:
            assert getattr(readings, name).tolist() == getattr(again[second], name).tolist()
    other = run(20, segment(1), segment(2), seed=2)
    assert any(a.vehicle_count.tolist() != b.vehicle_count.tolist() for a, b in zip(first, other, strict=True))


def test_traffic_of_a_peak_hour_is_free_and_dense_and_an_incident_stops_it() -> None:
    quiet = of_sensor(run(300, segment(1, 8)), 100)
    speeds = quiet.speed_dkmh[quiet.speed_dkmh != NONE] / 10
    assert 80 < speeds.mean() < 110
    assert 0.3 < quiet.vehicle_count.mean() < 0.6  # 0.85 of 2,000 vehicles an hour and lane
    incident = IncidentSettings(segment="seg-1", after_seconds=0, seconds=300, lanes_blocked=2)
    blocked = of_sensor(run(300, segment(1, 8), incidents=[incident]), 100)
    assert blocked.occupancy_permille[-100:].mean() > 4 * quiet.occupancy_permille.mean()


def test_night_is_quieter_than_the_peak_when_traffic_follows_the_clock() -> None:
    emulation = {hour: Emulation(settings(segment(1), demand_share=0.0), hour * 3600.0) for hour in (3, 8)}
    vehicles = {
        hour: sum(each.next_second(START_MS, hour * 3600.0).vehicle_count.sum() for _ in range(200))
        for hour, each in emulation.items()
    }
    assert vehicles[8] > 5 * vehicles[3]


def test_faulty_sensors_lie_in_their_own_way_and_the_others_do_not() -> None:
    kinds = {"s100": "silent", "s101": "dead", "s102": "stuck_on", "s103": "constant", "s104": "chatter"}
    faults = [FaultSettings(sensor=sensor, fault=kind) for sensor, kind in kinds.items()]  # type: ignore[arg-type]
    honest, lying = run(60, segment(1, 6)), run(60, segment(1, 6), faults=faults)
    assert len(of_sensor(lying, 100)) == 0
    assert set(of_sensor(lying, 101).vehicle_count.tolist()) == {0}
    stuck = of_sensor(lying, 102)
    assert set(
        zip(stuck.vehicle_count.tolist(), stuck.speed_dkmh.tolist(), stuck.occupancy_permille.tolist(), strict=True)
    ) == {(0, NONE, 1000)}
    held = of_sensor(lying, 103)
    assert len(set(held.speed_dkmh.tolist()[-40:])) == 1
    assert of_sensor(lying, 104).vehicle_count.mean() > 1.5
    for name in Readings.__slots__:
        assert getattr(of_sensor(honest, 105), name).tolist() == getattr(of_sensor(lying, 105), name).tolist()


def test_late_and_repeated_readings_are_the_same_readings_in_other_seconds() -> None:
    plain = run(30, segment(1, 8))
    changed = run(30, segment(1, 8), late_share=0.3, late_seconds=4, duplicate_share=0.2)
    expected = {
        (n, t) for each in plain for n, t in zip(each.sensor_number.tolist(), each.timestamp_ms.tolist(), strict=True)
    }
    delays = []
    seen: list[tuple[int, int]] = []
    for second, each in enumerate(changed):
        for number, timestamp_ms in zip(each.sensor_number.tolist(), each.timestamp_ms.tolist(), strict=True):
            delays.append(second - (timestamp_ms - START_MS) // 1000)
            seen.append((number, timestamp_ms))
    assert set(delays) == {0, 1, 4}
    assert set(seen) <= expected
    assert len(seen) > len(set(seen)), "some came twice"
    assert {each for each in expected if each[1] < START_MS + 26_000} <= set(seen), "and none was lost"


def test_frames_hold_all_readings_and_no_more_than_a_nucleus_takes() -> None:
    [readings] = run(1, segment(1, 300, lanes=3), segment(5, 300, lanes=3))
    made = frames(readings)
    assert [len(frame) for frame in made] == [MAX_FRAME_READINGS, 600 - MAX_FRAME_READINGS]
    assert {frame.source for frame in made} == {SOURCE}
    numbers = np.concatenate([np.frombuffer(frame.sensor_number, "<u4") for frame in made])
    assert numbers.tolist() == readings.sensor_number.tolist()
    assert frames(readings.rows(slice(0, 0))) == []


def test_incident_that_no_source_has_figures_for_is_refused() -> None:
    with pytest.raises(TrafficError, match="lanes"):
        Emulation(settings(segment(1, lanes=6), incidents=[IncidentSettings(segment="seg-1")]), NOON_S)
