"""Incidents of a made-up city: those that chance brings, and the truth about each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from roadside.traffic import Incident, capacity_share
from simulator.city.layout import City, SegmentPlan

Cause = Literal["chance", "scenario", "closure"]
HOUR_S = 3600.0
LONGEST_OPENING_S = 25.0
"""Incidents of the opening strike within this time after the start, and no others do."""


@dataclass(frozen=True, slots=True)
class CityIncident:
    """What detection is judged by: a blockage in the middle of a segment, in seconds after the start of the run."""

    segment: int
    start_s: float
    end_s: float
    lanes_blocked: int
    cause: Cause = "chance"

    def on(self, city: City) -> Incident:
        """The same for the model: its sensors see the queue and the empty road behind it."""
        return Incident(self._cell(city), self.start_s, self.end_s, self.lanes_blocked)

    def told(self, city: City, segment: SegmentPlan) -> dict[str, Any]:
        """The same as plain values; `into_segment_m` is where in its segment, in driving direction."""
        first, cell = int(city.segment_cells[self.segment][0]), self._cell(city)
        return {
            "segment": self.segment,
            "segment_id": segment.segment_id,
            "into_segment_m": float(city.network.length_m[first : cell + 1].sum()),
            "start_s": round(self.start_s, 1),
            "end_s": round(self.end_s, 1),
            "lanes_blocked": self.lanes_blocked,
            "capacity_share": capacity_share(segment.lanes, self.lanes_blocked),
            "cause": self.cause,
        }

    def _cell(self, city: City) -> int:
        return int(city.segment_cells[self.segment].sum()) // 2


def clearing_incidents(freeways: npt.NDArray[np.intp], rng: np.random.Generator) -> list[CityIncident]:
    """Short incidents cleared just before the run: their queues dissolve, a start wave needs a minute or two."""
    picked = _pick(freeways, max(3, round(0.03 * freeways.size)), rng)
    ends_s = rng.uniform(-90.0, -15.0, picked.size)
    starts_s = ends_s - rng.uniform(40.0, 110.0, picked.size)
    return [
        CityIncident(int(segment), start_s, end_s, lanes_blocked=2)
        for segment, start_s, end_s in zip(picked, starts_s.tolist(), ends_s.tolist(), strict=True)
    ]


def opening_incidents(
    freeways: npt.NDArray[np.intp], busy: npt.NDArray[np.intp], rng: np.random.Generator
) -> list[CityIncident]:
    """Heavy ones on busy segments in the first seconds; at least four, so that a small city has something to detect."""
    count = max(4, round(0.02 * freeways.size))
    # The first four within nine seconds, for runs of half a minute, and staggered, so that wherever the windows of the
    # reader begin, some of them strike after a window that was still free.
    first_s = np.array([2.0, 4.0, 6.0, 8.0]) + rng.uniform(0.0, 1.0, 4)
    starts_s = np.concatenate((first_s, rng.uniform(1.0, LONGEST_OPENING_S, count - 4))).tolist()
    return [
        CityIncident(int(segment), start_s, start_s + rng.uniform(60.0, 900.0), 2)
        for segment, start_s in zip(_pick(busy, count, rng), starts_s, strict=True)
    ]


def incidents_of_hour(
    hour: int, freeways: npt.NDArray[np.intp], per_hour_per_1000_segments: float, rng: np.random.Generator
) -> Iterator[CityIncident]:
    """Those that strike in an hour of the run, counted from 0, after its opening: of any kind, anywhere."""
    count = int(rng.poisson(freeways.size / 1000.0 * per_hour_per_1000_segments))
    first_s = max(hour * HOUR_S, LONGEST_OPENING_S)
    starts_s = np.sort(rng.uniform(first_s, (hour + 1) * HOUR_S, count)).tolist()
    for segment, start_s in zip(_pick(freeways, count, rng), starts_s, strict=True):
        yield CityIncident(int(segment), start_s, start_s + rng.uniform(60.0, 900.0), int(rng.integers(0, 3)))


def _pick(segments: npt.NDArray[np.intp], count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return `count` segments, no segment a second time before each had its turn."""
    return np.resize(rng.permutation(segments), count)
