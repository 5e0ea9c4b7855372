"""Which pairs the cloud judges, and what it makes of windows that come late, twice, coarse or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from cloud.functions.sweep import pairs_memory
from cloud.functions.sweep.pairs import PairJudge, RoadSegment, stretches
from cloud.functions.sweep.pairs_stretch import PairChange, Station, Told
from cloud.functions.sweep.pairs_timeline import CATCH_UP_MS, PATIENCE_MS, Step, Timeline
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary

NOON_MS = 1_790_000_640_000


def road(*gateways: str, first: int = 0, road_class: str = "freeway", ring: bool = False) -> list[RoadSegment]:
    """A road through these gateways, a station each."""
    last = first + len(gateways) - 1
    return [
        RoadSegment(n, f"E{n}", gateway, road_class, 100.0, n + 1 if n < last else first if ring else None)
        for n, gateway in enumerate(gateways, first)
    ]


def judged(segments: Sequence[RoadSegment]) -> list[tuple[list[int], int]]:
    return [([station.number for station in stations], pairs) for stations, pairs in stretches(segments)]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (road("a", "a", "a"), []),
        (road("a", "b"), [([0, 1], 1)]),
        (road("a", "a", "a", "b", "b", "b"), [([1, 2, 3, 4], 2)]),
        (road("a", "a", "a", "b"), [([1, 2, 3], 2)]),
        (road("a", "b", "c", "c"), [([0, 1, 2, 3], 2)]),
        (road("a", "b", "a", "b"), [([0, 1, 2, 3], 3)]),
        (road("a", "b", "a", ring=True), [([0, 1, 2, 0, 1], 3)]),
        (road("a", "b", road_class="arterial"), []),
        (road("a", "b") + road("b", "a", first=7), [([0, 1], 1), ([7, 8], 1)]),
    ],
)
def test_judged_is_what_no_gateway_sees_whole(
    segments: list[RoadSegment], expected: list[tuple[list[int], int]]
) -> None:
    assert judged(segments) == expected
    assert judged(segments[::-1]) == expected


def test_a_road_that_goes_on_into_the_unknown_or_onto_a_street_ends_there() -> None:
    freeway = [RoadSegment(0, "E0", "a", "freeway", 100.0, 1), RoadSegment(1, "E1", "b", "freeway", 100.0, 2)]

    assert judged(freeway) == [([0, 1], 1)]
    assert judged([*freeway, RoadSegment(2, "S2", "c", "arterial", 50.0, None)]) == [([0, 1], 1)]


def window(gateway: str, start_s: int, vehicles: int = 12, window_s: int = 10, **changes: object) -> WindowSummary:
    """Of the gateway's one station, at 90 km/h."""
    number = {"a": 0, "b": 1}[gateway]
    segment = SegmentSummary(
        number,
        sketch=SpeedSketch(300, (vehicles,)),
        pace_sum_ms_per_km=vehicles * 40_000,
        occupied_ms=100,
        observed_ms=1000 * window_s,
        readings_accepted=window_s,
        lane_vehicles=(vehicles, None),
    )
    whole = WindowSummary(gateway, 1, 1, NOON_MS + 1000 * start_s, 1000 * window_s, (segment,))
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def timeline(*windows: WindowSummary) -> Timeline:
    taken = Timeline([Station(0, "E0", "a", 100.0), Station(1, "E1", "b", 100.0)])
    for each in windows:
        taken.take(each)
    return taken


def steps(taken: Timeline, now_s: float) -> list[tuple[int, int, list[int | None]]]:
    """Begin and end in seconds, and the vehicles of each station that told."""
    return [
        (
            (step.end_ms - step.step_ms - NOON_MS) // 1000,
            (step.end_ms - NOON_MS) // 1000,
            [told.vehicles if told.is_whole else None for told in step.told],
        )
        for step in taken.steps(NOON_MS + round(1000 * now_s))
    ]


def test_a_step_is_judged_as_soon_as_both_gateways_have_told_of_it() -> None:
    taken = timeline(window("b", 0, 5), window("a", 10), window("a", 0))

    assert steps(taken, 21) == [(0, 10, [12, 5])]
    taken.take(window("b", 10, 6))
    assert steps(taken, 22) == [(10, 20, [12, 6])]


def test_a_window_counts_once_however_often_it_comes_and_a_higher_revision_replaces_it_until_it_is_judged() -> None:
    taken = timeline(window("a", 0), window("a", 0, 13, revision=1), window("a", 0), window("b", 0), window("b", 0))

    assert steps(taken, 11) == [(0, 10, [13, 12])]
    taken.take(window("a", 0, 14, revision=2))
    taken.take(window("b", 0))
    assert steps(taken, 300) == []
    assert not any(taken.waiting.values())


def test_windows_of_two_epochs_add() -> None:
    taken = timeline(window("a", 0, 5), window("a", 0, 6, epoch_ms=2), window("b", 0))

    assert steps(taken, 11) == [(0, 10, [11, 12])]


def test_a_silent_gateway_is_waited_for_and_then_tells_nothing() -> None:
    taken = timeline(*(window("a", start) for start in (0, 10)))
    patience_s = PATIENCE_MS / 1000

    assert steps(taken, 9.9 + patience_s) == []
    assert steps(taken, 10 + patience_s) == [(0, 10, [12, None])]
    taken.take(window("b", 0))
    taken.take(window("b", 10))
    assert steps(taken, 11 + patience_s) == [(10, 20, [12, 12])]


def test_short_windows_are_gathered_and_a_long_one_waits_for_the_short_ones_beside_it() -> None:
    short = timeline(*(window(gateway, start, 3, 5) for gateway in "ab" for start in (0, 5, 10)))
    assert steps(short, 20) == [(0, 10, [6, 6])]

    mixed = timeline(window("a", 0, 60, 60), *(window("b", start) for start in range(0, 60, 10)))
    (step,) = mixed.steps(NOON_MS + 60_000)
    assert step == Step(
        NOON_MS + 60_000,
        60_000,
        0,
        (Told(True, 60, 2_400_000, 100, 60_000, (60, None)), Told(True, 72, 2_880_000, 600, 60_000, (72, None))),
    )


def test_silence_of_all_is_a_gap_before_the_next_step() -> None:
    taken = timeline(*(window(gateway, start) for gateway in "ab" for start in (0, 200)))
    assert [(step.gap_ms, step.step_ms) for step in taken.steps(NOON_MS + 210_000)] == [(0, 10_000), (190_000, 10_000)]


def test_what_is_old_when_a_pass_comes_to_it_is_passed_over() -> None:
    taken = timeline(*(window(gateway, start) for gateway in "ab" for start in (0, 600)))

    assert [begin for begin, _, _ in steps(taken, 610 + CATCH_UP_MS / 2000)] == [600]


def traffic(judge: PairJudge, stations: dict[str, SegmentSummary], from_s: int, until_s: int) -> list[PairChange]:
    """Passes once a minute over windows of these stations, one a gateway."""
    changes: list[PairChange] = []
    for start_s in range(from_s, until_s, 10):
        start_ms = NOON_MS + 1000 * start_s
        judge.take(WindowSummary(name, 1, 1, start_ms, 10_000, (segment,)) for name, segment in stations.items())
        if start_s % 60 == 50:
            changes += judge.judge(start_ms + 10_000)
    return changes


def station(number: int, speed_kmh: int, occupancy: float) -> SegmentSummary:
    return SegmentSummary(
        number,
        sketch=SpeedSketch(300, (12,)),
        pace_sum_ms_per_km=12 * 3_600_000 // speed_kmh,
        occupied_ms=round(30_000 * occupancy),
        observed_ms=30_000,
        readings_accepted=30,
    )


def test_a_queue_before_a_border_is_told_and_a_gateway_that_falls_silent_raises_nothing() -> None:
    free = {"a": station(0, 95, 0.05), "b": station(1, 95, 0.05)}
    judge = PairJudge(road("a", "b"))
    assert judge.gateways == {"a", "b"}
    assert traffic(judge, free, 0, 900) == []

    (raised,) = traffic(judge, free | {"a": station(0, 15, 0.4)}, 900, 1200)
    assert (raised.here.segment_id, raised.past.segment_id, raised.detected) == ("E0", "E1", True)
    (cleared,) = traffic(judge, {"a": station(0, 15, 0.4)}, 1200, 1800)
    assert (cleared.detected, cleared.started_ms) == (False, raised.occurred_ms)


def test_a_gateway_alone_raises_nothing() -> None:
    judge = PairJudge(road("a", "b"))
    traffic(judge, {"a": station(0, 95, 0.05), "b": station(1, 95, 0.05)}, 0, 900)

    assert traffic(judge, {"a": station(0, 15, 0.4)}, 900, 3600) == []


def test_a_stretch_whose_stations_have_changed_begins_anew() -> None:
    judge = PairJudge(road("a", "b"))
    traffic(judge, {"a": station(0, 95, 0.05), "b": station(1, 95, 0.05)}, 0, 900)
    stored, learned = pairs_memory.dump(judge), pairs_memory.dump_profiles(judge)

    assert pairs_memory.restore(PairJudge(road("a", "b")), stored) == 1
    moved = PairJudge(road("a", "c"))
    assert pairs_memory.restore(moved, stored) == 0
    pairs_memory.restore_profiles(moved, learned)
    assert pairs_memory.dump(moved) == pairs_memory.dump(PairJudge(road("a", "c")))
