"""The account of a run: every reading in one place, and whatever is left over is a failure with a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roadside.contract.summary import SegmentSummary, WindowSummary
from simulator.verification.accounting import Accounting, Told, account, gaps

TOLD = Told(
    gateway="gw-7",
    made=1000,
    repeated=20,
    lost_on_the_way=50,
    refusable={"bad_occupancy": 6, "too_late": 4},
    accepted=940,
    duplicates=20,
    rejected={"bad_occupancy": 6, "too_late": 4},
    windows_given_up=0,
    lost_by_books=0,
    at_risk=0,
    stored=940,
)


def problem(told: Told) -> str:
    [said] = account([told]).problems
    return said


def test_a_sum_that_is_what_was_sent_is_no_problem_and_the_places_are_told() -> None:
    found = account([TOLD, replace(TOLD, gateway="gw-8")])
    assert found.problems == []
    total = found.total
    assert (total.sent, total.aggregated, total.duplicates, total.lost_on_the_way) == (2040, 1880, 40, 100)
    assert (total.rejected, total.late_beyond_correction, total.remainder) == ({"bad_occupancy": 12}, 8, 0)
    report = found.report()
    assert report["remainder"] == 0
    assert set(report["gateways"]) == {"gw-7", "gw-8"}


def test_one_reading_that_is_nowhere_is_named_with_its_gateway_and_its_window() -> None:
    dropped = replace(TOLD, accepted=939, stored=939, window_gaps={60_000: 1})
    assert problem(dropped) == (
        "account of gw-7: 1 of 1,020 readings nobody can tell of; windows that miss readings: 60000 (+1)"
    )
    never_stored = replace(TOLD, stored=939)
    assert problem(never_stored) == "account of gw-7: 1 of 1,020 readings nobody can tell of"


def test_one_reading_that_counts_twice_is_named() -> None:
    twice = replace(TOLD, stored=941, window_gaps={60_000: -1})
    assert problem(twice).startswith("account of gw-7: 1 of 1,020 readings were counted twice; windows")


def test_what_one_gateway_misses_another_cannot_make_up_for() -> None:
    found = account([replace(TOLD, stored=939), replace(TOLD, gateway="gw-8", stored=941)])
    assert found.total.remainder == 0
    assert len(found.problems) == 2


def test_a_crash_accounts_for_what_the_books_miss_after_it_and_for_no_more() -> None:
    crashed = replace(TOLD, accepted=930, stored=930, lost_by_books=10, at_risk=30)
    assert account([crashed]).problems == []
    assert account([crashed]).total.lost_in_crash == 10
    assert "1 of 1,020 readings nobody can tell of" in problem(replace(crashed, stored=929))
    beyond = replace(TOLD, accepted=900, stored=900, lost_by_books=40, at_risk=30)
    assert "its books miss 40 readings after its ends, but at most 30 were at risk" in problem(beyond)


@pytest.mark.parametrize(("accepted", "at_risk", "lost"), [(930, 30, 10), (940, 30, 0), (910, 30, 30)])
def test_a_process_may_lose_in_its_ends_what_was_at_risk(accepted: int, at_risk: int, lost: int) -> None:
    found = account([replace(TOLD, accepted=accepted, stored=accepted, lost_by_books=None, at_risk=at_risk)])
    assert found.problems == []
    assert found.total.lost_in_crash == lost


@pytest.mark.parametrize("at_risk", [0, 30])
def test_a_process_may_lose_nothing_else(at_risk: int) -> None:
    accepted = 940 - at_risk - 1
    lost = replace(TOLD, accepted=accepted, stored=accepted, lost_by_books=None, at_risk=at_risk)
    assert "1 of 1,020 readings nobody can tell of" in problem(lost)
    gained = replace(TOLD, accepted=941, stored=941, lost_by_books=None, at_risk=at_risk)
    assert "1 of 1,020 readings were counted twice" in problem(gained)


def test_what_a_gateway_declared_to_leave_out_is_excluded_and_what_it_did_not_is_left_over() -> None:
    left_out = replace(TOLD, stored=900, excludable=40)
    assert account([left_out]).problems == []
    assert account([left_out]).total.excluded == 40
    assert "10 of 1,020 readings nobody can tell of" in problem(replace(left_out, stored=890))
    assert "10 of 1,020 readings were counted twice" in problem(replace(left_out, stored=910))


def test_what_was_excluded_may_have_been_lost_in_a_crash_instead() -> None:
    told = replace(TOLD, accepted=930, stored=895, lost_by_books=10, at_risk=30, excludable=40, excludable_at_risk=5)
    assert account([told]).problems == []
    assert account([told]).total.excluded == 35


def test_windows_that_were_given_up_are_shed_as_far_as_they_are_missing() -> None:
    shed = replace(TOLD, stored=840, windows_given_up=1, window_gaps={60_000: 100})
    assert account([shed]).total.shed == 100
    assert account([shed]).problems == []
    assert account([replace(shed, windows_given_up=0)]).problems


def test_refusing_what_was_not_to_be_refused_is_named_though_the_sum_is_right() -> None:
    overflowing = replace(TOLD, accepted=939, stored=939, rejected={**TOLD.rejected, "overflow": 1})
    assert problem(overflowing) == "account of gw-7: it refused 1 readings as overflow, 0 were to be refused"


def window(start_ms: int, readings: int, length_ms: int = 10_000, epoch_ms: int = 1) -> WindowSummary:
    return WindowSummary("gw-7", epoch_ms, 1, start_ms, length_ms, (SegmentSummary(3, readings_accepted=readings),))


def test_gaps_are_by_window_whether_it_is_missing_short_merged_or_of_two_epochs() -> None:
    expected = {0: 10, 10_000: 10, 20_000: 10, 30_000: 10, 60_000: 10}
    windows = [window(0, 10), window(10_000, 4), window(10_000, 5, epoch_ms=2), window(20_000, 21, 20_000)]
    assert gaps(expected, windows) == {10_000: 1, 20_000: -1, 60_000: 10}
    assert isinstance(account([]), Accounting)
