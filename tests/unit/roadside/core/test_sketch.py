"""Percentiles from the sketch against exact order statistics, over named distributions."""

import math

import numpy as np
import pytest

from roadside.contract import sketch_bins
from roadside.core.errors import ConfigurationError
from roadside.core.sketch import BIN_COUNT, BIN_OF_SPEED, RELATIVE_ERROR, SPEED_OF_BIN_KMH, quantile_kmh
from roadside.core.summary import PACE_MS_PER_KM

RNG = np.random.default_rng(20)
DISTRIBUTIONS = {
    "constant": np.full(500, 631),
    "standing": np.zeros(9, dtype=np.int64),
    "two humps": np.concatenate([RNG.normal(200, 20, 300), RNG.normal(1050, 60, 700)]),
    "uniform": RNG.uniform(0, 2550, 2000),
    "heavy tail": 20 * (1 + RNG.pareto(1.2, 2000)),
    "integers": np.arange(2551),
    "slowest and fastest": np.array([0, 1, 2550]),
    "size 1": np.array([1]),
    "size 2": np.array([299, 900]),
    "size 3": np.array([2550, 30, 1]),
}
QUANTILES = [0.0, 0.01, 0.15, 0.25, 0.5, 0.85, 0.95, 0.999, 1.0]


def dkmh(name: str) -> np.ndarray:
    return np.clip(np.rint(DISTRIBUTIONS[name]), 0, 2550).astype(np.int64)


@pytest.mark.parametrize("split", [False, True], ids=["direct", "merged from splits"])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_quantile_is_within_one_percent_of_the_order_statistic(name: str, split: bool) -> None:
    speeds = dkmh(name)
    parts = np.array_split(np.random.default_rng(3).permutation(speeds), 7) if split else [speeds]
    counts = sum(
        (np.bincount(BIN_OF_SPEED[part], minlength=BIN_COUNT) for part in parts), np.zeros(BIN_COUNT, np.int64)
    )
    for q in QUANTILES:
        exact_kmh = float(np.sort(speeds)[math.floor(q * (len(speeds) - 1))]) / 10
        assert float(quantile_kmh(counts, q)) == pytest.approx(exact_kmh, rel=RELATIVE_ERROR + 1e-9, abs=0)


def test_each_speed_lies_within_one_percent_of_the_value_of_its_bin() -> None:
    speeds_kmh = np.arange(2551) / 10
    error = np.abs(SPEED_OF_BIN_KMH[BIN_OF_SPEED] - speeds_kmh)
    assert (error <= RELATIVE_ERROR * speeds_kmh * (1 + 1e-9)).all()
    assert (np.diff(BIN_OF_SPEED) >= 0).all()


def test_core_and_contract_agree_on_bins_and_paces() -> None:
    assert [sketch_bins.bin_of(speed) for speed in range(2551)] == BIN_OF_SPEED.tolist()
    assert [sketch_bins.pace_ms_per_km(speed) for speed in range(2551)] == PACE_MS_PER_KM.tolist()
    assert np.array(sketch_bins.bin_speeds_dkmh()) / 10 == pytest.approx(SPEED_OF_BIN_KMH)


def test_an_empty_sketch_has_no_quantile_beside_one_that_has() -> None:
    counts = np.zeros((2, BIN_COUNT), dtype=np.int64)
    counts[1, BIN_OF_SPEED[1000]] = 1
    empty, one = quantile_kmh(counts, 0.5)
    assert math.isnan(empty)
    assert one == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize(
    ("shape", "q"), [((BIN_COUNT,), -0.01), ((BIN_COUNT,), 1.01), ((BIN_COUNT,), math.nan), ((5,), 0.5)]
)
def test_what_is_no_sketch_or_no_quantile_is_refused(shape: tuple[int, ...], q: float) -> None:
    with pytest.raises(ConfigurationError):
        quantile_kmh(np.zeros(shape, dtype=np.int64), q)
