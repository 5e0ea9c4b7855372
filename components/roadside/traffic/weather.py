"""Weather: what it leaves of free-flow speed and capacity. Jam density stays (FHWA-HOP-07-073, 2006: no effect found).

Capacity: Highway Capacity Manual 2010 exhibit 10-15, average reductions, as table 33 of FHWA-HOP-13-042 appendix A
quotes them. Speed, and both for fog: M. Agarwal, T. H. Maze and R. Souleyrette, "Impact of weather on urban freeway
traffic flow characteristics and facility capacity", Mid-Continent Transportation Research Symposium 2005, the middle of
the range. Between none and the heavy kinds, speeds are interpolated by the capacity lost, which is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from roadside.traffic.errors import WeatherError


@dataclass(frozen=True, slots=True)
class Weather:
    """Shares of free-flow speed and of capacity that a kind of weather leaves, above 0 and at most 1."""

    free_flow_share: float
    capacity_share: float

    def __post_init__(self) -> None:
        for field in ("free_flow_share", "capacity_share"):
            value = getattr(self, field)
            if not 0.0 < value <= 1.0:
                raise WeatherError(field, value, "give a share above 0 and at most 1")


WEATHER: Final[Mapping[str, Weather]] = {
    "clear": Weather(1.0, 1.0),
    "rain": Weather(0.972, 0.9276),  # 0.10 to 0.25 in/h (2.5 to 6.4 mm/h)
    "heavy-rain": Weather(0.945, 0.8587),  # more than 0.25 in/h; speed 4 to 7 % less
    "snow": Weather(0.936, 0.8896),  # 0.10 to 0.50 in/h
    "heavy-snow": Weather(0.87, 0.7757),  # more than 0.50 in/h; speed 11 to 15 % less
    "fog": Weather(0.89, 0.88),  # visibility below a quarter of a mile; speed 10 to 12 % less, capacity 12 %
}
"""Kinds of weather by name. Measured on freeways; streets are given the same shares for want of such a table."""
