"""From local messages to the uplink: the Aggregator without its surroundings.

No thread, no clock, no socket: whoever runs it hands in messages and the time. The same class runs in the component
process, in the simulator's fleet and in a replay of recorded readings.

Durability: closing a window, queueing its message and saving the state that no longer holds it is one transaction.
Messages received since then are journalled every `JOURNAL_INTERVAL_MS`; a killed process replays them.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from aggregator.checkpoint import Checkpoint
from aggregator.generation import Generation
from aggregator.intake import Intake
from aggregator.profile_file import LearnedProfile
from aggregator.results import Results
from aggregator.settings import AggregatorSettings
from roadside.contract.commands import Command, ResendCommand, ReviveDeadLettersCommand, decode_command
from roadside.contract.errors import DecodeError
from roadside.core.aggregator import Output, rejected_by_name
from roadside.runtime.coarsening import Coarsener
from roadside.runtime.database import StoreError
from roadside.runtime.store import GatewayStore
from roadside.runtime.uplink import Publisher, Uplink
from roadside.runtime.uplink_settings import UplinkStatistics

JOURNAL_INTERVAL_MS: Final = 500  # a killed process loses what came since; we promise a second
RETRY_MS: Final = 1000
COARSEN_AGAIN_MS: Final = 1000  # between two steps, each of which takes about 0.1 s
MAX_JOURNAL_BYTES: Final = 4 * 1024 * 1024  # unwritten, while the disk fails

_log = logging.getLogger(__name__)


class Received(msgspec.Struct, frozen=True, array_like=True):
    """A local message as it is journalled.

    Parameters
    ----------
    now_ms : what time it was, as the gateway knew; the wall clock itself may have been an hour behind, and a replay
        must judge a reading as it was judged
    steady_ms : when it came, by the steady clock of that process
    """

    now_ms: int
    topic: str
    payload: bytes
    steady_ms: int = 0  # 0.1.0 did not tell


@dataclass(frozen=True, slots=True)
class PipelineStatistics:
    """Counts since the state began, but for `unreadable` and `shed`, which count since the process began, and
    `sensors_faulty`, which are now, by fault."""

    readings_accepted: int
    readings_duplicate: int
    readings_late: int
    readings_rejected: Mapping[str, int]
    messages_unreadable: Mapping[str, int]
    windows: int
    corrections: int
    windows_skipped: int
    results_shed: int
    sensors_faulty: Mapping[str, int]
    commands: Mapping[str, int]
    uplink: UplinkStatistics


class Pipeline:
    """One gateway's aggregation and uplink. Call from one thread.

    Parameters
    ----------
    gateway : the IoT thing's name
    store : its durable memory; holds the state of an earlier process, which is taken up again
    publisher : the way to the cloud
    boot_id : names the steady clock; under the same name a next process finds it running on

    Raises
    ------
    InvalidTopicError
        The gateway's name cannot be part of a topic.
    SnapshotError
        The store holds a state that this version cannot read.
    StoreError
        The disk fails.
    """

    def __init__(
        self,
        gateway: str,
        store: GatewayStore,
        publisher: Publisher,
        settings: AggregatorSettings,
        *,
        steady_ms: int,
        boot_id: str = "",
    ) -> None:
        self.gateway = gateway
        self.intake = Intake()
        self._store = store
        self._publisher = publisher
        self._results = Results(gateway, store.epoch_ms, store.outbox)
        self._uplink = Uplink(store.outbox, store.epoch_ms, publisher, settings.uplink())
        self._checkpoint = Checkpoint(store.state, boot_id)
        self._generations = self._checkpoint.load(steady_ms)
        self._profile: LearnedProfile | None = None
        self._unjournalled: list[Received] = []
        self._unjournalled_bytes = 0
        self._journal_due_ms: int | None = None
        self._save_due_ms: int | None = None
        self._commands: Counter[str] = Counter()
        self._coarsener = Coarsener(store)
        self._coarsen_due_ms: int | None = None
        self._final_ms = 0  # windows that end by then can change no more, by the stored state
        same_clock = self._checkpoint.same_clock
        for record in store.journal.records():
            for received in msgspec.msgpack.decode(record, type=list[Received]):
                at_ms = received.steady_ms if same_clock else steady_ms
                self._feed(received.topic, received.payload, received.now_ms, at_ms)
        for generation in self._generations:
            generation.aggregator.clock.rebase(steady_ms, same_clock=same_clock)
        self.apply(settings)

    @property
    def configured(self) -> bool:
        """Whether there are segments to aggregate."""
        return bool(self._generations)

    def apply(self, settings: AggregatorSettings) -> None:
        """Adopt validated settings. Other segments or another window length hold from the next boundary on.

        Raises
        ------
        ConfigurationError
            The segments contradict each other; nothing was changed.
        """
        registry = settings.registry()
        if settings.uplink() != self._uplink.settings:
            self._uplink.configure(settings.uplink())
        if registry is None:
            return
        newest = self._generations[-1] if self._generations else None
        if newest is not None and newest.keeps_layout(settings, registry):
            newest.settings = settings
            newest.aggregator.reconfigure(settings.aggregation())
            return
        if newest is None:
            self._generations = [Generation.begin(1, settings, registry)]
        else:
            self._generations.append(newest.succeed(settings, registry))
        self._teach()
        self._save_due_ms = 0  # a journal can only be replayed into generations that are stored

    def teach(self, profile: LearnedProfile) -> None:
        """Begin with a profile learned elsewhere where this gateway has learned nothing itself."""
        self._profile = profile
        self._teach()

    def receive(self, topic: str, payload: bytes, wall_ms: int, steady_ms: int) -> None:
        """Take a local message with readings."""
        if not self._generations:
            self.intake.refused["no segments configured"] += 1
            return
        now_ms = self._now_ms(wall_ms, steady_ms)
        self._feed(topic, payload, wall_ms, steady_ms)
        self._unjournalled.append(Received(now_ms, topic, payload, steady_ms))
        self._unjournalled_bytes += len(payload)
        while self._unjournalled_bytes > MAX_JOURNAL_BYTES:
            # Still counted in the open window, just not safe from a kill while the disk fails.
            self._unjournalled_bytes -= len(self._unjournalled.pop(0).payload)
        if self._journal_due_ms is None:
            self._journal_due_ms = steady_ms + JOURNAL_INTERVAL_MS

    def on_ack(self, payload: bytes, wall_ms: int) -> None:
        """Take the cloud's acknowledgement. Raises StoreError if the database is corrupt."""
        self._uplink.on_ack(payload, wall_ms)

    def on_command(self, payload: bytes, wall_ms: int) -> Command | None:
        """Do what the cloud asks; the command, if it is one. Raises StoreError if the database is corrupt."""
        try:
            command = decode_command(payload)
        except DecodeError as error:
            self._commands["refused"] += 1
            _log.warning("this is no command", extra={"reason": str(error)})
            return None
        self._commands[command.NAME] += 1
        told: dict[str, object] = {"command": command.NAME, "command_id": command.command_id}
        if isinstance(command, ResendCommand):
            # Sequences of another epoch are lost: its state was set aside.
            runs = command.runs if command.epoch_ms == self._store.epoch_ms else ()
            due = self._uplink.resend(runs, wall_ms)
            asked = sum(length for _, length in command.runs)
            self._commands["resend_due"] += due
            self._commands["resend_not_held"] += asked - due
            told |= {"due": due, "not_held": asked - due}
        elif isinstance(command, ReviveDeadLettersCommand):
            with self._waiting_out(None):
                told["revived"] = self._uplink.revive_dead_letters()
        _log.info("did as the cloud asked", extra=told)
        return command

    def silent_ms(self, steady_ms: int) -> int:
        """For how long messages have left without any being acknowledged; 0 when no answer is due."""
        return self._uplink.silent_ms(steady_ms)

    def try_way(self, wall_ms: int) -> None:
        """Send something again with the next tick, to see whether an answer comes now."""
        self._uplink.try_way(wall_ms)

    def tick(self, wall_ms: int, steady_ms: int) -> int:
        """Close what is due, make it durable, send what may be sent.

        Returns
        -------
        int
            Steady time at which to call again, sooner if a message comes.

        Raises
        ------
        BusClosedError
            The connection is gone for good; what is accepted is safe.
        StoreError
            The database is corrupt, which only a restart cures. Any other fault of the disk is waited out.
        """
        for generation in self._generations:
            self._collect(generation, generation.aggregator.advance(steady_ms))
        for generation in [generation for generation in self._generations if generation.finished]:
            self._generations.remove(generation)
            self._generations[-1].absorb(generation)
            if self._save_due_ms is None:
                self._save_due_ms = steady_ms
        now_ms = self._now_ms(wall_ms, steady_ms)
        with self._waiting_out(steady_ms):
            due = [at_ms for at_ms in (self._save_due_ms, self._journal_due_ms) if at_ms is not None]
            if due and min(due) <= steady_ms:
                if self._save_due_ms is not None:
                    self._save(now_ms)
                else:
                    self._journal()
            self._coarsen_if_pressed(now_ms, steady_ms)
        # Whatever came of writing: what is committed is sent, and what is acknowledged makes room.
        pump_ms = steady_ms + RETRY_MS
        with self._waiting_out(steady_ms):
            pump_ms = self._uplink.pump(now_ms, steady_ms)
        wakes = [generation.aggregator.wake_at_steady_ms() for generation in self._generations]
        next_ms = [pump_ms, self._journal_due_ms, self._save_due_ms, self._coarsen_due_ms, *wakes]
        return max(steady_ms, min(at_ms for at_ms in next_ms if at_ms is not None))

    def flush(self, wall_ms: int) -> None:
        """Make everything accepted so far durable. Raises StoreError."""
        self._save(wall_ms)

    def drain(self, wall_ms: int) -> None:
        """Close every window at once, for readings that have come to their end. Raises StoreError."""
        for generation in self._generations:
            self._collect(generation, generation.aggregator.drain())
        self._save(wall_ms)

    def statistics(self, wall_ms: int) -> PipelineStatistics:
        """Counts for logs, metrics and reports."""
        all_counters = [generation.aggregator.counters for generation in self._generations]
        rejected: dict[str, int] = {}
        for counters in all_counters:
            for reason, count in rejected_by_name(counters).items():
                rejected[reason] = rejected.get(reason, 0) + count
        return PipelineStatistics(
            readings_accepted=sum(counters.accepted for counters in all_counters),
            readings_duplicate=sum(counters.duplicate for counters in all_counters),
            readings_late=sum(counters.late for counters in all_counters),
            readings_rejected=rejected,
            messages_unreadable=dict(self.intake.refused),
            windows=sum(counters.windows for counters in all_counters),
            corrections=sum(counters.corrections for counters in all_counters),
            windows_skipped=sum(counters.windows_skipped for counters in all_counters),
            results_shed=self._results.shed,
            sensors_faulty=self._generations[-1].aggregator.health.faulty() if self._generations else {},
            commands=dict(self._commands),
            uplink=self._uplink.statistics(wall_ms),
        )

    def _now_ms(self, wall_ms: int, steady_ms: int) -> int:
        """What time it is, as far as the gateway knows.

        A wall clock that was not set yet since the power came back must not date messages: they would be given up as
        years old once it is.
        """
        return self._generations[-1].aggregator.clock.now_ms(wall_ms, steady_ms) if self._generations else wall_ms

    def _teach(self) -> None:
        if self._profile is not None and self._generations:
            newest = self._generations[-1]
            self._profile.teach(newest.aggregator.incidents.profile, newest.registry)

    def _feed(self, topic: str, payload: bytes, wall_ms: int, steady_ms: int) -> None:
        for place, generation in enumerate(self._generations):
            # Each generation numbers the sensors in its own way, so each decodes for itself; there is rarely a second.
            intake = self.intake if generation is self._generations[-1] else Intake()
            batch = intake.decode(topic, payload, generation.registry)
            if batch is not None:
                generation.feed(batch, wall_ms, steady_ms, is_oldest=place == 0)
        self._share_time(steady_ms)

    def _share_time(self, steady_ms: int) -> None:
        """Event time is the gateway's: what one generation has learned of it, all of them know.

        The newest may not have begun, and still has to tell readings of the future; the last windows of older ones need
        not wait for silence.
        """
        clocks = [generation.aggregator.clock for generation in self._generations]
        for older, newer in pairwise(clocks):
            newer.share_trust(older, steady_ms)
        for clock in clocks[:-1]:
            clock.share_trust(clocks[-1], steady_ms)
            if clocks[-1].latest_ms is not None:
                clock.observe(clocks[-1].latest_ms, clocks[-1].latest_at_steady_ms)

    def _collect(self, generation: Generation, output: Output) -> None:
        if not output:
            return
        self._results.collect(output, generation.registry, generation.settings.reading_interval_ms)
        if self._save_due_ms is None:
            self._save_due_ms = 0

    def _save(self, now_ms: int) -> None:
        """One transaction: the results' messages, the state without them, an empty journal."""
        try:
            with self._store.transaction():
                self._results.queue(now_ms, windows_go_at_once=self._uplink.takes_live)
                self._checkpoint.save(self._generations)
                self._store.journal.clear()
        except StoreError:
            self._checkpoint.undone(self._generations)
            raise
        self._checkpoint.done()
        self._results.done()
        self._final_ms = min((generation.aggregator.final_ms for generation in self._generations), default=0)
        self._coarsen_due_ms = 0
        self._save_due_ms = None
        self._forget_unjournalled()

    def _coarsen_if_pressed(self, now_ms: int, steady_ms: int) -> None:
        """Merge windows of the backlog when it grows too large, or when the day's bytes run short.

        Only those that are final by the stored state, since a restart goes back to it, and of which no later edition
        waits in memory.
        """
        is_due = self._coarsen_due_ms is not None and self._coarsen_due_ms <= steady_ms
        if not is_due or self._results:
            return
        gone: list[int] = []
        if self._uplink.held_by_budget or self._store.outbox.pressed(now_ms):
            gone = self._coarsener.step(self._final_ms)
            self._uplink.forget(gone)
        # When nothing was left to merge, nothing is until a window closes.
        self._coarsen_due_ms = steady_ms + COARSEN_AGAIN_MS if gone else None

    @contextmanager
    def _waiting_out(self, steady_ms: int | None) -> Iterator[None]:
        """Any fault of the disk but a corrupt database passes: what could not be written is held and tried again."""
        try:
            yield
        except StoreError as error:
            if error.fault == "corrupt":
                raise
            _log.error("the disk fails; holding results in memory", extra={"reason": str(error)})
            if steady_ms is None:
                return
            retry_ms = steady_ms + RETRY_MS
            self._save_due_ms = None if self._save_due_ms is None else retry_ms
            self._journal_due_ms = None if self._journal_due_ms is None else retry_ms
            self._coarsen_due_ms = None if self._coarsen_due_ms is None else retry_ms

    def _journal(self) -> None:
        with self._store.transaction():
            self._store.journal.append(msgspec.msgpack.encode(self._unjournalled))
        self._forget_unjournalled()

    def _forget_unjournalled(self) -> None:
        self._unjournalled = []
        self._unjournalled_bytes = 0
        self._journal_due_ms = None
