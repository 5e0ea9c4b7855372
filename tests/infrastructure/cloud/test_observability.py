"""Every alarm says what to do and has its section in the runbook; the dashboard reads like the path."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cloud.app import FLEET, OPERATIONS, PLATFORM, build
from tests.infrastructure.cloud.conftest import Synthesised

REPOSITORY = Path(__file__).resolve().parents[3]
RUNBOOK = "docs/operations/runbook.md"
PREFIX = "roadside-dev-"


def alarms(stack: Synthesised) -> dict[str, dict[str, Any]]:
    return {
        alarm["AlarmName"].removeprefix(PREFIX): alarm for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
    }


def written_metrics() -> dict[str, set[str]]:
    """Metrics that each function's handler names, by the function."""
    handlers = (REPOSITORY / "cloud" / "functions").glob("*/handler.py")
    sources = {
        handler.parent.name: "\n".join(path.read_text(encoding="utf-8") for path in handler.parent.glob("*.py"))
        for handler in handlers
    }
    return {name: set(re.findall(r'"([A-Z][A-Za-z]+)"', text)) for name, text in sources.items()}


def test_every_alarm_has_a_section_in_the_runbook_and_every_section_an_alarm(dev: dict[str, Synthesised]) -> None:
    page = (REPOSITORY / RUNBOOK).read_text(encoding="utf-8")
    composite = dev[OPERATIONS].one("AWS::CloudWatch::CompositeAlarm")["AlarmName"].removeprefix(PREFIX)

    assert sorted([*alarms(dev[PLATFORM]), *alarms(dev[FLEET]), composite]) == sorted(
        re.findall(r"^### ([a-z0-9-]+)$", page, re.MULTILINE)
    )


def test_every_alarm_tells_operators_what_to_do_when_it_begins_and_when_it_is_over(stack: Synthesised) -> None:
    for name, alarm in alarms(stack).items():
        description = alarm["AlarmDescription"]
        assert description.endswith(f". {RUNBOOK}#{name}"), name
        assert 80 < len(description) <= 1024, name
        assert stack.resolve([alarm["AlarmActions"], alarm["OKActions"]]) == [["<ObservabilityOperators>"]] * 2
        assert alarm["TreatMissingData"] in ("breaching", "notBreaching")


def test_alarm_stands_on_a_metric_of_its_own(stack: Synthesised) -> None:
    # The local cloud knows no arithmetic of metrics; and two alarms on one metric would be one too many.
    watched = [
        json.dumps([alarm["Namespace"], alarm["MetricName"], alarm.get("Dimensions")])
        for alarm in alarms(stack).values()
    ]
    assert len(set(watched)) == len(watched)


def test_metrics_of_our_own_are_those_that_the_functions_write(stack: Synthesised) -> None:
    written = written_metrics()
    used = {
        (alarm["Dimensions"][0]["Value"], alarm["MetricName"])
        for alarm in alarms(stack).values()
        if alarm["Namespace"] == "Roadside"
    } | {(row[3], row[1]) for row in metrics_shown(stack) if row[0] == "Roadside"}

    assert used
    assert {(function, metric) for function, metric in used if metric not in written[function]} == set()


def test_metrics_of_our_own_are_few(stack: Synthesised) -> None:
    # Each is $0.30 a month while it is told, and told without any dimension but the function.
    handlers = (REPOSITORY / "cloud" / "functions").glob("*/handler.py")
    told = re.findall(r'^        "[A-Z][A-Za-z]+": ', "".join(path.read_text() for path in handlers), re.MULTILINE)

    assert 20 < len(told) <= 40


def test_dashboard_reads_like_the_path(stack: Synthesised) -> None:
    widgets = dashboard(stack)["widgets"]
    titles = [
        widget["properties"]["markdown"].splitlines()[0].removeprefix("## ")
        for widget in widgets
        if widget["type"] == "text"
    ]

    assert widgets[0]["type"] == "alarm"
    assert len(widgets[0]["properties"]["alarms"]) == len(alarms(stack))
    assert titles == [
        "The network",
        "Gateways → IoT rules → stream",
        "Stream → processor → tables",
        "Events → alerts → bus → people and systems",
        "Rows → Firehose → lake",
        "Windows → rollup → hours and days",
        "Tables",
        "Functions",
        "What waits for a person",
    ]


def test_operators_topic_takes_alarms_of_this_account_over_tls_alone(stack: Synthesised) -> None:
    topic = stack.resolve(stack.one("AWS::SNS::Topic", "Operators"))
    (policy,) = (
        stack.resolve(policy["PolicyDocument"]["Statement"])
        for policy in stack.of_type("AWS::SNS::TopicPolicy").values()
        if stack.resolve(policy["Topics"]) == ["<ObservabilityOperators>"]
    )
    of_this_account = {"StringEquals": {"aws:SourceAccount": "<AWS::AccountId>"}}

    assert topic["KmsMasterKeyId"] == "<AlertingKey.Arn>"
    assert {(s["Effect"], json.dumps(s["Principal"]), json.dumps(s["Condition"])) for s in policy} == {
        ("Deny", '"*"', json.dumps({"Bool": {"aws:SecureTransport": "false"}})),
        ("Allow", '{"Service": "cloudwatch.amazonaws.com"}', json.dumps(of_this_account)),
    }
    key = stack.resolve(stack.one("AWS::KMS::Key")["KeyPolicy"]["Statement"])
    assert [s["Condition"] for s in key if s["Principal"] == {"Service": "cloudwatch.amazonaws.com"}] == [
        of_this_account
    ]


def test_nobody_is_subscribed_unless_the_context_says_who(
    stack: Synthesised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stack.of_type("AWS::SNS::Subscription") == {}
    monkeypatch.delenv("CDK_OUTDIR", raising=False)
    context = {
        "operations_email": "operations@example.org",
        "people_email": "centre@example.org",
        "people_sms": "+491701234567",
    }
    app, stacks = build(context, tmp_path)
    template = app.synth().get_stack_by_name(stacks.platform.stack_name).template
    subscribed = {
        (r["Properties"]["Protocol"], r["Properties"]["Endpoint"], r["Properties"]["TopicArn"]["Ref"][:-8])
        for r in template["Resources"].values()
        if r["Type"] == "AWS::SNS::Subscription"
    }

    assert subscribed == {
        ("email", "operations@example.org", "ObservabilityOperators"),
        ("email", "centre@example.org", "AlertingPeople"),
        ("sms", "+491701234567", "AlertingPhones"),
    }


def dashboard(stack: Synthesised) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(stack.resolve(stack.one("AWS::CloudWatch::Dashboard")["DashboardBody"]))
    return body


def metrics_shown(stack: Synthesised) -> list[list[Any]]:
    return [
        metric
        for widget in dashboard(stack)["widgets"]
        if widget["type"] == "metric"
        for metric in widget["properties"]["metrics"]
    ]
