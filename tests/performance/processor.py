"""What the processor costs by itself: decoding windows and planning writes and rows, its import, its package.

The tables are dictionaries and the acks go nowhere, so only the processor's own work counts.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import boto3
from aws_lambda_powertools import Logger

from cloud import layer, staging
from cloud.functions.processor.batch import Processor
from cloud.functions.processor.current import CurrentStates
from cloud.functions.processor.items import segment_update, sensors_item, window_item
from cloud.functions.processor.lake import RowStreams
from cloud.functions.processor.logic import SegmentState, SensorsRecord, WindowRecord
from roadside.contract.codec import encode_window
from roadside.contract.summary import WindowSummary
from simulator.local_cloud.deploy import zip_directory

GATEWAYS: Final = 20  # of one batch, a window of each
MEMORY_MB: Final = 768  # of the function, see cloud/parts/processing.py
ONE_CORE_MB: Final = 1769  # Lambda gives a core at so much memory, and less in proportion
RUNTIME_BRINGS: Final = ("boto3", "botocore", "s3transfer", "urllib3", "dateutil", "six.py")
_RETENTION_DAYS: Final = 14
_REFRESH_MS: Final = 900_000


class Tables:
    """All tables in memory; every write is planned as it would be sent."""

    def __init__(self) -> None:
        self.windows: dict[tuple[str, str], int] = {}
        self.states: dict[int, SegmentState] = {}
        self.writes = 0

    def put_window(self, record: WindowRecord) -> bool:
        item = window_item(record, _RETENTION_DAYS)
        key = record.window.gateway, item["w"]["S"]
        self.writes += 1
        if self.windows.get(key, -1) >= record.window.revision:
            return False
        self.windows[key] = record.window.revision
        return True

    def put_sensors(self, record: SensorsRecord) -> bool:
        sensors_item(record, _RETENTION_DAYS)
        return True

    def read_segments(self, numbers: Sequence[int]) -> dict[int, SegmentState]:
        return {number: self.states[number] for number in numbers if number in self.states}

    def put_segments(self, states: Sequence[SegmentState]) -> dict[int, SegmentState]:
        for state in states:
            segment_update(state)
            self.writes += 1
            self.states[state.segment] = state
        return {state.segment: state for state in states}


class Firehose:
    """Takes rows."""

    def put_record_batch(self, *, DeliveryStreamName: str, Records: Sequence[object]) -> dict[str, Any]:  # noqa: N803
        return {"RequestResponses": [{} for _ in Records]}


class Lake:
    """Packs the rows of a batch as they would be sent."""

    def __init__(self) -> None:
        self._streams = RowStreams(Firehose(), "windows", "sensors")
        self.rows = 0

    def take(self, messages: Sequence[tuple[str, WindowRecord | SensorsRecord]]) -> list[str]:
        taken, failed = self._streams.put(messages)
        self.rows += taken
        return list(failed)


class Nowhere:
    """Takes parked messages and acks."""

    def park(self, *_: object) -> None:
        raise AssertionError("the benchmark's windows are no poison")

    def publish(self, ledger: Any) -> int:
        return 0 * sum(1 for _ in ledger.acks())


def processor(tables: Tables) -> Processor:
    """The processor on these tables."""
    nowhere: Any = Nowhere()
    return Processor(
        tables=tables,
        current=CurrentStates(tables, _REFRESH_MS, reads_per_batch=GATEWAYS),
        lake=Lake(),
        parking=nowhere,
        acks=nowhere,
        logger=Logger(service="bench"),
        gathers_acks=False,
    )


def batches(windows: Sequence[WindowSummary]) -> list[list[dict[str, Any]]]:
    """The windows as so many batches of GATEWAYS gateways, each of which saw the same on segments of its own."""
    numbers = count()
    return [[_record(_of_gateway(window, place), next(numbers)) for place in range(GATEWAYS)] for window in windows]


def windows_per_cpu_s(windows: Sequence[WindowSummary], rounds: int = 3) -> float:
    """Gateway-windows per second of CPU time on one core; the best of some rounds, each from a cold start."""
    records = batches(windows)
    best = 0.0
    for _ in range(rounds):
        tables = Tables()
        measured = processor(tables)
        began_s = time.process_time()
        for batch in records:
            measured.process(list[Mapping[str, Any]](batch))
        taken_s = time.process_time() - began_s
        if len(tables.windows) != len(windows) * GATEWAYS:
            raise AssertionError(f"{len(tables.windows)} of {len(windows) * GATEWAYS} windows were stored")
        best = max(best, len(tables.windows) / taken_s)
    return best


def windows_per_lambda_s(windows_per_core_s: float) -> float:
    """What the function does by itself with the share of a core that its memory buys."""
    return windows_per_core_s * MEMORY_MB / ONE_CORE_MB


def cold_import_cpu_ms(function: str, scratch: Path, runs: int = 5) -> float:
    """CPU time of the first import of a function's handler on its code, the layer and what the runtime brings.

    The least of some runs in fresh processes; on a machine with other work the wall clock says more of that work.
    """
    site = Path(boto3.__file__).parents[1]
    scratch.mkdir(parents=True, exist_ok=True)
    for package in RUNTIME_BRINGS:
        (scratch / package).symlink_to(site / package)
    path = [str(staging.stage(function).folder), str(layer.require() / "python"), str(scratch)]
    script = (
        f"import sys, time; sys.path += {path!r}; began_s = time.process_time(); "
        f"import cloud.functions.{function}.handler; print(time.process_time() - began_s)"
    )
    command = [sys.executable, "-I", "-S", "-c", script]
    times = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(runs)]
    return 1000 * min(times)


def package_bytes(function: str) -> int:
    """Size of the function's code and its layer, zipped."""
    return len(zip_directory(staging.stage(function).folder)) + len(zip_directory(layer.require()))


def _of_gateway(window: WindowSummary, place: int) -> WindowSummary:
    segments = tuple(replace(segment, number=segment.number + 1000 * place) for segment in window.segments)
    return replace(window, gateway=f"gw-{place:012d}", segments=segments)


def _record(window: WindowSummary, number: int) -> dict[str, Any]:
    """As Lambda's mapping hands it over."""
    document = {
        "payload": base64.b64encode(encode_window(window)).decode(),
        "gateway": window.gateway,
        "received_ms": window.window_end_ms + 2_000,
        "kind": "windows",
    }
    kinesis = {
        "sequenceNumber": str(number),
        "partitionKey": window.gateway,
        "data": base64.b64encode(json.dumps(document).encode()).decode(),
    }
    return {"eventID": f"shardId-000000000000:{number}", "kinesis": kinesis}
