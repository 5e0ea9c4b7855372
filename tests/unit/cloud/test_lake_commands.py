"""The operator's commands on the lake: rows sent again from the tables, rollups called by hand."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from cloud import lake
from cloud.deployment import Deployment
from cloud.functions.processor import handler as processor
from cloud.functions.rollup.logic import requested_hours
from roadside.contract.codec import encode_window
from roadside.contract.sensors import encode_sensors
from tests.unit.cloud.messages import START_MS, kinesis_record, make_sensors, make_window, wrap
from tests.unit.cloud.world import World

DAY = "2026-09-21"  # of START_MS


class Lambda:
    """Remembers how it was invoked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803
        self.asked.append((FunctionName, InvocationType, Payload))


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The account as a deployment; clients that are put into the result take the place of boto3's."""
    clients: dict[str, Any] = {}
    outputs = {
        "WindowsTable": "windows",
        "SensorsTable": "sensors",
        "HoursTable": "hours",
        "LakeBucket": "lake",
        "WindowRowsStream": "segment_windows",
        "SensorRowsStream": "sensor_intervals",
        "RollupFunction": "rollup",
    }
    make: Any = boto3.client
    deployment = Deployment("dev", outputs, lambda service: clients.get(service) or make(service))
    monkeypatch.setattr(lake, "find", lambda _: deployment)
    processor.processor.cache_clear()
    yield clients
    processor.processor.cache_clear()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(lake.app, list(arguments))


def rows(prefix: str) -> list[dict[str, Any]]:
    """What Firehose has written below `prefix`."""
    s3 = boto3.client("s3")
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", ())]
    bodies = [s3.get_object(Bucket="lake", Key=key)["Body"].read() for key in keys]
    texts = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in bodies]
    found: list[dict[str, Any]] = []
    for text in texts:
        found += [json.loads(line) for line in text.decode().replace("}{", "}\n{").splitlines()]
    return found


def test_a_days_windows_and_sensors_are_sent_again_as_they_were_sent(world: World, deployed: dict[str, Any]) -> None:
    records = [kinesis_record(wrap(encode_window(make_window(n))), n) for n in range(3)]
    records.append(kinesis_record(wrap(encode_sensors(make_sensors(4)), kind="sensors"), 3))
    assert processor.handle({"Records": records}, None) == {"batchItemFailures": []}
    result = call("resend", "--day", DAY)
    assert (result.exit_code, result.output) == (0, "9 rows sent\n")
    for prefix, count in (("segment_windows/", 6), ("sensor_intervals/", 3)):
        found = [{key: value for key, value in row.items() if key != "t"} for row in rows(prefix)]
        assert len(found) == 2 * count
        assert all(found.count(row) == 2 for row in found)


def test_an_hour_without_windows_sends_nothing(world: World, deployed: dict[str, Any]) -> None:
    assert call("resend", "--hour", f"{DAY}T00").output == "0 rows sent\n"


def test_rows_that_firehose_refuses_again_are_told(world: World, deployed: dict[str, Any]) -> None:
    processor.handle({"Records": [kinesis_record(wrap(encode_window(make_window(1, start_ms=START_MS))))]}, None)

    class Refusing:
        def put_record_batch(self, *, DeliveryStreamName: str, Records: list[Any]) -> dict[str, Any]:  # noqa: N803
            return {"RequestResponses": [{"ErrorCode": "ServiceUnavailableException"}] * len(Records)}

    deployed["firehose"] = Refusing()
    result = call("resend", "--day", DAY)
    assert result.exit_code == 2
    assert "1 messages were not taken by Firehose: call this again" in result.output


def test_a_day_is_marked_due_and_the_rollup_begins_without_being_waited_for(
    world: World, deployed: dict[str, Any]
) -> None:
    deployed["lambda"] = function = Lambda()
    result = call("rollup", "--day", DAY)
    assert (result.exit_code, function.asked) == (0, [("rollup", "Event", b"{}")])
    marked = {int(item["k"]["S"]) for item in world.items("hours") if int(item["marked_ms"]["N"]) > START_MS}
    assert sorted(marked) == requested_hours({"day": DAY})
    assert "asked for 24 hours" in result.output


def test_what_is_due_anyway_needs_no_mark(world: World, deployed: dict[str, Any]) -> None:
    deployed["lambda"] = function = Lambda()
    assert "asked for all due hours" in call("rollup").output
    assert (len(function.asked), world.items("hours")) == (1, [])


@pytest.mark.parametrize(
    "arguments", [["resend"], ["resend", "--day", DAY, "--hour", f"{DAY}T01"], ["rollup", "--day", "yesterday"]]
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    world: World, deployed: dict[str, Any], arguments: list[str]
) -> None:
    deployed["lambda"] = function = Lambda()
    result = call(*arguments)
    assert result.exit_code == 2
    assert not function.asked
