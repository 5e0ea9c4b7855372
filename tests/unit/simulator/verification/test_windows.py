"""Verification: every kind of damage is found and named, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from roadside.contract.codec import decode_window, encode_window
from roadside.contract.merging import merge_windows
from roadside.contract.sketch_bins import bin_of
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary
from simulator.city.layout import City, make_city
from simulator.faults.delivery import NO_SPEED, Readings
from simulator.verification.oracle import Oracle, SegmentFacts, SegmentTruth
from simulator.verification.windows import MAX_FINDINGS, Verdict, stored_windows, verify

WINDOW_MS = 10_000
START_MS = 1_700_000_000_000
GATEWAY = "gw-000"
Truth = dict[int, dict[int, SegmentTruth]]
Stored = dict[tuple[str, int], list[WindowSummary]]


def random_readings(city: City, seconds: int) -> Readings:
    rng = np.random.default_rng(1)
    n = city.sensor_count * seconds
    vehicles = rng.integers(0, 4, n)
    return Readings(
        sensor=np.tile(np.arange(city.sensor_count), seconds),
        timestamp_ms=START_MS + 1000 * np.repeat(np.arange(seconds), city.sensor_count),
        vehicle_count=vehicles,
        speed_dkmh=np.where(vehicles > 0, rng.integers(0, 1300, n), NO_SPEED),
        occupancy_permille=rng.integers(0, 1001, n),
    )


def truth_of(city: City, readings: Readings) -> Truth:
    segments = list(city.segments())
    oracle = Oracle(
        [SegmentFacts(s.number, True, s.free_flow_kmh) for s in segments],
        np.repeat([s.number for s in segments], [len(s.sensor_ids) for s in segments]),
        WINDOW_MS,
        1000,
        2000,
    )
    oracle.note(
        readings.sensor,
        readings.timestamp_ms,
        readings.vehicle_count,
        readings.speed_dkmh,
        readings.occupancy_permille,
        readings.timestamp_ms,
    )
    return oracle.windows()


def windows_of(city: City, readings: Readings, *, epoch_ms: int = 1) -> Stored:
    """What honest gateways would have stored, by a loop over the rows."""
    truth = truth_of(city, readings)
    bins: dict[tuple[int, int], dict[int, int]] = {}
    segment_of = [s.number for s in city.segments() for _ in s.sensor_ids]
    rows = zip(*(getattr(readings, name).tolist() for name in Readings.__dataclass_fields__), strict=True)
    for sensor, timestamp_ms, count, speed, _ in rows:
        if speed != NO_SPEED:
            of_segment = bins.setdefault((timestamp_ms - timestamp_ms % WINDOW_MS, segment_of[sensor]), {})
            of_segment[bin_of(speed)] = of_segment.get(bin_of(speed), 0) + count

    def summary(start_ms: int, number: int) -> SegmentSummary:
        found = truth[start_ms].get(number)
        counted = bins.get((start_ms, number), {})
        if found is None:
            return SegmentSummary(number)
        first = min(counted, default=0)
        return SegmentSummary(
            number=number,
            sketch=SpeedSketch(first, tuple(counted.get(b, 0) for b in range(first, max(counted, default=-1) + 1))),
            speed_sum_dkmh=found.speed_sum,
            pace_sum_ms_per_km=found.pace_sum,
            speed_square_sum=found.speed_square_sum,
            speed_min_dkmh=found.speed_min,
            speed_max_dkmh=found.speed_max,
            occupied_ms=found.occupied_ms,
            observed_ms=found.observed_ms,
            sensors_reporting=found.sensors,
            readings_accepted=found.readings,
            readings_duplicate=2,
            readings_late=3,
        )

    return {
        (gateway.gateway_id, start_ms): [
            WindowSummary(
                gateway=gateway.gateway_id,
                epoch_ms=epoch_ms,
                sequence=1,
                window_start_ms=start_ms,
                window_ms=WINDOW_MS,
                segments=tuple(summary(start_ms, segment.number) for segment in gateway.segments),
            )
        ]
        for gateway in city.gateways
        for start_ms in truth
    }


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(60, 3, 1)


@pytest.fixture(scope="module")
def readings(city: City) -> Readings:
    return random_readings(city, 20)


@pytest.fixture
def truth(city: City, readings: Readings) -> Truth:
    return truth_of(city, readings)


@pytest.fixture
def stored(city: City, readings: Readings) -> Stored:
    return windows_of(city, readings)


def damage(stored: Stored, key: tuple[str, int], change: Callable[[SegmentSummary], SegmentSummary]) -> None:
    window = stored[key][0]
    stored[key] = [replace(window, segments=(change(window.segments[0]), *window.segments[1:]))]


def only_finding(verdict: Verdict) -> tuple[str, int, str]:
    [finding] = verdict.findings
    return finding.gateway, finding.window_start_ms, finding.what


def test_honest_tables_pass(city: City, truth: Truth, stored: Stored) -> None:
    verdict = verify(city, truth, stored, {})
    assert verdict.findings == []
    assert (verdict.windows_expected, verdict.windows_stored, verdict.windows_missing, verdict.windows_wrong) == (
        6,
        6,
        0,
        0,
    )
    assert verdict.readings_accepted == 60 * 20
    segments = 2 * city.segment_count
    assert (verdict.readings_duplicate, verdict.readings_late) == (2 * segments, 3 * segments)


def test_missing_window_is_named(city: City, truth: Truth, stored: Stored) -> None:
    del stored["gw-001", START_MS]
    verdict = verify(city, truth, stored, {})
    assert (verdict.windows_missing, verdict.windows_wrong, verdict.windows_stored) == (1, 0, 5)
    assert only_finding(verdict) == ("gw-001", START_MS, "the window is not in the table")


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("readings_accepted", "readings_accepted"),
        ("sensors_reporting", "sensors_reporting"),
        ("vehicles_without_speed", "vehicle_count"),
        ("speed_sum_dkmh", "speed_sum_dkmh"),
        ("pace_sum_ms_per_km", "pace_sum_ms_per_km"),
        ("speed_square_sum", "speed_square_sum"),
        ("speed_min_dkmh", "speed_min_dkmh"),
        ("speed_max_dkmh", "speed_max_dkmh"),
        ("occupied_ms", "occupied_ms"),
        ("observed_ms", "observed_ms"),
    ],
)
@pytest.mark.parametrize("by", [1, -1])
def test_every_figure_that_is_off_by_one_is_named(
    city: City, truth: Truth, stored: Stored, field: str, name: str, by: int
) -> None:
    if field == "vehicles_without_speed" and by < 0:
        by = 2
    damage(stored, (GATEWAY, START_MS), lambda s: replace(s, **{field: getattr(s, field) + by}))
    verdict = verify(city, truth, stored, {})
    assert (verdict.windows_missing, verdict.windows_wrong, verdict.windows_stored) == (0, 1, 6)
    gateway, start_ms, what = only_finding(verdict)
    assert (gateway, start_ms) == (GATEWAY, START_MS)
    assert what.startswith(f"gw-000-seg00: {name} is ")
    assert ";" not in what  # and nothing else


def test_quantile_beyond_one_per_cent_is_named_and_one_within_is_not(city: City, truth: Truth, stored: Stored) -> None:
    for shift, wrong in [(0, 0), (1, 1)]:  # bins of 1 % are 2 % apart
        damage(stored, (GATEWAY, START_MS), lambda s, by=shift: replace(s, sketch=shifted(s.sketch, by)))  # type: ignore[misc]
        verdict = verify(city, truth, stored, {})
        assert verdict.windows_wrong == wrong
    *_, what = only_finding(verdict)
    for name in ("p15_kmh", "p50_kmh", "p85_kmh"):
        assert f"{name} is " in what
    assert "more than 1 % from" in what


def shifted(sketch: SpeedSketch, by: int) -> SpeedSketch:
    return SpeedSketch(sketch.first_bin + by, sketch.counts)


def test_speeds_where_no_vehicle_passed_are_named(city: City) -> None:
    readings = random_readings(city, 10)
    n = len(readings)
    readings = replace(readings, vehicle_count=np.zeros(n, dtype=int), speed_dkmh=np.full(n, NO_SPEED))
    stored = windows_of(city, readings)
    assert verify(city, truth_of(city, readings), stored, {}).findings == []
    damage(stored, (GATEWAY, START_MS), lambda s: replace(s, speed_min_dkmh=0))
    *_, what = only_finding(verify(city, truth_of(city, readings), stored, {}))
    assert "speed_min_dkmh is 0, should be None" in what


def test_window_that_no_reading_belongs_to_is_named(city: City, truth: Truth, stored: Stored) -> None:
    stored["gw-002", START_MS + 50_000] = [replace(stored["gw-002", START_MS][0], window_start_ms=START_MS + 50_000)]
    verdict = verify(city, truth, stored, {})
    assert (verdict.windows_unexpected, verdict.windows_wrong, verdict.windows_expected) == (1, 0, 6)
    assert only_finding(verdict)[:2] == ("gw-002", START_MS + 50_000)


def test_window_of_an_unknown_gateway_is_named(city: City, truth: Truth, stored: Stored) -> None:
    stored["gw-666", START_MS] = [replace(stored["gw-002", START_MS][0], gateway="gw-666")]
    assert only_finding(verify(city, truth, stored, {}))[0] == "gw-666"


def test_empty_windows_of_silence_are_no_finding(city: City, truth: Truth, stored: Stored) -> None:
    window = stored[GATEWAY, START_MS][0]
    empty = tuple(SegmentSummary(segment.number) for segment in window.segments)
    stored[GATEWAY, START_MS + 60_000] = [replace(window, window_start_ms=START_MS + 60_000, segments=empty)]
    assert verify(city, truth, stored, {}).findings == []


def test_readings_of_another_epoch_that_were_counted_already_are_named(
    city: City, truth: Truth, stored: Stored
) -> None:
    window = stored[GATEWAY, START_MS][0]
    stored[GATEWAY, START_MS].append(replace(window, epoch_ms=2))
    verdict = verify(city, truth, stored, {})
    assert verdict.windows_wrong == 1
    expected = truth[START_MS][window.segments[0].number].readings
    assert f"readings_accepted is {2 * expected}, should be {expected}" in only_finding(verdict)[2]


def test_epochs_with_disjoint_readings_add_up(city: City, readings: Readings, truth: Truth) -> None:
    """Every sensor reported before and after the loss of state."""
    first = windows_of(city, readings.rows(np.flatnonzero(readings.timestamp_ms % WINDOW_MS < 4000)))
    second = windows_of(city, readings.rows(np.flatnonzero(readings.timestamp_ms % WINDOW_MS >= 4000)), epoch_ms=2)
    both = {key: first[key] + second[key] for key in first}
    assert verify(city, truth, both, {}).findings == []


def coarser(windows: list[WindowSummary]) -> list[WindowSummary]:
    """As a gateway merges them."""
    return [merge_windows(windows, sequence=99)]


def test_a_coarser_window_is_compared_with_the_sum_of_the_truth(city: City, truth: Truth, stored: Stored) -> None:
    both = [stored.pop((GATEWAY, START_MS))[0], stored.pop((GATEWAY, START_MS + WINDOW_MS))[0]]
    stored[GATEWAY, START_MS] = coarser(both)
    verdict = verify(city, truth, stored, {})
    assert verdict.findings == []
    assert (verdict.windows_expected, verdict.windows_stored, verdict.windows_missing) == (6, 6, 0)
    damage(stored, (GATEWAY, START_MS), lambda s: replace(s, pace_sum_ms_per_km=s.pace_sum_ms_per_km - 1))
    assert "pace_sum_ms_per_km is" in only_finding(verify(city, truth, stored, {}))[2]


def test_a_window_that_is_in_a_coarser_one_and_stands_for_itself_is_counted_twice(
    city: City, truth: Truth, stored: Stored
) -> None:
    second = (GATEWAY, START_MS + WINDOW_MS)
    stored[GATEWAY, START_MS] = coarser([stored[GATEWAY, START_MS][0], stored[second][0]])
    assert "two windows of one epoch overlap" in only_finding(verify(city, truth, stored, {}))[2]
    stored[second] = [replace(stored[second][0], epoch_ms=2)]
    assert "readings_accepted is" in only_finding(verify(city, truth, stored, {}))[2]


def test_a_coarser_window_may_miss_what_was_at_risk_in_any_part_of_it(
    city: City, readings: Readings, truth: Truth
) -> None:
    at_risk = {GATEWAY: [readings.rows(np.array([180, 181, 660]))]}
    stored = windows_of(city, lose(readings, [180, 660]))
    both = [stored.pop((GATEWAY, START_MS))[0], stored.pop((GATEWAY, START_MS + WINDOW_MS))[0]]
    stored[GATEWAY, START_MS] = coarser(both)
    verdict = verify(city, truth, stored, at_risk)
    assert (verdict.windows_in_crash_second, verdict.windows_wrong, verdict.readings_lost_in_crash) == (1, 0, 2)


def lose(readings: Readings, rows: list[int]) -> Readings:
    return readings.rows(np.setdiff1d(np.arange(len(readings)), rows))


def test_readings_at_risk_may_be_missing_but_not_one_more(city: City, readings: Readings, truth: Truth) -> None:
    """Sensors 0 to 9 are the first segment of the first gateway."""
    at_risk = {GATEWAY: [readings.rows(np.array([180])), readings.rows(np.array([181, 242]))]}  # seconds 3 and 4
    for lost, crashed, wrong in [([180, 181], 1, 0), ([180, 181, 242], 1, 0), ([180, 181, 182, 242], 0, 1)]:
        verdict = verify(city, truth, windows_of(city, lose(readings, lost)), at_risk)
        assert (verdict.windows_in_crash_second, verdict.windows_wrong) == (crashed, wrong), lost
        assert verdict.readings_lost_in_crash == (len(lost) if crashed else 0)
        assert verdict.windows_missing == 0


def test_readings_at_risk_excuse_neither_other_windows_nor_other_segments_nor_other_gateways(
    city: City, readings: Readings, truth: Truth
) -> None:
    at_risk = {GATEWAY: [readings.rows(np.array([0, 1, 2]))]}
    for row in (10, 25, 60 * 10):  # next segment, next gateway, next window
        verdict = verify(city, truth, windows_of(city, lose(readings, [row])), at_risk)
        assert (verdict.windows_in_crash_second, verdict.windows_wrong) == (0, 1), row


def test_at_risk_excuses_no_damage_without_a_loss(city: City, readings: Readings, truth: Truth, stored: Stored) -> None:
    at_risk = {GATEWAY: [readings.rows(np.array([0, 1, 2]))]}
    damage(stored, (GATEWAY, START_MS), lambda s: replace(s, speed_sum_dkmh=s.speed_sum_dkmh + 1))
    assert verify(city, truth, stored, at_risk).windows_wrong == 1


def test_what_is_missing_is_no_more_than_the_readings_at_risk_add_up_to(
    city: City, readings: Readings, truth: Truth
) -> None:
    lost = [row for row in range(0, 600, 60) if readings.vehicle_count[row] > 0][:2]
    at_risk = {GATEWAY: [readings.rows(np.array(lost))]}
    stored = windows_of(city, lose(readings, lost[:1]))
    assert verify(city, truth, stored, at_risk).windows_wrong == 0
    for field in ("speed_sum_dkmh", "speed_square_sum", "pace_sum_ms_per_km", "occupied_ms", "observed_ms"):
        damaged = {key: list(windows) for key, windows in stored.items()}
        damage(damaged, (GATEWAY, START_MS), lambda s, name=field: replace(s, **{name: getattr(s, name) // 2}))  # type: ignore[misc]
        *_, what = only_finding(verify(city, truth, damaged, at_risk))
        assert f"{field} is " in what
        assert ", should be " in what


def test_a_reading_that_was_told_twice_is_at_risk_once(city: City, readings: Readings, truth: Truth) -> None:
    at_risk = {GATEWAY: [readings.rows(np.array([180])), readings.rows(np.array([180]))]}
    assert verify(city, truth, windows_of(city, lose(readings, [180, 181])), at_risk).windows_wrong == 1


def test_segments_that_lost_readings_or_got_them_unplanned_are_told_with_their_first_window(
    city: City, readings: Readings, truth: Truth, stored: Stored
) -> None:
    planned = {(start_ms, segment.number): 3 for start_ms in truth for segment in city.segments()}
    assert verify(city, truth, stored, {}, planned).unplanned == {}
    segment = city.gateways[0].segments[0].number
    planned[START_MS + WINDOW_MS, segment] = 2
    assert verify(city, truth, stored, {}, planned).unplanned == {segment: START_MS + WINDOW_MS}
    at_risk = {GATEWAY: [readings.rows(np.array([180]))]}
    verdict = verify(city, truth, windows_of(city, lose(readings, [180])), at_risk, planned)
    assert verdict.unplanned == {segment: START_MS}


def test_loss_excuses_no_vehicles_out_of_nowhere(city: City, readings: Readings, truth: Truth) -> None:
    at_risk = {GATEWAY: [readings.rows(np.array([0, 1, 2]))]}
    stored = windows_of(city, lose(readings, [0]))
    damage(stored, (GATEWAY, START_MS), lambda s: replace(s, vehicles_without_speed=1000))
    assert verify(city, truth, stored, at_risk).windows_wrong == 1


def test_findings_are_counted_beyond_those_that_are_listed(city: City) -> None:
    readings = random_readings(city, 300)
    verdict = verify(city, truth_of(city, readings), {}, {})
    assert verdict.windows_missing == 90
    assert len(verdict.findings) == MAX_FINDINGS


def test_stored_windows_are_read_page_by_page_and_by_epoch(stored: Stored) -> None:
    windows = [window for key in sorted(stored) for window in stored[key]]
    windows.append(replace(windows[0], epoch_ms=9))
    pages = [windows[:3], windows[3:4], windows[4:]]

    class Table:
        def scan(self, **query: Any) -> dict[str, Any]:
            assert query["ConsistentRead"] is True
            page = query.get("ExclusiveStartKey", 0)
            more = {"LastEvaluatedKey": page + 1} if page + 1 < len(pages) else {}
            return {"Items": [{"b": encode_window(window)} for window in pages[page]], **more}

    read = stored_windows(Table())
    assert {key: [decode_window(encode_window(w)) for w in stored[key]] for key in list(stored)[1:]} == {
        key: read[key] for key in list(stored)[1:]
    }
    assert sorted(window.epoch_ms for window in read[windows[0].gateway, windows[0].window_start_ms]) == [1, 9]
