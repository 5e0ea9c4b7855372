"""A made-up city as GeoJSON (RFC 7946): segments as lines along their roads, gateways as points, districts as areas.

A segment's properties are the columns of the catalogue; `kind` tells segments, gateways and districts apart. One
feature stands on a line, and the same city gives the same bytes.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from simulator.city.catalogue import catalogue_of
from simulator.city.geography import METRES_PER_DEGREE, Place
from simulator.city.layout import City

Feature = dict[str, Any]


def features(city: City) -> Iterator[Feature]:
    """Districts first, so that a map draws them below, then gateways in order, then segments by number."""
    outlines = city.grid.outlines()
    by_district: dict[str, list[int]] = {district: [] for district in outlines}
    for index, gateway in enumerate(city.gateways):
        by_district[gateway.district].append(index)
    for district, (south_west, north_east) in sorted(outlines.items()):
        gateways = [city.gateways[index] for index in by_district[district]]
        yield _feature(
            f"district {district}",
            "Polygon",
            [[_position(corner) for corner in _ring(south_west, north_east)]],
            kind="district",
            district=district,
            gateways=len(gateways),
            segments=sum(len(gateway.segments) for gateway in gateways),
            sensors=sum(gateway.sensor_count for gateway in gateways),
        )
    for gateway in city.gateways:
        yield _feature(
            gateway.gateway_id,
            "Point",
            _position((gateway.latitude, gateway.longitude)),
            kind="gateway",
            gateway=gateway.gateway_id,
            district=gateway.district,
            segments=len(gateway.segments),
            sensors=gateway.sensor_count,
        )
    for row, line, segment in zip(catalogue_of(city), segment_lines(city), city.segments(), strict=True):
        yield _feature(
            row.segment_id,
            "LineString",
            [_position(place) for place in line],
            kind="segment",
            **asdict(row),
            sensors=len(segment.sensor_ids),
        )


def write_geojson(city: City, path: Path) -> int:
    """Write the city and return how many features it has; a file that could not be finished is not left behind."""
    unfinished = path.with_name(path.name + ".part")
    count = 0
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write('{"type":"FeatureCollection","features":[\n')
            for feature in features(city):
                stream.write(",\n" if count else "")
                stream.write(json.dumps(feature, separators=(",", ":")))
                count += 1
            stream.write("\n]}\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _feature(identity: str, geometry: str, coordinates: list[Any], **properties: object) -> Feature:
    return {
        "type": "Feature",
        "id": identity,
        "geometry": {"type": geometry, "coordinates": coordinates},
        "properties": properties,
    }


def _position(place: Place) -> list[float]:
    """Longitude first, as the format has it."""
    latitude, longitude = place
    return [longitude, latitude]


def _ring(south_west: Place, north_east: Place) -> list[Place]:
    """A rectangle counterclockwise, closed."""
    (south, west), (north, east) = south_west, north_east
    return [(south, west), (south, east), (north, east), (north, west), (south, west)]


def segment_lines(city: City) -> list[tuple[Place, ...]]:
    """Each segment's way in driving direction, by segment number; one begins where the one upstream of it ends."""
    middles = [(segment.latitude, segment.longitude) for segment in city.segments()]
    lines: list[tuple[Place, ...]] = [()] * len(middles)
    for corridor in city.corridors:
        numbers = corridor.segment_numbers
        ends = [_between(middles[one], middles[other]) for one, other in pairwise(numbers)]
        first, last = middles[numbers[0]], middles[numbers[-1]]
        if ends:
            borders = [_beyond(ends[0], first), *ends, _beyond(ends[-1], last)]
        else:
            half_deg = (
                float(city.network.length_m[slice(*city.segment_cells[numbers[0]])].sum()) / 2 / METRES_PER_DEGREE
            )
            borders = [(first[0], round(first[1] - half_deg, 6)), (first[0], round(first[1] + half_deg, 6))]
        for number, (begins, ends_at) in zip(numbers, pairwise(borders), strict=True):
            lines[number] = begins, middles[number], ends_at
    return lines


def _between(one: Place, other: Place) -> Place:
    return round((one[0] + other[0]) / 2, 6), round((one[1] + other[1]) / 2, 6)


def _beyond(border: Place, middle: Place) -> Place:
    """The border on the other side of a middle."""
    return round(2 * middle[0] - border[0], 6), round(2 * middle[1] - border[1], 6)
