"""Speeds counted in bins, so that windows, segments and gateways merge and every percentile can still be told.

Guarantee: a quantile differs from the exact order statistic floor(q (n - 1)) by at most `RELATIVE_ERROR`: an 85th
percentile of 63.0 km/h comes out between 62.4 and 63.6. Merging is adding and loses nothing, in any order.
Cost: one counter per bin; a segment with speeds of 20 to 120 km/h occupies about 90.

These are the bins of DDSketch (Masson, Rim, Lee: "DDSketch", PVLDB 12(12), 2019) with relative error a = 1 % over
speeds u in tenths of km/h: gamma = (1 + a) / (1 - a); bin 0 holds u = 0 and bin i >= 1 holds
gamma^(i-2) < u <= gamma^(i-1).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.core.errors import ConfigurationError
from roadside.core.readings import MAX_SPEED_DKMH

RELATIVE_ERROR: Final = 0.01
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)

_speeds = np.arange(1, MAX_SPEED_DKMH + 1)
# Rounding before the ceiling keeps a speed that lies on an edge in the lower bin on every machine.
_bins = 1 + np.ceil(np.round(np.log(_speeds) / np.log(GAMMA), 9)).astype(np.int64)

BIN_OF_SPEED: Final = np.concatenate([np.zeros(1, np.int64), _bins])
"""int64 [MAX_SPEED_DKMH + 1], the bin of each speed in dkmh."""

BIN_COUNT: Final = int(BIN_OF_SPEED[-1]) + 1
SPEED_OF_BIN_KMH: Final = np.concatenate([np.zeros(1), 0.2 * GAMMA ** np.arange(BIN_COUNT - 1) / (GAMMA + 1)])
"""float64 [BIN_COUNT], the value that stands for each bin, as far from its lower edge as from its upper."""


def quantile_kmh(counts: npt.NDArray[np.integer], q: float) -> npt.NDArray[np.float64]:
    """Speed at the order statistic floor(q (n - 1)) of each sketch.

    Parameters
    ----------
    counts : integer [..., BIN_COUNT], vehicles per bin
    q : 0 to 1

    Returns
    -------
    float64 [...], km/h; NaN for a sketch without vehicles

    Raises
    ------
    ConfigurationError
        q outside [0, 1], or rows of another length.
    """
    if not 0 <= q <= 1:
        raise ConfigurationError("q", q, "must be 0 to 1")
    if counts.shape[-1] != BIN_COUNT:
        raise ConfigurationError("counts.shape", counts.shape, f"must end in {BIN_COUNT} bins")
    reached = np.cumsum(counts, axis=-1)
    total = reached[..., -1]
    rank = np.floor(q * (total - 1))
    bin_index = np.argmax(reached > rank[..., None], axis=-1)
    return np.where(total > 0, SPEED_OF_BIN_KMH[bin_index], np.nan)
