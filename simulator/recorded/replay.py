"""Recorded readings through the gateway's own pipeline, codec included, in data time.

Writes what came out of the messages: windows.csv, states.csv and events.csv.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from aggregator.pipeline import Pipeline, PipelineStatistics
from aggregator.profile_file import LearnedProfile
from aggregator.settings import AggregatorSettings
from roadside.contract.codec import decode_window, encode_ack
from roadside.contract.events import CongestionEvent, Event, IncidentEvent, SensorEvent, decode_event
from roadside.contract.sensors import decode_sensors
from roadside.contract.summary import Ack, CongestionState, SegmentSummary, WindowSummary
from roadside.runtime.store import GatewayStore
from simulator.recorded.data_time import DataClock
from simulator.recorded.messages import messages
from simulator.recorded.recording import RecordedGateway, RecordedReading, Recording, iso
from simulator.recorded.sweep import ReplaySweep

if TYPE_CHECKING:
    from _csv import Writer

ROWS_PER_MESSAGE: Final = 1000

Row = tuple[str | int | float, ...]
_iso = lru_cache(maxsize=4)(iso)  # neighbouring rows have the same window


@dataclass(slots=True)
class Collected:
    """What the cloud would hold: the last edition of every window, and all events; and what it found itself."""

    sweep: ReplaySweep
    windows: dict[tuple[int, int], WindowSummary] = field(default_factory=dict)  # by first segment number and start
    events: dict[str, Event] = field(default_factory=dict)
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
            self._collected.sweep.take_event(event)
            self.acks.append(encode_ack(Ack(event.epoch_ms, (event.sequence,))))
            return
        if topic.endswith("/sensors"):
            summary = decode_sensors(payload)
            self.acks.append(encode_ack(Ack(summary.epoch_ms, (summary.sequence,))))
            return
        window = decode_window(payload)
        self._collected.sweep.take_window(window)
        key = window.segments[0].number, window.window_start_ms
        stored = self._collected.windows.get(key)
        if stored is None or stored.revision < window.revision:
            self._collected.windows[key] = window
        self.acks.append(encode_ack(Ack(window.epoch_ms, (window.sequence,))))


class _Gateway:
    """One gateway's pipeline, fed row by row."""

    def __init__(
        self,
        plan: RecordedGateway,
        settings: AggregatorSettings,
        profile: LearnedProfile | None,
        collected: Collected,
        now_ms: int,
    ) -> None:
        self.name = plan.gateway_id
        self._cloud = _Cloud(collected)
        self._store = GatewayStore.open(None, now_ms)
        own = msgspec.structs.replace(settings, segments=list(plan.segments))
        self._pipeline = Pipeline(self.name, self._store, self._cloud, own, steady_ms=now_ms)
        if profile is not None:
            self._pipeline.teach(profile)
        self._numbers = {
            sensor_id: segment.first_sensor_number + place
            for segment in plan.segments
            for place, sensor_id in enumerate(segment.sensors)
        }
        self._rows: list[RecordedReading] = []

    def take(self, reading: RecordedReading, now_ms: int) -> None:
        self._rows.append(reading)
        if len(self._rows) == ROWS_PER_MESSAGE:
            self._hand_over(now_ms)

    def flush(self, now_ms: int) -> None:
        """Hand over what was gathered and let the pipeline work."""
        if self._rows:
            self._hand_over(now_ms)
        self.tick(now_ms)

    def tick(self, now_ms: int) -> None:
        while self._pipeline.tick(now_ms, now_ms) <= now_ms or self._cloud.acks:
            for ack in self._cloud.acks:
                self._pipeline.on_ack(ack, now_ms)
            self._cloud.acks.clear()

    def _hand_over(self, now_ms: int) -> None:
        rows, self._rows = self._rows, []
        for topic, payload in messages(rows, now_ms, self._numbers):
            self._pipeline.receive(topic, payload, now_ms, now_ms)

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
    profile: LearnedProfile | None = None,
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
    collected = Collected(ReplaySweep(recording.gateways, profile))
    gateways: dict[str, _Gateway] = {}
    settings = AggregatorSettings(
        window_seconds=window_s,
        reading_interval_ms=interval_ms,
        allowed_lateness_ms=allowed_lateness_ms,
        publishes_per_second=90,
    )
    gateway_by_sensor = {
        sensor: plan.gateway_id
        for plan in recording.gateways
        for segment in plan.segments
        for sensor in segment.sensors
    }
    anywhere = recording.gateways[0].gateway_id
    clock = DataClock(interval_ms, allowed_lateness_ms + settings.max_future_skew_ms, len(gateway_by_sensor))
    now_ms = hand_over_ms = 0
    for count, reading in enumerate(_rows_in_time(recording, clock), start=1):
        if not gateways:
            now_ms, hand_over_ms = clock.now_ms, clock.now_ms + interval_ms
            gateways = {
                plan.gateway_id: _Gateway(plan, settings, profile, collected, now_ms) for plan in recording.gateways
            }
        if clock.now_ms > now_ms:
            if clock.now_ms >= hand_over_ms:
                # At least once an interval, as sensors do: to the pipeline, a longer pause is silence.
                for gateway in gateways.values():
                    gateway.flush(now_ms)
                hand_over_ms = clock.now_ms + interval_ms
            now_ms = clock.now_ms
            collected.sweep.pass_if_due(now_ms)
        gateways[gateway_by_sensor.get(reading.sensor_id, anywhere)].take(reading, now_ms)
        if count % 10_000 == 0:
            progress(count)
    statistics = {name: gateway.finish(now_ms) for name, gateway in gateways.items()}
    collected.sweep.finish(now_ms)
    out.mkdir(parents=True, exist_ok=True)
    names = {segment.number: segment.id for plan in recording.gateways for segment in plan.segments}
    with _table(out / "windows.csv") as windows, _table(out / "states.csv") as states:
        for window, segment in _by_time(collected):
            name, start = names[segment.number], _iso(window.window_start_ms)
            speed = _cell(segment.average_speed_kmh, 2)
            windows.writerow((name, start, *_window_cells(window, segment, speed)))
            state = segment.congestion_state
            states.writerow((name, start, int(state is CongestionState.CONGESTED), speed, state.name.lower()))
    with _table(out / "events.csv") as events:
        events.writerows(_event_rows(collected.events.values()))
        events.writerows(collected.sweep.event_rows())
    with _table(out / "confirmations.csv") as confirmations:
        confirmations.writerows(collected.sweep.confirmation_rows())
    with _table(out / "sensor_faults.csv") as faults:
        faults.writerows(_fault_rows(collected.events.values()))
    return collected, statistics


def _rows_in_time(recording: Recording, clock: DataClock) -> Iterator[RecordedReading]:
    for reading in recording.readings():
        yield from clock.take(reading)
    yield from clock.finish()


def _by_time(collected: Collected) -> Iterator[tuple[WindowSummary, SegmentSummary]]:
    """Windows by start, in each all gateways' segments by number."""
    for _, windows in groupby(sorted(collected.windows.values(), key=_start), key=_start):
        rows = [(window, segment) for window in windows for segment in window.segments]
        yield from sorted(rows, key=lambda row: row[1].number)


def _start(window: WindowSummary) -> int:
    return window.window_start_ms


def _window_cells(window: WindowSummary, segment: SegmentSummary, speed: str | float) -> Row:
    return (
        window.window_ms // 1000,
        window.revision,
        segment.vehicle_count,
        speed,
        _cell(segment.occupancy, 4),
        "" if segment.speed_min_dkmh is None else segment.speed_min_dkmh / 10,
        "" if segment.speed_max_dkmh is None else segment.speed_max_dkmh / 10,
        _cell(segment.speed_quantile_kmh(0.50, window.sketch_error_permille), 2),
        _cell(segment.speed_quantile_kmh(0.85, window.sketch_error_permille), 2),
        "" if segment.congestion_level is None else segment.congestion_level,
        segment.readings_accepted,
    )


def _event_rows(events: Iterable[Event]) -> Iterable[Row]:
    """Each alert with its end, from the events that began and cleared it."""
    alerts = [event for event in events if isinstance(event, CongestionEvent | IncidentEvent)]
    ordered = sorted(alerts, key=lambda event: (event.occurred_ms, event.segment_number, event.kind))
    ends = {
        (_ALERT_TYPES[e.kind], e.segment_number, e.started_ms): e.occurred_ms for e in ordered if e.kind in _CLEARING
    }
    for event in ordered:
        if event.kind in _CLEARING:
            continue
        kind = _ALERT_TYPES[event.kind]
        end_ms = ends.get((kind, event.segment_number, event.started_ms))
        end = "" if end_ms is None else iso(end_ms)
        yield event.event_id, kind, event.segment_id, iso(event.started_ms), end, iso(event.occurred_ms)


def _fault_rows(events: Iterable[Event]) -> Iterable[Row]:
    """Each fault with the windows that it leaves out, from the events that told it and took it back."""
    told = sorted((e for e in events if isinstance(e, SensorEvent)), key=lambda e: (e.occurred_ms, e.sensor_number))
    ends = {(e.sensor_number, e.started_ms): e.effective_ms for e in told if e.kind == "SensorRecovered"}
    for event in told:
        if event.kind == "SensorFault":
            end_ms = ends.get((event.sensor_number, event.started_ms))
            start, end = iso(event.effective_ms), "" if end_ms is None else iso(end_ms)
            yield event.event_id, event.sensor_id, event.segment_id, event.fault, start, end


_ALERT_TYPES: Final = {
    "CongestionStarted": "congestion",
    "CongestionCleared": "congestion",
    "IncidentDetected": "incident",
    "IncidentCleared": "incident",
}
_CLEARING: Final = ("CongestionCleared", "IncidentCleared")
_HEADERS: Final = {
    "windows.csv": (
        "segment_id,interval_start,interval_s,revision,vehicle_count,average_speed_kmh,occupancy,min_speed_kmh,"
        "max_speed_kmh,p50_speed_kmh,p85_speed_kmh,congestion_level,readings"
    ),
    "states.csv": "segment_id,interval_start,congested,average_speed_kmh,state",
    "events.csv": "event_id,type,segment_id,start,end,detected_at",
    "confirmations.csv": "event_id,segment_id,start,confirmed_at",
    "sensor_faults.csv": "event_id,sensor_id,segment_id,fault,left_out_from,left_out_until",
}


@contextmanager
def _table(path: Path) -> "Iterator[Writer]":
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(_HEADERS[path.name] + "\n")
        yield csv.writer(stream, lineterminator="\n")


def _cell(value: float | None, digits: int) -> float | str:
    return "" if value is None else round(value, digits)
