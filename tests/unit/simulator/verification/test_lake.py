"""The lake against the truth: what is found missing, wrong or too much, and what is let pass."""

from dataclasses import replace
from typing import Any

import pytest

from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary
from simulator.verification.lake import HOUR_MS, Row, compare, expected_hours
from simulator.verification.oracle import SegmentTruth

HOUR = 480_000 * HOUR_MS
TRUTH = SegmentTruth(
    readings=100,
    sensors=10,
    vehicle_count=7,
    speed_sum=5600,
    pace_sum=315_000,
    speed_square_sum=4_480_000,
    speed_min=700,
    speed_max=900,
    occupied_ms=5000,
    observed_ms=100_000,
    p15_kmh=70.0,
    p50_kmh=80.0,
    p85_kmh=90.0,
)


def expected() -> dict[tuple[int, int], Row]:
    return expected_hours({HOUR: {5: TRUTH}}, {}, uncertain=())


def row(**changes: Any) -> dict[tuple[int, int], Row]:
    return {(HOUR, 5): {**expected()[HOUR, 5], **changes}}


def test_what_is_as_it_should_be_passes() -> None:
    result = compare(expected(), row())
    assert (result.expected, result.missing, result.wrong, result.findings, result.ok) == (1, 0, 0, [], True)


def test_a_row_that_is_not_there_is_missing() -> None:
    result = compare(expected(), {})
    assert (result.missing, result.wrong, result.ok) == (1, 0, False)
    assert result.findings == [f"segment 5, hour {HOUR}: no row"]


@pytest.mark.parametrize(
    "changes",
    [
        {"vehicle_count": 8},
        {"speed_sum_dkmh": 5601},
        {"pace_sum_ms_per_km": 314_999},
        {"speed_min_dkmh": None},
        {"speed_max_dkmh": 901},
        {"observed_ms": 0},
        {"p50_kmh": 81.0},
        {"p85_kmh": None},
    ],
)
def test_one_off_is_wrong_and_named(changes: dict[str, Any]) -> None:
    result = compare(expected(), row(**changes))
    assert (result.missing, result.wrong) == (0, 1)
    assert f"{next(iter(changes))} is " in result.findings[0]


def test_percentiles_may_be_off_by_the_sketchs_error_and_need_not_be_told() -> None:
    assert compare(expected(), row(p50_kmh=80.8, p85_kmh=89.1)).ok
    totals = {name: value for name, value in row()[HOUR, 5].items() if not name.endswith("_kmh")}
    assert compare(expected(), {(HOUR, 5): totals}).ok


def test_a_row_of_readings_that_nobody_made_is_wrong_and_one_of_none_is_not() -> None:
    zero = dict.fromkeys(expected()[HOUR, 5], 0)
    assert compare(expected(), {**row(), (HOUR, 6): zero}).ok
    result = compare(expected(), {**row(), (HOUR, 6): {**zero, "readings_accepted": 1}})
    assert result.wrong == 1
    assert result.findings == [f"segment 6, hour {HOUR}: a row that no reading belongs to"]


def test_where_a_process_was_killed_the_windows_table_takes_the_oracles_place() -> None:
    segment = SegmentSummary(5, SpeedSketch(100, (6,)), speed_sum_dkmh=4800, readings_accepted=90)
    window = WindowSummary("gw", 1, 1, HOUR + 10_000, 10_000, (segment, replace(segment, number=6)))
    found = expected_hours({HOUR: {5: TRUTH}}, {("gw", HOUR + 10_000): [window]}, uncertain={5})
    assert found.keys() == {(HOUR, 5)}
    assert (found[HOUR, 5]["vehicle_count"], found[HOUR, 5]["readings_accepted"]) == (6, 90)
    assert not compare(found, row()).ok
