"""The sweep's judgement of neighbours on real tables: one incident on a border, from windows to the bus and its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from aggregator.profile_file import load_profile
from cloud.catalogue.plan import segment_attributes
from cloud.catalogue.profile import ProfileError, read_profile
from cloud.catalogue.segments import CatalogueSegment
from cloud.functions.processor.items import window_item
from cloud.functions.processor.logic import WindowRecord
from cloud.functions.shared.envelope import Envelope
from cloud.functions.sweep import handler, pairs_memory
from cloud.functions.sweep.neighbours import teach
from cloud.functions.sweep.pairs import PairJudge
from cloud.functions.sweep.pairs_profile import UNKNOWN
from cloud.functions.sweep.store import Store
from roadside.contract.codec import encode_window
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary
from simulator.recorded.learning import SHIPPED
from tests.unit.cloud.world import World

NOON_MS = 1_790_000_640_000 - 1_790_000_640_000 % 900_000
OWNERS = {0: "west", 1: "west", 2: "east", 3: "east"}  # a road, in driving direction
ONSET_S, END_S = 720, 1140


@pytest.fixture
def city(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """With the road in the catalogue and its gateways known."""
    monkeypatch.setenv("GATEWAYS_TABLE", "gateways")
    monkeypatch.setenv("WINDOW_S", "10")
    for number, gateway in OWNERS.items():
        downstream = number + 1 if number + 1 in OWNERS else None
        row = CatalogueSegment(
            number, f"E{number}", gateway, "Harbour", "freeway", 3, 500.0, 100.0, 54.8, 2.3, downstream
        )
        key = {"segment": {"N": str(number)}}
        world.dynamodb.put_item(TableName="segments", Item=key | segment_attributes(row))
    for gateway in set(OWNERS.values()):
        world.dynamodb.put_item(TableName="gateways", Item={"gateway": {"S": gateway}})
    handler.sweep.cache_clear()
    yield world
    handler.sweep.cache_clear()


def traffic(world: World, minute: int) -> None:
    """The windows of a minute; from ONSET_S to END_S a queue stands on the last segment of the first gateway."""
    for start_s in range(60 * minute, 60 * minute + 60, 10):
        for gateway in ("west", "east"):
            segments = tuple(
                _segment(number, queues=number == 1 and ONSET_S <= start_s < END_S)
                for number, owner in OWNERS.items()
                if owner == gateway
            )
            window = WindowSummary(gateway, 7, 1 + start_s // 10, NOON_MS + 1000 * start_s, 10_000, segments)
            envelope = Envelope(gateway, window.window_end_ms + 2_000, encode_window(window), "windows")
            world.dynamodb.put_item(TableName="windows", Item=window_item(WindowRecord(envelope, window, ()), 90))


def _segment(number: int, *, queues: bool) -> SegmentSummary:
    return SegmentSummary(
        number,
        sketch=SpeedSketch(300, (12,)),
        pace_sum_ms_per_km=12 * (240_000 if queues else 38_000),
        occupied_ms=12_000 if queues else 1_500,
        observed_ms=30_000,
        sensors_reporting=3,
        readings_accepted=30,
    )


def drive(world: World, minutes: range) -> list[tuple[str, int]]:
    """A pass after each minute, each in a process of its own; kind and minute of what was published about incidents."""
    told = []
    for minute in minutes:
        traffic(world, minute)
        handler.sweep.cache_clear()
        handler.handle({"now_ms": NOON_MS + 60_000 * (minute + 1) + 3_000}, None)
        told += [(e["detail-type"], minute) for e in world.published() if e["detail-type"].startswith("Incident")]
    return told


def test_an_incident_on_a_border_is_suspected_confirmed_and_cleared_each_once(city: World) -> None:
    told = drive(city, range(26))

    assert [kind for kind, _ in told] == ["IncidentSuspected", "IncidentConfirmed", "IncidentCleared"]
    suspected, confirmed, cleared = (minute for _, minute in told)
    assert ONSET_S <= 60 * suspected <= ONSET_S + 60
    assert 1 <= confirmed - suspected <= 2
    assert END_S < 60 * cleared <= END_S + 300


def test_a_pass_that_cannot_publish_is_done_again_under_the_same_id(
    city: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert drive(city, range(12)) == []
    with monkeypatch.context() as patch:
        patch.setenv("EVENT_BUS", "gone")
        drive(city, range(12, 14))
    (kind, _), *_ = drive(city, range(14, 15))

    assert kind == "IncidentSuspected"


def test_retired_segments_and_those_without_a_catalogue_are_no_road(city: World) -> None:
    update = {"UpdateExpression": "SET retired_ms = :now", "ExpressionAttributeValues": {":now": {"N": "1"}}}
    city.dynamodb.update_item(TableName="segments", Key={"segment": {"N": "2"}}, **update)
    city.dynamodb.put_item(TableName="segments", Item={"segment": {"N": "9"}, "congestion_state": {"S": "free"}})
    sweep = handler.sweep()
    assert isinstance(sweep._tables, Store)

    found = sweep._tables.road_segments()
    assert sorted(segment.segment for segment in found) == [0, 1, 3]
    assert {segment.segment: segment.downstream for segment in found} == {0: 1, 1: 2, 3: None}
    assert {segment.gateway for segment in found} == {"west", "east"}


def test_without_borders_nothing_is_kept(city: World) -> None:
    for number in OWNERS:
        city.dynamodb.delete_item(TableName="segments", Key={"segment": {"N": str(number)}})
    drive(city, range(1))

    kept = {item["gateway"]["S"] for item in city.items("gateways")}
    assert kept == {"west", "east", "#passed"}


def test_a_failing_table_stops_nothing_but_the_judgement(city: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Store) -> None:
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "Scan")

    monkeypatch.setattr(Store, "road_segments", fail)
    assert drive(city, range(2)) == []
    assert handler.handle({"now_ms": NOON_MS + 180_000}, None)["JudgesFailed"] == 1
    assert "#passed" in {item["gateway"]["S"] for item in city.items("gateways")}


def test_pairs_begin_with_a_profile_that_was_learned_elsewhere_and_keep_what_they_know(city: World) -> None:
    sweep = handler.sweep()
    assert isinstance(sweep._tables, Store)
    tables = sweep._tables

    assert teach(tables, {"E1": (40, [[None, 35], [20, 30]]), "E9": (0, [])}) == (1, 2)
    assert teach(tables, {"E1": (0, [[1]]), "E0": (0, [[2]])}) == (1, 2)
    drive(city, range(1))
    judge = PairJudge(tables.road_segments())
    pairs_memory.restore_profiles(judge, [tables.memory("profiles-0") or b""])
    (stretch,) = judge.stretches
    assert [[day[40:42].tolist() for day in profile.days] for profile in stretch.profiles] == [
        [[UNKNOWN, UNKNOWN]],
        [[UNKNOWN, 35], [20, 30]],
    ]
    assert stretch.profiles[1].expected(NOON_MS - NOON_MS % 86_400_000 + 41 * 900_000) == 0.35


def test_profile_is_read_as_the_simulator_writes_it_and_nothing_else_is_one() -> None:
    learned = read_profile(SHIPPED.read_bytes())
    assert learned.keys() == load_profile(SHIPPED).segments.keys()
    first_quarter, days = learned["E04"]
    assert (first_quarter, list(map(list, days))) == (
        load_profile(SHIPPED).segments["E04"].first_quarter,
        load_profile(SHIPPED).segments["E04"].days,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "another", "segments": {}}',
        '{"format": "roadside-contrast-profile-1"}',
        '{"format": "roadside-contrast-profile-1", "segments": {"E1": {"first_quarter": 95, "days": [[1, 2]]}}}',
        '{"format": "roadside-contrast-profile-1", "segments": {"E1": {"first_quarter": 0, "days": [[128]]}}}',
        '{"format": "roadside-contrast-profile-1", "segments": {"E1": {"first_quarter": 0, "days": [7]}}}',
        '{"format": "roadside-contrast-profile-1", "segments": {"E1": {"first_quarter": 0, "days": 7}}}',
    ],
)
def test_what_is_no_profile_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(ProfileError, match=r"profile|format|quarters"):
        read_profile(text.encode())
