"""What the core found, on its way into the outbox: held in memory until a transaction has taken it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, get_args

from aggregator import messages
from roadside.contract import topics
from roadside.contract.codec import encode_window
from roadside.contract.errors import ContractError
from roadside.contract.events import encode_event
from roadside.contract.sensors import SensorRecord, SensorSummary, encode_sensors, in_parts
from roadside.contract.summary import SegmentSummary, WindowSummary
from roadside.core.aggregator import Output
from roadside.core.congestion import CongestionChange
from roadside.core.health import SensorChange
from roadside.core.incidents import IncidentChange
from roadside.core.registry import Registry
from roadside.runtime.outbox import MessageRefusedError, Outbox, OutgoingMessage, WindowKey

MAX_HELD: Final = 2000  # while the disk fails

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Result:
    """A message to be. What it needs is already taken out of the core's dense arrays, which would fill the memory.

    kind : the cloud's topic for it
    encode : sequence -> payload; raises ContractError
    window : the window and edition that it tells of, if it is one
    """

    kind: topics.CloudKind
    encode: Callable[[int], bytes]
    window: WindowKey | None = None


class Results:
    """Results of the core as messages of one gateway and epoch, in the order in which they came.

    `collect` whenever the core has found something; then, inside a transaction, `queue`; `done` once it has committed.
    """

    def __init__(self, gateway: str, epoch_ms: int, outbox: Outbox) -> None:
        self._gateway = gateway
        self._epoch_ms = epoch_ms
        self._outbox = outbox
        self._topics = {kind: topics.uplink(kind, gateway) for kind in get_args(topics.CloudKind)}
        self._held: list[_Result] = []
        self._refused = 0  # by the last `queue`
        self.shed = 0  # results that became no message

    def __len__(self) -> int:
        return len(self._held)

    def collect(self, output: Output, registry: Registry, reading_interval_ms: int) -> None:
        """Take what is to be told; the oldest results give way when the disk fails for long."""
        self._held += [_Result("events", partial(self._incident, change, registry)) for change in output.incidents]
        self._held += [_Result("events", partial(self._sensor, change, registry)) for change in output.sensor_changes]
        self._held += [_Result("events", partial(self._event, change, registry)) for change in output.changes]
        for window in output.windows:
            key = WindowKey(window.start_ms, window.window_ms, window.revision)
            segments = messages.segment_summaries(window, registry)
            self._held.append(_Result("windows", partial(self._window, key, segments, reading_interval_ms), key))
        for interval in output.intervals:
            parts = in_parts(messages.sensor_records(interval, registry))
            span_ms = interval.start_ms, interval.end_ms
            self._held += [
                _Result("sensors", partial(self._sensors, span_ms, sensors, part, len(parts), reading_interval_ms))
                for part, sensors in enumerate(parts)
            ]
        excess = len(self._held) - MAX_HELD
        if excess > 0:
            del self._held[:excess]
            self.shed += excess

    def queue(self, wall_ms: int, *, windows_go_at_once: bool) -> None:
        """Put all into the outbox, inside the caller's transaction.

        Parameters
        ----------
        windows_go_at_once : whether the uplink will send them now, which saves noting later that it does
        """
        self._refused = 0
        for result in self._held:
            sequence = self._outbox.next_sequence()
            try:
                message = OutgoingMessage(
                    sequence, result.kind, self._topics[result.kind], result.encode(sequence), wall_ms, result.window
                )
                self._outbox.add(message, offered=result.window is None or windows_go_at_once)
            except (ContractError, MessageRefusedError) as error:
                # It fails for ever, so it must not stop what follows it.
                self._refused += 1
                _log.error("a result makes no message that could be sent", extra={"reason": str(error)})

    def done(self) -> None:
        """The transaction has committed: forget what it took."""
        self.shed += self._refused
        self._refused = 0
        self._held = []

    def _event(self, change: CongestionChange, registry: Registry, sequence: int) -> bytes:
        return encode_event(messages.congestion_event(change, registry, self._gateway, self._epoch_ms, sequence))

    def _incident(self, change: IncidentChange, registry: Registry, sequence: int) -> bytes:
        return encode_event(messages.incident_event(change, registry, self._gateway, self._epoch_ms, sequence))

    def _sensor(self, change: SensorChange, registry: Registry, sequence: int) -> bytes:
        return encode_event(messages.sensor_event(change, registry, self._gateway, self._epoch_ms, sequence))

    def _sensors(
        self,
        span_ms: tuple[int, int],
        sensors: tuple[SensorRecord, ...],
        part: int,
        part_count: int,
        reading_interval_ms: int,
        sequence: int,
    ) -> bytes:
        return encode_sensors(
            SensorSummary(
                gateway=self._gateway,
                epoch_ms=self._epoch_ms,
                sequence=sequence,
                interval_start_ms=span_ms[0],
                interval_ms=span_ms[1] - span_ms[0],
                sensors=sensors,
                part=part,
                part_count=part_count,
                reading_interval_ms=reading_interval_ms,
            )
        )

    def _window(
        self, key: WindowKey, segments: tuple[SegmentSummary, ...], reading_interval_ms: int, sequence: int
    ) -> bytes:
        return encode_window(
            WindowSummary(
                gateway=self._gateway,
                epoch_ms=self._epoch_ms,
                sequence=sequence,
                window_start_ms=key.start_ms,
                window_ms=key.length_ms,
                segments=segments,
                revision=key.revision,
                reading_interval_ms=reading_interval_ms,
            )
        )
