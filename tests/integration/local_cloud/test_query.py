"""What people ask of a deployed stack: answers on windows whose truth is known, and one sentence for what cannot be."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cloud.catalogue.__main__ import app as catalogue_app
from cloud.catalogue.segments import CatalogueSegment, write_catalogue
from cloud.query.__main__ import app
from roadside.contract import topics
from roadside.contract.codec import encode_window
from roadside.contract.events import CongestionEvent, encode_event
from roadside.contract.merging import merge_windows
from roadside.contract.sensors import SensorRecord, SensorSummary, encode_sensors
from roadside.contract.summary import CongestionState, WindowSummary
from simulator.local_cloud.devices import register_devices
from tests.integration.local_cloud.conftest import Platform
from tests.integration.local_cloud.support import Device, eventually
from tests.unit.cloud.messages import make_window

DISTRICT = "Test Harbour"
GATEWAYS = ("query-gw-1", "query-gw-2")
FIRST = 4_000_000  # segments of no other test
# Segment, gateway, and the level of its last window; None while it is free.
LEVELS = {FIRST: 85, FIRST + 1: None, FIRST + 2: 65, FIRST + 3: 99}


@dataclass(frozen=True, slots=True)
class Roads:
    """What the tests ask about: windows of ten seconds that ended lately."""

    environment: dict[str, str | None]  # None for what must not be set
    start_ms: int

    def ask(self, *arguments: str) -> Any:
        result = self.try_to_ask(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def try_to_ask(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env=self.environment)


@pytest.fixture(scope="module")
def roads(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Roads:
    """Two gateways with two segments each, catalogue and windows in the cloud by the ways they always take."""
    environment = platform.cloud.environment({})
    catalogue = tuple(
        CatalogueSegment(
            number, f"query-{number}", GATEWAYS[place // 2], DISTRICT, "freeway", 3, 500.0, 100.0, 54.8, 2.3, None
        )
        for place, number in enumerate(LEVELS)
    )
    file = tmp_path_factory.mktemp("catalogue") / "segments.csv"
    file.write_bytes(write_catalogue(catalogue))
    loaded = CliRunner().invoke(catalogue_app, ["load", str(file)], env=environment)
    assert "segments: 4 added" in loaded.output, loaded.output

    start_ms = int(time.time()) // 10 * 10_000 - 120_000
    first = [_window(GATEWAYS[0], start_ms, place, (None, LEVELS[FIRST + 1])) for place in range(11)]
    last = replace(_window(GATEWAYS[0], start_ms, 11, (LEVELS[FIRST], LEVELS[FIRST + 1])), sequence=20)
    minute = replace(merge_windows(first[:6], 21), backfill=True)
    another_life = replace(last, epoch_ms=last.epoch_ms + 1, sequence=1)
    others = [_window(GATEWAYS[1], start_ms, place, (LEVELS[FIRST + 2], LEVELS[FIRST + 3])) for place in range(12)]
    sensors = SensorSummary(
        GATEWAYS[0],
        last.epoch_ms,
        30,
        start_ms,
        60_000,
        (SensorRecord(FIRST, 60, 7, 0, 7 * 45_000), SensorRecord(FIRST + 1, fault="dead")),
    )
    identities = register_devices(platform.cloud, list(GATEWAYS), platform.outputs["GatewayPolicy"])
    jam = CongestionEvent(
        kind="CongestionStarted",
        gateway=GATEWAYS[0],
        epoch_ms=last.epoch_ms,
        sequence=31,
        segment_id=f"query-{FIRST}",
        segment_number=FIRST,
        occurred_ms=last.window_end_ms,
        started_ms=last.window_end_ms,
        average_speed_kmh=15.0,
        occupancy=0.4,
        congestion_level=85,
    )
    messages = {
        GATEWAYS[0]: [("windows", encode_window(w)) for w in (minute, *first[6:], last, another_life)]
        + [("sensors", encode_sensors(sensors)), ("events", encode_event(jam))],
        GATEWAYS[1]: [("windows", encode_window(window)) for window in others],
    }
    for identity in identities:
        with Device(platform.cloud, identity) as device:
            for kind, payload in messages[identity.thing_name]:
                assert device.publish(topics.uplink(kind, identity.thing_name), payload) == 0  # type: ignore[arg-type]
    counts = {name: sum(kind != "events" for kind, _ in some) for name, some in messages.items()}
    _wait_until_stored(platform, counts)
    roads = Roads({**environment}, start_ms)
    eventually(lambda: roads.ask("alerts", "--gateway", GATEWAYS[0]), within_s=30, what="the alert")
    return roads


def _window(gateway: str, start_ms: int, place: int, levels: tuple[int | None, int | None]) -> WindowSummary:
    """Window number `place` of a gateway's two segments, with as many vehicles as it has predecessors, and one."""
    first_segment = FIRST + 2 * GATEWAYS.index(gateway)
    window = make_window(
        place + 1,
        gateway=gateway,
        start_ms=start_ms + 10_000 * place,
        first_segment=first_segment,
        vehicles=place + 1,
    )
    segments = tuple(
        segment
        if level is None
        else replace(segment, congestion_level=level, congestion_state=CongestionState.CONGESTED)
        for segment, level in zip(window.segments, levels, strict=True)
    )
    return replace(window, segments=segments)


def _wait_until_stored(platform: Platform, messages: dict[str, int]) -> None:
    dynamodb = platform.cloud.client("dynamodb")

    def stored() -> bool:
        counts = {
            name: sum(
                dynamodb.query(
                    TableName=platform.outputs[table],
                    KeyConditionExpression="g = :g",
                    ExpressionAttributeValues={":g": {"S": name}},
                )["Count"]
                for table in ("WindowsTable", "SensorsTable")
            )
            for name in messages
        }
        return counts == messages

    def current() -> bool:
        keys = [{"segment": {"N": str(number)}} for number in LEVELS]
        table = platform.outputs["SegmentsTable"]
        items = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})["Responses"][table]
        told = {int(item["segment"]["N"]): item.get("congestion_level", {}).get("N") for item in items}
        return all(level is None or told[number] == str(level) for number, level in LEVELS.items())

    eventually(stored, within_s=30, what="every window in the table")
    eventually(current, within_s=30, what="every segment's state")


def test_top_is_the_most_congested_first_and_holds_nothing_that_flows(roads: Roads) -> None:
    ours = [
        (s["segment"], s["congestion_level"], s["band"])
        for s in roads.ask("top", "-n", "1000")
        if s["segment"] >= FIRST
    ]

    assert ours == [(FIRST + 3, 99, "severe"), (FIRST, 85, "severe"), (FIRST + 2, 65, "heavy")]
    assert len(roads.ask("top", "-n", "1")) == 1


def test_latest_is_the_newest_window_and_adds_two_lives_of_a_gateway(roads: Roads) -> None:
    lived_twice, other = roads.ask("latest", f"query-{FIRST}", str(FIRST + 2))

    assert (lived_twice["segment"], lived_twice["vehicle_count"], lived_twice["windows"]) == (FIRST, 24, 2)
    assert lived_twice["start_ms"] == roads.start_ms + 110_000
    assert lived_twice["congestion_state"] == "congested"
    assert (other["vehicle_count"], other["windows"]) == (12, 1)
    assert other["average_speed_kmh"] == 80.0
    assert other["district"] == DISTRICT


def test_history_is_every_window_once_with_coarser_ones_as_they_are(roads: Roads) -> None:
    rows = roads.ask("history", str(FIRST), "--from", "10m")

    assert [(row["start_ms"] - roads.start_ms, row["vehicle_count"]) for row in rows] == [
        (0, 1 + 2 + 3 + 4 + 5 + 6),
        *((10_000 * place, place + 1) for place in range(6, 11)),
        (110_000, 24),
    ]
    assert rows[0]["end_ms"] - rows[0]["start_ms"] == 60_000
    assert rows[0]["backfill"]


def test_history_goes_on_where_a_page_ends(roads: Roads) -> None:
    whole = roads.ask("history", str(FIRST + 2), "--from", "10m")
    first = roads.try_to_ask("history", str(FIRST + 2), "--from", "10m", "--limit", "5", "--json")
    there_is_more = first.stderr.split("--from ")[1].split()[0]
    rest = roads.ask("history", str(FIRST + 2), "--from", there_is_more)

    assert json.loads(first.stdout) + rest == whole
    assert len(whole) == 12
    (step,) = roads.ask("history", str(FIRST + 2), "--from", str(roads.start_ms), "--every", "86400")[:1]
    assert step["vehicle_count"] == sum(row["vehicle_count"] for row in whole)


def test_district_is_the_sum_of_its_segments(roads: Roads) -> None:
    told = roads.ask("district", DISTRICT)

    assert (told["segments"], told["segments_congested"], told["segments_silent"]) == (4, 3, 0)
    assert told["vehicle_count"] == 24 + 24 + 12 + 12
    assert (told["length_km"], told["congested_km"]) == (2.0, 1.5)
    assert [worst["segment"] for worst in told["worst"]] == [FIRST + 3, FIRST, FIRST + 2]
    assert {"district": DISTRICT, "segments": 4} in roads.ask("district")


def test_sensor_is_found_without_its_gateway_and_tells_its_health(roads: Roads) -> None:
    (well,) = roads.ask("sensor", str(FIRST))
    (faulty,) = roads.ask("sensor", str(FIRST + 1), "--gateway", GATEWAYS[0])

    assert (well["gateway"], well["vehicle_count"], well["believed"]) == (GATEWAYS[0], 7, True)
    assert (faulty["fault"], faulty["believed"]) == ("dead", False)


def test_gateways_are_those_of_the_catalogue_with_their_newest_window(roads: Roads) -> None:
    ours = [each for each in roads.ask("gateways") if each["gateway"] in GATEWAYS]

    assert [(each["gateway"], each["district"], each["segment_count"]) for each in ours] == [
        (gateway, DISTRICT, 2) for gateway in GATEWAYS
    ]
    assert [each["newest_ms"] for each in ours] == [roads.start_ms + 120_000] * 2


def test_alert_is_found_by_what_it_is_about_and_taken_on(roads: Roads) -> None:
    (alert,) = roads.ask("alerts", "--open", "--segment", str(FIRST))
    assert (alert["kind"], alert["gateway"]) == ("CongestionStarted", GATEWAYS[0])
    assert alert["detail"]["congestion_level"] == 85
    assert roads.ask("alerts", "--kind", "congestion", "--segment", f"query-{FIRST}") == [alert]
    assert roads.ask("alerts", "--kind", "incident", "--segment", str(FIRST)) == []
    assert roads.ask("alerts", "--gateway", GATEWAYS[1]) == []

    taken_on = roads.try_to_ask("ack", alert["event_id"], "--by", "Kim", "--note", "on my way")

    assert taken_on.exit_code == 0, taken_on.output
    (alert,) = roads.ask("alerts", "--segment", str(FIRST))
    assert (alert["acknowledged_by"], alert["note"]) == ("Kim", "on my way")


@pytest.mark.parametrize(
    "question", [["top"], ["latest", str(FIRST)], ["history", str(FIRST)], ["district"], ["alerts"], ["gateways"]]
)
def test_people_get_tables(roads: Roads, question: list[str]) -> None:
    result = roads.try_to_ask(*question)

    assert result.exit_code == 0, result.output
    assert "│" in result.stdout


@pytest.mark.parametrize(
    ("question", "change", "words"),
    [
        (["latest", "nowhere-1"], {}, "segment = 'nowhere-1'"),
        (["latest", "123456789"], {}, "segment = '123456789'"),
        (["district", "Atlantis"], {}, DISTRICT),
        (["sensor", "123456789"], {}, "none of"),
        (["history", "1", "--from", "soon"], {}, "'soon' is no instant"),
        (["history", "1", "--from", "1h", "--to", "2h"], {}, "not before"),
        (["ack", "no:such:event", "--by", "Kim"], {}, "event_id = 'no:such:event'"),
        (["top", "--stage", "nowhere"], {}, "roadside-nowhere is not deployed"),
        (["top"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "Could not connect"),
        (["top"], {"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "credentials"),
        (["top"], {"AWS_DEFAULT_REGION": None, "AWS_REGION": None}, "no AWS region"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    roads: Roads, question: list[str], change: dict[str, str | None], words: str
) -> None:
    asked = Roads(roads.environment | change, roads.start_ms).try_to_ask(*question)

    assert asked.exit_code == 2, asked.output
    assert words in asked.stderr
    assert asked.stdout == ""
    assert len(asked.stderr.strip().splitlines()) == 1


def test_faulty_catalogue_changes_nothing(roads: Roads, tmp_path: Path) -> None:
    file = tmp_path / "faulty.csv"
    file.write_text("segment,segment_id\n1,a\n")

    result = CliRunner().invoke(catalogue_app, ["load", str(file)], env=roads.environment)

    assert result.exit_code == 2
    assert "line 1" in result.stderr
