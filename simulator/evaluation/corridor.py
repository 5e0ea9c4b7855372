"""A freeway corridor on a morning with incidents of known truth, as a loop archive would have recorded it.

Two directions of 20 stations each, 250 to 500 m apart, three lanes, built of the same cells as the city's freeways: an
exit, two on-ramps, the second of which is a bottleneck in the peak of many mornings. The cell-transmission model moves
it second by second, the sensor layer measures every second, and readings of ten seconds are put together as a loop's
controller does. Demand rises to its peak at 08:00; it differs by day and road (4 %), and wavers within minutes (5 %).

Incidents are like those of the SUMO days in docs/numerics.md: 2.25 an hour, one lane blocked or two (40 %), 6 to 19
minutes long, on one road at least 25 minutes apart. The truth is the model's: the space mean speed of all vehicles on a
segment, by Edie's definition (distance travelled / time spent; L. C. Edie, Discussion of traffic stream measurements,
1963).

What the model does not have: lane changes, stop-and-go waves, trucks. False alerts are rarer than on the SUMO days.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.runtime.segments import SegmentSettings
from roadside.traffic import (
    WEEKDAY,
    Cell,
    CellTransmission,
    Corridor,
    Incident,
    IncidentSchedule,
    Network,
    SensorLayer,
    SensorLayout,
    day_noise,
)
from simulator.city.layout import FREEWAY
from simulator.evaluation.labels import MINUTE_S, Labels, TrueIncident
from simulator.recorded.recording import RecordedGateway, RecordedReading

ROADS: Final = ("NB", "SB")
STATIONS: Final = 20
FREE_FLOW_KMH: Final = 100.0
INTERVAL_S: Final = 10
BEGIN_OF_DAY_S: Final = 6.5 * 3600
BEGIN_MS: Final = 1_767_594_600_000  # 2026-01-05T06:30:00Z, a Monday
_WARM_UP_S: Final = 900

_EXIT_AT, _RAMPS_AT = 6, (10, 15)  # stations
_INCIDENTS_PER_H: Final = 2.25
_APART_S: Final = 1500.0
_QUIET_BEGIN_S, _QUIET_END_S = 900.0, 1500.0  # without a new incident
_WAVER: Final = 0.05
_WAVER_S: Final = 300.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Road:
    """One direction; `station_cells` and the first cells of segments, `segment_begins`, count from its first cell."""

    corridor: Corridor
    station_cells: tuple[int, ...]
    segment_begins: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Planned:
    """An incident before it has a name: model seconds, the last station before it, its cell from the road's first."""

    road: int
    station: int
    cell: int
    start_s: float
    end_s: float
    lanes_blocked: int

    def is_apart_from(self, other: "_Planned") -> bool:
        return (
            self.road != other.road or self.start_s >= other.end_s + _APART_S or other.start_s >= self.end_s + _APART_S
        )


class SimulatedDay:
    """Readings of one morning, to be replayed, and what truly happened in it.

    Parameters
    ----------
    seed
        Decides roads, demand, incidents and noise; the same seed gives the same bytes.
    hours
        Length of the morning, from 06:30 on.
    stations_per_gateway
        In driving direction; pairs across two gateways are the cloud's to judge.
    history
        0 is the day to be judged. Days from 1 on are other days on the same roads, without incidents, from which a
        profile can be learned.
    """

    def __init__(self, seed: int, hours: float, stations_per_gateway: int, history: int = 0) -> None:
        roads_rng, day_rng = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1, history])
        self._roads = [_road(roads_rng) for _ in ROADS]
        self._network = Network.of([road.corridor for road in self._roads])
        self._seconds = round(hours * 3600) // INTERVAL_S * INTERVAL_S
        self.gateways = tuple(_gateways(stations_per_gateway))
        self._sensors = [sensor for plan in self.gateways for segment in plan.segments for sensor in segment.sensors]
        planned = _plan_incidents(self._roads, self._seconds, day_rng) if history == 0 else []
        first_cells = self._network.first_cell.tolist()
        self._schedule = IncidentSchedule(
            [Incident(first_cells[p.road] + p.cell, p.start_s, p.end_s, p.lanes_blocked) for p in planned],
            self._network.lanes,
        )
        speed_kmh = self._drive(day_rng)
        self.labels = Labels(
            roads={road: tuple(f"{road}{place:02d}" for place in range(STATIONS)) for road in ROADS},
            incidents=tuple(_label(place, each, self._roads[each.road]) for place, each in enumerate(planned)),
            minutes_s=np.arange(speed_kmh.shape[0], dtype=np.float64) * MINUTE_S + BEGIN_MS / 1000,
            speed_kmh=speed_kmh,
            free_flow_kmh=FREE_FLOW_KMH,
        )

    def interval_ms(self) -> int:
        return 1000 * INTERVAL_S

    def readings(self) -> Iterator[RecordedReading]:
        """Interval after interval, a row for each sensor."""
        for place, (counts, speeds, shares) in enumerate(zip(self._counts, self._speeds, self._shares, strict=True)):
            timestamp_ms = BEGIN_MS + 1000 * INTERVAL_S * place
            for sensor, count, speed, share in zip(
                self._sensors, counts.tolist(), speeds.tolist(), shares.tolist(), strict=True
            ):
                yield RecordedReading(sensor, timestamp_ms, count, None if math.isnan(speed) else speed, share)

    def _drive(self, rng: np.random.Generator) -> Floats:
        """Let the morning pass; keep what sensors measure, and return the true speed of [minutes, stations]."""
        network = self._network
        model = CellTransmission(network, time_s=-float(_WARM_UP_S))
        sensors = SensorLayer(network, _layout(self._roads, network), rng)
        demand = _demand(self._seconds, rng)
        for share in demand[:_WARM_UP_S]:
            model.step(1.0, demand_share=share)
        cells_m = network.length_m * network.lanes
        minutes = self._seconds // int(MINUTE_S)
        travelled, spent = np.zeros((minutes, network.cell_count)), np.zeros((minutes, network.cell_count))
        shape = self._seconds // INTERVAL_S, sensors.sensor_count
        self._counts, self._speeds, self._shares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for second, share in enumerate(demand[_WARM_UP_S:]):
            model.step(1.0, demand_share=share, capacity_factor=self._schedule.capacity_factor(model.time_s))
            state = model.state
            minute, place = second // int(MINUTE_S), second // INTERVAL_S
            if minute < minutes:
                travelled[minute] += state.flow_veh_s_lane * cells_m
                spent[minute] += state.density_veh_m_lane * cells_m
            sample = sensors.sample(state)
            self._counts[place] += sample.vehicle_count
            # Vehicles / speed, which add; a controller's mean over vehicles in time is their quotient, the space mean.
            self._speeds[place] += np.nan_to_num(sample.vehicle_count / sample.speed_kmh)
            self._shares[place] += sample.occupancy
        with np.errstate(invalid="ignore"):
            self._speeds = np.round(self._counts / self._speeds, 1)
        self._shares = np.round(self._shares / INTERVAL_S, 3)
        starts = _segment_starts(self._roads, network)
        with np.errstate(invalid="ignore"):
            return 3.6 * np.add.reduceat(travelled, starts, axis=1) / np.add.reduceat(spent, starts, axis=1)


def _road(rng: np.random.Generator) -> _Road:
    """One direction. Two in five have more traffic in the peak than their second on-ramp lets by."""
    capacity_vph = FREEWAY.capacity_vph_lane * FREEWAY.lanes
    overloaded = rng.random() < 0.4
    load = rng.uniform(0.98, 1.08) if overloaded else rng.uniform(0.65, 0.92)
    exit_share, ramp_shares = rng.uniform(0.05, 0.15), rng.uniform(0.04, 0.08, 2)
    entry_vph = min((load - ramp_shares.sum()) / (1.0 - exit_share), 0.97) * capacity_vph
    cells: list[Cell] = []
    station_cells, segment_begins = [], []
    for station in range(STATIONS):
        length = int(rng.integers(2, 5))
        station_cells.append(len(cells) + length // 2)
        segment_begins.append(len(cells))
        for place in range(length):
            ramp = station in _RAMPS_AT and place == 0
            cells.append(
                Cell(
                    length_m=FREEWAY.cell_m,
                    lanes=FREEWAY.lanes,
                    free_flow_kmh=FREE_FLOW_KMH,
                    capacity_vph_lane=FREEWAY.capacity_vph_lane,
                    jam_density_vpkm_lane=FREEWAY.jam_density_vpkm_lane,
                    on_ramp_vph=float(ramp_shares[_RAMPS_AT.index(station)]) * capacity_vph if ramp else 0.0,
                    off_ramp_share=exit_share if station == _EXIT_AT and place == length - 1 else 0.0,
                    capacity_drop=FREEWAY.capacity_drop,
                )
            )
    return _Road(Corridor(tuple(cells), entry_vph), tuple(station_cells), tuple(segment_begins))


def _gateways(stations_per_gateway: int) -> Iterator[RecordedGateway]:
    lanes = FREEWAY.lanes
    for index, road in enumerate(ROADS):
        segments = [
            SegmentSettings(
                id=f"{road}{place:02d}",
                number=index * STATIONS + place,
                road_class="freeway",
                free_flow_kmh=FREE_FLOW_KMH,
                lanes=lanes,
                first_sensor_number=(index * STATIONS + place) * lanes,
                sensors=[f"{road}{place:02d}_{lane}" for lane in range(lanes)],
                downstream=index * STATIONS + place + 1 if place + 1 < STATIONS else None,
            )
            for place in range(STATIONS)
        ]
        for first in range(0, STATIONS, stations_per_gateway):
            name = f"{road}-{first // stations_per_gateway + 1}"
            yield RecordedGateway(name, tuple(segments[first : first + stations_per_gateway]))


def _layout(roads: Sequence[_Road], network: Network) -> SensorLayout:
    cells = [first + cell for first, road in zip(network.first_cell, roads, strict=True) for cell in road.station_cells]
    lanes = FREEWAY.lanes
    return SensorLayout(
        cell=np.repeat(np.array(cells, dtype=np.intp), lanes), lane=np.tile(np.arange(lanes), len(cells))
    )


def _segment_starts(roads: Sequence[_Road], network: Network) -> npt.NDArray[np.intp]:
    """First cell of each segment; a segment ends where the next begins."""
    firsts = zip(network.first_cell.tolist(), roads, strict=True)
    return np.array([first + begin for first, road in firsts for begin in road.segment_begins], dtype=np.intp)


def _demand(seconds: int, rng: np.random.Generator) -> Floats:
    """Shares of the design demand, [seconds with those of the warm-up, roads]."""
    times_s = np.arange(-_WARM_UP_S, seconds, dtype=np.float64)
    shape = np.array([WEEKDAY.share(BEGIN_OF_DAY_S + time_s) for time_s in times_s.tolist()])
    day = day_noise(len(ROADS), rng, spread=0.04)
    knots_s = np.arange(-_WARM_UP_S, seconds + _WAVER_S, _WAVER_S)
    wavers = [np.exp(np.interp(times_s, knots_s, rng.normal(0.0, _WAVER, knots_s.size))) for _ in ROADS]
    shares: Floats = shape[:, None] * day * np.stack(wavers, axis=1)
    return shares


def _plan_incidents(roads: Sequence[_Road], seconds: int, rng: np.random.Generator) -> list[_Planned]:
    """As many as there are room and hours for, in the order of their start."""
    planned: list[_Planned] = []
    wanted = round(_INCIDENTS_PER_H * seconds / 3600)
    latest_s = seconds - _QUIET_END_S
    for _ in range(50 * wanted if latest_s > _QUIET_BEGIN_S else 0):
        if len(planned) == wanted:
            break
        road, station = int(rng.integers(len(roads))), int(rng.integers(4, STATIONS - 1))
        cells = roads[road].station_cells
        start_s = float(rng.uniform(_QUIET_BEGIN_S, latest_s))
        new = _Planned(
            road=road,
            station=station,
            cell=int(rng.integers(cells[station], cells[station + 1])),
            start_s=start_s,
            end_s=start_s + 60.0 * int(rng.integers(6, 20)),
            lanes_blocked=2 if rng.random() < 0.4 else 1,
        )
        if all(new.is_apart_from(other) for other in planned):
            planned.append(new)
    return sorted(planned, key=lambda incident: incident.start_s)


def _label(place: int, planned: _Planned, road: _Road) -> TrueIncident:
    own = sum(begin <= planned.cell for begin in road.segment_begins) - 1
    name = ROADS[planned.road]
    return TrueIncident(
        name=str(place),
        road=name,
        station=planned.station,
        segments=tuple(dict.fromkeys((f"{name}{planned.station:02d}", f"{name}{own:02d}"))),
        lanes_blocked=planned.lanes_blocked,
        start_s=BEGIN_MS / 1000 + planned.start_s,
        end_s=BEGIN_MS / 1000 + planned.end_s,
    )
