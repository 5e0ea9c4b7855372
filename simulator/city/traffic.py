"""The traffic of a made-up city, one second at a time, as its sensors see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from roadside.traffic import CellTransmission, IncidentSchedule, SensorLayer, day_noise
from simulator.city.incidents import CityIncident, clearing_incidents, incidents_of_hour, opening_incidents
from simulator.city.layout import City, CityError
from simulator.city.scenario import Scenario
from simulator.city.staging import Staging

WARM_UP_S = 1200


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
    """A day in the city from any time of it on, second by second; the same city, seed and scenario give the same bytes.

    The roads are warmed up, so the first tick is in the middle of the traffic of its hour. Unless the scenario says
    otherwise that is a morning peak: queues are growing at overloaded on-ramps, incidents are being cleared, and new
    ones strike free-flowing freeways in the first seconds (at least four, so that even a short run of a small city has
    something to detect).

    Parameters
    ----------
    city, seed
        `seed` decides demand of the day, incidents, phases and noise.
    scenario
        The time of day at which it starts, weather, demand, events and planned incidents; a working day if not said.

    Attributes
    ----------
    incidents
        All incidents so far, for the model; those that chance brings are drawn hour by hour.
    city_incidents
        The same, with their segments.

    Raises
    ------
    CityError
        when the seed is negative.
    ScenarioError
        when the scenario names what the city does not have.
    """

    def __init__(self, city: City, seed: int = 1, scenario: Scenario | None = None) -> None:
        scenario = scenario or Scenario()
        if seed < 0:
            raise CityError("--seed", seed, "give a seed of at least 0")
        rng = np.random.default_rng([seed, 1])
        self.city = city
        self.model = CellTransmission(city.network, time_s=-float(WARM_UP_S))
        self._staging = Staging(scenario, city)
        self._scenario = scenario
        self._seed = seed
        self._day = day_noise(city.network.corridor_count, rng, spread=0.03)
        self._sensors = SensorLayer(city.network, city.layout, np.random.default_rng([seed, 2]))
        self._offset_ms = rng.integers(0, 1000, city.sensor_count)
        self._second = 0

        self._freeways = np.array([segment.number for segment in city.segments() if segment.road_class == "freeway"])
        self.city_incidents: list[CityIncident] = []
        self.incidents = IncidentSchedule((), city.network.lanes)
        self._add(self._staging.incidents)
        if scenario.random_incidents.opening:
            self._add(clearing_incidents(self._freeways, rng))
        for _ in range(WARM_UP_S):
            self._move()
        if scenario.random_incidents.opening:
            self._add(opening_incidents(self._freeways, self._free_but_busy(), rng))

    def tick(self) -> SensorTick:
        """Move the city on by one second and read all its sensors."""
        second = self._second
        if second % 3600 == 0:
            hour, rate = second // 3600, self._scenario.random_incidents.per_hour_per_1000_segments
            self._add(incidents_of_hour(hour, self._freeways, rate, np.random.default_rng([self._seed, 3, hour])))
        self._move()
        sample = self._sensors.sample(self.model.state)
        self._second += 1
        return SensorTick(second, self._offset_ms, sample.vehicle_count, sample.speed_kmh, sample.occupancy)

    def truth(self) -> dict[str, Any]:
        """What truly happened, and what the scenario plans, as plain values; instants in seconds after the first tick.

        Keys: scenario, start_time_of_day_s, weather, surges, closures, and incidents, of which only those are told that
        have begun.
        """
        segments = list(self.city.segments())
        incidents = [
            incident.told(self.city, segments[incident.segment])
            for incident in self.city_incidents
            if incident.start_s < self._second
        ]
        return {**self._staging.truth(), "incidents": sorted(incidents, key=lambda told: told["start_s"])}

    def _add(self, incidents: Iterable[CityIncident]) -> None:
        self.city_incidents += incidents
        self.incidents = IncidentSchedule([i.on(self.city) for i in self.city_incidents], self.city.network.lanes)

    def _move(self) -> None:
        now_s = self.model.time_s
        network = self._staging.network(now_s)
        if network is not self.model.network:
            self.model.use(network)
        time_of_day_s = self._staging.start_time_of_day_s + now_s
        entry_factor, ramp_factor = self._staging.demand_factors(now_s)
        self.model.step(
            1.0,
            demand_share=self._scenario.profile.share(time_of_day_s) * self._scenario.demand_factor * self._day,
            entry_factor=entry_factor,
            ramp_factor=ramp_factor,
            capacity_factor=self.incidents.capacity_factor(now_s),
        )

    def _free_but_busy(self) -> npt.NDArray[np.intp]:
        """Return the freeways near capacity without a queue, where a blockage shows at once; failing that, all."""
        first, end = self.city.segment_cells[self._freeways].T
        saturation = self.model.vehicles / self.model.network.critical_vehicles
        queued_before = np.concatenate(([0], np.cumsum(saturation > 1.0)))
        chosen = self._freeways[(queued_before[end] == queued_before[first]) & (saturation[first] > 0.6)]
        return chosen if chosen.size else self._freeways
