"""How far the statistics of gateways are from those of single readings. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.comparison.statistics import MEASURES, Statistics

ROUNDING: Final = 1e-9  # of floating point, which is no difference

NAMES: Final[Mapping[str, str]] = {
    "vehicle_count": "vehicles",
    "space_mean_kmh": "speed, space mean (km/h)",
    "time_mean_kmh": "speed, time mean (km/h)",
    "std_kmh": "standard deviation of speed (km/h)",
    "p15_kmh": "15th percentile of speed (km/h)",
    "p50_kmh": "median speed (km/h)",
    "p85_kmh": "85th percentile of speed (km/h)",
    "occupancy": "occupancy (0 to 1)",
}


@dataclass(frozen=True, slots=True)
class ErrorOf:
    """The differences of one statistic over all segments and windows.

    Parameters
    ----------
    compared : values that both have
    unlike : values that only one of them has
    exact : those of `compared` that are the same
    mean, most : of the absolute difference, in the statistic's unit
    most_percent : of the difference relative to the value from single readings, where that is not 0
    """

    compared: int
    unlike: int
    exact: int
    mean: float
    most: float
    most_percent: float


@dataclass(frozen=True, slots=True)
class Errors:
    """The comparison of two sets of statistics.

    Parameters
    ----------
    rows : segments and windows that both have
    only_edge, only_raw : that only one has
    of : by statistic
    """

    rows: int
    only_edge: int
    only_raw: int
    of: Mapping[str, ErrorOf]


def errors(edge: Statistics, raw: Statistics) -> Errors:
    """Compare row by row; both in order of window and segment."""
    edge_keys, raw_keys = edge.keys(), raw.keys()
    both = set(edge_keys) & set(raw_keys)
    edge_rows = edge.rows(np.array([key in both for key in edge_keys], dtype=bool))
    raw_rows = raw.rows(np.array([key in both for key in raw_keys], dtype=bool))
    return Errors(
        rows=len(both),
        only_edge=len(edge_keys) - len(both),
        only_raw=len(raw_keys) - len(both),
        of={name: _error(getattr(edge_rows, name), getattr(raw_rows, name)) for name in MEASURES},
    )


def _error(told: np.ndarray, exact: np.ndarray) -> ErrorOf:
    has_told, has_exact = ~np.isnan(told), ~np.isnan(exact)
    both = has_told & has_exact
    off = np.abs(told[both] - exact[both])
    size = np.abs(exact[both])
    off = np.where(off <= ROUNDING * np.maximum(size, 1.0), 0.0, off)
    relative = off[size > 0] / size[size > 0]
    return ErrorOf(
        compared=int(both.sum()),
        unlike=int((has_told != has_exact).sum()),
        exact=int((off == 0).sum()),
        mean=float(off.mean()) if len(off) else 0.0,
        most=float(off.max(initial=0.0)),
        most_percent=100 * float(relative.max(initial=0.0)),
    )
