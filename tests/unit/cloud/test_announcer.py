"""The seam through which every event goes: once to the bus, once into the table, in words that people read."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from cloud.functions.shared.alerts_table import AlertsTable, UnknownAlertError
from cloud.functions.shared.announcer import Announcer, NotAnnouncedError
from roadside.contract.bus import decode_announcement, from_gateway
from tests.unit.cloud.gateway_events import BORDER_INCIDENT, CONGESTION, GAP, INCIDENT, OFFLINE
from tests.unit.cloud.messages import START_MS
from tests.unit.cloud.world import World

NOW_MS = START_MS + 80_000
CLEARED = replace(CONGESTION, kind="CongestionCleared", sequence=20, occurred_ms=START_MS + 600_000)


@pytest.fixture
def table(world: World) -> AlertsTable:
    return AlertsTable(world.dynamodb, "alerts", 90)


@pytest.fixture
def announcer(world: World, table: AlertsTable) -> Iterator[Announcer]:
    return Announcer(table, boto3.client("events"), "bus")  # type: ignore[return-value]


def test_events_of_the_cloud_itself_are_announced_once_however_often_they_are_found_out(
    world: World, announcer: Announcer
) -> None:
    events = [BORDER_INCIDENT, OFFLINE, GAP]

    assert [each.event for each in announcer.announce_all(events, NOW_MS)] == events
    assert announcer.announce_all(list(reversed(events)), NOW_MS + 60_000) == ()

    published = [decode_announcement(json.dumps(each["detail"]).encode()) for each in world.published()]
    assert {each.event for each in published} == set(events)


def test_table_tells_the_alerts_of_a_day_and_those_that_go_on(announcer: Announcer, table: AlertsTable) -> None:
    incident = from_gateway(replace(INCIDENT, occurred_ms=START_MS - 1000, started_ms=START_MS - 1000))
    announcer.announce_all([CONGESTION, incident, OFFLINE], NOW_MS)
    announcer.announce_all([CLEARED], NOW_MS + 600_000)

    assert [each["kind"] for each in table.of_day("2026-09-21")] == [
        "CongestionCleared",
        "GatewayOffline",
        "CongestionStarted",
        "IncidentSuspected",
    ]
    assert [each["kind"] for each in table.open_now()] == ["GatewayOffline", "IncidentSuspected"]
    assert list(table.of_day("2026-09-20")) == []


def test_what_ended_before_it_began_is_not_open(announcer: Announcer, table: AlertsTable) -> None:
    announcer.announce_all([CLEARED], NOW_MS)
    announcer.announce_all([CONGESTION], NOW_MS + 1000)

    assert list(table.open_now()) == []


def test_people_are_told_no_more_of_what_comes_and_goes_while_systems_are(world: World, announcer: Announcer) -> None:
    begun = [
        replace(CONGESTION, sequence=100 + i, occurred_ms=START_MS + i * 240_000, started_ms=START_MS + i * 240_000)
        for i in range(6)
    ]
    told = [announced.notify for event in begun for announced in announcer.announce_all([event], NOW_MS)]

    assert told == [True, True, True, False, False, False]
    later = START_MS + 5 * 240_000 + 1_800_001
    calm = replace(CONGESTION, sequence=200, occurred_ms=later, started_ms=later)
    assert [each.notify for each in announcer.announce_all([calm], NOW_MS)] == [True]
    assert len(world.published()) == 7


def test_end_of_what_people_were_not_told_is_not_told_either(announcer: Announcer) -> None:
    starts = [START_MS + i * 240_000 for i in range(4)]
    for i, start in enumerate(starts):
        announcer.announce_all([replace(CONGESTION, sequence=i, occurred_ms=start, started_ms=start)], NOW_MS)
    ends = [
        replace(CONGESTION, kind="CongestionCleared", sequence=10 + i, occurred_ms=start + 60_000, started_ms=start)
        for i, start in enumerate(starts)
    ]

    assert [each.notify for end in ends for each in announcer.announce_all([end], NOW_MS)] == [True] * 3 + [False]


def test_operator_takes_an_alert_on(announcer: Announcer, table: AlertsTable) -> None:
    announcer.announce_all([OFFLINE], NOW_MS)

    table.acknowledge(OFFLINE.event_id, by="ada", now_ms=NOW_MS + 5000, note="van is on its way")
    announcer.announce_all([OFFLINE], NOW_MS + 60_000)

    (item,) = table.open_now()
    assert (item["acknowledged_by"], item["acknowledged_ms"]) == ("ada", NOW_MS + 5000)
    assert item["note"] == "van is on its way"


@pytest.mark.parametrize("event_id", ["gw-0001:1:2", "#gateway:gw-0001"])
def test_what_is_no_alert_cannot_be_taken_on(announcer: Announcer, table: AlertsTable, event_id: str) -> None:
    announcer.announce_all([OFFLINE], NOW_MS)

    with pytest.raises(UnknownAlertError, match=event_id):
        table.acknowledge(event_id, by="ada", now_ms=NOW_MS)


def test_a_trouble_that_another_process_writes_at_the_same_time_keeps_both_words(
    announcer: Announcer, table: AlertsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_together = AlertsTable.put_together

    def meanwhile(self: AlertsTable, *arguments: Any) -> bool:
        monkeypatch.setattr(AlertsTable, "put_together", put_together)
        announcer.announce_all([CLEARED], NOW_MS)  # after the troubles were read, before they are written
        return put_together(self, *arguments)

    monkeypatch.setattr(AlertsTable, "put_together", meanwhile)
    announcer.announce_all([CONGESTION], NOW_MS)

    (episode,) = table.read([], ["congestion:3"]).troubles["congestion:3"][0].episodes
    assert (episode.begun, episode.ended_ms) == (CONGESTION.event_id, CLEARED.occurred_ms)
    assert list(table.open_now()) == []


def test_caller_that_does_all_again_is_told_what_failed(announcer: Announcer) -> None:
    def refuse(parsed: dict[str, Any], **_: object) -> None:
        parsed["Entries"] = [{"ErrorCode": "InternalFailure"} for _ in parsed["Entries"]]

    announcer._client.meta.events.register("after-call.events.PutEvents", refuse)

    with pytest.raises(NotAnnouncedError, match="InternalFailure") as caught:
        announcer.announce_all([OFFLINE, GAP], NOW_MS)
    assert set(caught.value.reasons) == {OFFLINE.event_id, GAP.event_id}


def test_more_events_than_one_call_takes_are_all_published(world: World, announcer: Announcer) -> None:
    events = [replace(CONGESTION, sequence=i, segment_number=i) for i in range(130)]

    announcer.announce_all(events, NOW_MS)

    assert len({each["detail"]["event_id"] for each in world.published()}) == 130
