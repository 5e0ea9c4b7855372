"""A catalogue is read whole or refused with every fault, and loading it changes what differs and nothing else."""

import itertools
from dataclasses import replace
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import lake_tables
from cloud.catalogue.loading import Loaded, load
from cloud.catalogue.plan import segment_attributes
from cloud.catalogue.segments import COLUMNS, CatalogueError, CatalogueSegment, read_catalogue, write_catalogue
from cloud.deployment import Deployment, NotDeployedError
from tests.unit.cloud.world import World

HEAD = ",".join(COLUMNS)
ROWS = (
    "100,a7-north-1,gw-0001,Old Town,freeway,3,1250.0,100,54.8012,2.3001,101",
    "101,a7-north-2,gw-0001,Harbour,arterial,2,300,50,54.8,-2.3,",
)
SEGMENTS = (
    CatalogueSegment(100, "a7-north-1", "gw-0001", "Old Town", "freeway", 3, 1250.0, 100.0, 54.8012, 2.3001, 101),
    CatalogueSegment(101, "a7-north-2", "gw-0001", "Harbour", "arterial", 2, 300.0, 50.0, 54.8, -2.3, None),
)
PLACES = {column: place for place, column in enumerate(COLUMNS)}


def text(*rows: str, head: str = HEAD) -> bytes:
    return "\n".join((head, *rows)).encode()


def faults(data: bytes) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(data)
    return caught.value.faults


def row_with(column: str, value: str) -> str:
    cells = ROWS[1].split(",")
    cells[PLACES[column]] = value
    return ",".join(cells)


def test_rows_are_read_in_order_of_their_number() -> None:
    assert read_catalogue(text(ROWS[1], ROWS[0])) == SEGMENTS


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + text(*ROWS), text(*ROWS).replace(b"\n", b"\r\n"), text(*ROWS, "")])
def test_what_spreadsheets_write_is_read_too(data: bytes) -> None:
    assert read_catalogue(data) == SEGMENTS


@pytest.mark.parametrize(
    ("column", "value", "advice"),
    [
        ("segment", "-1", "whole number from 0"),
        ("segment", "1.5", "whole number from 0"),
        ("segment_id", "", "1 to 128 letters"),
        ("gateway", "gw/1", "1 to 128 letters"),
        ("district", "", "1 to 64"),
        ("road_class", "motorway", "freeway, ramp, arterial"),
        ("lanes", "0", "from 1 to 20"),
        ("lanes", "many", "from 1 to 20"),
        ("length_m", "0", "above 0"),
        ("length_m", "nan", "above 0"),
        ("free_flow_kmh", "300", "to 200"),
        ("latitude", "91", "-90 to 90"),
        ("longitude", "inf", "-180 to 180"),
        ("downstream", "next", "whole number"),
        ("downstream", "101", "another segment"),
        ("downstream", "999", "no such segment"),
        ("segment", "100", "is in line 2 already"),
        ("segment_id", "a7-north-1", "is in line 2 already"),
    ],
)
def test_value_that_cannot_be_is_named_with_its_line(column: str, value: str, advice: str) -> None:
    (fault,) = faults(text(ROWS[0].removesuffix("101"), row_with(column, value)))

    assert fault.startswith(f"line 3: {column} = ")
    assert value in fault
    assert advice in fault


def test_every_fault_is_told_at_once() -> None:
    told = faults(text(ROWS[0], row_with("lanes", "x"), row_with("latitude", "x"), "too,short"))

    assert [fault.split(":")[0] for fault in told] == ["line 3", "line 4", "line 5"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "lacks 'segment'"),
        (text(head=HEAD.replace("lanes", "Lanes")), "lacks 'lanes'; has 'Lanes'"),
        (text(head=",".join(reversed(COLUMNS))), "another order"),
        (text(), "no segment"),
        (text(ROWS[0], "\xff").replace("\xff".encode(), b"\xff"), "line 3: byte 0xff"),
        (text(ROWS[0] + '"unclosed'), "line 2"),
        (text('100,"a7'), "no CSV"),
    ],
)
def test_file_that_is_no_catalogue_is_refused(data: bytes, what: str) -> None:
    assert any(what in fault for fault in faults(data))


@given(st.binary(max_size=200))
def test_no_bytes_are_read_as_a_catalogue_or_break_the_reader(rubbish: bytes) -> None:
    with pytest.raises(CatalogueError):
        read_catalogue(rubbish)


@given(
    st.lists(
        st.builds(
            CatalogueSegment,
            segment=st.integers(0, 1 << 32).filter(lambda n: n < 1 << 32),
            segment_id=st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True),
            gateway=st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True),
            district=st.sampled_from(["Old Town", 'Ölhafen, "Süd"', "日本橋"]),
            road_class=st.sampled_from(["freeway", "ramp", "arterial"]),
            lanes=st.integers(1, 20),
            length_m=st.floats(0.1, 100_000),
            free_flow_kmh=st.floats(1, 200),
            latitude=st.floats(-90, 90),
            longitude=st.floats(-180, 180),
            downstream=st.none(),
        ),
        min_size=1,
        unique_by=(lambda s: s.segment, lambda s: s.segment_id),
    )
)
def test_what_is_written_is_read_again(segments: list[CatalogueSegment]) -> None:
    ordered = tuple(sorted(segments, key=lambda segment: segment.segment))

    assert read_catalogue(write_catalogue(ordered)) == ordered


OUTPUTS = {"SegmentsTable": "segments", "GatewaysTable": "gateways", "LakeBucket": "lake"}


class Lake:
    """The bucket, as far as the catalogue needs it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803 - boto3's
        assert (Bucket, ContentType) == ("lake", "text/csv")
        self.objects[Key] = Body


class City:
    """A deployment with its tables and lake, and what they hold."""

    def __init__(self, world: World, dynamodb: Any = None) -> None:
        self.world = world
        self.lake = Lake()
        clients = {"dynamodb": dynamodb or world.dynamodb, "s3": self.lake}
        self.deployment = Deployment("dev", OUTPUTS, clients.__getitem__)

    def load(self, *segments: CatalogueSegment) -> Loaded:
        of_segments, _ = load(segments, self.deployment)
        return of_segments

    def item(self, segment: int) -> dict[str, Any]:
        key = {"segment": {"N": str(segment)}}
        item: dict[str, Any] = self.world.dynamodb.get_item(TableName="segments", Key=key)["Item"]
        return {name: value for name, value in item.items() if name != "segment"}


@pytest.fixture
def city(world: World) -> City:
    return City(world)


def test_loading_twice_changes_nothing_the_second_time(city: City) -> None:
    assert city.load(*SEGMENTS) == Loaded(added=2, updated=0, retired=0, unchanged=0)
    before = city.world.items("segments")

    assert city.load(*SEGMENTS) == Loaded(added=0, updated=0, retired=0, unchanged=2)
    assert city.world.items("segments") == before
    assert city.item(101) == segment_attributes(SEGMENTS[1])


def test_lake_gets_the_file_that_the_table_of_segments_describes(city: City) -> None:
    city.load(*SEGMENTS)
    city.load(SEGMENTS[1])

    ((key, body),) = city.lake.objects.items()
    assert key == "catalogue/segments/segments.csv"
    assert read_catalogue(body) == SEGMENTS[1:]
    assert tuple(column.name for column in lake_tables.SEGMENTS.columns) == COLUMNS


def test_gateways_are_told_by_the_district_of_most_of_their_segments_and_keep_what_others_wrote(city: City) -> None:
    city.world.dynamodb.put_item(
        TableName="gateways", Item={"gateway": {"S": "gw-0001"}, "status": {"S": "online"}, "version": {"N": "3"}}
    )
    city.world.dynamodb.put_item(TableName="gateways", Item={"gateway": {"S": "#pairs"}, "memory": {"B": b"1"}})
    third = replace(SEGMENTS[1], segment=102, segment_id="a7-north-3")
    elsewhere = replace(SEGMENTS[0], segment=200, segment_id="b1", gateway="gw-0002", downstream=None)

    _, of_gateways = load((*SEGMENTS, third, elsewhere), city.deployment)
    assert (of_gateways.added, of_gateways.retired) == (2, 0)
    _, again = load((*SEGMENTS, third), city.deployment)
    assert (again.updated, again.retired, again.unchanged) == (0, 1, 1)

    items = {item["gateway"]["S"]: item for item in city.world.items("gateways")}
    assert items["gw-0001"] == {
        "gateway": {"S": "gw-0001"},
        "status": {"S": "online"},
        "version": {"N": "3"},
        "district": {"S": "Harbour"},
        "segment_count": {"N": "3"},
    }
    assert "district" not in items["gw-0002"]
    assert "retired_ms" in items["gw-0002"]
    assert items["#pairs"].keys() == {"gateway", "memory"}


def test_loading_changes_what_differs_and_leaves_the_state_alone(city: City) -> None:
    state = {"gateway": {"S": "gw-0009"}, "window_start_ms": {"N": "7"}, "congestion_state": {"S": "free"}}
    city.world.dynamodb.put_item(TableName="segments", Item={"segment": {"N": "100"}, **state})
    assert city.load(*SEGMENTS).added == 2

    moved = replace(SEGMENTS[0], district="Harbour", downstream=None)
    assert city.load(moved, SEGMENTS[1]) == Loaded(added=0, updated=1, retired=0, unchanged=1)

    assert city.item(100) == segment_attributes(moved) | state


def test_segment_that_is_gone_is_retired_once_and_comes_back(city: City) -> None:
    city.load(*SEGMENTS)
    assert city.load(SEGMENTS[1]).retired == 1
    retired = city.item(100)
    assert "district" not in retired
    assert retired["segment_id"] == {"S": "a7-north-1"}

    assert city.load(SEGMENTS[1]).retired == 0
    assert city.item(100) == retired

    assert city.load(*SEGMENTS).updated == 1
    assert city.item(100) == segment_attributes(SEGMENTS[0])


def test_segment_that_only_a_gateway_knows_is_left_alone(city: City) -> None:
    state = {"gateway": {"S": "gw-0009"}, "window_start_ms": {"N": "7"}}
    city.world.dynamodb.put_item(TableName="segments", Item={"segment": {"N": "900"}, **state})

    assert city.load(*SEGMENTS).retired == 0
    assert city.item(900) == state


def test_more_segments_than_one_transaction_takes(city: City) -> None:
    numbers = itertools.count(1)
    many = [replace(SEGMENTS[1], segment=next(numbers), segment_id=f"s{place}") for place in range(230)]

    assert city.load(*many).added == 230
    assert len(city.world.items("segments")) == 230


def test_processor_at_work_on_a_segment_does_not_stop_the_load(world: World) -> None:
    client = boto3.client("dynamodb")
    refused: list[str] = []

    def conflict(**_: object) -> None:
        if not refused:
            refused.append("once")
            response = {
                "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
                "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
            }
            raise client.exceptions.TransactionCanceledException(response, "TransactWriteItems")

    client.meta.events.register("before-parameter-build.dynamodb.TransactWriteItems", conflict)

    city = City(world, client)

    assert city.load(*SEGMENTS).added == 2
    assert refused
    assert city.item(100) == segment_attributes(SEGMENTS[0])


def test_stack_without_the_table_is_told_to_be_too_old() -> None:
    with pytest.raises(NotDeployedError, match="no output SegmentsTable"):
        load(SEGMENTS, Deployment("dev", {}, boto3.client))
