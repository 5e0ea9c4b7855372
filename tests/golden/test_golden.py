"""What any released version has sent is read by gateway and cloud for ever."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from aggregator.intake import Intake
from cloud.functions.alerts.logic import read_event
from cloud.functions.alerts.signs import HeartbeatSign, read_sign
from cloud.functions.processor.logic import SensorsRecord, read_record
from cloud.functions.shared import wording
from roadside.contract import messages_pb2 as pb
from roadside.contract.bus import Announcement, decode_announcement, detail, from_gateway
from roadside.contract.codec import (
    decode_ack,
    decode_frame,
    decode_window,
    encode_ack,
    encode_frame,
    encode_window,
)
from roadside.contract.events import decode_event, encode_event
from roadside.contract.heartbeat import decode_heartbeat, encode_heartbeat
from roadside.contract.sensors import decode_sensors, encode_sensors
from roadside.contract.status import decode_status, encode_status
from roadside.core.registry import Registry, RoadClass, Segment
from roadside.runtime.uplink import mark_backfill
from tests.golden.make import plain

FOLDER = Path(__file__).parent
GATEWAY = "gw-0042"
RECEIVED_MS = 1_790_000_660_000


def golden(kind: str) -> pytest.MarkDecorator:
    """Parametrises a test over the messages of a kind of all versions."""
    paths = sorted(FOLDER.glob(f"v*/{kind}-*.bin"))
    assert paths, f"there is no golden {kind}"
    return pytest.mark.parametrize("path", paths, ids=lambda path: f"{path.parent.name}-{path.stem}")


# What a message means by a field that came after it.
ADDED_TO_SEGMENTS = {"sensors_excluded": 0, "lane_vehicles": []}


def expected(path: Path) -> Any:
    meant = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    if "segments" in meant:
        meant["segments"] = [ADDED_TO_SEGMENTS | segment for segment in meant["segments"]]
    return meant


def wrapped(path: Path) -> dict[str, Any]:
    """What the rule makes of it."""
    payload = base64.b64encode(path.read_bytes()).decode()
    return {"payload": payload, "gateway": GATEWAY, "received_ms": RECEIVED_MS}


@golden("window")
def test_window_is_read_as_it_was_meant_and_can_be_written_again(path: Path) -> None:
    window = decode_window(path.read_bytes())

    assert plain(window) == expected(path)
    assert decode_window(encode_window(window)) == window


@golden("window")
def test_cloud_takes_the_window(path: Path) -> None:
    record = read_record(json.dumps(wrapped(path)).encode())

    assert plain(record.window) == expected(path)
    assert [state.segment for state in record.segments] == [row["number"] for row in expected(path)["segments"]]


@golden("window")
def test_gateway_marks_the_window_that_leaves_late_and_changes_nothing_else(path: Path) -> None:
    late = decode_window(mark_backfill(path.read_bytes()))

    assert plain(late) == expected(path) | {"backfill": True}


@golden("sensors")
def test_summary_of_sensors_is_read_as_it_was_meant_by_the_cloud_too(path: Path) -> None:
    summary = decode_sensors(path.read_bytes())

    assert plain(summary) == expected(path)
    assert decode_sensors(encode_sensors(summary)) == summary
    record = read_record(json.dumps(wrapped(path) | {"kind": "sensors"}).encode())
    assert isinstance(record, SensorsRecord)
    assert record.summary == summary


@golden("ack")
def test_ack_is_read_as_it_was_meant(path: Path) -> None:
    ack = decode_ack(path.read_bytes())

    assert plain(ack) == {"gathered": False} | expected(path)
    assert decode_ack(encode_ack(ack)) == ack


@golden("frame")
def test_frame_is_read_as_it_was_meant_and_taken_by_the_gateway(path: Path) -> None:
    frame = decode_frame(path.read_bytes())
    assert plain(frame) == expected(path)
    assert decode_frame(encode_frame(frame)) == frame

    registry = Registry([Segment("seg-1", 1, RoadClass.FREEWAY, 100.0, 2, ("a", "b"), first_sensor_number=1000)])
    intake = Intake()
    batch = intake.decode("roadside/v1/frames/loops", path.read_bytes(), registry)

    assert not intake.refused
    assert batch is not None
    assert batch.sensor.tolist() == [-1, 0, -1]
    assert batch.rows(batch.sensor == 0).speed_dkmh.tolist() == [300]
    assert batch.timestamp_ms.tolist() == [1_790_000_640_000, 1_790_000_641_000, 1_790_000_649_999]


@golden("event")
def test_event_is_read_as_it_was_meant_by_the_cloud_too(path: Path) -> None:
    event = decode_event(path.read_bytes())

    assert plain(event) == expected(path)
    assert decode_event(encode_event(event)) == event
    assert read_event(json.dumps(wrapped(path))).event == event
    on_bus = from_gateway(event)
    told = Announcement(on_bus, wording.severity(on_bus), wording.headline(on_bus), wording.text(on_bus), notify=True)
    assert decode_announcement(json.dumps(detail(told)).encode()) == told


@golden("status")
def test_status_is_read_as_it_was_meant(path: Path) -> None:
    status = decode_status(path.read_bytes())

    assert plain(status) == expected(path)
    assert decode_status(encode_status(status)) == status


@golden("heartbeat")
def test_heartbeat_is_read_as_it_was_meant(path: Path) -> None:
    heartbeat = decode_heartbeat(path.read_bytes())

    assert plain(heartbeat) == expected(path)
    assert decode_heartbeat(encode_heartbeat(heartbeat)) == heartbeat
    sign = read_sign({**wrapped(path), "kind": "heartbeat"})
    assert isinstance(sign, HeartbeatSign)
    assert sign.heartbeat == heartbeat


def test_windows_of_both_forms_of_columns_are_among_the_golden_messages() -> None:
    windows = [pb.WindowSummary.FromString(path.read_bytes()) for path in FOLDER.glob("v0.1/window-*.bin")]

    assert {window.columns_deflated for window in windows} == {True, False}


def test_derived_figures_of_a_golden_window_are_those_of_its_vehicles() -> None:
    slow, extreme, quiet = decode_window((FOLDER / "v0.1/window-three-segments.bin").read_bytes()).segments

    assert slow.vehicle_count == 7
    # Four vehicles need 120 s, 60 s, 60 s and 58.728 s for a kilometre.
    assert slow.average_speed_kmh == pytest.approx(4 * 3600 / (120 + 60 + 60 + 58.728))
    assert slow.occupancy == pytest.approx(0.08535, abs=1e-5)
    assert slow.speed_quantile_kmh(0.5) == pytest.approx(60, rel=0.01)
    assert extreme.speed_quantile_kmh(0) == 0
    assert extreme.speed_quantile_kmh(1) == pytest.approx(255, rel=0.01)
    assert (quiet.average_speed_kmh, quiet.speed_quantile_kmh(0.5), quiet.occupancy) == (None, None, 0)
