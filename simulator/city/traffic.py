"""The traffic of a made-up city, one second at a time, as its sensors see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.traffic import (
    WEEKDAY,
    CellTransmission,
    DemandProfile,
    Incident,
    IncidentSchedule,
    SensorLayer,
    day_noise,
)
from simulator.city.layout import City, CityError

WARM_UP_S = 1200
HORIZON_S = 7200.0
"""Incidents are planned for this long; a longer run goes on without new ones."""


@dataclass(frozen=True, slots=True, eq=False)
class SensorTick:
    """One reading of every sensor of the city, in order of sensor number.

    Attributes
    ----------
    second : seconds since the start of the run, from 0.
    offset_ms : int64, 0 to 999, when in this second each sensor measures; the same in every tick.
    vehicle_count : uint16.
    speed_kmh : float64, NaN without a vehicle.
    occupancy : float64, 0 to 1.
    """

    second: int
    offset_ms: npt.NDArray[np.int64]
    vehicle_count: npt.NDArray[np.uint16]
    speed_kmh: npt.NDArray[np.float64]
    occupancy: npt.NDArray[np.float64]


class CityTraffic:
    """A morning in the city, second by second; the same city, seed and start give the same bytes.

    The roads are warmed up, so the first tick is in the middle of the peak: queues are growing at overloaded on-ramps,
    incidents are being cleared, and new ones strike free-flowing freeways in the first seconds (at least four, so that
    even a short run of a small city has something to detect).

    Parameters
    ----------
    city, seed
        `seed` decides demand of the day, incidents, phases and noise.
    start_time_of_day_s
        Local time of the first tick, seconds after midnight.
    profile
        Demand over the day.

    Raises
    ------
    CityError
        when the seed is negative or the time lies outside the day.
    """

    def __init__(
        self,
        city: City,
        seed: int = 1,
        *,
        start_time_of_day_s: float = 7.9 * 3600,
        profile: DemandProfile = WEEKDAY,
    ) -> None:
        if seed < 0:
            raise CityError("--seed", seed, "give a seed of at least 0")
        if not 0.0 <= start_time_of_day_s < 86_400.0:
            raise CityError("--start-time-of-day", start_time_of_day_s, "give seconds after midnight, below 86400")
        rng = np.random.default_rng([seed, 1])
        self.city = city
        self.model = CellTransmission(city.network, time_s=-float(WARM_UP_S))
        self._profile = profile
        self._start_time_of_day_s = start_time_of_day_s
        self._day = day_noise(city.network.corridor_count, rng, spread=0.03)
        self._sensors = SensorLayer(city.network, city.layout, np.random.default_rng([seed, 2]))
        self._offset_ms = rng.integers(0, 1000, city.sensor_count)
        self._second = 0

        freeways = np.array([segment.number for segment in city.segments() if segment.road_class == "freeway"])
        self.incidents = IncidentSchedule(_clearing_incidents(city, freeways, rng), city.network.lanes)
        for _ in range(WARM_UP_S):
            self._move()
        new = _new_incidents(city, freeways, self._free_but_busy(freeways), rng)
        self.incidents = IncidentSchedule((*self.incidents.incidents, *new), city.network.lanes)

    def tick(self) -> SensorTick:
        """Move the city on by one second and read all its sensors."""
        self._move()
        sample = self._sensors.sample(self.model.state)
        second = self._second
        self._second += 1
        return SensorTick(second, self._offset_ms, sample.vehicle_count, sample.speed_kmh, sample.occupancy)

    def _move(self) -> None:
        now_s = self.model.time_s
        share = self._profile.share(self._start_time_of_day_s + now_s) * self._day
        self.model.step(1.0, demand_share=share, capacity_factor=self.incidents.capacity_factor(now_s))

    def _free_but_busy(self, segments: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return the segments near capacity without a queue, where a blockage shows at once; failing that, all."""
        first, end = self.city.segment_cells[segments].T
        saturation = self.model.vehicles / self.city.network.critical_vehicles
        queued_before = np.concatenate(([0], np.cumsum(saturation > 1.0)))
        chosen = segments[(queued_before[end] == queued_before[first]) & (saturation[first] > 0.6)]
        return chosen if chosen.size else segments


def _clearing_incidents(city: City, segments: npt.NDArray[np.intp], rng: np.random.Generator) -> list[Incident]:
    """Short incidents cleared just before the run: their queues dissolve, a start wave needs a minute or two."""
    picked = _pick(segments, max(3, round(0.03 * segments.size)), rng)
    ends_s = rng.uniform(-90.0, -15.0, picked.size)
    starts_s = ends_s - rng.uniform(40.0, 110.0, picked.size)
    return [
        _incident(city, segment, start_s, end_s, lanes_blocked=2)
        for segment, start_s, end_s in zip(picked, starts_s.tolist(), ends_s.tolist(), strict=True)
    ]


def _new_incidents(
    city: City, segments: npt.NDArray[np.intp], busy: npt.NDArray[np.intp], rng: np.random.Generator
) -> list[Incident]:
    """Incidents of the run: heavy ones on busy segments at first, then one per minute and 1,000 segments."""
    early = max(4, round(0.02 * segments.size))
    later = rng.poisson(segments.size / 1000.0 * HORIZON_S / 60.0)
    # The first four within nine seconds, for runs of half a minute, and staggered, so that wherever the windows of the
    # reader begin, some of them strike after a window that was still free.
    first_s = np.array([2.0, 4.0, 6.0, 8.0]) + rng.uniform(0.0, 1.0, 4)
    early_s = np.concatenate((first_s, rng.uniform(1.0, 25.0, early - 4)))
    later_s = rng.uniform(25.0, HORIZON_S, later)
    early_picks = zip(_pick(busy, early, rng), early_s.tolist(), strict=True)
    later_picks = zip(_pick(segments, later, rng), later_s.tolist(), strict=True)
    return [
        *(_incident(city, segment, at_s, at_s + rng.uniform(60.0, 900.0), 2) for segment, at_s in early_picks),
        *(
            _incident(city, segment, at_s, at_s + rng.uniform(60.0, 900.0), int(rng.integers(0, 3)))
            for segment, at_s in later_picks
        ),
    ]


def _pick(segments: npt.NDArray[np.intp], count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return `count` segments, no segment a second time before each had its turn."""
    return np.resize(rng.permutation(segments), count)


def _incident(city: City, segment: np.intp, start_s: float, end_s: float, lanes_blocked: int) -> Incident:
    """Block a segment in its middle, so that its sensors see the queue and the empty road behind it."""
    return Incident(int(city.segment_cells[segment].sum()) // 2, start_s, end_s, lanes_blocked)
