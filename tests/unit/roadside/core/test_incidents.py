"""What raises an incident alert and what must not, on a made-up road of six stations with three lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from roadside.core.contrast_profile import BINS
from roadside.core.errors import ConfigurationError
from roadside.core.incidents import IncidentChange, IncidentDetector, IncidentRules
from roadside.core.lanes import MAX_LANES
from roadside.core.readings import NONE
from roadside.core.registry import Registry, RoadClass, Segment
from roadside.core.summary import PACE_MS_PER_KM, SegmentSums

STATIONS, LANES = 6, 3
Station = tuple[tuple[int, ...], float, float]  # vehicles by lane, speed, occupancy; () if it tells nothing
FREE: Station = ((4, 4, 3), 95.0, 0.06)
QUEUE: Station = ((3, 2, 3), 20.0, 0.35)
PAST: Station = ((0, 6, 5), 90.0, 0.06)  # the vehicles of the blocked lane pass in the others
SILENT: Station = ((), 0.0, 0.0)
START_MS = 1_715_664_600_000


def road(linked: bool = True, road_class: RoadClass = RoadClass.FREEWAY) -> Registry:
    return Registry(
        Segment(
            segment_id=f"E{number}",
            number=number,
            road_class=road_class,
            free_flow_kmh=100.0,
            lanes=LANES,
            sensor_ids=tuple(f"E{number}_{lane}" for lane in range(LANES)),
            first_sensor_number=number * LANES,
            downstream=number + 1 if linked and number + 1 < STATIONS else None,
        )
        for number in range(STATIONS)
    )


def window(stations: Iterable[Station], window_ms: int) -> tuple[SegmentSums, np.ndarray]:
    told = list(stations)
    count = np.array([sum(lanes) for lanes, _, _ in told])
    pace = np.array([PACE_MS_PER_KM[round(speed * 10)] for _, speed, _ in told])
    observed = np.array([window_ms * len(lanes) for lanes, _, _ in told])
    lanes = np.full((STATIONS, MAX_LANES), NONE, dtype=np.int64)
    for row, (by_lane, _, _) in zip(lanes, told, strict=True):
        row[: len(by_lane)] = by_lane
    zero = np.zeros(STATIONS, dtype=np.int64)
    values = dict.fromkeys(SegmentSums.__dataclass_fields__, zero) | {
        "vehicle_count": count,
        "vehicles_with_speed": count,
        "pace_sum": count * pace,
        "occupied_ms": np.rint(observed * np.array([occupancy for _, _, occupancy in told])).astype(np.int64),
        "observed_ms": observed,
        "readings_accepted": np.array([len(by_lane) for by_lane, _, _ in told]),
    }
    return SegmentSums(**values), lanes


class Drive:
    """A detector that has watched free traffic for a quarter of an hour, and then whatever a test wants."""

    def __init__(self, registry: Registry | None = None, rules: IncidentRules | None = None, calm_s: int = 900) -> None:
        self.detector = IncidentDetector(registry or road(), rules or IncidentRules())
        self.now_ms = START_MS
        self.changes: list[IncidentChange] = []
        self.on([FREE] * STATIONS, calm_s)

    def on(self, stations: list[Station], seconds: int, window_s: int = 10) -> list[IncidentChange]:
        told: list[IncidentChange] = []
        for _ in range(seconds // window_s):
            self.now_ms += 1000 * window_s
            sums, lanes = window(stations, 1000 * window_s)
            told += self.detector.update(sums, lanes, self.now_ms, 1000 * window_s)
        self.changes += told
        return told


def stations(**others: Station) -> list[Station]:
    """Free traffic but for the stations named s0 to s5."""
    return [others.get(f"s{number}", FREE) for number in range(STATIONS)]


BLOCKED = stations(s2=QUEUE, s3=PAST)


def test_blocked_lane_with_a_queue_is_detected_within_a_minute_and_cleared_after_it() -> None:
    drive = Drive()
    begun_ms = drive.now_ms
    (raised,) = drive.on(BLOCKED, 300)
    assert (raised.segment, raised.downstream, raised.detected) == (2, 3, True)
    assert raised.started_ms == raised.occurred_ms <= begun_ms + 60_000
    assert raised.score > 1
    assert raised.speed_kmh < 60 < raised.downstream_speed_kmh
    (cleared,) = drive.on(stations(), 600)
    assert (cleared.segment, cleared.detected, cleared.started_ms) == (2, False, raised.occurred_ms)
    assert cleared.occurred_ms <= drive.now_ms - 180_000


def test_blocked_lane_is_detected_by_the_lanes_alone_where_traffic_never_queues() -> None:
    drive = Drive()
    begun_ms = drive.now_ms
    (raised,) = drive.on(stations(s3=((0, 6, 5), 95.0, 0.06)), 300)
    assert (raised.segment, raised.detected) == (2, True)
    assert raised.occurred_ms <= begun_ms + 120_000


def test_queue_is_detected_by_its_contrast_alone_where_lanes_are_not_told_apart() -> None:
    drive = Drive()
    begun_ms = drive.now_ms
    queue: Station = ((3, 3, 2), 20.0, 0.35)
    (raised,) = drive.on(stations(s2=queue, s3=((3, 3, 2), 90.0, 0.05)), 300)
    assert raised.segment == 2
    assert raised.occurred_ms <= begun_ms + 120_000


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("a lane sensor that dies: nobody else counts its vehicles", stations(s3=((0, 4, 3), 95.0, 0.04))),
        ("a station that falls silent", stations(s3=SILENT)),
        ("a station that falls silent in front of a queue", stations(s2=QUEUE, s3=SILENT)),
        ("a lane that is used less everywhere", [((2, 5, 4), 95.0, 0.06)] * STATIONS),
        ("a queue that stands on every station ahead", stations(s2=QUEUE, s3=QUEUE, s4=QUEUE, s5=QUEUE)),
        ("a wave inside a queue", stations(s1=QUEUE, s2=((4, 4, 3), 80.0, 0.1), s3=QUEUE, s4=QUEUE, s5=QUEUE)),
        ("the tail of a queue, seen from upstream", [*stations(s3=QUEUE)[:4], QUEUE, QUEUE]),
    ],
)
def test_no_alert_is_raised_by(what: str, seen: list[Station]) -> None:
    assert Drive().on(seen, 900) == [], what


def test_no_alert_is_raised_without_a_pair() -> None:
    assert Drive(road(linked=False)).on(BLOCKED, 600) == []
    assert not IncidentDetector(road(linked=False), IncidentRules()).has_pairs


@pytest.mark.parametrize("road_class", [RoadClass.ARTERIAL, RoadClass.RAMP])
def test_no_alert_is_raised_off_the_freeway(road_class: RoadClass) -> None:
    assert Drive(road(road_class=road_class)).on(BLOCKED, 600) == []


def test_no_alert_is_raised_when_detection_is_off_or_the_pair_has_just_begun_to_be_watched() -> None:
    assert Drive(rules=IncidentRules(enabled=False)).on(BLOCKED, 600) == []
    assert Drive(calm_s=0).on(BLOCKED, 590) == []


def test_switching_detection_off_clears_what_is_up_and_switching_it_on_begins_anew() -> None:
    drive = Drive()
    (raised,) = drive.on(BLOCKED, 300)
    drive.detector.rules = IncidentRules(enabled=False)
    (cleared,) = drive.on(BLOCKED, 60)
    assert (cleared.detected, cleared.started_ms) == (False, raised.occurred_ms)
    drive.detector.rules = IncidentRules()
    assert drive.on(BLOCKED, 590) == []  # it is watched for ten minutes first


def test_alert_of_a_pair_that_falls_silent_is_cleared() -> None:
    drive = Drive()
    drive.on(BLOCKED, 300)
    told = drive.on(stations(s2=QUEUE, s3=SILENT), 600)
    assert [change.detected for change in told] == [False]


def test_recurrent_bottleneck_is_quiet_once_the_profile_knows_it() -> None:
    bottleneck = stations(s2=((3, 3, 2), 45.0, 0.2), s3=((3, 3, 2), 88.0, 0.06))
    assert [change.segment for change in Drive().on(bottleneck, 600)] == [2]
    drive = Drive()
    drive.detector.profile.teach(2, np.full((1, BINS), 45, dtype=np.int8))
    assert drive.on(bottleneck, 600) == []
    (raised,) = drive.on(stations(s2=((2, 2, 1), 15.0, 0.5), s3=PAST), 300)  # a blockage on top of it is not
    assert raised.segment == 2


def test_what_lasts_an_hour_is_cleared_and_usual_from_then_on() -> None:
    drive = Drive()
    told = drive.on(BLOCKED, 3 * 3600, window_s=30)
    assert [change.detected for change in told] == [True, False]
    assert told[1].occurred_ms - told[0].occurred_ms == IncidentRules().settle_ms


def test_next_incident_at_the_same_place_is_told_again() -> None:
    drive = Drive()
    for _ in range(3):
        drive.on(BLOCKED, 600)
        drive.on(stations(), 900)
    assert [change.detected for change in drive.changes] == [True, False] * 3


@pytest.mark.parametrize(("window_s", "late_s"), [(1, 0), (5, 0), (20, 20), (60, 60)])
def test_window_of_any_length_leads_to_the_same_alert(window_s: int, late_s: int) -> None:
    def scaled(station: Station) -> Station:
        lanes, speed, occupancy = station
        return tuple(vehicles * window_s for vehicles in lanes), speed, occupancy

    def told(length_s: int, scale: Callable[[Station], Station]) -> list[IncidentChange]:
        drive = Drive(calm_s=0)
        drive.on([scale(station) for station in stations()], 900, length_s)
        drive.on([scale(station) for station in BLOCKED], 600, length_s)
        return drive.changes

    ten = told(10, lambda station: (tuple(10 * vehicles for vehicles in station[0]), *station[1:]))
    (expected,), (found,) = ten, told(window_s, scaled)
    assert (found.segment, found.detected) == (expected.segment, expected.detected)
    assert 0 <= found.occurred_ms - expected.occurred_ms <= 1000 * late_s


def test_sensitivity_decides_how_much_evidence_is_enough() -> None:
    delays = []
    for sensitivity in (0.5, 1.0, 2.0):
        drive = Drive(rules=IncidentRules(sensitivity=sensitivity))
        begun_ms = drive.now_ms
        (raised,) = drive.on(BLOCKED, 600)
        delays.append(raised.occurred_ms - begun_ms)
    assert delays[0] > delays[1] >= delays[2]


@pytest.mark.parametrize("fault", [{"sensitivity": 0.0}, {"blocked_share": 1.0}, {"usual_memory_ms": -1}])
def test_rules_that_mean_nothing_are_refused(fault: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(fault))):
        IncidentRules(**fault)  # type: ignore[arg-type]
