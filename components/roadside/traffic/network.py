"""Roads as the cell-transmission model sees them: corridors, one-way chains of homogeneous cells.

`Cell`, `Signal` and `Corridor` are for people to write; `Network` holds the same as flat arrays, one value per cell,
cells in driving order, corridors one after the other, so that one numpy operation moves every road of a city.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from roadside.traffic.errors import NetworkError, WeatherError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Signal:
    """A fixed-time signal at the downstream end of a cell: green while `(time_s + offset_s) % cycle_s < green_s`."""

    cycle_s: float
    green_s: float
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 < self.cycle_s < math.inf):
            raise NetworkError("cycle_s", self.cycle_s, "give a cycle longer than 0 s")
        if not 0.0 <= self.green_s <= self.cycle_s:
            raise NetworkError("green_s", self.green_s, f"give a green between 0 s and the cycle of {self.cycle_s} s")
        if not math.isfinite(self.offset_s):
            raise NetworkError("offset_s", self.offset_s, "give a finite offset")


@dataclass(frozen=True, slots=True)
class Cell:
    """A stretch of road with one triangular fundamental diagram, q = min(v_f·k, w·(k_j - k)) up to capacity.

    Parameters
    ----------
    length_m, lanes, free_flow_kmh
        Geometry and v_f.
    capacity_vph_lane
        q_max, veh/h per lane.
    jam_density_vpkm_lane
        k_j, veh/km per lane. The wave speed follows: w = q_max / (k_j - q_max / v_f).
    on_ramp_vph
        Demand of an on-ramp entering this cell at demand share 1, veh/h; 0 means no ramp.
    off_ramp_share
        β, share of the vehicles leaving this cell that leave the corridor, 0 ≤ β < 1.
    capacity_drop
        Share of capacity lost while a queue discharges (0 for signalised streets, whose stop line has no such drop).
    signal
        A signal at the downstream end.

    Raises
    ------
    NetworkError
        naming the field that no road can have.
    """

    length_m: float
    lanes: int
    free_flow_kmh: float
    capacity_vph_lane: float = 2000.0
    jam_density_vpkm_lane: float = 140.0
    on_ramp_vph: float = 0.0
    off_ramp_share: float = 0.0
    capacity_drop: float = 0.07
    signal: Signal | None = None

    def __post_init__(self) -> None:
        for field in ("length_m", "free_flow_kmh", "capacity_vph_lane", "jam_density_vpkm_lane"):
            value = getattr(self, field)
            if not 0.0 < value < math.inf:
                raise NetworkError(field, value, "give a finite number above 0")
        if self.lanes < 1:
            raise NetworkError("lanes", self.lanes, "a cell has at least one lane")
        if not 0.0 <= self.on_ramp_vph < math.inf:
            raise NetworkError("on_ramp_vph", self.on_ramp_vph, "give a finite demand of at least 0 veh/h")
        for field in ("off_ramp_share", "capacity_drop"):
            value = getattr(self, field)
            if not 0.0 <= value < 1.0:
                raise NetworkError(field, value, "give a share of at least 0 and below 1")
        if self.critical_density_vpkm_lane >= self.jam_density_vpkm_lane:
            raise NetworkError(
                "capacity_vph_lane",
                self.capacity_vph_lane,
                f"at {self.free_flow_kmh} km/h this is denser than a jam of {self.jam_density_vpkm_lane} veh/km",
            )

    @property
    def critical_density_vpkm_lane(self) -> float:
        """k_c = q_max / v_f, the density at capacity, veh/km per lane."""
        return self.capacity_vph_lane / self.free_flow_kmh

    @property
    def wave_speed_kmh(self) -> float:
        """w, speed at which a start wave runs upstream through a queue, km/h."""
        return self.capacity_vph_lane / (self.jam_density_vpkm_lane - self.critical_density_vpkm_lane)


@dataclass(frozen=True, slots=True)
class Corridor:
    """A one-way chain of cells in driving order; `entry_vph` is the demand at its start at demand share 1, veh/h."""

    cells: tuple[Cell, ...]
    entry_vph: float

    def __post_init__(self) -> None:
        if not self.cells:
            raise NetworkError("cells", self.cells, "a corridor has at least one cell")
        if not 0.0 <= self.entry_vph < math.inf:
            raise NetworkError("entry_vph", self.entry_vph, "give a finite demand of at least 0 veh/h")


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """All corridors as flat arrays; read-only by convention, shared by models and sensors.

    Attributes
    ----------
    first_cell, last_cell : intp, one per corridor
        Indices of its first and last cell.
    corridor_of_cell : intp, one per cell
    length_m, free_flow_m_s, wave_m_s, capacity_veh_s, jam_vehicles, critical_vehicles : float64, one per cell
        SI units; capacity and the two vehicle numbers are totals over all lanes of the cell.
    lanes : intp, one per cell
    on_ramp_veh_s, off_ramp_share, capacity_drop : float64, one per cell
    entry_veh_s : float64, one per corridor
    signal_cell : intp; signal_cycle_s, signal_green_s, signal_offset_s : float64, one per signal
    """

    first_cell: IntArray
    last_cell: IntArray
    corridor_of_cell: IntArray
    length_m: FloatArray
    lanes: IntArray
    free_flow_m_s: FloatArray
    wave_m_s: FloatArray
    capacity_veh_s: FloatArray
    jam_vehicles: FloatArray
    critical_vehicles: FloatArray
    on_ramp_veh_s: FloatArray
    off_ramp_share: FloatArray
    capacity_drop: FloatArray
    entry_veh_s: FloatArray
    signal_cell: IntArray
    signal_cycle_s: FloatArray
    signal_green_s: FloatArray
    signal_offset_s: FloatArray

    @property
    def cell_count(self) -> int:
        return self.length_m.size

    @property
    def corridor_count(self) -> int:
        return self.first_cell.size

    def in_weather(
        self, free_flow_share: float | npt.NDArray[np.float64], capacity_share: float | npt.NDArray[np.float64]
    ) -> Network:
        """The same roads with these shares of free-flow speed and capacity: one number, or one per cell.

        Jam density stays, so the wave speed follows: w = q_max / (k_j - q_max / v_f).

        Raises
        ------
        WeatherError
            when a share is not above 0 and at most 1, or leaves so little speed that capacity needs more than a jam.
        """
        for field, share in (("free_flow_share", free_flow_share), ("capacity_share", capacity_share)):
            if not np.all((np.asarray(share) > 0.0) & (np.asarray(share) <= 1.0)):
                raise WeatherError(field, float(np.min(share)), "give shares above 0 and at most 1")
        free_flow_m_s = self.free_flow_m_s * free_flow_share
        capacity_veh_s = self.capacity_veh_s * capacity_share
        critical_vehicles = capacity_veh_s / free_flow_m_s * self.length_m
        if np.any(critical_vehicles >= self.jam_vehicles):
            raise WeatherError("free_flow_share", float(np.min(free_flow_share)), "capacity would be denser than a jam")
        return replace(
            self,
            free_flow_m_s=free_flow_m_s,
            capacity_veh_s=capacity_veh_s,
            critical_vehicles=critical_vehicles,
            wave_m_s=capacity_veh_s * self.length_m / (self.jam_vehicles - critical_vehicles),
        )

    @classmethod
    def of(cls, corridors: Sequence[Corridor]) -> Network:
        """Lay the corridors one after the other.

        Raises
        ------
        NetworkError
            when there is no corridor.
        """
        if not corridors:
            raise NetworkError("corridors", corridors, "a network has at least one corridor")
        cells = [cell for corridor in corridors for cell in corridor.cells]
        sizes = np.array([len(corridor.cells) for corridor in corridors], dtype=np.intp)
        last_cell = np.cumsum(sizes) - 1

        length_m = np.array([cell.length_m for cell in cells])
        lanes = np.array([cell.lanes for cell in cells], dtype=np.intp)
        lane_m = length_m * lanes
        signals = [(index, cell.signal) for index, cell in enumerate(cells) if cell.signal is not None]
        return cls(
            first_cell=last_cell - sizes + 1,
            last_cell=last_cell,
            corridor_of_cell=np.repeat(np.arange(sizes.size), sizes),
            length_m=length_m,
            lanes=lanes,
            free_flow_m_s=np.array([cell.free_flow_kmh for cell in cells]) / 3.6,
            wave_m_s=np.array([cell.wave_speed_kmh for cell in cells]) / 3.6,
            capacity_veh_s=np.array([cell.capacity_vph_lane for cell in cells]) * lanes / 3600.0,
            jam_vehicles=np.array([cell.jam_density_vpkm_lane for cell in cells]) * lane_m / 1000.0,
            critical_vehicles=np.array([cell.critical_density_vpkm_lane for cell in cells]) * lane_m / 1000.0,
            on_ramp_veh_s=np.array([cell.on_ramp_vph for cell in cells]) / 3600.0,
            off_ramp_share=np.array([cell.off_ramp_share for cell in cells]),
            capacity_drop=np.array([cell.capacity_drop for cell in cells]),
            entry_veh_s=np.array([corridor.entry_vph for corridor in corridors]) / 3600.0,
            signal_cell=np.array([index for index, _ in signals], dtype=np.intp),
            signal_cycle_s=np.array([signal.cycle_s for _, signal in signals], dtype=np.float64),
            signal_green_s=np.array([signal.green_s for _, signal in signals], dtype=np.float64),
            signal_offset_s=np.array([signal.offset_s for _, signal in signals], dtype=np.float64),
        )
