"""Decides which queued message to send when, until the cloud has acknowledged each of them. No clock, no thread.

Order: events, then live windows, then backlog (windows older than `live_ms`), each the oldest first. A lane leaves
one place of the sending window to the lanes before it, so that an event never waits behind a backlog.
A message that stays unacknowledged is sent again, at ever longer intervals; the cloud tells repetitions by
(gateway, epoch, sequence).
"""

import heapq
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from roadside.contract.codec import decode_ack, decode_window, encode_window
from roadside.contract.errors import ContractError, DecodeError
from roadside.runtime.database import ChecksumError
from roadside.runtime.outbox import MessageHeader, Outbox, OutgoingMessage
from roadside.runtime.ports import BusRefusedError, BusUnavailableError

MAX_PUBLISHES_PER_SECOND: Final = 90  # IoT Core discards beyond 100/s of one gateway, all components together
_SECOND_MS: Final = 1000

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """The part of a Bus that the uplink needs."""

    def publish_cloud(self, topic: str, payload: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """How eagerly to send.

    Parameters
    ----------
    publishes_per_second : held in every second, resends included; at most 90
    window : messages sent and not yet acknowledged or timed out; nucleus lite refuses the eleventh
    ack_timeout_ms : wait before the first resend; doubles with every further one up to `max_resend_ms`
    min_retry_ms, max_retry_ms : pause after the bus was unavailable; doubles likewise
    live_ms : age from which a window is backlog
    idle_ms : longest time between two calls of `pump`
    """

    publishes_per_second: int = 20
    window: int = 8
    ack_timeout_ms: int = 30_000
    max_resend_ms: int = 300_000
    min_retry_ms: int = 1000
    max_retry_ms: int = 30_000
    live_ms: int = 60_000
    idle_ms: int = 60_000

    def __post_init__(self) -> None:
        if not 1 <= self.publishes_per_second <= MAX_PUBLISHES_PER_SECOND:
            raise ValueError(
                f"publishes_per_second = {self.publishes_per_second}: must be 1 to {MAX_PUBLISHES_PER_SECOND}"
            )
        for field in ("window", "ack_timeout_ms", "min_retry_ms", "idle_ms"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} = {getattr(self, field)}: must be positive")


@dataclass(frozen=True, slots=True)
class UplinkStatistics:
    """What became of messages. `acknowledged`, `refused` and `given_up` count since the database began."""

    sent: int
    resent: int
    unavailable: int
    acks_of_other_epochs: int
    acks_unreadable: int
    acknowledged: int
    refused: int
    given_up: int
    backlog_messages: int
    backlog_bytes: int
    backlog_age_ms: int


@dataclass(slots=True)
class _Delivery:
    header: MessageHeader
    attempts: int = 0


class Uplink:
    """Sends what is in `outbox`, which it reads after each commit of its owner. Same thread as the store.

    Parameters
    ----------
    on_late : payload of a window that leaves as backlog -> the payload to send; marks it as such
    """

    def __init__(
        self,
        outbox: Outbox,
        epoch_ms: int,
        publisher: Publisher,
        settings: UplinkSettings | None = None,
        on_late: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._outbox = outbox
        self._epoch_ms = epoch_ms
        self._publisher = publisher
        self._settings = settings or UplinkSettings()
        self._on_late = on_late or mark_backfill

        self._known_sequence = 0
        self._deliveries: dict[int, _Delivery] = {}  # every queued message, by sequence
        # Heaps of sequences; one whose delivery is gone is skipped when it comes up.
        self._events: list[int] = []
        self._live: list[int] = []
        self._backlog: list[int] = []
        self._resends: list[tuple[int, int]] = []  # (due, sequence)
        self._in_flight: dict[int, int] = {}  # sequence -> when its place is free again, in order of sending

        self._recent: deque[int] = deque(maxlen=self._settings.publishes_per_second)
        self._quiet_until_ms = 0
        self._retry_ms = self._settings.min_retry_ms
        self._sent = self._resent = self._unavailable = self._other_epochs = self._unreadable = 0

    @property
    def settings(self) -> UplinkSettings:
        return self._settings

    def configure(self, settings: UplinkSettings) -> None:
        """Adopt other settings; what is in flight stays so."""
        self._settings = settings
        self._recent = deque(self._recent, maxlen=settings.publishes_per_second)

    def pump(self, wall_ms: int, steady_ms: int) -> int:
        """Send what may be sent now.

        Returns
        -------
        int
            Steady time at which to call again; call sooner after queueing a message or an acknowledgement.

        Raises
        ------
        BusClosedError
            The connection is gone for good. Nothing is lost.
        StoreError
            The disk failed; call again. Nothing is lost, though a message may be sent twice.
        """
        self._learn()
        self._release(steady_ms)
        while True:
            lane = self._next_lane(wall_ms)
            if lane is None:
                break
            wake_ms = max(self._quiet_until_ms, self._rate_free_ms())
            if wake_ms > steady_ms:
                return min(wake_ms, steady_ms + self._settings.idle_ms)
            self._send(self._deliveries[lane[0]], lane, wall_ms, steady_ms)
        return self._idle_until_ms(steady_ms)

    def on_ack(self, payload: bytes, wall_ms: int) -> None:
        """Take the cloud's acknowledgement. Raises StoreError if the disk failed; the messages are then sent again."""
        try:
            ack = decode_ack(payload)
        except DecodeError as error:
            self._unreadable += 1
            _log.warning("cannot read an acknowledgement", extra={"reason": str(error)})
            return
        if ack.epoch_ms != self._epoch_ms:
            self._other_epochs += 1
            return
        self._learn()
        stored = {sequence for sequence in ack.stored if sequence in self._deliveries}
        refused = {
            sequence: reason
            for sequence, reason in ack.refused
            if sequence in self._deliveries and sequence not in stored
        }
        if stored or refused:
            self._outbox.settle(stored, list(refused.items()), wall_ms)
        for sequence in (*stored, *refused):
            self._forget(sequence)

    def revive_dead_letters(self) -> int:
        """Send again what was refused, say after a missing permission was granted; tells how many."""
        revived = self._outbox.revive_dead_letters()
        self._known_sequence = 0
        return revived

    def statistics(self, wall_ms: int) -> UplinkStatistics:
        """Counts for metrics."""
        totals = self._outbox.totals()
        oldest_ms = totals.oldest_created_ms
        return UplinkStatistics(
            sent=self._sent,
            resent=self._resent,
            unavailable=self._unavailable,
            acks_of_other_epochs=self._other_epochs,
            acks_unreadable=self._unreadable,
            acknowledged=totals.acknowledged,
            refused=totals.refused,
            given_up=totals.given_up,
            backlog_messages=totals.messages,
            backlog_bytes=totals.bytes,
            backlog_age_ms=0 if oldest_ms is None else max(0, wall_ms - oldest_ms),
        )

    def _learn(self) -> None:
        for header in self._outbox.headers(after_sequence=self._known_sequence):
            self._known_sequence = header.sequence
            if header.sequence not in self._deliveries:
                self._deliveries[header.sequence] = _Delivery(header)
                self._enqueue(header)

    def _enqueue(self, header: MessageHeader) -> None:
        heapq.heappush(self._events if header.kind == "events" else self._live, header.sequence)

    def _release(self, steady_ms: int) -> None:
        """Free the places of messages given up waiting for, and put those due for a resend back into their lanes."""
        for sequence, free_ms in list(self._in_flight.items()):
            if free_ms > steady_ms:
                break
            del self._in_flight[sequence]
        while self._resends and self._resends[0][0] <= steady_ms:
            _, sequence = heapq.heappop(self._resends)
            if sequence in self._deliveries:
                self._enqueue(self._deliveries[sequence].header)

    def _next_lane(self, wall_ms: int) -> list[int] | None:
        """The lane whose head may go now, if any."""
        self._drop_settled(self._live)
        while self._live and self._is_late(self._deliveries[self._live[0]].header, wall_ms):
            heapq.heappush(self._backlog, heapq.heappop(self._live))
            self._drop_settled(self._live)
        for reserved, lane in enumerate((self._events, self._live, self._backlog)):
            self._drop_settled(lane)
            if lane and len(self._in_flight) < max(1, self._settings.window - reserved):
                return lane
        return None

    def _drop_settled(self, lane: list[int]) -> None:
        while lane and lane[0] not in self._deliveries:
            heapq.heappop(lane)

    def _idle_until_ms(self, steady_ms: int) -> int:
        """When the next resend is due, or a place in the window comes free for what waits."""
        wake_ms = steady_ms + self._settings.idle_ms
        if self._resends:
            wake_ms = min(wake_ms, self._resends[0][0])
        if self._in_flight and (self._events or self._live or self._backlog):
            wake_ms = min(wake_ms, next(iter(self._in_flight.values())))
        return wake_ms

    def _is_late(self, header: MessageHeader, wall_ms: int) -> bool:
        return header.kind == "windows" and wall_ms - header.created_ms > self._settings.live_ms

    def _rate_free_ms(self) -> int:
        full = len(self._recent) == self._settings.publishes_per_second
        return self._recent[0] + _SECOND_MS if full else 0

    def _send(self, delivery: _Delivery, lane: list[int], wall_ms: int, steady_ms: int) -> None:
        """Send the head of `lane`. It leaves the lane only when it is clear what became of it."""
        sequence = delivery.header.sequence
        try:
            message = self._outbox.read(sequence)
            if message is None:  # given up meanwhile
                self._forget(sequence)
                return
            payload = self._payload(message, wall_ms)
        except (ChecksumError, ContractError) as error:
            self._refuse(sequence, str(error), wall_ms)
            return
        self._recent.append(steady_ms)
        try:
            self._publisher.publish_cloud(message.topic, payload)
        except BusUnavailableError:
            self._unavailable += 1
            self._quiet_until_ms = steady_ms + self._retry_ms
            self._retry_ms = min(2 * self._retry_ms, self._settings.max_retry_ms)
            return
        except BusRefusedError as error:
            self._refuse(sequence, str(error) or type(error).__name__, wall_ms)
            return
        heapq.heappop(lane)
        self._retry_ms = self._settings.min_retry_ms
        self._sent += 1
        self._resent += delivery.attempts > 0
        timeout_ms = self._settings.ack_timeout_ms
        wait_ms = max(timeout_ms, min(timeout_ms << min(delivery.attempts, 20), self._settings.max_resend_ms))
        delivery.attempts += 1
        heapq.heappush(self._resends, (steady_ms + wait_ms, sequence))
        self._in_flight[sequence] = steady_ms + timeout_ms

    def _payload(self, message: OutgoingMessage, wall_ms: int) -> bytes:
        header = MessageHeader(message.sequence, message.kind, message.created_ms)
        return self._on_late(message.payload) if self._is_late(header, wall_ms) else message.payload

    def _refuse(self, sequence: int, reason: str, wall_ms: int) -> None:
        self._outbox.settle((), [(sequence, reason)], wall_ms)
        self._forget(sequence)
        _log.error("set a message aside that cannot be sent", extra={"sequence": sequence, "reason": reason})

    def _forget(self, sequence: int) -> None:
        self._deliveries.pop(sequence, None)
        self._in_flight.pop(sequence, None)


def mark_backfill(payload: bytes) -> bytes:
    """The same WindowSummary, marked as having left late. Raises DecodeError if it is none."""
    window = decode_window(payload)
    return payload if window.backfill else encode_window(replace(window, backfill=True))
