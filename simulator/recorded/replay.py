"""Recorded readings through the gateway's own pipeline, codec included, in data time."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from aggregator.pipeline import Pipeline, PipelineStatistics
from aggregator.profile_file import LearnedProfile
from aggregator.settings import AggregatorSettings
from roadside.contract.codec import decode_window, encode_ack
from roadside.contract.events import decode_event
from roadside.contract.sensors import decode_sensors
from roadside.contract.summary import Ack
from roadside.runtime.store import GatewayStore
from simulator.recorded.collected import Collected
from simulator.recorded.data_time import DataClock
from simulator.recorded.messages import messages
from simulator.recorded.recording import Recorded, RecordedGateway, RecordedReading
from simulator.recorded.sweep import ReplaySweep

ROWS_PER_MESSAGE: Final = 1000


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
    recording: Recorded,
    *,
    window_s: int,
    allowed_lateness_ms: int,
    profile: LearnedProfile | None = None,
    progress: Callable[[int], None],
) -> tuple[Collected, dict[str, PipelineStatistics]]:
    """Replay all readings; `progress` is told the rows so far.

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
    return collected, statistics


def _rows_in_time(recording: Recorded, clock: DataClock) -> Iterator[RecordedReading]:
    for reading in recording.readings():
        yield from clock.take(reading)
    yield from clock.finish()
