"""What operators have beside the platform: one alarm for all that is urgent, an archive of events, queries of logs."""

import re
from pathlib import Path
from typing import Any

import pytest

from cloud.app import OPERATIONS, PLATFORM
from cloud.log_queries import LOG_QUERIES, LogQuery
from tests.infrastructure.cloud.conftest import Synthesised

REPOSITORY = Path(__file__).resolve().parents[3]
FUNCTIONS = REPOSITORY / "cloud" / "functions"
DOCS = REPOSITORY / "docs"


@pytest.fixture(scope="module")
def operations(dev: dict[str, Synthesised]) -> Synthesised:
    return dev[OPERATIONS]


def test_one_alarm_is_on_while_an_urgent_one_is(dev: dict[str, Synthesised], operations: Synthesised) -> None:
    alarm = operations.resolve(operations.one("AWS::CloudWatch::CompositeAlarm"))
    known = {each["AlarmName"] for each in dev[PLATFORM].of_type("AWS::CloudWatch::Alarm").values()}
    urgent = re.findall(r'ALARM\("[^"]*:alarm:([a-z-]+)"\)', alarm["AlarmRule"])

    assert alarm["AlarmName"] == "roadside-dev-not-healthy"
    assert "AND" not in alarm["AlarmRule"]
    assert {name.removeprefix("roadside-dev-") for name in urgent} == {
        "nothing-arrives",
        "processor-behind",
        "alerts-behind",
        "sweep-stopped",
        "alerts-undelivered",
    }
    assert set(urgent) < known
    assert "ObservabilityOperators" in str(alarm["AlarmActions"])
    assert alarm["OKActions"] == alarm["AlarmActions"]


def test_every_event_is_kept_for_a_replay(operations: Synthesised) -> None:
    archive = operations.one("AWS::Events::Archive")

    assert archive["EventPattern"] == {"source": ["roadside"]}
    assert archive["RetentionDays"] == 30
    assert "AlertingBus" in str(archive["SourceArn"])


@pytest.mark.parametrize("query", LOG_QUERIES, ids=lambda query: query.name)
def test_log_query_asks_the_logs_of_its_functions(operations: Synthesised, stack: Synthesised, query: LogQuery) -> None:
    (definition,) = (
        each
        for each in operations.of_type("AWS::Logs::QueryDefinition").values()
        if each["Name"] == f"roadside-dev/{query.name}"
    )
    functions = query.functions or stack.functions

    assert len(definition["LogGroupNames"]) == len(functions)
    for name in functions:
        assert f"{name.title()}Logs" in str(definition["LogGroupNames"])


def test_messages_that_queries_look_for_are_those_that_functions_log() -> None:
    logged = "\n".join(path.read_text(encoding="utf-8") for path in FUNCTIONS.rglob("*.py"))
    asked: list[Any] = [part for query in LOG_QUERIES for part in query.parts.get("filter_statements", ())]
    messages = [text for part in asked if part.startswith("message ") for text in re.findall(r"'([^']+)'", part)]

    assert messages
    assert [text for text in messages if f'"{text}"' not in logged] == []


def test_what_the_pages_write_in_capitals_is_an_output(dev: dict[str, Synthesised]) -> None:
    outputs = {name.upper() for stack in dev.values() for name in stack.template.get("Outputs", {})}
    pages = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.glob("operations/*.md"))
    code = "\n".join(re.findall(r"```sh\n.*?```|`[^`\n]+`", pages, re.DOTALL))
    named = set(re.findall(r"(?<![\w$])[A-Z]{9,}(?!\w)", code))

    assert "OPERATIONSTOPIC" in named
    assert named - outputs == set()
