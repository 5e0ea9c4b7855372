"""The deployed sweep judges pairs across gateways with the rights that it has."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator

import pytest

from cloud.catalogue.plan import segment_attributes
from cloud.catalogue.segments import CatalogueSegment
from tests.integration.local_cloud.conftest import Platform

FIRST = 5_000_000  # segments of no other test


@pytest.fixture
def border(platform: Platform) -> Iterator[str]:
    """Two freeway segments of two gateways; the name of their stretch. A catalogue loaded would retire other tests'."""
    dynamodb, table = platform.cloud.client("dynamodb"), platform.outputs["SegmentsTable"]
    for number, gateway, downstream in ((FIRST, "west", FIRST + 1), (FIRST + 1, "east", None)):
        row = CatalogueSegment(
            number, f"E{number}", gateway, "Harbour", "freeway", 3, 500.0, 100.0, 54.8, 2.3, downstream
        )
        dynamodb.put_item(TableName=table, Item={"segment": {"N": str(number)}} | segment_attributes(row))
    yield f"west/{FIRST}-east/{FIRST + 1}"
    for number in (FIRST, FIRST + 1):
        dynamodb.delete_item(TableName=table, Key={"segment": {"N": str(number)}})


def test_sweep_reads_the_road_and_what_is_open_and_keeps_its_memory(platform: Platform, border: str) -> None:
    answer = platform.cloud.client("lambda").invoke(
        FunctionName=platform.outputs["SweepFunction"],
        Payload=json.dumps({"now_ms": 1_000_000_000_000}).encode(),  # long ago, when nobody told anything
    )

    counts = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, counts
    assert counts["JudgesFailed"] == 0
    memory = platform.cloud.client("dynamodb").get_item(
        TableName=platform.outputs["GatewaysTable"], Key={"gateway": {"S": "#pairs-0"}}
    )["Item"]["memory"]["B"]
    assert border in json.loads(zlib.decompress(bytes(memory)))["stretches"]
