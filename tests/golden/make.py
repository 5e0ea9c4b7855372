"""Writes the golden messages that the version under work lacks: `python -m tests.golden.make`, from its root.

Run by hand, while a version is unreleased. The messages of a released version are never written again: what they
hold lies on gateways and in tables for years. `expected` comes from the values here and not from decoding.
"""

import dataclasses
import json
from pathlib import Path
from typing import Final

from roadside.contract.codec import encode_ack, encode_frame, encode_window
from roadside.contract.events import CongestionEvent, Event, IncidentEvent, SensorEvent, encode_event
from roadside.contract.heartbeat import ComponentHealth, Heartbeat, SystemState, encode_heartbeat
from roadside.contract.sensors import SensorRecord, SensorSummary, encode_sensors
from roadside.contract.status import Status, encode_status
from roadside.contract.summary import (
    Ack,
    CongestionState,
    ReadingFrame,
    SegmentSummary,
    SpeedSketch,
    WindowSummary,
)

Message = WindowSummary | SensorSummary | Ack | ReadingFrame | Event | Status | Heartbeat

VERSION: Final = "v0.1"
FOLDER: Final = Path(__file__).parent / VERSION

QUIET: Final = SegmentSummary(number=4000, observed_ms=100_000, sensors_reporting=10, readings_accepted=100)
# One vehicle at 30, two at 60.0 and one at 61.3 km/h; the bins are those of 300, 600 and 613 dkmh at 1 %.
SLOW: Final = SegmentSummary(
    number=1017,
    sketch=SpeedSketch(287, (1, *[0] * 33, 2, 1)),
    vehicles_without_speed=3,
    speed_sum_dkmh=2113,
    pace_sum_ms_per_km=120_000 + 2 * 60_000 + 58_728,
    speed_square_sum=90_000 + 2 * 360_000 + 375_769,
    speed_min_dkmh=300,
    speed_max_dkmh=613,
    occupied_ms=8_450,
    observed_ms=99_000,
    congestion_level=41,
    congestion_state=CongestionState.CONGESTED,
    sensors_reporting=10,
    readings_accepted=99,
    readings_duplicate=2,
    readings_late=1,
    readings_rejected=4,
)
# Three vehicles standing, clipped to the pace of 3 km/h, and 200 at the highest speed there is.
EXTREME: Final = SegmentSummary(
    number=1018,
    sketch=SpeedSketch(0, (3, *[0] * 393, 200)),
    clipped_vehicles=3,
    speed_sum_dkmh=510_000,
    pace_sum_ms_per_km=3 * 1_200_000 + 200 * 14_118,
    speed_square_sum=200 * 2550**2,
    speed_min_dkmh=0,
    speed_max_dkmh=2550,
    occupied_ms=60_000,
    observed_ms=60_000,
    congestion_level=0,
    congestion_state=CongestionState.FREE,
    sensors_reporting=6,
    readings_accepted=60,
)
WINDOW: Final = WindowSummary(
    gateway="gw-0042",
    epoch_ms=1_790_000_000_123,
    sequence=86_401,
    window_start_ms=1_790_000_640_000,
    window_ms=10_000,
    segments=(SLOW, EXTREME, QUIET),
    revision=2,
    backfill=True,
)
WINDOWS: Final = {
    "window-three-segments": WINDOW,
    "window-of-a-minute": dataclasses.replace(
        WINDOW,
        sequence=86_402,
        window_ms=60_000,
        revision=0,
        backfill=False,
        reading_interval_ms=5_000,
        segments=tuple(dataclasses.replace(SLOW, number=2000 + index) for index in range(25)),
    ),
    "window-faulty-sensors": dataclasses.replace(
        WINDOW, sequence=3, segments=(dataclasses.replace(SLOW, sensors_reporting=9, sensors_excluded=1), QUIET)
    ),
    "window-lanes": dataclasses.replace(
        WINDOW,
        sequence=4,
        segments=(
            dataclasses.replace(SLOW, lane_vehicles=(1, 0, 6)),
            EXTREME,
            dataclasses.replace(QUIET, lane_vehicles=(None, 200)),
        ),
    ),
    "window-one-segment": dataclasses.replace(WINDOW, sequence=1, revision=0, backfill=False, segments=(QUIET,)),
    "window-no-segment": dataclasses.replace(WINDOW, sequence=2, revision=0, backfill=False, segments=()),
}
ACKS: Final = {
    "ack-stored": Ack(1_790_000_000_123, stored=(1, 2, 3, 7, 86_400, 86_401)),
    "ack-gathered": Ack(1_790_000_000_123, stored=(86_400, 86_401, 86_403), gathered=True),
    "ack-refused": Ack(
        1_790_000_000_123, refused=((4, "schema = 9: this version reads 1"), (9, "Ursache: größer als €"))
    ),
}
FRAMES: Final = {
    "frame-three-readings": ReadingFrame(
        source="loops",
        base_ms=1_790_000_640_000,
        sensor_number=bytes.fromhex("01000000 e8030000 ffffffff"),
        offset_ms=bytes.fromhex("00000000 e8030000 0f270000"),
        vehicle_count=bytes.fromhex("0000 0300 e803"),
        speed_dkmh=bytes.fromhex("ffff 2c01 f609"),
        occupancy_permille=bytes.fromhex("0000 7d00 e803"),
    )
}
STARTED: Final = CongestionEvent(
    kind="CongestionStarted",
    gateway="gw-0042",
    epoch_ms=1_790_000_000_123,
    sequence=86_403,
    segment_id="seg-1017",
    segment_number=1017,
    occurred_ms=1_790_000_650_000,
    started_ms=1_790_000_650_000,
    average_speed_kmh=21.4,
    occupancy=0.412,
    congestion_level=79,
)
INCIDENT: Final = IncidentEvent(
    kind="IncidentDetected",
    gateway="gw-0042",
    epoch_ms=1_790_000_000_123,
    sequence=86_500,
    segment_id="seg-1017",
    segment_number=1017,
    downstream_segment_number=1018,
    occurred_ms=1_790_000_700_000,
    started_ms=1_790_000_700_000,
    average_speed_kmh=31.7,
    downstream_speed_kmh=94.2,
    occupancy=0.287,
    score=3.62,
)
FAULT: Final = SensorEvent(
    kind="SensorFault",
    gateway="gw-0042",
    epoch_ms=1_790_000_000_123,
    sequence=86_502,
    sensor_id="a7-k12-2",
    sensor_number=4711,
    segment_id="seg-1017",
    segment_number=1017,
    fault="undercount",
    occurred_ms=1_790_003_600_000,
    started_ms=1_790_003_600_000,
    effective_ms=1_790_003_600_000,
)
EVENTS: Final[dict[str, Event]] = {
    "event-started": STARTED,
    "event-cleared": dataclasses.replace(
        STARTED,
        kind="CongestionCleared",
        sequence=86_499,
        occurred_ms=1_790_001_250_000,
        average_speed_kmh=None,
        occupancy=0,
        congestion_level=None,
    ),
    "event-incident-detected": INCIDENT,
    "event-incident-cleared": dataclasses.replace(
        INCIDENT,
        kind="IncidentCleared",
        sequence=86_501,
        downstream_segment_number=None,
        occurred_ms=1_790_002_100_000,
        average_speed_kmh=None,
        downstream_speed_kmh=None,
        occupancy=None,
        score=None,
    ),
    "event-sensor-fault": FAULT,
    "event-sensor-recovered": dataclasses.replace(
        FAULT,
        kind="SensorRecovered",
        sequence=86_503,
        fault="stuck_on",
        occurred_ms=1_790_007_200_000,
        effective_ms=1_790_007_210_000,
    ),
}
STATUSES: Final = {
    "status-of-aggregator": Status(
        component="city.roadside.Aggregator",
        version="0.1.0",
        state="running",
        started_ms=1_790_000_000_123,
        sequence=61,
        uptime_ms=600_012,
        counters={"readings_accepted": 150_000, "readings_rejected.too_late": 3, "uplink.backlog_bytes": 0},
    ),
}
HEARTBEATS: Final = {
    "heartbeat-two-components": Heartbeat(
        gateway="gw-0042",
        sent_ms=1_790_000_600_135,
        uptime_ms=600_500,
        reason="beat",
        nucleus="2.18.2",
        components=(
            ComponentHealth("city.roadside.Aggregator", "running", "0.1.0", 4_012, 600_012, 0, 1, {"windows": 60}),
            ComponentHealth("city.roadside.SensorIngest", "missing", None, None, None, 2, 0, {}),
        ),
        backlog_messages=12,
        backlog_bytes=11_800,
        backlog_age_ms=120_250,
        given_up=0,
        shed=0,
        dead_letters=1,
        spent_bytes=1_250_000,
        budget_bytes=None,
        system=SystemState(
            cpu_share=0.12,
            load_1min=0.31,
            memory_total_bytes=4_000_000_000,
            memory_available_bytes=3_100_000_000,
            state_free_bytes=20_000_000_000,
            root_free_bytes=20_000_000_000,
            temperature_c=48.5,
            clock_synchronised=True,
            clock_offset_ms=-0.8,
            clock_error_ms=12.5,
        ),
    ),
}


SENSORS: Final = {
    "sensors-three": SensorSummary(
        gateway="gw-0042",
        epoch_ms=1_790_000_000_123,
        sequence=86_510,
        interval_start_ms=1_790_000_700_000,
        interval_ms=300_000,
        sensors=(
            SensorRecord(4710, 300, 412, 3, 409 * 41_380, 91_200, 300_000),
            SensorRecord(4711, 287, 0, 0, 0, 0, 286_000, "dead"),
            SensorRecord(4800, 0, 0, 0, 0, 0, 0, "silent"),
        ),
        part=1,
        part_count=2,
    )
}


def plain(message: Message) -> object:
    """The message as JSON can say it: enumerations by number, bytes in hexadecimal."""
    return json.loads(json.dumps(dataclasses.asdict(message), default=bytes.hex))


def main() -> None:
    """Write every message and beside it what it must decode to."""
    FOLDER.mkdir(exist_ok=True)
    payloads = {
        **{name: encode_window(window) for name, window in WINDOWS.items()},
        **{name: encode_ack(ack) for name, ack in ACKS.items()},
        **{name: encode_frame(frame) for name, frame in FRAMES.items()},
        **{name: encode_sensors(summary) for name, summary in SENSORS.items()},
        **{name: encode_event(event) for name, event in EVENTS.items()},
        **{name: encode_status(status) for name, status in STATUSES.items()},
        **{name: encode_heartbeat(heartbeat) for name, heartbeat in HEARTBEATS.items()},
    }
    messages: dict[str, Message] = {**WINDOWS, **ACKS, **FRAMES, **SENSORS, **EVENTS, **STATUSES, **HEARTBEATS}
    for name, message in messages.items():
        if (FOLDER / f"{name}.bin").exists():
            continue  # what stands there is only added to
        (FOLDER / f"{name}.bin").write_bytes(payloads[name])
        expected = json.dumps(plain(message), indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.expected.json").write_text(expected + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
