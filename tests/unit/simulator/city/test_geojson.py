"""The map of a city: what any GIS opens, the same bytes each time, with the columns of the catalogue."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cloud.catalogue.segments import COLUMNS, read_catalogue
from simulator.__main__ import app
from simulator.city.catalogue import catalogue_of
from simulator.city.geography import METRES_PER_DEGREE
from simulator.city.geojson import features, write_geojson
from simulator.city.layout import City, make_city


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(3_000, 13, seed=4)


@pytest.fixture(scope="module")
def by_kind(city: City) -> dict[str, list[dict[str, Any]]]:
    kinds: dict[str, list[dict[str, Any]]] = {"district": [], "gateway": [], "segment": []}
    for feature in json.loads(json.dumps(list(features(city)))):
        kinds[feature["properties"]["kind"]].append(feature)
    return kinds


def metres(one: list[float], other: list[float]) -> float:
    north = (other[1] - one[1]) * METRES_PER_DEGREE
    east = (other[0] - one[0]) * METRES_PER_DEGREE * math.cos(math.radians(one[1]))
    return math.hypot(north, east)


def test_the_file_is_what_rfc_7946_says(city: City, tmp_path: Path) -> None:
    count = write_geojson(city, tmp_path / "city.geojson")
    tree = json.loads((tmp_path / "city.geojson").read_text(encoding="utf-8"))
    assert list(tree) == ["type", "features"]
    assert tree["type"] == "FeatureCollection"
    districts = {gateway.district for gateway in city.gateways}
    assert len(tree["features"]) == count == len(districts) + len(city.gateways) + city.segment_count
    assert len({feature["id"] for feature in tree["features"]}) == count
    for feature in tree["features"]:
        assert list(feature) == ["type", "id", "geometry", "properties"]
        assert feature["type"] == "Feature"
        places = feature["geometry"]["coordinates"]
        match feature["geometry"]["type"]:
            case "Point":
                places = [places]
            case "LineString":
                assert len(places) >= 2
            case "Polygon":
                [places] = places
                assert len(places) >= 4
                assert places[0] == places[-1]
                # Counterclockwise, by the area under its edges.
                assert sum((x2 - x1) * (y2 + y1) for (x1, y1), (x2, y2) in pairwise(places)) < 0
        for longitude, latitude in places:
            assert 1.0 < longitude < 3.6
            assert 54.0 < latitude < 55.6


def test_a_segment_has_the_columns_of_the_catalogue(city: City, by_kind: dict[str, list[dict[str, Any]]]) -> None:
    for feature, row in zip(by_kind["segment"], catalogue_of(city), strict=True):
        properties = feature["properties"]
        assert {name: properties[name] for name in COLUMNS} == {name: getattr(row, name) for name in COLUMNS}
        assert [row.longitude, row.latitude] in feature["geometry"]["coordinates"]
    assert sum(feature["properties"]["sensors"] for feature in by_kind["segment"]) == city.sensor_count


def test_a_road_goes_on_where_its_segments_do(city: City, by_kind: dict[str, list[dict[str, Any]]]) -> None:
    lines = [feature["geometry"]["coordinates"] for feature in by_kind["segment"]]
    for corridor in city.corridors:
        for here, there in pairwise(corridor.segment_numbers):
            assert lines[here][-1] == lines[there][0]
    lengths = [sum(metres(one, other) for one, other in pairwise(line)) for line in lines]
    assert min(lengths) > 50.0
    assert max(lengths) < 3.0 * city.grid.block_m


def test_gateways_lie_in_their_districts_and_districts_do_not_overlap(
    city: City, by_kind: dict[str, list[dict[str, Any]]]
) -> None:
    boxes = {}
    for feature in by_kind["district"]:
        [ring] = feature["geometry"]["coordinates"]
        boxes[feature["properties"]["district"]] = (ring[0], ring[2])
    for feature in by_kind["gateway"]:
        longitude, latitude = feature["geometry"]["coordinates"]
        inside = {
            name
            for name, ((west, south), (east, north)) in boxes.items()
            if west < longitude < east and south < latitude < north
        }
        assert inside == {feature["properties"]["district"]}
    assert sum(feature["properties"]["gateways"] for feature in by_kind["district"]) == 13


@pytest.mark.parametrize(("sensors", "gateways"), [(1, 1), (7, 7), (40, 2)])
def test_small_cities_have_a_map_too(sensors: int, gateways: int) -> None:
    for feature in features(make_city(sensors, gateways)):
        if feature["geometry"]["type"] == "LineString":
            begins, _, ends = feature["geometry"]["coordinates"]
            assert begins != ends


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["city", *arguments], env={"COLUMNS": "200"})


def test_the_command_writes_map_and_catalogue_the_same_each_time(tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        result = invoke(
            *("--sensors", "500", "--gateways", "4", "--seed", "9"),
            *("--geojson", str(folder / "city.geojson"), "--csv", str(folder / "city.csv")),
        )
        assert result.exit_code == 0, result.output
        written.append(((folder / "city.geojson").read_bytes(), (folder / "city.csv").read_bytes()))
        assert sorted(path.name for path in folder.iterdir()) == ["city.csv", "city.geojson"]
    assert written[0] == written[1]
    assert read_catalogue(written[0][1]) == catalogue_of(make_city(500, 4, 9))
    assert "500 sensors, seed 9" in result.output
    assert "Northgate" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sensors", "3", "--gateways", "4"), "--sensors 3: give at least one sensor to each of the 4 gateways"),
        (("--gateways", "0"), "--gateways 0: a city has at least one gateway"),
        (("--seed", "-1"), "--seed -1: give a seed of at least 0"),
        (
            ("--sensors", "9", "--gateways", "3", "--geojson", "/nowhere/a.geojson"),
            "/nowhere/a.geojson: its folder does not",
        ),
        (("--sensors", "9", "--gateways", "3", "--csv", "/proc"), "/proc"),
    ],
)
def test_an_impossible_city_or_file_is_refused_in_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.output.split())
    assert "Traceback" not in result.output
