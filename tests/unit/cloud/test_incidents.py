"""Suspicions of gateways and of the cloud: which are told, which are one blockage, which are confirmed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud.functions.sweep.incidents import (
    FREE_SHARE,
    LONGEST_MS,
    STANDING_MS,
    Passage,
    Road,
    notices,
    passages,
)
from cloud.functions.sweep.pairs import PairJudge, RoadSegment
from roadside.contract.bus import IncidentNotice
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary

NOW_MS = 1_790_000_640_000
# Ten stations, five on each gateway: the judged pairs begin at the stations 3 and 4. Another road, 20 to 24, has one.
MAIN = [
    RoadSegment(n, f"E{n}", "west" if n < 5 else "east", "freeway", 100.0, n + 1 if n < 9 else None) for n in range(10)
]
OTHER = [RoadSegment(n, f"W{n}", "south", "freeway", 100.0, n + 1 if n < 24 else None) for n in range(20, 25)]
ROAD = Road([*MAIN, *OTHER])
FREE = {n: Passage(40, 40 * 40_000) for n in (*range(10), *range(20, 25))}  # at 90 km/h
SLOW = Passage(10, 10 * 120_000)


def judge(**since_ms: int) -> PairJudge:
    """With an alert that is up since an instant at each station named, as `s3`."""
    made = PairJudge([*MAIN, *OTHER])
    assert made.pairs == {3, 4}
    (stretch,) = made.stretches
    for name, instant_ms in since_ms.items():
        stretch.memory["alert_since_ms"][int(name[1:]) - 3] = instant_ms
    return made


def suspicion(segment: int, age_ms: int = STANDING_MS) -> IncidentNotice:
    """A gateway's."""
    started_ms = NOW_MS - age_ms
    return IncidentNotice(
        "IncidentSuspected", f"g:1:{segment}", "g", f"E{segment}", segment, segment + 1, "g",
        started_ms, started_ms, 20.0, 90.0, 0.3, 1.2,
    )  # fmt: skip


def told(judged: PairJudge, *going_on: IncidentNotice, **slow: Passage | None) -> list[tuple[str, int]]:
    """Kind and segment of each notice; `slow` names stations that are not free, as `p5`."""
    passed = {n: passage for n, passage in FREE.items() if slow.get(f"p{n}", passage) is not None}
    passed |= {int(name[1:]): passage for name, passage in slow.items() if passage is not None}
    return [(notice.kind, notice.segment_number) for notice in notices(ROAD, judged, going_on, passed, NOW_MS)]


def test_a_pair_over_the_border_raises_a_suspicion_of_both_gateways_with_an_id_that_stays() -> None:
    (notice,) = notices(ROAD, judge(s4=NOW_MS - 10_000), [], FREE, NOW_MS)

    assert (notice.kind, notice.event_id) == ("IncidentSuspected", f"west:IncidentSuspected:4:{NOW_MS - 10_000}")
    assert (notice.segment_id, notice.gateway, notice.downstream_segment_number) == ("E4", "west", 5)
    assert notice.downstream_gateway == "east"
    assert notice.started_ms == notice.occurred_ms == NOW_MS - 10_000
    (again,) = notices(ROAD, judge(s4=NOW_MS - 10_000), [], FREE, NOW_MS + 30_000)
    assert again.event_id == notice.event_id


@pytest.mark.parametrize(("segment", "apart"), [(1, 3), (4, 0), (7, 3)])
def test_what_stands_close_to_an_open_incident_is_the_same_blockage(segment: int, apart: int) -> None:
    assert ROAD.stations_between(4, segment) == ROAD.stations_between(segment, 4) == apart
    assert told(judge(s4=NOW_MS), suspicion(segment, 0)) == []


@pytest.mark.parametrize("segment", [0, 8, 21, 999])
def test_what_stands_further_away_or_on_another_road_is_another(segment: int) -> None:
    assert told(judge(s4=NOW_MS), suspicion(segment, 0)) == [("IncidentSuspected", 4)]


def test_an_alert_that_was_part_of_another_incident_is_none_of_its_own_when_that_ends() -> None:
    judged = judge(s4=NOW_MS)
    assert told(judged, suspicion(5, 0)) == []
    assert told(judged) == []
    assert [change.absorbed for change in judged.standing()] == [True]


def test_two_pairs_of_one_stretch_raise_one_suspicion() -> None:
    assert told(judge(s3=NOW_MS, s4=NOW_MS - 10_000)) == [("IncidentSuspected", 4)]


def test_the_clouds_own_suspicion_is_cleared_when_the_judge_has_none_and_a_gateways_is_left_to_it() -> None:
    (own,) = notices(ROAD, judge(s4=NOW_MS - 10_000), [], FREE, NOW_MS)

    assert told(judge(s4=NOW_MS - 10_000), own) == []
    (cleared,) = notices(ROAD, judge(), [own], FREE, NOW_MS)
    assert (cleared.kind, cleared.started_ms, cleared.occurred_ms) == ("IncidentCleared", own.started_ms, NOW_MS)
    assert cleared.event_id == f"west:IncidentCleared:4:{own.started_ms}"
    assert told(judge(), suspicion(4, 0)) == []
    assert told(judge(s4=NOW_MS), own) == [("IncidentCleared", 4), ("IncidentSuspected", 4)]


def test_a_suspicion_is_confirmed_when_it_stands_and_traffic_flows_past_it() -> None:
    assert told(judge(), suspicion(7), p7=SLOW) == [("IncidentConfirmed", 7)]
    assert told(judge(), suspicion(7, STANDING_MS - 1)) == []
    assert told(judge(), suspicion(7), p8=SLOW) == []
    assert told(judge(), suspicion(7), p8=None) == []
    assert told(judge(), suspicion(7), p8=Passage()) == []
    assert told(judge(), suspicion(9)) == []  # nothing past it is known

    (confirmed,) = notices(ROAD, judge(), [suspicion(7)], FREE | {7: SLOW}, NOW_MS)
    assert confirmed.event_id == f"g:IncidentConfirmed:7:{NOW_MS - STANDING_MS}"
    assert (confirmed.average_speed_kmh, confirmed.downstream_speed_kmh, confirmed.score) == (30.0, 90.0, 1.2)
    assert confirmed.occurred_ms == NOW_MS


def test_free_flow_past_is_a_share_of_that_segments_own() -> None:
    bound = Passage(1000, round(1000 * 3_600_000 / (100 * FREE_SHARE)))

    assert told(judge(), suspicion(7), p8=replace(bound, pace_sum_ms_per_km=bound.pace_sum_ms_per_km - 1000)) != []
    assert told(judge(), suspicion(7), p8=replace(bound, pace_sum_ms_per_km=bound.pace_sum_ms_per_km + 1000)) == []


def test_a_neighbour_that_sees_it_too_confirms_it_whatever_the_speed_past_it() -> None:
    assert told(judge(), suspicion(7), suspicion(8, 0), p8=SLOW) == [("IncidentConfirmed", 7)]
    assert told(judge(), suspicion(7), suspicion(9, 0), p8=SLOW) == []
    # The one over the border is the judge's, and no suspicion of its own.
    assert told(judge(s4=NOW_MS), suspicion(5), p6=SLOW) == [("IncidentConfirmed", 5)]


def test_where_the_cloud_sees_beyond_the_border_it_must_agree() -> None:
    assert told(judge(), suspicion(3)) == []
    assert told(judge(s3=NOW_MS), suspicion(3)) == [("IncidentConfirmed", 3)]


def test_of_one_blockage_the_first_suspicion_is_confirmed_and_no_other() -> None:
    assert told(judge(), suspicion(6, STANDING_MS + 1), suspicion(7), suspicion(8)) == [("IncidentConfirmed", 6)]
    assert told(judge(), suspicion(21), suspicion(7)) == [("IncidentConfirmed", 7), ("IncidentConfirmed", 21)]


def test_an_incident_that_nobody_ever_cleared_stands_in_no_other_ones_way() -> None:
    assert told(judge(s4=NOW_MS), suspicion(5, LONGEST_MS)) == [("IncidentSuspected", 4)]
    assert told(judge(), suspicion(7, LONGEST_MS)) == []


def test_passages_add_up_over_windows() -> None:
    segment = SegmentSummary(7, sketch=SpeedSketch(300, (4,)), pace_sum_ms_per_km=160_000)
    windows = [WindowSummary("g", 1, n, 10_000 * n, 10_000, (segment, SegmentSummary(8))) for n in range(6)]

    passed = passages(windows, 75_000)
    assert passed == {7: Passage(24, 960_000), 8: Passage()}
    assert passages(windows, 95_001) == {7: Passage(12, 480_000), 8: Passage()}
    assert (passed[7].speed_kmh, passed[8].speed_kmh) == (90.0, None)
