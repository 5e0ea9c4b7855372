"""Recorded readings through the gateway's own pipeline, codec included, in data time.

Writes what came out of the messages: windows.csv, states.csv and events.csv.
"""

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from aggregator.pipeline import Pipeline, PipelineStatistics
from aggregator.settings import AggregatorSettings
from roadside.contract import topics
from roadside.contract.codec import decode_window, encode_ack, encode_frame
from roadside.contract.events import CongestionEvent, decode_event
from roadside.contract.summary import Ack, CongestionState, ReadingFrame, SegmentSummary, WindowSummary
from roadside.runtime.store import GatewayStore
from simulator.recording import RecordedGateway, RecordedReading, Recording, iso

ROWS_PER_MESSAGE: Final = 250
NO_SENSOR: Final = 2**32 - 1  # a number no registry holds, for sensors that sensors.csv does not name

Row = dict[str, str | int | float]


@dataclass(slots=True)
class Collected:
    """What the cloud would hold: the last edition of every window, the state told first, all events."""

    windows: dict[tuple[int, int], WindowSummary] = field(default_factory=dict)  # by first segment number and start
    states: dict[tuple[int, int], CongestionState] = field(default_factory=dict)  # by segment number and start
    events: dict[str, CongestionEvent] = field(default_factory=dict)
    messages: int = 0
    message_bytes: int = 0


class _Cloud:
    """Takes a gateway's messages, decodes them and acknowledges them at once."""

    def __init__(self, collected: Collected) -> None:
        self.acks: list[bytes] = []
        self._collected = collected

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        self._collected.messages += 1
        self._collected.message_bytes += len(payload)
        if topic.endswith("/events"):
            event = decode_event(payload)
            self._collected.events[event.event_id] = event
            self.acks.append(encode_ack(Ack(event.epoch_ms, (event.sequence,))))
            return
        window = decode_window(payload)
        key = window.segments[0].number, window.window_start_ms
        stored = self._collected.windows.get(key)
        if stored is None or stored.revision < window.revision:
            self._collected.windows[key] = window
        if window.revision == 0:
            for segment in window.segments:
                self._collected.states[segment.number, window.window_start_ms] = segment.congestion_state
        self.acks.append(encode_ack(Ack(window.epoch_ms, (window.sequence,))))


class _Gateway:
    """One gateway's pipeline, fed row by row."""

    def __init__(self, plan: RecordedGateway, settings: AggregatorSettings, collected: Collected, now_ms: int) -> None:
        self.name = plan.gateway_id
        self._cloud = _Cloud(collected)
        self._store = GatewayStore.open(None, now_ms)
        self._pipeline = Pipeline(self.name, self._store, self._cloud, settings, steady_ms=now_ms)
        self._numbers = {
            sensor_id: segment.first_sensor_number + place
            for segment in plan.segments
            for place, sensor_id in enumerate(segment.sensors)
        }
        self._rows: list[RecordedReading] = []

    def take(self, reading: RecordedReading, now_ms: int) -> None:
        self._rows.append(reading)
        if len(self._rows) == ROWS_PER_MESSAGE:
            self.flush(now_ms)

    def flush(self, now_ms: int) -> None:
        """Hand the gathered rows to the pipeline as a frame; rows that no frame can tell go as JSON."""
        framed = [row for row in self._rows if _fits_a_frame(row)]
        for row in self._rows:
            if not _fits_a_frame(row):
                self._pipeline.receive(topics.readings("replay"), _as_json(row), now_ms, now_ms)
        if framed:
            frame = encode_frame(_frame(framed, self._numbers))
            self._pipeline.receive(topics.frames("replay"), frame, now_ms, now_ms)
        self._rows = []
        self.tick(now_ms)

    def tick(self, now_ms: int) -> None:
        while self._pipeline.tick(now_ms, now_ms) <= now_ms or self._cloud.acks:
            for ack in self._cloud.acks:
                self._pipeline.on_ack(ack, now_ms)
            self._cloud.acks.clear()

    def finish(self, now_ms: int) -> PipelineStatistics:
        self.flush(now_ms)
        self._pipeline.drain(now_ms)
        # The uplink keeps its rate in data time too, so give it the time that a backlog needs.
        while self._pipeline.statistics(now_ms).uplink.backlog_messages:
            self.tick(now_ms)
            now_ms += 1000
        statistics = self._pipeline.statistics(now_ms)
        self._store.close()
        return statistics


def replay(
    recording: Recording,
    out: Path,
    *,
    window_s: int,
    allowed_lateness_ms: int,
    progress: Callable[[int], None],
) -> tuple[Collected, dict[str, PipelineStatistics]]:
    """Replay all readings and write the three files into `out`.

    Returns
    -------
    Collected, dict of gateway to PipelineStatistics

    Raises
    ------
    RecordingError
        A file is damaged or lacks a column.
    """
    interval_ms = recording.interval_ms()
    collected = Collected()
    gateways: dict[str, _Gateway] = {}
    gateway_of: dict[str, str] = {
        sensor_id: plan.gateway_id
        for plan in recording.gateways
        for segment in plan.segments
        for sensor_id in segment.sensors
    }
    anywhere = recording.gateways[0].gateway_id
    now_ms = 0
    for count, reading in enumerate(recording.readings(), start=1):
        if isinstance(reading.timestamp_ms, int):
            now_ms = max(now_ms, reading.timestamp_ms + interval_ms)
        if not gateways:
            gateways = {
                plan.gateway_id: _Gateway(
                    plan,
                    AggregatorSettings(
                        window_seconds=window_s,
                        reading_interval_ms=interval_ms,
                        allowed_lateness_ms=allowed_lateness_ms,
                        publishes_per_second=90,
                        segments=list(plan.segments),
                    ),
                    collected,
                    now_ms,
                )
                for plan in recording.gateways
            }
        gateways[gateway_of.get(reading.sensor_id, anywhere)].take(reading, now_ms)
        if count % 10_000 == 0:
            progress(count)
    statistics = {name: gateway.finish(now_ms) for name, gateway in gateways.items()}
    out.mkdir(parents=True, exist_ok=True)
    names = {segment.number: segment.id for plan in recording.gateways for segment in plan.segments}
    _write(out / "windows.csv", _window_rows(collected, names))
    _write(out / "states.csv", _state_rows(collected, names))
    _write(out / "events.csv", _event_rows(collected.events.values()))
    return collected, statistics


def _fits_a_frame(row: RecordedReading) -> bool:
    """Whether a frame's unsigned integers can tell the row; whether it makes sense is for the pipeline to judge."""
    count = row.vehicle_count
    return (
        isinstance(row.timestamp_ms, int)
        and isinstance(count, float)
        and count.is_integer()
        and 0 <= count < 2**16
        and _fits(row.speed_kmh, 6500.0)
        and _fits(row.occupancy, 65.0)
    )


def _fits(value: float | str | None, limit: float) -> bool:
    return value is None or (isinstance(value, float) and 0 <= value <= limit)


def _frame(rows: list[RecordedReading], numbers: dict[str, int]) -> ReadingFrame:
    times = np.array([row.timestamp_ms for row in rows], dtype=np.int64)
    base_ms = int(times.min())
    speeds = [ReadingFrame.NO_SPEED if row.speed_kmh is None else round(float(row.speed_kmh) * 10) for row in rows]
    shares = [ReadingFrame.NO_SPEED if row.occupancy is None else round(float(row.occupancy) * 1000) for row in rows]
    return ReadingFrame(
        source="replay",
        base_ms=base_ms,
        sensor_number=np.array([numbers.get(row.sensor_id, NO_SENSOR) for row in rows], dtype="<u4").tobytes(),
        offset_ms=(times - base_ms).astype("<u4").tobytes(),
        vehicle_count=np.array([row.vehicle_count for row in rows], dtype="<u2").tobytes(),
        speed_dkmh=np.array(speeds, dtype="<u2").tobytes(),
        occupancy_permille=np.array(shares, dtype="<u2").tobytes(),
    )


def _as_json(row: RecordedReading) -> bytes:
    return json.dumps(
        {
            "sensor_id": row.sensor_id,
            "timestamp": row.timestamp_ms,
            "vehicle_count": row.vehicle_count,
            "average_speed_kmh": row.speed_kmh,
            "occupancy": row.occupancy,
        }
    ).encode()


def _by_time(collected: Collected) -> list[tuple[WindowSummary, SegmentSummary]]:
    rows = [(window, segment) for window in collected.windows.values() for segment in window.segments]
    return sorted(rows, key=lambda row: (row[0].window_start_ms, row[1].number))


def _window_rows(collected: Collected, names: dict[int, str]) -> Iterable[Row]:
    for window, segment in _by_time(collected):
        yield {
            "segment_id": names[segment.number],
            "interval_start": iso(window.window_start_ms),
            "interval_s": window.window_ms // 1000,
            "revision": window.revision,
            "vehicle_count": segment.vehicle_count,
            "average_speed_kmh": _cell(segment.average_speed_kmh, 2),
            "occupancy": _cell(segment.occupancy, 4),
            "min_speed_kmh": "" if segment.speed_min_dkmh is None else segment.speed_min_dkmh / 10,
            "max_speed_kmh": "" if segment.speed_max_dkmh is None else segment.speed_max_dkmh / 10,
            "p50_speed_kmh": _cell(segment.speed_quantile_kmh(0.50, window.sketch_error_permille), 2),
            "p85_speed_kmh": _cell(segment.speed_quantile_kmh(0.85, window.sketch_error_permille), 2),
            "congestion_level": "" if segment.congestion_level is None else segment.congestion_level,
            "readings": segment.readings_accepted,
        }


def _state_rows(collected: Collected, names: dict[int, str]) -> Iterable[Row]:
    for window, segment in _by_time(collected):
        state = collected.states.get((segment.number, window.window_start_ms), CongestionState.UNKNOWN)
        yield {
            "segment_id": names[segment.number],
            "interval_start": iso(window.window_start_ms),
            "congested": int(state is CongestionState.CONGESTED),
            "average_speed_kmh": _cell(segment.average_speed_kmh, 2),
            "state": state.name.lower(),
        }


def _event_rows(events: Iterable[CongestionEvent]) -> Iterable[Row]:
    ordered = sorted(events, key=lambda event: (event.occurred_ms, event.segment_number, event.kind))
    ends = {(e.segment_number, e.started_ms): e.occurred_ms for e in ordered if e.kind == "CongestionCleared"}
    for event in ordered:
        if event.kind == "CongestionStarted":
            end_ms = ends.get((event.segment_number, event.started_ms))
            yield {
                "event_id": event.event_id,
                "type": "congestion",
                "segment_id": event.segment_id,
                "start": iso(event.started_ms),
                "end": "" if end_ms is None else iso(end_ms),
                "detected_at": iso(event.occurred_ms),
            }


_HEADERS: Final = {
    "windows.csv": (
        "segment_id,interval_start,interval_s,revision,vehicle_count,average_speed_kmh,occupancy,min_speed_kmh,"
        "max_speed_kmh,p50_speed_kmh,p85_speed_kmh,congestion_level,readings"
    ),
    "states.csv": "segment_id,interval_start,congested,average_speed_kmh,state",
    "events.csv": "event_id,type,segment_id,start,end,detected_at",
}


def _write(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _HEADERS[path.name].split(","), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cell(value: float | None, digits: int) -> float | str:
    return "" if value is None else round(value, digits)
