"""What a pass tells CloudWatch of the city: how much there is, none included."""

from __future__ import annotations

import json

import pytest

from cloud.functions.sweep import handler
from tests.unit.cloud.world import World


def test_congested_segments_are_counted_and_zeros_of_levels_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAYS_TABLE", "gateways")
    monkeypatch.setenv("WINDOW_S", "10")
    for number, band, level in ((1, "severe", 90), (2, "moderate", 30), (3, "severe", 85), (4, None, 10)):
        item = {"segment": {"N": str(number)}, "congestion_level": {"N": str(level)}}
        world.dynamodb.put_item(TableName="segments", Item=item | ({"band": {"S": band}} if band else {}))
    handler.sweep.cache_clear()

    assert handler.handle({"now_ms": 1_790_000_640_000}, None)["SegmentsCongested"] == 3

    (line,) = [text for text in capsys.readouterr().out.splitlines() if '"_aws"' in text]
    told = json.loads(line)
    assert {metric["Name"] for metric in told["_aws"]["CloudWatchMetrics"][0]["Metrics"]} == {
        "Gateways",
        "GatewaysOffline",
        "DataGaps",
        "SegmentsCongested",
    }
    assert told["SegmentsCongested"] == [3.0]
    handler.sweep.cache_clear()
