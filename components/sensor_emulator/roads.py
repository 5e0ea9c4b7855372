"""Roads to fit a gateway's segments, for the traffic model to drive on. Pure.

What the configuration does not tell is made up: cells of a usual length, one for each place with sensors, and a demand
below what the road can carry. Segments that name their neighbour downstream are one road.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.runtime.segments import SegmentSettings
from roadside.traffic import Cell, Corridor, Network, SensorLayout, Signal

FREEWAY_CELL_M: Final = 125.0
STREET_CELL_M: Final = 75.0
CAPACITY_VPH_LANE: Final = 2000.0
# Slow roads carry less: more would need traffic denser than a jam.
MAX_CRITICAL_DENSITY_VPKM: Final = 60.0
FREEWAY_LOAD: Final = 0.85  # demand at the peak, of the capacity
STREET_LOAD: Final = 0.65  # of what the green lets through
CYCLE_S, GREEN_S = 90.0, 45.0
LEAST_CELLS: Final = 3  # of a segment, so that an incident in its middle has a queue in it


@dataclass(frozen=True, slots=True, eq=False)
class Roads:
    """The segments' roads.

    Attributes
    ----------
    sensor_number : int64 [sensors], city-wide, in the order of `layout`
    sensor_ids : in the same order
    middle_cell : by segment id, the cell in its middle
    """

    network: Network
    layout: SensorLayout
    sensor_number: npt.NDArray[np.int64]
    sensor_ids: tuple[str, ...]
    middle_cell: dict[str, int]


def make_roads(segments: Sequence[SegmentSettings]) -> Roads:
    """The roads of these segments, of which there is at least one with a sensor.

    Raises
    ------
    NetworkError
        No road can be like that.
    """
    corridors, middle_cell = [], {}
    cell: list[int] = []
    lane: list[int] = []
    numbers: list[int] = []
    ids: list[str] = []
    first_cell = 0
    for road in _roads(segments):
        cells: list[Cell] = []
        for segment in road:
            begin = first_cell + len(cells)
            made = _cells(segment)
            middle_cell[segment.id] = begin + len(made) // 2
            for place, (sensor, number) in enumerate(segment.sensor_numbers()):
                cell.append(begin + place // segment.lanes)
                lane.append(place % segment.lanes)
                numbers.append(number)
                ids.append(sensor)
            cells += made
        corridors.append(Corridor(tuple(cells), _entry_vph(road[0], cells[0])))
        first_cell += len(cells)
    layout = SensorLayout(np.array(cell, dtype=np.intp), np.array(lane, dtype=np.intp))
    return Roads(Network.of(corridors), layout, np.array(numbers, dtype=np.int64), tuple(ids), middle_cell)


def _roads(segments: Sequence[SegmentSettings]) -> list[list[SegmentSettings]]:
    """The segments in driving order, road by road; a ring is cut somewhere."""
    by_number = {segment.number: segment for segment in segments}
    followers = {segment.downstream for segment in segments}
    heads = [segment for segment in segments if segment.number not in followers]
    left = dict(by_number)
    roads = []
    for head in [*heads, *segments]:
        road = []
        number: int | None = head.number
        while number is not None and number in left:
            road.append(left.pop(number))
            number = by_number[number].downstream
        if road:
            roads.append(road)
    return roads


def _cells(segment: SegmentSettings) -> list[Cell]:
    street = segment.road_class == "arterial"
    stations = max(LEAST_CELLS, math.ceil(len(segment.sensors) / segment.lanes))
    plain = Cell(
        length_m=STREET_CELL_M if street else FREEWAY_CELL_M,
        lanes=segment.lanes,
        free_flow_kmh=segment.free_flow_kmh,
        capacity_vph_lane=min(CAPACITY_VPH_LANE, MAX_CRITICAL_DENSITY_VPKM * segment.free_flow_kmh),
        capacity_drop=0.0 if street else 0.07,
    )
    if not street:
        return [plain] * stations
    # A signal behind the last sensor: a loop right before it would take every red for a jam.
    return [*[plain] * stations, replace(plain, signal=Signal(CYCLE_S, GREEN_S))]


def _entry_vph(segment: SegmentSettings, first: Cell) -> float:
    load = STREET_LOAD * GREEN_S / CYCLE_S if segment.road_class == "arterial" else FREEWAY_LOAD
    return load * first.capacity_vph_lane * first.lanes
