"""docs/contract.md tells the truth about topics, fields and examples."""

import json
import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from aggregator.intake import Intake
from cloud.functions.processor.items import item_bytes, segment_update, sensors_item, window_item
from cloud.functions.processor.logic import read_record
from cloud.functions.shared import wording
from roadside.contract import messages_pb2 as pb
from roadside.contract import topics
from roadside.contract.bus import (
    TYPES,
    BusEvent,
    DataNotice,
    GatewayNotice,
    IncidentNotice,
    decode_announcement,
    detail,
)
from roadside.contract.codec import encode_window
from roadside.contract.commands import COMMANDS, ResendCommand, decode_command
from roadside.contract.events import CongestionEvent, Event, IncidentEvent, SensorEvent, decode_event
from roadside.contract.heartbeat import ComponentHealth, Heartbeat, SystemState
from roadside.contract.sensors import encode_sensors
from roadside.contract.status import Status
from roadside.core.registry import Registry, RoadClass, Segment
from tests.unit.cloud.messages import make_sensors, make_window, wrap

PAGE = (Path(__file__).parents[4] / "docs" / "contract.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading, up to the next heading."""
    found = re.search(rf"^#+ {title}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The cells of the section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(title: str) -> list[str]:
    return [row[0].strip("`") for row in rows(title)]


def example(name: str) -> bytes:
    found = re.search(rf"<!-- example: {name} -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return found[1].encode()


def test_command_of_the_page_is_one_and_its_fields_are_explained() -> None:
    command = decode_command(example("command"))
    assert isinstance(command, ResendCommand)
    assert command.runs == ((86403, 2), (86410, 1))
    assert names("Command") == ["schema", "command", *(field.name for field in fields(ResendCommand))]
    assert all(f"`{name}`" in section("Command") for name in COMMANDS)


@pytest.mark.parametrize(
    "title", ["WindowSummary", "SegmentColumns", "SensorSummary", "SensorColumns", "Ack", "ReadingFrame"]
)
def test_every_field_of_a_message_is_explained_in_order(title: str) -> None:
    assert names(title) == [field.name for field in pb.DESCRIPTOR.message_types_by_name[title].fields]


def test_topics_are_those_of_the_module() -> None:
    told = [re.sub(r"\{\w+\}", "X", cells[0].split("`")[1]) for cells in rows("Topics")]

    assert told == [
        topics.readings("X"),
        topics.frames("X"),
        topics.status("X"),
        topics.uplink("windows", "X"),
        topics.uplink("sensors", "X"),
        topics.uplink("events", "X"),
        topics.uplink("heartbeat", "X"),
        topics.direct_reading("X"),
        topics.acks("X"),
        topics.commands("X"),
    ]


@pytest.mark.parametrize(
    ("name", "title", "kind"),
    [
        ("event", "Event", CongestionEvent),
        ("incident", "Incident event", IncidentEvent),
        ("sensor", "Sensor event", SensorEvent),
    ],
)
def test_event_of_the_example_is_read_and_its_fields_are_explained(name: str, title: str, kind: type[Event]) -> None:
    event = decode_event(example(name))

    body: dict[str, Any] = json.loads(example(name))
    assert isinstance(event, kind)
    assert body["event_id"] == event.event_id
    assert list(body) == ["schema", "event_id", *(field.name for field in fields(kind))]
    told = set(re.findall(r"`(\w+)`", section(title).split("|")[0])) | set(names(title))
    assert told == set(body)


@pytest.mark.parametrize(
    ("name", "title", "kind"),
    [
        ("incident-notice", "Incident notice", IncidentNotice),
        ("gateway-notice", "Gateway notice", GatewayNotice),
        ("data-notice", "Data notice", DataNotice),
    ],
)
def test_announcement_of_the_example_is_read_said_in_our_words_and_explained(
    name: str, title: str, kind: type[BusEvent]
) -> None:
    announced = decode_announcement(example(name))

    body: dict[str, Any] = json.loads(example(name))
    assert isinstance(announced.event, kind)
    assert detail(announced) == body
    assert names(title) == [field.name for field in fields(kind)]
    assert announced.severity == wording.severity(announced.event)
    assert announced.headline == wording.headline(announced.event)
    assert announced.text == wording.text(announced.event)


def test_kinds_on_the_bus_are_those_of_the_module() -> None:
    common, kinds = rows("On the bus")[:6], rows("On the bus")[8:]

    assert [cells[0].strip("`") for cells in common] == ["schema", "event_id", "severity", "headline", "text", "notify"]
    assert [kind for cells in kinds for kind in re.findall(r"`(\w+)`", cells[0])] == list(in_pages_order(TYPES))


def in_pages_order(kinds: Iterable[str]) -> list[str]:
    order = ("Congestion", "Incident", "Sensor", "Gateway", "Data")
    return sorted(kinds, key=lambda kind: next(i for i, word in enumerate(order) if kind.startswith(word)))


def test_fields_of_the_first_events_table_stand_in_their_order() -> None:
    assert names("Event") == ["schema", "event_id", *(field.name for field in fields(CongestionEvent))]


@pytest.mark.parametrize(
    ("title", "message"),
    [("Status", Status), ("Heartbeat", Heartbeat), ("A component", ComponentHealth), ("The machine", SystemState)],
)
def test_every_field_of_status_and_heartbeat_is_explained_in_order(title: str, message: type[Any]) -> None:
    whole = message in (Status, Heartbeat)
    assert names(title) == [*(["schema"] if whole else []), *(field.name for field in fields(message))]


def test_reading_of_the_example_is_taken_by_the_gateway() -> None:
    body = json.loads(example("reading"))
    assert list(body) == names("Reading")
    registry = Registry([Segment("seg", 1, RoadClass.FREEWAY, 100.0, 1, (body["sensor_id"],), 1)])

    intake = Intake()
    batch = intake.decode(topics.readings(body["sensor_id"]), example("reading"), registry)

    assert not intake.refused
    assert batch is not None
    assert (batch.sensor.tolist(), batch.speed_dkmh.tolist(), batch.fault.tolist()) == ([0], [875], [0])


def test_envelope_is_what_the_rule_makes() -> None:
    told = re.findall(r"^\| `(\w+)` \|", section("In the cloud"), re.MULTILINE)

    assert told == re.findall(r" AS (\w+)", topics.rule_sql("windows"))


def test_items_have_the_attributes_of_the_table() -> None:
    tables = {cells[0]: set(re.findall(r"\w+", f"{cells[1]} {cells[2]}")) for cells in rows("In the cloud")[4:]}
    record = read_record(json.dumps(wrap(encode_window(make_window()))).encode())

    sensors = read_record(json.dumps(wrap(encode_sensors(make_sensors()), kind="sensors")).encode())

    assert set(window_item(record, 90)) <= tables["windows"]
    assert set(sensors_item(sensors, 90)) <= tables["sensors"]
    assert set(segment_update(record.segments[0])["ExpressionAttributeNames"].values()) <= tables["segments"]
    assert item_bytes(window_item(record, 90)) - len(record.envelope.payload) <= 60


def test_links_to_sections_and_pages_lead_somewhere() -> None:
    anchors = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert links

    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors, link
        else:
            assert (Path(__file__).parents[4] / "docs" / link).is_file(), link
