"""The cell-transmission model: kinematic-wave (LWR) traffic by the Godunov scheme, all corridors in one step.

C. F. Daganzo, "The cell transmission model", Transportation Research B 28 (1994) and 29 (1995). Per cell and step:

    sending    S = min(v_f·k·N, Q·factor)       what the cell can let go; Q is 0 on red, 7 % lower in a queue
    receiving  R = min(Q, w·(k_j - k)·N)        what the cell can take in
    outflow    min(S, (R_next - ramp_next) / (1 - β))

The on-ramp of a cell goes first, up to half of R. The off-ramp takes the share β of the outflow and, first in first
out, waits with it. Demand that finds no room waits in a queue before the entry or on the ramp. Signals and incidents
act at the downstream end of their cell, so they narrow S and leave R alone: the queue stands in the cell itself.
Capacity left by an incident was measured with its queue standing, so the 7 % do not come off it once more.

Guarantees: 0 ≤ vehicles ≤ jam in every cell; every vehicle is either stored or has left (`conservation_error`).
No stop-and-go waves and no lane changes: the model has one density per cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.traffic.errors import StepError
from roadside.traffic.network import FloatArray, Network

QUEUE_DENSITY = 1.05
"""A cell discharges a queue, and its capacity drops, above this multiple of the critical density."""


EMPTY_VEHICLES = 1e-9
"""Less than this in a cell is none: the last traces of a platoon divide inexactly."""


@dataclass(frozen=True, slots=True, eq=False)
class TrafficState:
    """Traffic at the downstream end of every cell during the last step; float64, one value per cell.

    q = k·v holds in each cell. Empty cells have their free-flow speed; a standing queue has flow 0 and speed 0.
    """

    flow_veh_s_lane: FloatArray
    density_veh_m_lane: FloatArray
    speed_m_s: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _StepLimits:
    """The network's rates times one step, so that a step is arithmetic on vehicles only."""

    free_share: FloatArray
    wave_share: FloatArray
    capacity: FloatArray
    entry: FloatArray
    ramp: FloatArray


class CellTransmission:
    """Vehicles on a network and the law by which they move.

    Parameters
    ----------
    network
        The roads; empty at the start.
    time_s
        Model time of the first step; signals refer to it.
    """

    def __init__(self, network: Network, time_s: float = 0.0) -> None:
        self.time_s = time_s
        self.vehicles: FloatArray = np.zeros(network.cell_count)
        self.entry_queue: FloatArray = np.zeros(network.corridor_count)
        self.ramp_queue: FloatArray = np.zeros(network.cell_count)
        self.vehicles_arrived = 0.0
        self.vehicles_departed = 0.0
        self._kept = 1.0 - network.off_ramp_share
        self._ramp_cell = np.flatnonzero(network.on_ramp_veh_s)
        self._ramp_corridor = network.corridor_of_cell[self._ramp_cell]
        self._state: TrafficState | None = None
        self.use(network)

    def use(self, network: Network) -> None:
        """Go on under other conditions on the same roads, as `Network.in_weather` makes them."""
        self.network = network
        self._queue_vehicles = QUEUE_DENSITY * network.critical_vehicles
        self._limits: tuple[float, _StepLimits] | None = None

    def step(
        self,
        dt_s: float,
        *,
        demand_share: float | npt.ArrayLike = 1.0,
        entry_factor: FloatArray | None = None,
        ramp_factor: FloatArray | None = None,
        capacity_factor: FloatArray | None = None,
    ) -> None:
        """Move all traffic on by `dt_s` seconds.

        Parameters
        ----------
        dt_s
            Step; no vehicle and no wave may cross a whole cell in it. Signals hold their colour during a step.
        demand_share
            Share of the design demand at entries and on-ramps: one number, or one per corridor.
        entry_factor, ramp_factor
            Factors of at least 0 on that, float64, one per corridor and one per cell; None means 1 everywhere.
        capacity_factor
            Share of capacity left by incidents, float64, one per cell; None means 1 everywhere.

        Raises
        ------
        StepError
            when the step is too long for the shortest cell, or a share is negative or of the wrong shape.
        """
        network = self.network
        limits = self._limits_for(dt_s)
        share = self._checked_share(demand_share)
        vehicles = self.vehicles

        allowed = np.where(vehicles > self._queue_vehicles, 1.0 - network.capacity_drop, 1.0)
        if capacity_factor is not None:
            self._check_factor("capacity_factor", capacity_factor, vehicles.size)
            allowed = np.minimum(allowed, capacity_factor)
        allowed[network.signal_cell[~self._green()]] = 0.0
        sending = np.minimum(limits.free_share * vehicles, limits.capacity * allowed)
        receiving = np.minimum(limits.capacity, limits.wave_share * np.maximum(network.jam_vehicles - vehicles, 0.0))

        ramp_arrivals = limits.ramp * share[self._ramp_corridor]
        if ramp_factor is not None:
            self._check_factor("ramp_factor", ramp_factor, vehicles.size)
            ramp_arrivals = ramp_arrivals * ramp_factor[self._ramp_cell]
        ramp_waiting = self.ramp_queue[self._ramp_cell] + ramp_arrivals
        ramp_served = np.minimum(ramp_waiting, 0.5 * receiving[self._ramp_cell])
        receiving[self._ramp_cell] -= ramp_served

        room_ahead = np.empty_like(receiving)
        room_ahead[:-1] = receiving[1:]
        room_ahead[network.last_cell] = np.inf
        outflow = np.minimum(sending, room_ahead / self._kept)

        entry_arrivals = limits.entry * share
        if entry_factor is not None:
            self._check_factor("entry_factor", entry_factor, network.corridor_count)
            entry_arrivals = entry_arrivals * entry_factor
        entry_waiting = self.entry_queue + entry_arrivals
        entry_served = np.minimum(entry_waiting, receiving[network.first_cell])

        passed_on = outflow * self._kept
        inflow = np.empty_like(outflow)
        inflow[1:] = passed_on[:-1]
        inflow[network.first_cell] = entry_served
        inflow[self._ramp_cell] += ramp_served

        self._state = self._observe(vehicles, outflow, dt_s)
        self.vehicles = vehicles + inflow - outflow
        self.entry_queue = entry_waiting - entry_served
        self.ramp_queue[self._ramp_cell] = ramp_waiting - ramp_served
        self.vehicles_arrived += float(entry_arrivals.sum() + ramp_arrivals.sum())
        self.vehicles_departed += float((outflow - passed_on).sum() + passed_on[network.last_cell].sum())
        self.time_s += dt_s

    @property
    def state(self) -> TrafficState:
        """What a detector at the downstream end of each cell saw during the last step.

        Raises
        ------
        StepError
            before the first step.
        """
        if self._state is None:
            raise StepError("state", None, "nothing has moved yet: call step() first")
        return self._state

    @property
    def density_vpkm_lane(self) -> FloatArray:
        """k, veh/km per lane, one per cell."""
        density: FloatArray = self.vehicles / (self.network.length_m * self.network.lanes) * 1000.0
        return density

    @property
    def vehicles_stored(self) -> float:
        """Vehicles in cells and in the queues before entries and on ramps."""
        return float(self.vehicles.sum() + self.entry_queue.sum() + self.ramp_queue.sum())

    @property
    def conservation_error(self) -> float:
        """Vehicles that arrived less those that departed or are stored: rounding, and nothing else."""
        return self.vehicles_arrived - self.vehicles_departed - self.vehicles_stored

    def _green(self) -> npt.NDArray[np.bool_]:
        network = self.network
        return (self.time_s + network.signal_offset_s) % network.signal_cycle_s < network.signal_green_s

    def _observe(self, vehicles: FloatArray, outflow: FloatArray, dt_s: float) -> TrafficState:
        network = self.network
        speed = network.free_flow_m_s.copy()
        np.divide(outflow * network.length_m, vehicles * dt_s, out=speed, where=vehicles > EMPTY_VEHICLES)
        return TrafficState(
            flow_veh_s_lane=outflow / (network.lanes * dt_s),
            density_veh_m_lane=vehicles / (network.length_m * network.lanes),
            speed_m_s=speed,
        )

    @staticmethod
    def _check_factor(name: str, factor: FloatArray, size: int) -> None:
        if factor.shape != (size,):
            raise StepError(name, factor.shape, f"give {size} factors")
        if not np.all(factor >= 0.0):
            raise StepError(name, float(factor.min()), "give factors of at least 0")

    def _checked_share(self, demand_share: float | npt.ArrayLike) -> FloatArray:
        share = np.asarray(demand_share, dtype=np.float64)
        corridors = self.network.corridor_count
        if share.shape not in ((), (corridors,)):
            raise StepError("demand_share", share.shape, f"give one share, or one for each of {corridors} corridors")
        if not np.all((share >= 0.0) & np.isfinite(share)):
            raise StepError("demand_share", float(share.min()), "give finite shares of at least 0")
        return np.broadcast_to(share, (corridors,))

    def _limits_for(self, dt_s: float) -> _StepLimits:
        if self._limits is not None and self._limits[0] == dt_s:
            return self._limits[1]
        network = self.network
        if not 0.0 < dt_s < math.inf:
            raise StepError("dt_s", dt_s, "give a finite step above 0 s")
        longest_s = float((network.length_m / np.maximum(network.free_flow_m_s, network.wave_m_s)).min())
        # A step that is exactly the crossing time must survive the rounding of the division above.
        if dt_s > longest_s * (1.0 + 1e-12):
            raise StepError("dt_s", dt_s, f"a vehicle or wave would cross a whole cell; at most {longest_s:.3f} s here")
        limits = _StepLimits(
            free_share=np.minimum(network.free_flow_m_s * dt_s / network.length_m, 1.0),
            wave_share=np.minimum(network.wave_m_s * dt_s / network.length_m, 1.0),
            capacity=network.capacity_veh_s * dt_s,
            entry=network.entry_veh_s * dt_s,
            ramp=network.on_ramp_veh_s[self._ramp_cell] * dt_s,
        )
        self._limits = (dt_s, limits)
        return limits
