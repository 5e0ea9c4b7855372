"""A made-up city: gateways, segments, sensors and the roads under them; and its traffic, one second at a time.

`make_city` is pure: the same numbers give the same city, whatever the machine. Segments line up in corridors in
gateway order, so a corridor runs on from one gateway to the next, as the pairing of neighbours in the cloud needs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from aggregator.settings import MAX_SEGMENTS
from roadside.traffic import (
    Cell,
    Corridor,
    Network,
    SensorLayout,
    Signal,
)
from simulator.city.geography import Grid

RoadClass = Literal["freeway", "ramp", "arterial"]

FREEWAY_SHARE = 0.6
MAX_SENSORS = 5_000_000
"""About 2 GB, before anything moves."""


class CityError(ValueError):
    """A city that cannot be built; `flag` and `value` say which number is to blame."""

    def __init__(self, flag: str, value: object, advice: str) -> None:
        super().__init__(f"{flag} {value}: {advice}")
        self.flag = flag
        self.value = value


@dataclass(frozen=True, slots=True)
class RoadDesign:
    """How one class of road is built; flows in veh/h, demands as a share of the road's capacity."""

    road_class: RoadClass
    lanes: int
    cell_m: float
    capacity_vph_lane: float
    jam_density_vpkm_lane: float
    capacity_drop: float
    speeds_kmh: tuple[float, ...]
    segments_per_corridor: int
    cells_without_sensor: int
    """Cells at the downstream end of a segment, before the stop line: a loop there would see every red as a jam."""


FREEWAY = RoadDesign("freeway", 3, 125.0, 2000.0, 140.0, 0.07, (90.0, 100.0, 110.0), 12, 0)
ARTERIAL = RoadDesign("arterial", 2, 75.0, 1800.0, 150.0, 0.0, (50.0, 60.0), 8, 1)


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A measured stretch of road. `number` and `first_sensor_number` count through the whole city, from 0."""

    segment_id: str
    number: int
    road_class: RoadClass
    free_flow_kmh: float
    lanes: int
    first_sensor_number: int
    sensor_ids: tuple[str, ...]
    latitude: float
    longitude: float
    downstream: int | None
    """Number of the corridor's next segment in driving direction, on whichever gateway."""


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """A roadside gateway and the segments whose sensors report to it."""

    gateway_id: str
    district: str
    latitude: float
    longitude: float
    segments: tuple[SegmentPlan, ...]
    first_sensor_number: int
    sensor_count: int

    def registry_configuration(self) -> list[dict[str, object]]:
        """Return the segments in the form of the component's configuration: plain JSON values, in segment order."""
        return [
            {
                "id": segment.segment_id,
                "number": segment.number,
                "roadClass": segment.road_class,
                "freeFlowKmh": segment.free_flow_kmh,
                "lanes": segment.lanes,
                "firstSensorNumber": segment.first_sensor_number,
                "sensors": list(segment.sensor_ids),
                **({} if segment.downstream is None else {"downstream": segment.downstream}),
            }
            for segment in self.segments
        ]


@dataclass(frozen=True, slots=True)
class CorridorPlan:
    """A one-way road: its segments in driving order, by city-wide number."""

    road_class: RoadClass
    segment_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class City:
    """All gateways and the roads between them.

    Attributes
    ----------
    network, layout
        The roads as cells, corridor after corridor, and where each sensor stands, in order of sensor number.
    segment_cells : intp, (segments, 2)
        First cell and one past the last cell of each segment, by segment number.
    grid
        Where the gateways lie.
    """

    gateways: tuple[GatewayPlan, ...]
    corridors: tuple[CorridorPlan, ...]
    network: Network
    layout: SensorLayout
    segment_cells: npt.NDArray[np.intp]
    grid: Grid

    @property
    def sensor_count(self) -> int:
        return sum(gateway.sensor_count for gateway in self.gateways)

    @property
    def segment_count(self) -> int:
        return sum(len(gateway.segments) for gateway in self.gateways)

    def sensor_ids(self) -> dict[int, str]:
        """The name of every sensor by its number, in their order."""
        return dict(enumerate(sensor for segment in self.segments() for sensor in segment.sensor_ids))

    def segments(self) -> Iterator[SegmentPlan]:
        """All segments in order of their number."""
        for gateway in self.gateways:
            yield from gateway.segments


@dataclass(frozen=True, slots=True)
class _Slot:
    """A segment before its road is known: where it is, and the sensors it holds."""

    gateway: int
    index: int
    number: int
    design: RoadDesign
    first_sensor_number: int
    sensor_count: int

    @property
    def cells(self) -> int:
        stations = math.ceil(self.sensor_count / self.design.lanes)
        return stations + self.design.cells_without_sensor

    @property
    def length_m(self) -> float:
        return self.cells * self.design.cell_m


def make_city(sensors: int = 50_000, gateways: int = 200, seed: int = 1, *, sensors_per_segment: int = 10) -> City:
    """Build a city.

    Parameters
    ----------
    sensors, gateways
        Spread evenly; where they do not divide, the first gateways have one sensor more.
    seed
        Decides speeds, demands, signals and coordinates; ids and numbers do not depend on it.
    sensors_per_segment
        Sensors of a full segment; the last one of a gateway may have fewer.

    Raises
    ------
    CityError
        naming the flag and the value that no city can have.
    """
    _check(sensors, gateways, seed, sensors_per_segment)
    rng = np.random.default_rng([seed, 0])
    slots = _slots(sensors, gateways, sensors_per_segment)
    speed_kmh = [0.0] * len(slots)
    corridors: list[Corridor] = []
    plans: list[CorridorPlan] = []
    cell = np.zeros(sensors, dtype=np.intp)
    lane = np.zeros(sensors, dtype=np.intp)
    segment_cells = np.zeros((len(slots), 2), dtype=np.intp)
    downstream: dict[int, int] = {}
    next_cell = 0
    for members in _corridors_of(slots):
        design = members[0].design
        free_flow_kmh = float(rng.choice(design.speeds_kmh))
        corridor = (_freeway if design is FREEWAY else _arterial)(members, free_flow_kmh, rng)
        corridors.append(corridor)
        plans.append(CorridorPlan(design.road_class, tuple(slot.number for slot in members)))
        downstream.update(pairwise(slot.number for slot in members))
        for slot in members:
            speed_kmh[slot.number] = free_flow_kmh
            place = np.arange(slot.sensor_count)
            numbers = slot.first_sensor_number + place
            cell[numbers] = next_cell + place // design.lanes
            lane[numbers] = place % design.lanes
            segment_cells[slot.number] = next_cell, next_cell + slot.cells
            next_cell += slot.cells
    of_gateway: list[list[_Slot]] = [[] for _ in range(gateways)]
    for slot in slots:
        of_gateway[slot.gateway].append(slot)
    grid = _grid_for(of_gateway)
    return City(
        gateways=tuple(_gateway_plans(of_gateway, grid, speed_kmh, downstream, rng)),
        corridors=tuple(plans),
        network=Network.of(corridors),
        layout=SensorLayout(cell=cell, lane=lane),
        segment_cells=segment_cells,
        grid=grid,
    )


def _check(sensors: int, gateways: int, seed: int, sensors_per_segment: int) -> None:
    if gateways < 1:
        raise CityError("--gateways", gateways, "a city has at least one gateway")
    if sensors < gateways:
        raise CityError("--sensors", sensors, f"give at least one sensor to each of the {gateways} gateways")
    if sensors > MAX_SENSORS:
        raise CityError("--sensors", sensors, f"a made-up city has at most {MAX_SENSORS}; `plan` reckons larger ones")
    if sensors_per_segment < 1:
        raise CityError("--sensors-per-segment", sensors_per_segment, "a segment has at least one sensor")
    if math.ceil(math.ceil(sensors / gateways) / sensors_per_segment) > MAX_SEGMENTS:
        least = math.ceil(sensors / (MAX_SEGMENTS * sensors_per_segment))
        advice = f"a gateway has at most {MAX_SEGMENTS} segments, so {sensors} sensors need at least {least}"
        raise CityError("--gateways", gateways, advice)
    if seed < 0:
        raise CityError("--seed", seed, "give a seed of at least 0")


def _slots(sensors: int, gateways: int, sensors_per_segment: int) -> list[_Slot]:
    """Cut the sensors into segments, gateway by gateway; the freeways of a gateway come first."""
    slots: list[_Slot] = []
    first_sensor = 0
    for gateway in range(gateways):
        sensor_count = sensors // gateways + (gateway < sensors % gateways)
        segment_count = math.ceil(sensor_count / sensors_per_segment)
        # Rounded over the whole city, so that even gateways of one segment make 60 % together.
        before = len(slots)
        freeways = round(FREEWAY_SHARE * (before + segment_count)) - round(FREEWAY_SHARE * before)
        for index in range(segment_count):
            used = index * sensors_per_segment
            slots.append(
                _Slot(
                    gateway=gateway,
                    index=index,
                    number=before + index,
                    design=FREEWAY if index < freeways else ARTERIAL,
                    first_sensor_number=first_sensor + used,
                    sensor_count=min(sensors_per_segment, sensor_count - used),
                )
            )
        first_sensor += sensor_count
    return slots


def _corridors_of(slots: Sequence[_Slot]) -> Iterator[list[_Slot]]:
    for design in (FREEWAY, ARTERIAL):
        chain = [slot for slot in slots if slot.design is design]
        for start in range(0, len(chain), design.segments_per_corridor):
            yield chain[start : start + design.segments_per_corridor]


def _freeway(members: Sequence[_Slot], free_flow_kmh: float, rng: np.random.Generator) -> Corridor:
    """A freeway with an on-ramp two thirds down and an exit one third down; some on-ramps ask for too much."""
    design = FREEWAY
    capacity_vph = design.capacity_vph_lane * design.lanes
    overloaded = rng.random() < 0.4
    load = rng.uniform(1.02, 1.20) if overloaded else rng.uniform(0.55, 0.90)
    exit_share = rng.uniform(0.05, 0.15)
    ramp_share = rng.uniform(0.10, 0.18)
    entry_vph = min((load - ramp_share) / (1.0 - exit_share), 0.97) * capacity_vph
    exit_after, merge_before = len(members) // 3, 2 * len(members) // 3
    cells: list[Cell] = []
    for position, slot in enumerate(members):
        for index in range(slot.cells):
            merges = position == merge_before and index == 0
            exits = position == exit_after and index == slot.cells - 1 and len(members) > 2
            cells.append(
                _cell(
                    design,
                    free_flow_kmh,
                    on_ramp_vph=ramp_share * capacity_vph if merges else 0.0,
                    off_ramp_share=exit_share if exits else 0.0,
                )
            )
    return Corridor(cells=tuple(cells), entry_vph=entry_vph)


def _arterial(members: Sequence[_Slot], free_flow_kmh: float, rng: np.random.Generator) -> Corridor:
    """A street with a signal at the end of each segment, timed as a green wave for free-flowing traffic."""
    design = ARTERIAL
    cycle_s = float(rng.choice((80.0, 90.0, 100.0)))
    green_s = 0.5 * cycle_s
    start_s = rng.uniform(0.0, cycle_s)
    load = rng.uniform(0.35, 0.85)
    cells: list[Cell] = []
    for slot in members:
        cells.extend(_cell(design, free_flow_kmh) for _ in range(slot.cells - 1))
        arrival_s = len(cells) * design.cell_m / (free_flow_kmh / 3.6)
        cells.append(_cell(design, free_flow_kmh, signal=Signal(cycle_s, green_s, start_s - arrival_s)))
    entry_vph = load * design.capacity_vph_lane * design.lanes * green_s / cycle_s
    return Corridor(cells=tuple(cells), entry_vph=entry_vph)


def _cell(
    design: RoadDesign,
    free_flow_kmh: float,
    *,
    on_ramp_vph: float = 0.0,
    off_ramp_share: float = 0.0,
    signal: Signal | None = None,
) -> Cell:
    return Cell(
        length_m=design.cell_m,
        lanes=design.lanes,
        free_flow_kmh=free_flow_kmh,
        capacity_vph_lane=design.capacity_vph_lane,
        jam_density_vpkm_lane=design.jam_density_vpkm_lane,
        on_ramp_vph=on_ramp_vph,
        off_ramp_share=off_ramp_share,
        capacity_drop=design.capacity_drop,
        signal=signal,
    )


def _grid_for(of_gateway: Sequence[Sequence[_Slot]]) -> Grid:
    """Blocks so large that the longest road through one has room."""
    longest_m = max(
        sum(slot.length_m for slot in members if slot.design is design)
        for members in of_gateway
        for design in (FREEWAY, ARTERIAL)
    )
    return Grid(len(of_gateway), longest_m)


def _gateway_plans(
    of_gateway: Sequence[Sequence[_Slot]],
    grid: Grid,
    speed_kmh: Sequence[float],
    downstream: Mapping[int, int],
    rng: np.random.Generator,
) -> Iterator[GatewayPlan]:
    """Each gateway in the middle of its block, its segments along the freeway and the street that lead through."""
    phases = rng.uniform(size=(2, grid.rows)).tolist()
    for gateway, members in enumerate(of_gateway):
        row, column = grid.block(gateway)
        gateway_id = f"gw-{gateway:03d}"
        freeways = sum(slot.design is FREEWAY for slot in members)
        segments: list[SegmentPlan] = []
        for slot in members:
            is_freeway = slot.design is FREEWAY
            # The freeways of a gateway come first.
            place, of = (slot.index, freeways) if is_freeway else (slot.index - freeways, len(members) - freeways)
            latitude, longitude = grid.on_road(
                gateway, (place + 0.5) / of, is_freeway=is_freeway, phase=phases[is_freeway][row]
            )
            first_in_gateway = slot.first_sensor_number - members[0].first_sensor_number
            segments.append(
                SegmentPlan(
                    segment_id=f"{gateway_id}-seg{slot.index:02d}",
                    number=slot.number,
                    road_class=slot.design.road_class,
                    free_flow_kmh=speed_kmh[slot.number],
                    lanes=slot.design.lanes,
                    first_sensor_number=slot.first_sensor_number,
                    sensor_ids=tuple(
                        f"{gateway_id}-s{number:04d}"
                        for number in range(first_in_gateway, first_in_gateway + slot.sensor_count)
                    ),
                    latitude=latitude,
                    longitude=longitude,
                    downstream=downstream.get(slot.number),
                )
            )
        latitude, longitude = grid.centre(gateway)
        yield GatewayPlan(
            gateway_id=gateway_id,
            district=grid.district(row, column),
            latitude=latitude,
            longitude=longitude,
            segments=tuple(segments),
            first_sensor_number=members[0].first_sensor_number,
            sensor_count=sum(slot.sensor_count for slot in members),
        )
