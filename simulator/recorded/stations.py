"""Recorded sensors laid out on gateways: one for each freeway direction, one for all other roads."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from aggregator.settings import MAX_SEGMENTS
from roadside.runtime.segments import SegmentSettings
from simulator.recorded.values import RecordedGateway, RecordedSensor

Sensors = Mapping[str, Sequence[RecordedSensor]]


def gateways_of(sensors: Sensors, freeway_free_flow_kmh: float) -> tuple[RecordedGateway, ...]:
    """One gateway for each freeway direction, one for all other roads, by name."""
    downstream = _downstream(sensors)
    by_gateway: dict[str, list[SegmentSettings]] = {}
    first_sensor_number = 0
    for number, (segment_id, lanes) in enumerate(sensors.items()):
        of = lanes[0]
        segment = SegmentSettings(
            id=segment_id,
            number=number,
            road_class=of.road_class,
            free_flow_kmh=freeway_free_flow_kmh if of.road_class == "freeway" else of.speed_limit_kmh,
            lanes=1
            + max(sensor.lane for sensor in lanes),  # those with sensors, and those that their numbers leave out
            first_sensor_number=first_sensor_number,
            sensors=[sensor.sensor_id for sensor in lanes],
            downstream=downstream.get(number),
        )
        first_sensor_number += len(lanes)
        by_gateway.setdefault(of.road if of.road_class == "freeway" else "streets", []).append(segment)
    return tuple(RecordedGateway(gateway_id, tuple(segments)) for gateway_id, segments in sorted(by_gateway.items()))


def roads_of(gateways: Sequence[RecordedGateway]) -> dict[str, tuple[str, ...]]:
    """The freeway segments of each direction, in driving direction."""
    return {
        plan.gateway_id: tuple(segment.id for segment in _in_driving_direction(plan.segments))
        for plan in gateways
        if _is_freeway(plan)
    }


def split(plan: RecordedGateway, stations: int | None) -> Iterator[RecordedGateway]:
    """A freeway direction as gateways of so many segments each, in driving direction; none larger than one can be."""
    is_freeway = _is_freeway(plan)
    size = min(stations, MAX_SEGMENTS) if stations and is_freeway else MAX_SEGMENTS
    if len(plan.segments) <= size and not (stations and is_freeway):
        yield plan
        return
    ordered = _in_driving_direction(plan.segments) if is_freeway else plan.segments
    for first in range(0, len(ordered), size):
        yield RecordedGateway(f"{plan.gateway_id}-{first // size + 1}", tuple(ordered[first : first + size]))


def _is_freeway(plan: RecordedGateway) -> bool:
    return all(segment.road_class == "freeway" for segment in plan.segments)


def _in_driving_direction(segments: Sequence[SegmentSettings]) -> list[SegmentSettings]:
    by_number = {segment.number: segment for segment in segments}
    entered = {segment.downstream for segment in segments}
    ordered = []
    for segment in segments:
        here = segment if segment.number not in entered else None
        while here is not None:
            ordered.append(here)
            here = None if here.downstream is None else by_number.get(here.downstream)
    return ordered


def _downstream(sensors: Sensors) -> dict[int, int]:
    """Number of the next segment along the road, by segment number; the last of a road has none."""
    roads: dict[str, list[tuple[float, int]]] = {}
    for number, lanes in enumerate(sensors.values()):
        if lanes[0].order is not None:
            roads.setdefault(lanes[0].road, []).append((lanes[0].order, number))
    return {here: there for places in roads.values() for (_, here), (_, there) in pairwise(sorted(places))}
