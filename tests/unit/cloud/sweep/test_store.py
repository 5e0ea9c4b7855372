"""What the sweep reads of the tables, as the processor wrote it."""

import os

import boto3
import pytest

from cloud.functions.processor import handler
from cloud.functions.shared.envelope import MessageId
from cloud.functions.sweep.settings import Settings
from cloud.functions.sweep.store import Store
from roadside.contract.sensors import encode_sensors
from tests.unit.cloud.messages import EPOCH_MS, START_MS, kinesis_record, make_sensors, wrap
from tests.unit.cloud.world import World


def test_summaries_are_found_by_where_their_intervals_begin(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDOW_S", "10")
    handler.processor.cache_clear()
    for part in (0, 1):
        message = wrap(encode_sensors(make_sensors(7 + part, part=part)), kind="sensors")
        handler.handle({"Records": [kinesis_record(message)]}, None)
    store = Store(boto3.client("dynamodb"), Settings.from_environment(os.environ))

    expected = [MessageId("gw-0001", EPOCH_MS, sequence) for sequence in (7, 8)]
    assert store.summaries("gw-0001", START_MS, START_MS + 1) == expected
    assert store.summaries("gw-0001", START_MS + 1, START_MS + 300_000) == []
    assert store.summaries("gw-0001", START_MS - 300_000, START_MS) == []
    assert store.summaries("gw-0002", START_MS, START_MS + 1) == []
