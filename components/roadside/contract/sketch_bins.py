"""The bins in which speeds are counted so that every percentile can be told afterwards.

Guarantee: the value of a bin differs from any speed counted in it by at most the stated relative error (1 % with
10 permille), standing vehicles are told exactly. Sketches with equal error merge exactly, by
adding bin for bin. Speeds of 20 to 120 km/h span 90 bins at 1 %.

These are the bins of DDSketch (Masson, Rim, Lee: "DDSketch", PVLDB 12(12), 2019) over speeds u in dkmh: with
gamma = (1 + a) / (1 - a), bin 0 holds u = 0 and bin i >= 1 holds gamma^(i-2) < u <= gamma^(i-1).
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Final

from roadside.contract.errors import ContractError

DEFAULT_ERROR_PERMILLE: Final = 10
MAX_SPEED_DKMH: Final = 2550
MIN_PACE_SPEED_DKMH: Final = 30  # a standing vehicle would otherwise outweigh all others in the sum of paces
PACE_OF_ONE_DKMH: Final = 36_000_000  # ms per km at 0.1 km/h


def gamma(error_permille: int) -> float:
    """Ratio of neighbouring bin edges."""
    if not 1 <= error_permille <= 100:
        raise ContractError("sketch_error_permille", error_permille, "must be 1 to 100")
    return (1000 + error_permille) / (1000 - error_permille)


def bin_of(speed_dkmh: int, error_permille: int = DEFAULT_ERROR_PERMILLE) -> int:
    """Bin that counts a speed of 0 to MAX_SPEED_DKMH."""
    if not 0 <= speed_dkmh <= MAX_SPEED_DKMH:
        raise ContractError("speed_dkmh", speed_dkmh, f"must be 0 to {MAX_SPEED_DKMH}")
    if speed_dkmh == 0:
        return 0
    return 1 + math.ceil(round(math.log(speed_dkmh) / math.log(gamma(error_permille)), 9))


@functools.cache
def bin_speeds_dkmh(error_permille: int = DEFAULT_ERROR_PERMILLE) -> tuple[float, ...]:
    """Value of every bin up to the one of MAX_SPEED_DKMH.

    2 gamma^(i-1) / (gamma + 1) is as far from the lower edge of bin i as from the upper, relatively.
    """
    ratio = gamma(error_permille)
    last = bin_of(MAX_SPEED_DKMH, error_permille)
    return (0.0, *(2 * ratio ** (i - 1) / (ratio + 1) for i in range(1, last + 1)))


@functools.cache
def whole_bin_speeds_dkmh(error_permille: int = DEFAULT_ERROR_PERMILLE) -> tuple[int, ...]:
    """Value of every bin rounded to whole dkmh: the codec predicts with integers, alike on every machine."""
    return tuple(round(speed) for speed in bin_speeds_dkmh(error_permille))


@functools.cache
def whole_bin_paces_ms_per_km(error_permille: int = DEFAULT_ERROR_PERMILLE) -> tuple[int, ...]:
    """Pace at the rounded value of every bin, clipped like the paces that are summed."""
    return tuple(pace_ms_per_km(speed) for speed in whole_bin_speeds_dkmh(error_permille))


def pace_ms_per_km(speed_dkmh: int) -> int:
    """Time for one kilometre, rounded half up; speeds below 3 km/h count as 3 km/h."""
    clipped = max(speed_dkmh, MIN_PACE_SPEED_DKMH)
    return (2 * PACE_OF_ONE_DKMH + clipped) // (2 * clipped)


def quantile_kmh(first_bin: int, counts: Sequence[int], q: float, error_permille: int) -> float | None:
    """Value of the bin that holds the order statistic floor(q (n - 1)) of n vehicles; None of no vehicles.

    Raises
    ------
    ContractError
        q is outside [0, 1].
    """
    if not 0 <= q <= 1:
        raise ContractError("q", q, "must be 0 to 1")
    total = sum(counts)
    if total == 0:
        return None
    beyond = math.floor(q * (total - 1)) + 1
    index = next(i for i, reached in enumerate(itertools.accumulate(counts)) if reached >= beyond)
    return bin_speeds_dkmh(error_permille)[first_bin + index] / 10
