"""The way of an event in the template, and what people read of each kind."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from cloud.functions.shared import wording
from cloud.functions.shared.announcer import EVENT_SOURCE as ANNOUNCED_SOURCE
from cloud.parts.alerting import EVENT_SOURCE
from roadside.contract import topics
from roadside.contract.bus import TYPES, Announcement, BusEvent, detail, from_gateway
from tests.infrastructure.cloud.conftest import Synthesised
from tests.unit.cloud.gateway_events import CONGESTION, FAULT, GAP, INCIDENT, OFFLINE

READ_BY_PEOPLE: Final = Path(__file__).with_name("notifications.txt")
LATER_MS: Final = 1_500_000


def test_queue_of_events_keeps_a_burst_and_gives_up_visibly(stack: Synthesised) -> None:
    mapping = stack.resolve(stack.one("AWS::Lambda::EventSourceMapping", "EventsMapping"))
    mapping.pop("Tags")
    assert mapping == {
        "EventSourceArn": "<AnnouncingEvents.Arn>",
        "FunctionName": "<AnnouncingAlerts>",
        "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 4},
    }
    queue = stack.resolve(stack.one("AWS::SQS::Queue", "AnnouncingEvents"))
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "<IngestUndelivered.Arn>", "maxReceiveCount": 5}
    function = stack.one("AWS::Lambda::Function", "AnnouncingAlerts")
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]


def test_systems_get_every_event_or_the_dead_letters_do(stack: Synthesised) -> None:
    rule = stack.resolve(stack.one("AWS::Events::Rule", "AllEvents"))
    assert rule["EventBusName"] == "<AlertingBus>"
    assert rule["EventPattern"] == {"source": ["roadside"]}
    (target,) = rule["Targets"]
    assert target["Arn"] == "<AlertingSystems.Arn>"
    assert "InputTransformer" not in target
    systems = stack.resolve(stack.one("AWS::SQS::Queue", "Systems"))
    assert systems["RedrivePolicy"] == {"deadLetterTargetArn": "<AlertingDeadLetters.Arn>", "maxReceiveCount": 5}


def test_people_are_told_what_asks_for_it_and_telephones_ring_for_what_is_urgent(stack: Synthesised) -> None:
    mail = stack.resolve(stack.one("AWS::Events::Rule", "PeoplesEvents"))
    sms = stack.resolve(stack.one("AWS::Events::Rule", "UrgentEvents"))

    assert mail["EventPattern"] == {"source": ["roadside"], "detail": {"notify": [True]}}
    urgent = {"notify": [True], "severity": ["major", "critical"]}
    assert sms["EventPattern"] == {"source": ["roadside"], "detail": urgent}
    assert [target["Arn"] for rule in (mail, sms) for target in rule["Targets"]] == [
        "<AlertingPeople>",
        "<AlertingPhones>",
    ]
    for rule in stack.of_type("AWS::Events::Rule").values():
        for target in stack.resolve(rule["Targets"]):
            assert target["DeadLetterConfig"]["Arn"] == "<AlertingDeadLetters.Arn>"
    assert stack.one("AWS::KMS::Key")["EnableKeyRotation"] is True


@pytest.mark.parametrize("name", ["Heartbeat", "Presence"])
def test_signs_of_life_invoke_the_alerts_function_and_only_their_rules_may(stack: Synthesised, name: str) -> None:
    rule = stack.resolve(stack.one("AWS::IoT::TopicRule", name))
    assert rule["TopicRulePayload"]["Actions"] == [{"Lambda": {"FunctionArn": "<AnnouncingAlerts.Arn>"}}]
    assert rule["TopicRulePayload"]["ErrorAction"]["Sqs"]["QueueUrl"] == "<IngestUndelivered>"
    permission = stack.resolve(stack.one("AWS::Lambda::Permission", f"{name}Rule"))
    assert (permission["Principal"], permission["SourceArn"]) == ("iot.amazonaws.com", f"<Ingest{name}Rule.Arn>")
    assert permission["FunctionName"] == "<AnnouncingAlerts.Arn>"


def test_heartbeats_and_presence_are_heard_where_they_are_told(stack: Synthesised) -> None:
    heartbeats, presence = (stack.one("AWS::IoT::TopicRule", name) for name in ("Heartbeat", "Presence"))

    assert heartbeats["RuleName"] == topics.rule_name("heartbeat")
    assert heartbeats["TopicRulePayload"]["Sql"] == topics.rule_sql("heartbeat")
    assert presence["RuleName"] == topics.PRESENCE_RULE
    assert presence["TopicRulePayload"]["Sql"] == topics.presence_rule_sql()


def test_sweep_runs_every_minute_and_a_failed_pass_is_not_repeated(stack: Synthesised) -> None:
    schedule = stack.resolve(stack.one("AWS::Scheduler::Schedule", "Sweep"))

    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    target = schedule["Target"]
    assert (target["Arn"], target["RetryPolicy"]["MaximumRetryAttempts"]) == ("<AnnouncingSweep.Arn>", 0)
    invocation = stack.one("AWS::Lambda::EventInvokeConfig", "Sweep")
    assert invocation["MaximumRetryAttempts"] == 0
    assert stack.one("AWS::Lambda::Function", "Sweep")["Timeout"] < 60


def test_functions_announce_under_the_source_that_the_rules_know() -> None:
    assert ANNOUNCED_SOURCE == EVENT_SOURCE


def test_alerts_are_found_by_day_and_those_that_go_on_at_once(stack: Synthesised) -> None:
    table = stack.one("AWS::DynamoDB::GlobalTable", "TablesAlerts")

    assert {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    } == {"ByDay": ["day", "occurred_ms"], "Open": ["open", "started_ms"]}


def events_of_every_kind() -> list[BusEvent]:
    incident = from_gateway(INCIDENT)
    later = {"occurred_ms": CONGESTION.occurred_ms + LATER_MS}
    return [
        CONGESTION,
        replace(CONGESTION, kind="CongestionCleared", **later),
        incident,
        replace(incident, kind="IncidentConfirmed", **later),
        replace(incident, kind="IncidentCleared", **later),
        FAULT,
        replace(FAULT, kind="SensorRecovered", **later),
        OFFLINE,
        replace(OFFLINE, reason="disconnected"),
        replace(OFFLINE, kind="GatewayOnline", **later),
        GAP,
        replace(GAP, kind="DataRepaired", **later),
    ]


def transformed(rule: dict[str, Any], event: dict[str, Any]) -> str:
    """What EventBridge makes of the event for the rule's first target, for templates of quoted lines."""
    transformer = rule["Targets"][0]["InputTransformer"]

    def value(found: re.Match[str]) -> str:
        at: Any = event
        for step in transformer["InputPathsMap"][found[1]].removeprefix("$.").split("."):
            at = at[step]
        return str(at)

    return re.sub("<([^<>]*)>", value, transformer["InputTemplate"])


def test_what_people_read_of_each_kind_is_what_the_page_shows(stack: Synthesised) -> None:
    mail, sms = (stack.one("AWS::Events::Rule", name) for name in ("PeoplesEvents", "UrgentEvents"))
    pages = []
    told = events_of_every_kind()
    assert {event.kind for event in told} == set(TYPES)
    for event in told:
        announced = Announcement(
            event, wording.severity(event), wording.headline(event), wording.text(event), notify=True
        )
        body = json.loads(json.dumps(detail(announced)))
        on_bus = {"detail-type": event.kind, "time": "2026-09-21T14:16:15Z", "detail": body}
        pages.append(f"== {event.kind}, e-mail\n{transformed(mail, on_bus)}\n")
        if announced.severity in sms["EventPattern"]["detail"]["severity"]:
            text = transformed(sms, on_bus)
            assert len(text) <= 160
            pages.append(f"== {event.kind}, SMS\n{text}\n")

    assert "\n".join(pages) == READ_BY_PEOPLE.read_text(encoding="utf-8"), "\n".join(pages)
