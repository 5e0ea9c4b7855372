"""What the processor tells the lake, in which order, and what it does when the lake refuses."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cloud.functions.processor import handler
from cloud.functions.processor.lake import HourMarks
from cloud.functions.shared.hours import HOURS, MARK_AGAIN_MS, hour_of
from roadside.contract.codec import encode_window
from roadside.contract.sensors import encode_sensors
from roadside.contract.summary import WindowSummary
from tests.unit.cloud.messages import START_MS, kinesis_record, make_sensors, make_window, wrap
from tests.unit.cloud.test_lake_rows import window_record
from tests.unit.cloud.world import World

Answer = dict[str, Any]


class Firehose:
    """Streams in memory; `refuse` makes it fail by the request, or by the record of a request."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {"segment_windows": [], "sensor_intervals": []}
        self.refuse: Callable[[bytes], bool] = lambda _: False
        self.is_down = False

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> Answer:  # noqa: N803
        if self.is_down:
            raise ClientError({"Error": {"Code": "ServiceUnavailableException"}}, "PutRecordBatch")
        assert len(Records) <= 500
        assert sum(len(record["Data"]) for record in Records) <= 4 * 1024**2
        answers: list[dict[str, str]] = []
        for record in Records:
            if self.refuse(record["Data"]):
                answers.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."})
            else:
                self.rows[DeliveryStreamName] += map(json.loads, record["Data"].decode().splitlines())
                answers.append({"RecordId": "1"})
        return {"FailedPutCount": sum("ErrorCode" in a for a in answers), "RequestResponses": answers}


@pytest.fixture
def firehose(world: World) -> Iterator[Firehose]:
    handler.processor.cache_clear()
    fake = Firehose()
    handler.processor()._lake._streams._client = fake  # type: ignore[attr-defined]
    yield fake
    handler.processor.cache_clear()


def process(*records: dict[str, Any]) -> list[str]:
    response = handler.handle({"Records": list(records)}, None)
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def record_of(window: WindowSummary, number: int) -> dict[str, Any]:
    return kinesis_record(wrap(encode_window(window), window.gateway), number)


def sequences(firehose: Firehose) -> list[int]:
    return [row["q"] for row in firehose.rows["segment_windows"]]


def marks(world: World) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in world.items("hours"):
        found.setdefault(item["h"]["S"], set()).add(item["k"]["S"])
    return found


def test_every_edition_of_a_window_and_every_summary_of_sensors_becomes_rows(world: World, firehose: Firehose) -> None:
    first, corrected = make_window(1, start_ms=START_MS), make_window(2, start_ms=START_MS, revision=1)
    summary = kinesis_record(wrap(encode_sensors(make_sensors(3)), kind="sensors"), 2)
    assert process(record_of(first, 0), record_of(corrected, 1), summary) == []
    assert [(row["q"], row["r"], row["s"]) for row in firehose.rows["segment_windows"]] == [
        (1, 0, 100), (1, 0, 101), (2, 1, 100), (2, 1, 101),
    ]  # fmt: skip
    assert [row["s"] for row in firehose.rows["sensor_intervals"]] == [900, 901, 905]


def test_while_firehose_fails_windows_are_stored_and_acknowledged_and_delivered_again(
    world: World, firehose: Firehose
) -> None:
    records = [record_of(make_window(n), n) for n in range(3)]
    firehose.is_down = True
    assert sorted(process(*records)) == ["0", "1", "2"]
    assert len(world.items("windows")) == 3
    assert world.acks()[0][1].stored == (0, 1, 2)
    firehose.is_down = False
    assert process(*records) == []  # as the stream delivers them again
    assert sorted(sequences(firehose)) == [0, 0, 1, 1, 2, 2]
    assert len(world.items("windows")) == 3


def test_a_record_that_firehose_refuses_fails_its_messages_and_no_other(
    world: World, firehose: Firehose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.functions.processor.lake_rows.pack.__defaults__", (1_500,))
    firehose.refuse = lambda data: b'"q":5,' in data
    failed = process(*(record_of(make_window(n), n) for n in range(8)))
    assert "5" in failed
    assert set(map(str, sequences(firehose))) | set(failed) == set(map(str, range(8)))
    assert len(failed) < 8


def test_a_window_that_is_not_stored_has_no_row_before_it_is(world: World, firehose: Firehose) -> None:
    client = handler.processor()._tables._client  # type: ignore[attr-defined]

    def throttle(params: dict[str, Any], **_: object) -> None:
        if params["TableName"] == "windows" and params["Item"]["q"]["N"] == "1":
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem")

    client.meta.events.register("before-parameter-build.dynamodb.PutItem", throttle)
    assert process(*(record_of(make_window(n), n) for n in range(3))) == ["1"]
    # The stream delivers again from the first failure on, so what follows it would become rows twice.
    assert set(sequences(firehose)) == {0}


def test_a_repeated_batch_makes_rows_that_are_equal_but_for_their_arrival(world: World, firehose: Firehose) -> None:
    record = record_of(make_window(1), 1)
    process(record)
    process(record)
    first, _, again, _ = firehose.rows["segment_windows"]
    assert first == again


def test_hours_with_windows_are_marked_with_their_gateways(world: World, firehose: Firehose) -> None:
    second = START_MS + 3_600_000
    assert process(record_of(make_window(1, start_ms=START_MS), 1), record_of(make_window(2, start_ms=second), 2)) == []
    hours = {str(hour_of(START_MS)), str(hour_of(second))}
    assert marks(world) == {HOURS: hours, **{hour: {"gw-0001"} for hour in hours}}


def test_a_replayed_window_is_marked_too_for_its_first_delivery_may_have_died_before(
    world: World, firehose: Firehose
) -> None:
    process(record_of(make_window(1), 1))
    for item in world.items("hours"):
        world.dynamodb.delete_item(TableName="hours", Key={"h": item["h"], "k": item["k"]})
    handler.processor()._lake._marks = HourMarks(boto3.client("dynamodb"), "hours", 90)  # type: ignore[attr-defined]
    process(record_of(make_window(1), 1))
    assert marks(world)[HOURS] == {str(hour_of(START_MS))}


def test_a_mark_that_fails_delivers_the_window_again(world: World, firehose: Firehose) -> None:
    client = handler.processor()._lake._marks._client  # type: ignore[attr-defined]
    refused: list[str] = []

    def refuse(params: dict[str, Any], **_: object) -> None:
        if params["TableName"] == "hours" and not refused:
            refused.append("once")
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")

    client.meta.events.register("before-parameter-build.dynamodb.UpdateItem", refuse)
    assert process(record_of(make_window(1), 1)) == ["1"]
    assert process(record_of(make_window(1), 1)) == []
    assert marks(world)[HOURS] == {str(hour_of(START_MS))}


def test_an_hour_is_marked_again_only_when_its_mark_has_aged(world: World) -> None:
    now_ms = [START_MS]
    client = boto3.client("dynamodb")
    written: list[str] = []
    for operation in ("PutItem", "UpdateItem"):
        client.meta.events.register(
            f"before-parameter-build.dynamodb.{operation}", lambda model, **_: written.append(model.name)
        )
    hour_marks = HourMarks(client, "hours", 90, lambda: now_ms[0])
    record = window_record(make_window(1, start_ms=START_MS))
    hour_marks.mark(record)
    hour_marks.mark(record)
    assert written == ["PutItem", "UpdateItem"]
    now_ms[0] += MARK_AGAIN_MS
    hour_marks.mark(record)
    assert written == ["PutItem", "UpdateItem", "UpdateItem"]
    (item,) = (item for item in world.items("hours") if item["h"]["S"] == HOURS)
    assert item["marked_ms"]["N"] == str(now_ms[0])
