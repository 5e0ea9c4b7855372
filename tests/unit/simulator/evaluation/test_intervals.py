"""Confidence intervals against published values, and against what they promise."""

import numpy as np
import pytest

from simulator.evaluation.intervals import bootstrap, poisson_rate, wilson


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (23, 26, 0.7102, 0.9600),  # by hand with z = 1.96
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 2, 0.0945, 0.9055),
    ],
)
def test_wilson_has_the_known_ends(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson(hits, trials) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (5, 1.6235, 11.6683), (10, 4.7954, 18.3904), (100, 81.3640, 121.6268)],
)
def test_poisson_has_the_ends_of_garwoods_table(events: int, low: float, high: float) -> None:
    assert poisson_rate(events, 1.0) == pytest.approx((low, high), abs=2e-4)
    assert poisson_rate(events, 50.0) == pytest.approx((low / 50, high / 50), abs=1e-5)


def test_what_was_not_watched_has_no_interval() -> None:
    assert wilson(0, 0) is None
    assert poisson_rate(0, 0.0) is None
    assert bootstrap([1.0, 2.0], sum) is None


def test_bootstrap_of_a_mean_is_near_the_normal_interval_and_the_same_each_time() -> None:
    values = np.random.default_rng(5).normal(10.0, 2.0, 200).tolist()
    low, high = bootstrap(values, lambda drawn: float(np.mean(drawn))) or (0.0, 0.0)
    half = 1.96 * np.std(values) / np.sqrt(200)

    assert (low, high) == pytest.approx((np.mean(values) - half, np.mean(values) + half), abs=0.05)
    assert bootstrap(values, lambda drawn: float(np.mean(drawn))) == (low, high)


def test_a_figure_that_most_draws_lack_has_no_interval() -> None:
    assert bootstrap([0, 0, 0, 1], lambda drawn: float(sum(drawn)) if sum(drawn) > 1 else None) is None
