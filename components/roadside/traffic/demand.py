"""How much traffic wants to travel: a day as a sum of Gaussians, and how days differ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.traffic.errors import DemandError

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Peak:
    """A Gaussian hump of demand: centre and standard deviation in seconds, height as a share of the design demand."""

    centre_s: float
    width_s: float
    height: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.centre_s < DAY_S:
            raise DemandError("centre_s", self.centre_s, f"give a time of day from 0 up to {DAY_S:.0f} s")
        if not 0.0 < self.width_s < math.inf:
            raise DemandError("width_s", self.width_s, "give a standard deviation above 0 s")
        if not 0.0 <= self.height < math.inf:
            raise DemandError("height", self.height, "give a share of at least 0")


@dataclass(frozen=True, slots=True)
class DemandProfile:
    """Demand share over the day: a base that never sleeps plus peaks. 1 means the design demand of each road."""

    base: float
    peaks: tuple[Peak, ...]

    def __post_init__(self) -> None:
        if not 0.0 <= self.base < math.inf:
            raise DemandError("base", self.base, "give a share of at least 0")

    def share(self, time_of_day_s: float) -> float:
        """Return the demand share at a time of day; times outside one day wrap around midnight."""
        total = self.base
        for peak in self.peaks:
            away_s = (time_of_day_s - peak.centre_s + DAY_S / 2) % DAY_S - DAY_S / 2
            total += peak.height * math.exp(-0.5 * (away_s / peak.width_s) ** 2)
        return total


WEEKDAY = DemandProfile(
    base=0.08,
    peaks=(
        Peak(centre_s=8.0 * 3600, width_s=1.1 * 3600, height=0.80),
        Peak(centre_s=13.0 * 3600, width_s=2.8 * 3600, height=0.55),
        Peak(centre_s=17.5 * 3600, width_s=1.4 * 3600, height=0.77),
    ),
)
"""A working day: about 1 at 08:00 and at 17:30, three fifths at midday, a tenth at night."""

HOLIDAY = DemandProfile(base=0.07, peaks=(Peak(centre_s=14.5 * 3600, width_s=3.4 * 3600, height=0.62),))
"""A day off: nobody commutes, one broad hump in the afternoon, two thirds of a working day's peak."""


def day_noise(roads: int, rng: np.random.Generator, spread: float = 0.05) -> npt.NDArray[np.float64]:
    """Draw one factor per road by which this day differs from the profile: lognormal with mean 1.

    Parameters
    ----------
    roads : number of factors.
    spread : standard deviation of the logarithm.

    Raises
    ------
    DemandError
        when the spread is negative.
    """
    if spread < 0.0:
        raise DemandError("spread", spread, "give a standard deviation of at least 0")
    return np.exp(rng.normal(-0.5 * spread * spread, spread, roads))
