"""What a profile learns of a day, when that counts, and when it is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from roadside.core.contrast_profile import BIN_MS, BINS, DAYS, UNKNOWN, ContrastProfile

DAY_MS = 86_400_000
SEVEN = 7 * 3_600_000
ALL = np.array([True, True])


def teach_day(profile: ContrastProfile, day: int, contrast: float, from_ms: int = SEVEN, quarters: int = 1) -> None:
    for end_ms in range(from_ms + 10_000, from_ms + quarters * BIN_MS + 1, 10_000):
        profile.learn(np.array([contrast, 0.0]), ALL, day * DAY_MS + end_ms, 10_000)


def expected(profile: ContrastProfile, day: int, at_ms: int = SEVEN) -> float:
    return float(profile.expected(day * DAY_MS + at_ms + 10_000)[0])


def test_a_day_counts_from_the_next_day_on_at_its_time_and_an_hour_around() -> None:
    profile = ContrastProfile(2)
    teach_day(profile, 1, 0.4)
    assert expected(profile, 1, SEVEN + BIN_MS) == -np.inf
    teach_day(profile, 2, 0.1)
    for shift in (-4, -1, 0, 1, 4):
        assert expected(profile, 2, SEVEN + shift * BIN_MS) == pytest.approx(0.4)
    for shift in (-5, 5, 40):
        assert expected(profile, 2, SEVEN + shift * BIN_MS) == -np.inf


@pytest.mark.parametrize(
    ("days", "usual"),
    [
        ([0.5], 0.5),
        ([0.5, 0.1], 0.5),
        ([0.5, 0.1, 0.1], 0.1),  # once in three days is an incident
        ([0.5, 0.1, 0.4, 0.1, 0.1], 0.4),  # twice in five days is a habit
        ([0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 0.1),
        ([0.5, 0.5, 0.5, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 0.3),
    ],
)
def test_what_two_of_five_days_had_is_a_habit(days: list[float], usual: float) -> None:
    profile = ContrastProfile(2)
    for day, contrast in enumerate(days):
        teach_day(profile, day, contrast)
    profile.end()
    assert expected(profile, 20) == pytest.approx(usual)


def test_the_oldest_day_leaves_when_a_new_one_comes() -> None:
    profile = ContrastProfile(2)
    for day in range(4):
        teach_day(profile, day, 0.4)
    for day in range(4, DAYS + 1):
        teach_day(profile, day, 0.1)
        assert expected(profile, day) == pytest.approx(0.4)
    teach_day(profile, DAYS + 1, 0.1)  # now the first day has left, and three of ten are no habit
    assert expected(profile, DAYS + 1) == pytest.approx(0.1)


def test_day_without_traffic_to_learn_from_pushes_none_out() -> None:
    profile = ContrastProfile(2)
    teach_day(profile, 1, 0.4)
    for day in range(2, 3 * DAYS):
        profile.learn(np.zeros(2), np.array([False, True]), day * DAY_MS + SEVEN, 10_000)
    assert expected(profile, 3 * DAYS) == pytest.approx(0.4)


def test_what_is_learned_is_near_the_largest_that_is_usual_in_the_quarter() -> None:
    profile = ContrastProfile(2)
    values = np.random.default_rng(1).normal(0.2, 0.05, 90)
    for place, value in enumerate(values):
        profile.learn(np.array([value, 0.0]), ALL, SEVEN + 10_000 * (place + 1), 10_000)
    profile.end()
    assert expected(profile, 1) == pytest.approx(np.percentile(values, 95), abs=0.03)


def test_less_than_five_minutes_tell_nothing() -> None:
    profile = ContrastProfile(2)
    for end_ms in range(10_000, 300_000, 10_000):
        profile.learn(np.array([0.4, 0.0]), ALL, SEVEN + end_ms, 10_000)
    profile.end()
    assert not profile.is_learned(0)


def test_taught_days_count_at_once() -> None:
    profile = ContrastProfile(2)
    days = np.full((2, BINS), UNKNOWN, dtype=np.int8)
    days[:, 28] = 30, 50
    profile.teach(0, days)
    assert profile.is_learned(0)
    assert not profile.is_learned(1)
    assert expected(profile, 1) == pytest.approx(0.5)


def test_days_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        ContrastProfile(2).restore(ContrastProfile(3).days, ContrastProfile(3).today)
