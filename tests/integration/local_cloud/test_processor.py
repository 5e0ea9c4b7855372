"""The processor's own code on the real stack's tables: killed between two calls, and weighed by what it consumes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from roadside.contract.codec import decode_window, encode_window
from roadside.contract.summary import CongestionState, WindowSummary
from tests.integration.local_cloud.conftest import Platform
from tests.integration.local_cloud.process_batch import KILLED
from tests.unit.cloud.messages import kinesis_record, make_window, wrap

REPOSITORY = Path(__file__).resolve().parents[3]
FIRST = 5_000_000  # segments of no other test


def run(platform: Platform, *batches: Sequence[WindowSummary], **order: object) -> dict[str, Any] | None:
    """What a process told of the last batch that it handled; None if it was killed."""
    function = platform.cloud.client("lambda").get_function_configuration(
        FunctionName=platform.outputs["ProcessorFunction"]
    )
    records = [
        [
            kinesis_record(wrap(encode_window(window), window.gateway, window.window_end_ms + 2_000), number)
            for number, window in enumerate(windows)
        ]
        for windows in batches
    ]
    finished = subprocess.run(
        [sys.executable, "-m", "tests.integration.local_cloud.process_batch"],
        input=json.dumps({"batches": records, **order}),
        env=platform.cloud.environment() | function["Environment"]["Variables"] | {"PYTHONPATH": ".:components"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode == KILLED:
        return None
    assert finished.returncode == 0, finished.stderr
    told: dict[str, Any] = next(json.loads(line)["told"] for line in finished.stdout.splitlines() if '"told"' in line)
    return told


def stored(platform: Platform, gateway: str) -> list[WindowSummary]:
    items = platform.cloud.client("dynamodb").query(
        TableName=platform.outputs["WindowsTable"],
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": gateway}},
    )["Items"]
    return [decode_window(bytes(item["b"]["B"])) for item in items]


@pytest.mark.parametrize("effect", [False, True], ids=["before a call takes effect", "after it did"])
def test_what_a_killed_process_left_is_completed_by_the_next_and_counted_once(platform: Platform, effect: bool) -> None:
    gateway, first = f"killed-{effect:d}", FIRST + 100 * effect
    windows = [
        make_window(
            sequence,
            gateway=gateway,
            first_segment=first,
            segments=3,
            vehicles=sequence,
            state=CongestionState.CONGESTED,
            level=70,
        )
        for sequence in range(1, 6)
    ]

    killed = [run(platform, windows, kill_at=call, effect=effect) for call in (1, 4, 7)]
    assert killed == [None, None, None]
    told = run(platform, windows)

    assert told is not None
    assert told["failures"] == []
    assert stored(platform, gateway) == windows
    states = platform.cloud.client("dynamodb").batch_get_item(
        RequestItems={
            platform.outputs["SegmentsTable"]: {"Keys": [{"segment": {"N": str(first + place)}} for place in range(3)]}
        }
    )["Responses"][platform.outputs["SegmentsTable"]]
    assert [state["band"]["S"] for state in states] == ["heavy"] * 3


def test_steady_traffic_consumes_one_write_unit_a_window_and_little_beside(platform: Platform) -> None:
    windows = [
        make_window(
            sequence,
            gateway="gw-steady-00001",
            first_segment=FIRST + 1000,
            segments=25,
            vehicles=1 + sequence % 5,
            level=10 + sequence % 7,
        )
        for sequence in range(1, 181)
    ]
    before, measured = windows[:90], windows[90:]  # a quarter of an hour each: every state is refreshed once
    told = run(platform, before, measured)

    assert told is not None
    assert told["failures"] == []
    consumed = told["consumed"]
    assert consumed.pop(platform.outputs["WindowsTable"]) == len(measured)
    assert 0 < sum(consumed.values()) < 0.4 * len(measured)
