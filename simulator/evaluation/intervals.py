"""How far a figure from so many seeds can be trusted: 95 % confidence intervals. Pure.

- A share of incidents: Wilson's score interval (E. B. Wilson, JASA 22, 1927, p. 209).
- Alerts in so much time: exact, after Garwood (F. Garwood, Biometrika 28, 1936, p. 437); his gamma quantiles are found
  as the means at which a Poisson tail is 2.5 %.
- Median, 90th percentile, F1, precision, recall: percentile bootstrap over seeds (B. Efron, Annals of Statistics 7,
  1979, p. 1).

The first two take incidents and alerts as independent of each other. Those of one seed share its traffic, so they are a
little too narrow; the bootstrap draws whole seeds and has no such fault, but needs some ten seeds to mean anything.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

LEVEL: Final = 0.95
_Z: Final = 1.959963984540054  # the normal distribution's 97.5 % quantile
_TAIL: Final = (1 - LEVEL) / 2
RESAMPLES: Final = 2000
LEAST_FOR_BOOTSTRAP: Final = 3

Interval = tuple[float, float]
Sample = TypeVar("Sample")


def wilson(hits: int, trials: int) -> Interval | None:
    """Of the share `hits / trials`; None without a trial."""
    if not trials:
        return None
    share, z2 = hits / trials, _Z * _Z
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    # At the ends the formula is 0 and 1 but for rounding.
    return 0.0 if hits == 0 else middle - half, 1.0 if hits == trials else middle + half


def poisson_rate(events: int, exposure: float) -> Interval | None:
    """Of the rate `events / exposure`; None without exposure."""
    if not exposure:
        return None
    low = 0.0 if events == 0 else _root(lambda mean: 1 - _poisson_cdf(events - 1, mean) - _TAIL, events)
    high = _root(lambda mean: _TAIL - _poisson_cdf(events, mean), events)
    return low / exposure, high / exposure


def bootstrap(samples: Sequence[Sample], figure: Callable[[Sequence[Sample]], float | None]) -> Interval | None:
    """Of `figure` over all samples, from samples drawn with replacement; the same samples give the same interval.

    None where there are too few of them, or where one draw in ten has no such figure.
    """
    if len(samples) < LEAST_FOR_BOOTSTRAP:
        return None
    draws = np.random.default_rng(1).integers(0, len(samples), (RESAMPLES, len(samples))).tolist()
    figures = [value for draw in draws if (value := figure([samples[index] for index in draw])) is not None]
    if len(figures) < 0.9 * RESAMPLES:
        return None
    low, high = np.quantile(figures, (_TAIL, 1 - _TAIL)).tolist()
    return low, high


def _poisson_cdf(most: int, mean: float) -> float:
    """The chance of at most so many events."""
    if mean == 0:
        return 1.0
    logs = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(most + 1)]
    return math.fsum(map(math.exp, logs))


def _root(rising: Callable[[float], float], events: int) -> float:
    """Where the rising function of a Poisson mean is 0, by halving."""
    low, high = 0.0, events + 10 * math.sqrt(events + 1) + 10
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
