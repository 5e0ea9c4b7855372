"""Lane sensors: what a loop or radar reports about the traffic that the model moves past it.

The interval is cut into `trials` slots no longer than the shortest headway, so that a slot holds at most one vehicle:

    count      Binomial(trials, q·T / trials): Poisson when sparse, more even than Poisson near capacity
    speed      the space mean speed of the lane with 9 % / √count of noise, none without a vehicle
    occupancy  a passing vehicle covers the loop for g / v; a slot without one is covered all the same when a vehicle
               stands or crawls over it, with the chance that makes the mean occupancy k·g

One uniform number decides a slot: below the chance of a passage it is a passage, between that and k·g a covered loop.
The chance of a covered loop is drawn anew in each slot, so a vehicle does not stand still on one loop for minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.traffic.cell_transmission import TrafficState
from roadside.traffic.errors import SensorError
from roadside.traffic.network import FloatArray, IntArray, Network

SHORTEST_HEADWAY_S = 1.1
FIELD_LENGTH_M = 6.6
"""g: vehicle length plus detection zone."""
SPEED_NOISE = 0.09
SLOW_LANE_SHARE = 0.92
"""Flow on the slow lane against the mean of the lanes; the others share the rest evenly."""
LANE_SPEED_SPREAD = 0.07
"""The slow lane runs this much slower than the mean, the fast lane this much faster."""
SLOWEST_KMH, FASTEST_KMH = 1.0, 250.0
"""Range of speeds a device reports."""


@dataclass(frozen=True, slots=True, eq=False)
class SensorLayout:
    """Where the sensors stand: cell index and lane (0 = slow lane) of each; intp, one per sensor."""

    cell: IntArray
    lane: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class SensorSample:
    """One reading of every sensor.

    Attributes
    ----------
    vehicle_count : uint16, vehicles during the interval.
    speed_kmh : float64, space mean speed to 0.1 km/h; NaN when no vehicle passed.
    occupancy : float64, share of the interval during which the loop was covered, 0 to 1, to 0.001.
    """

    vehicle_count: npt.NDArray[np.uint16]
    speed_kmh: FloatArray
    occupancy: FloatArray


class SensorLayer:
    """All sensors of a network, read together.

    Parameters
    ----------
    network, layout
        The roads and where the sensors stand on them.
    rng
        Source of chance; a generator seeded alike gives the same readings, bit by bit.

    Raises
    ------
    SensorError
        when a sensor stands outside the network.
    """

    def __init__(self, network: Network, layout: SensorLayout, rng: np.random.Generator) -> None:
        if layout.cell.shape != layout.lane.shape or layout.cell.ndim != 1:
            raise SensorError("lane", layout.lane.shape, f"give one lane per sensor, {layout.cell.shape}")
        off_road = (layout.cell < 0) | (layout.cell >= network.cell_count)
        if off_road.any():
            bad_cell = int(layout.cell[off_road][0])
            raise SensorError("cell", bad_cell, f"the network has cells 0 to {network.cell_count - 1}")
        lanes = network.lanes[layout.cell]
        off_lane = (layout.lane < 0) | (layout.lane >= lanes)
        if off_lane.any():
            bad_lane = int(layout.lane[off_lane][0])
            raise SensorError("lane", bad_lane, "lanes count from 0 and stay below the lanes of their cell")
        self._cell = layout.cell
        self._rng = rng
        others = np.divide(lanes - SLOW_LANE_SHARE, lanes - 1, out=np.ones(lanes.size), where=lanes > 1)
        self._flow_factor = np.where((layout.lane == 0) & (lanes > 1), SLOW_LANE_SHARE, others)
        place = np.divide(2 * layout.lane, lanes - 1, out=np.ones(lanes.size), where=lanes > 1) - 1.0
        self._speed_factor = 1.0 + LANE_SPEED_SPREAD * place
        self._density_factor = self._flow_factor / self._speed_factor

    @property
    def sensor_count(self) -> int:
        return self._cell.size

    def sample(self, state: TrafficState, interval_s: float = 1.0) -> SensorSample:
        """Read every sensor over `interval_s` seconds of traffic as it is in `state`.

        Raises
        ------
        SensorError
            when the interval has no length.
        """
        if not 0.0 < interval_s < math.inf:
            raise SensorError("interval_s", interval_s, "give a finite interval above 0 s")
        cell = self._cell
        trials = math.ceil(interval_s / SHORTEST_HEADWAY_S)
        slot_s = interval_s / trials
        passing = np.minimum(state.flow_veh_s_lane[cell] * self._flow_factor * slot_s, 1.0)
        covered = np.maximum(state.density_veh_m_lane[cell] * self._density_factor * FIELD_LENGTH_M, passing)

        # One draw decides both: see the module's docstring.
        draw = self._rng.random((trials, cell.size))
        count = (draw < passing).sum(axis=0, dtype=np.uint16)
        covered_slots = (draw < covered).sum(axis=0, dtype=np.uint16)

        seen = np.flatnonzero(count)
        vehicles = count[seen]
        noise = self._rng.standard_normal(seen.size) * (SPEED_NOISE / np.sqrt(vehicles))
        speed = state.speed_m_s[cell[seen]] * self._speed_factor[seen] * 3.6 * (1.0 + noise)
        speed = np.minimum(np.maximum(speed, SLOWEST_KMH), FASTEST_KMH)
        speed_kmh = np.full(cell.size, np.nan)
        speed_kmh[seen] = np.round(speed, 1)
        covered_s = (covered_slots - count) * slot_s
        covered_s[seen] += vehicles * np.minimum(FIELD_LENGTH_M * 3.6 / speed, slot_s)
        occupancy = np.round(np.minimum(covered_s / interval_s, 1.0), 3)
        return SensorSample(vehicle_count=count, speed_kmh=speed_kmh, occupancy=occupancy)
