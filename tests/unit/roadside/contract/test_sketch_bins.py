"""Core and contract, which know nothing of each other, count alike; and every machine counts alike."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadside.contract import sketch_bins
from roadside.contract.errors import ContractError
from roadside.core import readings, sketch, summary

SPEEDS = range(sketch_bins.MAX_SPEED_DKMH + 1)


def test_core_and_contract_have_the_same_limits() -> None:
    assert readings.MAX_SPEED_DKMH == sketch_bins.MAX_SPEED_DKMH
    assert summary.MIN_PACE_SPEED_DKMH == sketch_bins.MIN_PACE_SPEED_DKMH
    assert sketch.RELATIVE_ERROR * 1000 == sketch_bins.DEFAULT_ERROR_PERMILLE
    assert len(sketch_bins.bin_speeds_dkmh()) == sketch.BIN_COUNT


def test_core_and_contract_put_every_speed_in_the_same_bin_with_the_same_pace() -> None:
    assert [sketch_bins.bin_of(speed) for speed in SPEEDS] == sketch.BIN_OF_SPEED.tolist()
    assert [sketch_bins.pace_ms_per_km(speed) for speed in SPEEDS] == summary.PACE_MS_PER_KM.tolist()


def test_core_and_contract_give_every_bin_the_same_value() -> None:
    np.testing.assert_allclose(np.array(sketch_bins.bin_speeds_dkmh()) / 10, sketch.SPEED_OF_BIN_KMH, rtol=1e-13)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=sketch.BIN_COUNT),
    st.sampled_from([0, 0.1, 0.5, 0.85, 1]) | st.floats(0, 1),
)
def test_core_and_contract_tell_the_same_quantiles(counts: list[int], q: float) -> None:
    dense = np.zeros(sketch.BIN_COUNT, dtype=np.int64)
    first_bin = sketch.BIN_COUNT - len(counts)
    dense[first_bin:] = counts

    told = sketch_bins.quantile_kmh(first_bin, counts, q, sketch_bins.DEFAULT_ERROR_PERMILLE)

    expected = float(sketch.quantile_kmh(dense, q))
    assert math.isnan(expected) if told is None else told == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("error_permille", range(1, 101))
def test_rounded_bin_values_are_alike_on_every_machine(error_permille: int) -> None:
    """No value lies so near a tie that another machine's power function could round it the other way."""
    for speed in sketch_bins.bin_speeds_dkmh(error_permille):
        assert abs(speed % 1 - 0.5) > 1e-6, speed


@pytest.mark.parametrize("error_permille", [1, 2, 5, 10, 20, 50, 100])
def test_bins_are_those_of_exact_arithmetic(error_permille: int) -> None:
    """gamma^(i-2) < u <= gamma^(i-1) in fractions, so that no machine's logarithm decides."""
    gamma = Fraction(1000 + error_permille, 1000 - error_permille)
    upper_edge, index = Fraction(1), 1
    for speed in SPEEDS[1:]:
        while upper_edge < speed:
            upper_edge, index = _shortened(upper_edge * gamma), index + 1
        assert sketch_bins.bin_of(speed, error_permille) == index
    assert sketch_bins.bin_of(0, error_permille) == 0


def _shortened(number: Fraction) -> Fraction:
    """To 200 bits: the powers of gamma would otherwise grow to thousands."""
    scale = 1 << 200
    return Fraction(number.numerator * scale // number.denominator, scale)


@pytest.mark.parametrize("error_permille", [1, 2, 5, 10, 20, 50, 100])
def test_value_of_a_bin_is_within_the_error_of_every_speed_in_it(error_permille: int) -> None:
    values = sketch_bins.bin_speeds_dkmh(error_permille)

    for speed in SPEEDS:
        told = values[sketch_bins.bin_of(speed, error_permille)]
        assert abs(told - speed) <= speed * error_permille / 1000 + 1e-9


def test_bins_of_ordinary_speeds_are_about_ninety() -> None:
    assert 85 <= sketch_bins.bin_of(1200) - sketch_bins.bin_of(200) <= 95


@pytest.mark.parametrize(("speed", "pace"), [(0, 1_200_000), (29, 1_200_000), (30, 1_200_000), (31, 1_161_290)])
def test_pace_of_a_crawling_vehicle_is_clipped(speed: int, pace: int) -> None:
    assert sketch_bins.pace_ms_per_km(speed) == pace


def test_pace_is_rounded_half_up() -> None:
    for speed in SPEEDS[sketch_bins.MIN_PACE_SPEED_DKMH :]:
        assert sketch_bins.pace_ms_per_km(speed) == math.floor(Fraction(36_000_000, speed) + Fraction(1, 2))


@pytest.mark.parametrize("speed", [-1, 2551])
def test_speed_out_of_range_has_no_bin(speed: int) -> None:
    with pytest.raises(ContractError, match="speed_dkmh"):
        sketch_bins.bin_of(speed)


@pytest.mark.parametrize("error_permille", [-1, 0, 101])
def test_error_out_of_range_is_refused(error_permille: int) -> None:
    with pytest.raises(ContractError, match="sketch_error_permille"):
        sketch_bins.bin_speeds_dkmh(error_permille)


@pytest.mark.parametrize("q", [-0.001, 1.001, math.nan])
def test_quantile_out_of_range_is_refused(q: float) -> None:
    with pytest.raises(ContractError, match="q = "):
        sketch_bins.quantile_kmh(1, (1,), q, 10)
