"""Decides which queued message to send when, until the cloud has acknowledged each of them. No clock, no thread.

Order: events, then live windows, then sensor summaries, then backlog (windows older than `live_ms`), each the oldest
first. A lane leaves a place of the sending window to the lanes before it, so that an event never waits behind a
backlog; and after so many others the backlog has a turn before them, so that it does not wait for ever where live
windows take every place. A message that stays unacknowledged is sent again, at ever longer intervals; the cloud tells
repetitions by (gateway, epoch, sequence).

A cloud that gathers acks names many live windows and summaries in one of them, minutes later, and tells so. From the
first such ack on these are given so much longer, and windows that such an ack leaves out are sent again at once.

While the way is closed - the bus is unavailable, or takes messages and nothing is acknowledged for `silence_ms` - no
fresh window is touched: only events and what may have been sent already are tried. So an outage of days leaves windows
that were never sent, which may merge.
"""

import heapq
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, Protocol

from roadside.contract.codec import decode_ack, decode_window, encode_window
from roadside.contract.errors import ContractError, DecodeError
from roadside.contract.summary import MAX_ACK_DELAY_MS
from roadside.runtime.budget import DailyBudget
from roadside.runtime.database import ChecksumError, StoreError
from roadside.runtime.lanes import Delivery, Lane, Lanes
from roadside.runtime.outbox import Outbox
from roadside.runtime.ports import BusRefusedError, BusUnavailableError
from roadside.runtime.uplink_settings import UplinkSettings, UplinkStatistics
from roadside.runtime.way import Way

DISK_RETRY_MS: Final = 1000
OFFERED_AT_ONCE: Final = 32  # one write to the disk for so many windows of a backlog
BACKLOG_WAITS_FOR: Final = 7  # messages of the lanes before it; then it is its turn
_IN_TURN: Final = (Lane.EVENTS, Lane.BACKLOG, Lane.LIVE, Lane.SENSORS)

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """The part of a Bus that the uplink needs."""

    def publish_cloud(self, topic: str, payload: bytes) -> None: ...


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
        self._lanes = Lanes(self._settings.live_ms)
        self._resends: list[tuple[int, int]] = []  # heap of (due, sequence)
        self._in_flight: dict[int, int] = {}  # sequence -> when its place is free again, in order of sending
        # Settled by the cloud or the bus, but not yet on the disk, which fails.
        self._stored: set[int] = set()
        self._refused: dict[int, str] = {}
        self._disk_due_ms = 0

        self._way = Way(**self._settings.way())
        self._budget = DailyBudget(outbox, self._settings.daily_budget_bytes)
        self._held_by_budget = False
        self._since_backlog = 0  # messages of other lanes
        self._flowing = True
        self._sent = self._resent = self._unavailable = self._other_epochs = self._unreadable = 0

    @property
    def settings(self) -> UplinkSettings:
        return self._settings

    def configure(self, settings: UplinkSettings) -> None:
        """Adopt other settings; what is in flight stays so."""
        self._settings = settings
        self._way.configure(**settings.way())
        self._lanes.live_ms = settings.live_ms
        self._budget.daily_bytes = settings.daily_budget_bytes

    @property
    def takes_live(self) -> bool:
        """Whether a window queued now will be sent at once, so that it may be queued as offered."""
        return self._flowing and self._budget.allows(Lane.LIVE)

    @property
    def held_by_budget(self) -> bool:
        """Whether something waits for a later hour or day."""
        return self._held_by_budget

    def silent_ms(self, steady_ms: int) -> int:
        """For how long the bus has taken messages without any being acknowledged; 0 when none is expected."""
        return self._way.silent_ms(steady_ms)

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
            The disk cannot be read. Nothing is lost. That it cannot be written is no reason to stop: what the cloud
            has is remembered, and settled later.
        """
        self._settle(wall_ms, steady_ms)
        self._learn(wall_ms)
        self._release(wall_ms, steady_ms)
        self._lanes.age(wall_ms)
        self._budget.look(wall_ms, steady_ms)
        while True:
            self._flowing = self._way.is_open(steady_ms)
            following = self._next(steady_ms)
            if following is None:
                break
            wake_ms = self._way.free_ms()
            if wake_ms > steady_ms:
                return min(wake_ms, steady_ms + self._settings.idle_ms)
            self._send(*following, wall_ms, steady_ms)
        return self._idle_until_ms(steady_ms)

    def on_ack(self, payload: bytes, wall_ms: int) -> None:
        """Take the cloud's acknowledgement. Raises StoreError if the database is corrupt."""
        try:
            ack = decode_ack(payload)
        except DecodeError as error:
            self._unreadable += 1
            _log.warning("cannot read an acknowledgement", extra={"reason": str(error)})
            return
        if ack.epoch_ms != self._epoch_ms:
            self._other_epochs += 1
            return
        self._way.answered()
        self._learn(wall_ms)
        if ack.gathered:
            self._way.answer_delay_ms = MAX_ACK_DELAY_MS
            self._send_again_what_is_missing(ack.stored, wall_ms)
        self._stored.update(sequence for sequence in ack.stored if sequence in self._lanes)
        for sequence, reason in ack.refused:
            if sequence in self._lanes and sequence not in self._stored:
                self._refused[sequence] = reason
                _log.error("the cloud refuses a message", extra={"sequence": sequence, "reason": reason})
        self._settle(wall_ms, None)

    def resend(self, runs: Iterable[tuple[int, int]], wall_ms: int) -> int:
        """Send again at once what is still held of the runs (first sequence, how many); tells how many."""
        self._learn(wall_ms)
        due = 0
        for first, length in runs:
            for sequence in [held for held in self._lanes if first <= held < first + length]:
                self._in_flight.pop(sequence, None)
                self._lanes.again(sequence, wall_ms)
                due += 1
        return due

    def try_way(self, wall_ms: int) -> None:
        """Have the oldest message that was sent already go again at once, ahead of its time."""
        for sequence in self._lanes:
            if self._lanes[sequence].attempts:
                self._in_flight.pop(sequence, None)
                self._lanes.again(sequence, wall_ms)
                return

    def forget(self, sequences: Iterable[int]) -> None:
        """These have left the outbox."""
        for sequence in sequences:
            self._lanes.forget(sequence)
            self._in_flight.pop(sequence, None)

    def revive_dead_letters(self) -> int:
        """Send again what was refused, say after a missing permission was granted; tells how many.

        What a full disk has kept from becoming a dead letter is still in the outbox, and goes again as well.
        """
        revived = self._outbox.revive_dead_letters() + len(self._refused)
        self._refused = {}
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
            merged=totals.merged,
            dead_letters=totals.dead_letters,
            backlog_messages=totals.messages,
            backlog_bytes=totals.bytes,
            backlog_age_ms=0 if oldest_ms is None else max(0, wall_ms - oldest_ms),
            spent_bytes=self._budget.spent_bytes,
            budget_bytes=self._budget.daily_bytes,
            held_by_budget=self._held_by_budget,
        )

    def _learn(self, wall_ms: int) -> None:
        for header in self._outbox.headers(after_sequence=self._known_sequence):
            self._known_sequence = header.sequence
            is_settled = header.sequence in self._stored or header.sequence in self._refused
            if header.sequence not in self._lanes and not is_settled:
                self._lanes.add(header, wall_ms)

    def _release(self, wall_ms: int, steady_ms: int) -> None:
        """Free the places of messages given up waiting for, and put those due for a resend back into their lanes."""
        for sequence, free_ms in list(self._in_flight.items()):
            if free_ms > steady_ms:
                break
            del self._in_flight[sequence]
        while self._resends and self._resends[0][0] <= steady_ms:
            self._lanes.again(heapq.heappop(self._resends)[1], wall_ms)

    def _next(self, steady_ms: int) -> tuple[Lane, int] | None:
        """The lane whose head may go now, and this head; None if nothing may."""
        self._held_by_budget = False
        lanes = Lane if self._since_backlog < BACKLOG_WAITS_FOR else _IN_TURN
        for place, lane in enumerate(lanes):
            # Sensor summaries are few, so the backlog need not leave them a place.
            reserved = min(place, Lane.SENSORS)
            if len(self._in_flight) >= max(1, self._settings.window - reserved):
                return None
            if not self._budget.allows(lane):
                waits = self._lanes.head(lane) is not None or self._lanes.fresh_is_older(lane)
                self._held_by_budget = self._held_by_budget or waits
                continue
            if self._lanes.fresh_is_older(lane):
                self._admit(lane, steady_ms)
            sequence = self._lanes.head(lane)
            if sequence is not None:
                return lane, sequence
        return None

    def _admit(self, lane: Lane, steady_ms: int) -> None:
        """Offer the next fresh windows; while the way is closed only one, and only if nothing else can try it."""
        if steady_ms < self._disk_due_ms or not (self._flowing or self._lanes.offered_windows == 0):
            return
        fresh = self._lanes.fresh(lane, OFFERED_AT_ONCE if self._flowing else 1)
        if fresh and self._written(lambda: self._outbox.offer(fresh), steady_ms):
            self._lanes.admit(lane, fresh)

    def _idle_until_ms(self, steady_ms: int) -> int:
        """When the next resend is due, or a place in the window comes free for what waits."""
        wake_ms = steady_ms + self._settings.idle_ms
        if self._resends:
            wake_ms = min(wake_ms, self._resends[0][0])
        if self._in_flight and self._lanes.any_due():
            wake_ms = min(wake_ms, next(iter(self._in_flight.values())))
        if self._disk_due_ms > steady_ms:
            wake_ms = min(wake_ms, self._disk_due_ms)
        return wake_ms

    def _send(self, lane: Lane, sequence: int, wall_ms: int, steady_ms: int) -> None:
        """Send the head of `lane`. It leaves the lane only when it is clear what became of it."""
        delivery = self._lanes[sequence]
        try:
            message = self._outbox.read(sequence)
            if message is None:  # given up meanwhile
                self.forget([sequence])
                return
            is_late = self._lanes.is_late(delivery.header, wall_ms)
            payload = self._on_late(message.payload) if is_late else message.payload
        except (ChecksumError, ContractError) as error:
            self._refuse(sequence, str(error), wall_ms, steady_ms)
            return
        self._way.trying(steady_ms)
        try:
            self._publisher.publish_cloud(message.topic, payload)
        except BusUnavailableError:
            self._unavailable += 1
            self._way.unavailable(steady_ms)
            return
        except BusRefusedError as error:
            self._refuse(sequence, str(error) or type(error).__name__, wall_ms, steady_ms)
            return
        self._taken(lane, sequence, delivery, steady_ms)
        self._budget.spend(len(payload) + len(message.topic.encode()))
        if self._budget.is_to_be_noted and steady_ms >= self._disk_due_ms:
            self._written(self._budget.note, steady_ms)

    def _taken(self, lane: Lane, sequence: int, delivery: Delivery, steady_ms: int) -> None:
        """The bus has taken the head of `lane`."""
        self._lanes.take(lane)
        self._since_backlog = 0 if lane is Lane.BACKLOG else self._since_backlog + 1
        self._way.taken(steady_ms)
        self._sent += 1
        self._resent += delivery.attempts > 0
        timeout_ms = self._settings.ack_timeout_ms
        wait_ms = max(timeout_ms, min(timeout_ms << min(delivery.attempts, 20), self._settings.max_resend_ms))
        if lane in (Lane.LIVE, Lane.SENSORS) and not delivery.attempts:
            wait_ms += self._way.answer_delay_ms  # a repetition is acknowledged at once
        delivery.attempts += 1
        delivery.sent_ms = steady_ms
        heapq.heappush(self._resends, (steady_ms + wait_ms, sequence))
        self._in_flight[sequence] = steady_ms + timeout_ms

    def _send_again_what_is_missing(self, stored: Iterable[int], wall_ms: int) -> None:
        """Those windows that a gathered ack should name, for they were sent well before some that it does name."""
        named = set(stored)
        named_ms = [self._lanes[sequence].sent_ms for sequence in named if sequence in self._lanes]
        before_ms = max(named_ms, default=0) - self._settings.ack_timeout_ms
        for sequence in [sequence for _, sequence in self._resends if sequence in self._lanes]:
            delivery = self._lanes[sequence]
            if sequence not in named and delivery.header.kind == "windows" and delivery.sent_ms < before_ms:
                self._in_flight.pop(sequence, None)
                self._lanes.again(sequence, wall_ms)

    def _refuse(self, sequence: int, reason: str, wall_ms: int, steady_ms: int) -> None:
        self._refused[sequence] = reason
        _log.error("set a message aside that cannot be sent", extra={"sequence": sequence, "reason": reason})
        self._settle(wall_ms, steady_ms)

    def _settle(self, wall_ms: int, steady_ms: int | None) -> None:
        """Have the outbox forget what is done with. When the disk fails, it is tried again; until then none is sent."""
        if not self._stored and not self._refused:
            return
        self.forget([*self._stored, *self._refused])
        if steady_ms is not None and steady_ms < self._disk_due_ms:
            return
        stored, refused = self._stored, list(self._refused.items())
        if self._written(lambda: self._outbox.settle(stored, refused, wall_ms), steady_ms):
            self._stored, self._refused = set(), {}

    def _written(self, write: Callable[[], None], steady_ms: int | None) -> bool:
        """Whether the disk took it; any fault but a corrupt database is waited out."""
        try:
            write()
        except StoreError as error:
            if error.fault == "corrupt":
                raise
            _log.warning("cannot write what became of messages; going on", extra={"reason": str(error)})
            if steady_ms is not None:
                self._disk_due_ms = steady_ms + DISK_RETRY_MS
            return False
        return True


def mark_backfill(payload: bytes) -> bytes:
    """The same WindowSummary, marked as having left late. Raises DecodeError if it is none."""
    window = decode_window(payload)
    return payload if window.backfill else encode_window(replace(window, backfill=True))
