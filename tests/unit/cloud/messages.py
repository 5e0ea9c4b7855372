"""Gateways' messages, as the functions receive them."""

import base64
import json
from typing import Any, Final

from roadside.contract.sensors import SensorRecord, SensorSummary
from roadside.contract.summary import CongestionState, SegmentSummary, SpeedSketch, WindowSummary

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
EPOCH_MS: Final = 1_790_000_000_000
START_MS: Final = 1_790_000_100_000


def make_window(
    sequence: int = 1,
    *,
    gateway: str = "gw-0001",
    start_ms: int | None = None,
    epoch_ms: int = EPOCH_MS,
    revision: int = 0,
    segments: int = 2,
    level: int | None = 10,
    state: CongestionState = CongestionState.FREE,
    vehicles: int = 3,
    first_segment: int = 100,
) -> WindowSummary:
    """A window of 10 s; without `start_ms` the one that follows from the sequence."""
    return WindowSummary(
        gateway=gateway,
        epoch_ms=epoch_ms,
        sequence=sequence,
        window_start_ms=START_MS + sequence * 10_000 if start_ms is None else start_ms,
        window_ms=10_000,
        revision=revision,
        segments=tuple(
            SegmentSummary(
                number=first_segment + index,
                sketch=SpeedSketch(200, (vehicles,)) if vehicles else SpeedSketch(),
                speed_sum_dkmh=800 * vehicles,
                pace_sum_ms_per_km=45_000 * vehicles,
                speed_square_sum=640_000 * vehicles,
                speed_min_dkmh=800 if vehicles else None,
                speed_max_dkmh=800 if vehicles else None,
                occupied_ms=5_000,
                observed_ms=100_000,
                congestion_level=level,
                congestion_state=state,
                sensors_reporting=10,
                readings_accepted=100,
            )
            for index in range(segments)
        ),
    )


def make_sensors(sequence: int = 1, *, gateway: str = "gw-0001", part: int = 0) -> SensorSummary:
    """A summary of three sensors over five minutes, one of them faulty."""
    return SensorSummary(
        gateway=gateway,
        epoch_ms=EPOCH_MS,
        sequence=sequence,
        interval_start_ms=START_MS,
        interval_ms=300_000,
        sensors=(
            SensorRecord(900, 300, 40, 2, 38 * 45_000, 9_500, 300_000),
            SensorRecord(901, 298, 0, 0, 0, 0, 298_000),
            SensorRecord(905, 300, 0, 0, 0, 300_000, 300_000, "stuck_on"),
        ),
        part=part,
        part_count=2,
    )


def wrap(
    payload: bytes, gateway: str = "gw-0001", received_ms: int = START_MS + 60_000, kind: str = "windows"
) -> dict[str, Any]:
    """What the rule makes of a message."""
    body = base64.b64encode(payload).decode()
    return {"payload": body, "gateway": gateway, "received_ms": received_ms, "kind": kind}


def kinesis_record(data: bytes | dict[str, Any], number: int = 0) -> dict[str, Any]:
    """A record as Lambda's mapping hands it over."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return {
        "eventID": f"shardId-000000000000:{number}",
        "eventSourceARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/windows",
        "kinesis": {
            "sequenceNumber": str(number),
            "partitionKey": "gw-0001",
            "data": base64.b64encode(raw).decode(),
            "approximateArrivalTimestamp": 1_790_000_160.0,
        },
    }
