"""One pass over the fleet: who is silent, what is missing, which segments nobody renews, and what neighbours tell."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from aws_lambda_powertools import Logger

from cloud.functions.shared.acks import MAX_GATHERED_INTERVAL_MS, AckLedger
from cloud.functions.shared.announcer import NotAnnouncedError
from cloud.functions.shared.aws import AwsError
from cloud.functions.shared.envelope import MessageId
from cloud.functions.sweep import gaps, liveness
from cloud.functions.sweep.gateway import Gateway
from cloud.functions.sweep.liveness import Patience
from cloud.functions.sweep.windows import MAX_WINDOW_MS, StoredWindow
from roadside.contract.bus import Announcement, BusEvent
from roadside.contract.commands import ResendCommand
from roadside.contract.heartbeat import INTERVAL_S

# Passes overlap by so much, for windows that came late: what comes later still is found as the filling of a gap.
OVERLAP_MS: Final = 120_000
ACK_EVERY_MS: Final = 230_000  # every fourth pass; with a pass that comes late below MAX_ACK_DELAY_MS
MAX_CATCH_UP_MS: Final = 3_600_000  # after passes that failed
MAX_AHEAD_MS: Final = 600_000  # of a gateway's clock
OLD_BACKLOG_MS: Final = 60_000
FRESH_HEARTBEAT_MS: Final = 2500 * INTERVAL_S  # one may be lost
STALE_REFRESHES: Final = 3
STALE_SCAN_MS: Final = 15 * 60_000
_READS_AT_ONCE: Final = 16


class Tables(Protocol):
    """What a pass needs of the tables; `store.Store` says what each does."""

    def gateways(self) -> list[Gateway]: ...
    def put_gateway(self, gateway: Gateway) -> bool: ...
    def windows(self, gateway: str, from_ms: int, until_ms: int) -> list[StoredWindow]: ...
    def summaries(self, gateway: str, from_ms: int, until_ms: int) -> list[MessageId]: ...
    def newest_window(self, gateway: str, before_ms: int | None = None) -> StoredWindow | None: ...
    def memory(self, name: str) -> bytes | None: ...
    def put_memory(self, name: str, memory: bytes) -> None: ...
    def stale_segments(self, before_ms: int) -> list[tuple[int, int]]: ...
    def clear_segment(self, number: int, *, gateway: str | None, until_ms: int) -> bool: ...
    def congested_segments(self) -> int: ...


class EventAnnouncer(Protocol):
    """What a pass needs of the announcer."""

    def announce_all(self, events: Sequence[BusEvent], now_ms: int) -> tuple[Announcement, ...]: ...


class Acks(Protocol):
    """What a pass needs to acknowledge windows."""

    def publish(self, ledger: AckLedger) -> int:
        """Publish the ledger's acks; how many could not be. From any thread."""


class NeighbourJudge(Protocol):
    """Judges what no gateway sees alone. A pass calls `judge`, announces, then calls `commit`.

    A pass that dies in between is followed by one that finds the memory as it was, and whose events have the same ids.
    """

    def judge(self, windows: Mapping[str, Sequence[StoredWindow]], now_ms: int) -> list[BusEvent]:
        """What follows from the windows since the last pass, by gateway in order of time; passes overlap."""

    def commit(self) -> None:
        """Keep the memory: all is announced."""


@dataclass(slots=True)
class Outcome:
    """What a pass did; names of its metrics, but for what the caller needs."""

    gateways: int = 0
    unread: int = 0  # gateways that could not be read; the next pass looks at them
    failed: int = 0  # gateways of which not all could be written or announced; the next pass goes on with them
    offline: int = 0
    gaps: int = 0
    announced: int = 0
    commands: int = 0
    commands_failed: int = 0
    acks_failed: int = 0
    judges_failed: int = 0  # what neighbours tell was not judged; the next pass does it
    segments_cleared: int = 0
    stalled: bool = False
    look_again: dict[str, int] = field(default_factory=dict)  # by gateway, when


@dataclass(slots=True)
class _Found:
    """What a pass read of one gateway."""

    gateway: Gateway
    windows: list[StoredWindow]
    newest: StoredWindow | None

    @property
    def received_ms(self) -> int:
        return max((window.received_ms for window in (*self.windows, self.newest) if window is not None), default=0)


class Sweep:
    """Goes over the fleet once a minute.

    Parameters
    ----------
    send : publishes a command to a gateway; raises AwsError
    judges : what neighbours tell
    acks : publishes the acks of live windows, where the processor leaves them to the sweep
    """

    def __init__(
        self,
        *,
        tables: Tables,
        announcer: EventAnnouncer,
        send: Callable[[str, ResendCommand], None],
        logger: Logger,
        patience: Patience,
        segment_refresh_s: int,
        judges: Sequence[NeighbourJudge] = (),
        acks: Acks | None = None,
    ) -> None:
        self._acks = acks
        self._tables = tables
        self._announcer = announcer
        self._send = send
        self._logger = logger
        self._patience = patience
        self._stale_ms = 1000 * STALE_REFRESHES * segment_refresh_s
        self._judges = judges

    def run(self, now_ms: int) -> Outcome:
        """A whole pass. May be repeated, and interrupted anywhere: the next one does what is left.

        Raises
        ------
        AwsError, NotAnnouncedError
            The pass is to be done again.
        """
        outcome = Outcome()
        from_ms = self._from_ms("passed", now_ms)
        acks = self._acks if self._acks_due(now_ms) else None
        if acks is not None:
            from_ms = min(from_ms, self._from_ms("acknowledged", now_ms))
        found = self._read(self._tables.gateways(), from_ms, now_ms, outcome)
        outcome.gateways = len(found) + outcome.unread
        if acks is not None:
            self._acknowledge(acks, found, from_ms, now_ms, outcome)
        outcome.stalled = self._all_stopped(found, now_ms)
        self._judge(found, now_ms, outcome)
        for judge in self._judges:
            self._let_judge(judge, found, now_ms, outcome)
        if now_ms % STALE_SCAN_MS < 60_000:
            self._clear_stale(now_ms, outcome)
        self._tables.put_memory("passed", str(now_ms).encode())
        return outcome

    def look_again(self, names: Iterable[str], now_ms: int) -> Outcome:
        """Only at these gateways, whether they live and what is missing of them: those of whom a pass could not tell.

        That windows of all gateways have stopped cannot be seen here, and a pass that saw it doubts nobody.
        """
        outcome = Outcome()
        wanted = set(names)
        gateways = [gateway for gateway in self._tables.gateways() if gateway.name in wanted]
        found = self._read(gateways, now_ms - OVERLAP_MS, now_ms, outcome)
        self._judge(found, now_ms, outcome)
        return outcome

    def segments_congested(self) -> int:
        """How many segments of the whole city are congested now. Raises AwsError."""
        return self._tables.congested_segments()

    def _from_ms(self, done: str, now_ms: int) -> int:
        """From where on windows may be new to what was last done at the instant kept as `done`."""
        memory = self._tables.memory(done)
        done_ms = now_ms if memory is None else int(memory)
        return max(min(done_ms, now_ms) - OVERLAP_MS, now_ms - MAX_CATCH_UP_MS)

    def _acks_due(self, now_ms: int) -> bool:
        if self._acks is None:
            return False
        memory = self._tables.memory("acknowledged")
        return memory is None or not 0 <= now_ms - int(memory) < ACK_EVERY_MS

    def _read(self, gateways: Sequence[Gateway], from_ms: int, now_ms: int, outcome: Outcome) -> list[_Found]:
        def read(gateway: Gateway) -> _Found | None:
            try:
                return self._read_one(gateway, from_ms + min(gateway.clock_offset_ms, 0), now_ms)
            except AwsError as error:
                self._logger.warning("gateway not read", extra={"gateway": gateway.name, "error": str(error)})
                return None

        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            found = [each for each in pool.map(read, gateways) if each is not None]
        outcome.unread = len(gateways) - len(found)
        return found

    def _read_one(self, gateway: Gateway, from_ms: int, now_ms: int) -> _Found:
        windows = self._tables.windows(gateway.name, from_ms, now_ms + MAX_AHEAD_MS)
        newest = None
        if not windows:  # its clock may be far off, but what it sends still shows life
            newest = self._tables.newest_window(gateway.name)
        elif windows[0].start_ms > from_ms + windows[0].end_ms - windows[0].start_ms:
            before = self._tables.newest_window(gateway.name, windows[0].start_ms)
            windows = [before, *windows] if before is not None else windows
        return _Found(gateway, windows, newest)

    def _acknowledge(self, acks: Acks, found: Sequence[_Found], from_ms: int, now_ms: int, outcome: Outcome) -> None:
        """Name what is new since the last acks. What fails is named in part by the next, and the gateway repeats."""

        def acknowledge(each: _Found) -> int:
            ledger = AckLedger(gathered=True)
            for window in each.windows:
                ledger.stored(MessageId(window.gateway, window.epoch_ms, window.sequence))
            begins_ms = from_ms - MAX_GATHERED_INTERVAL_MS + min(each.gateway.clock_offset_ms, 0)
            try:
                for message in self._tables.summaries(each.gateway.name, begins_ms, now_ms + MAX_AHEAD_MS):
                    ledger.stored(message)
            except AwsError as error:
                extra = {"gateway": each.gateway.name, "error": str(error)}
                self._logger.warning("summaries not read, their gateway repeats them", extra=extra)
            return acks.publish(ledger)

        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            outcome.acks_failed = sum(pool.map(acknowledge, found))
        self._tables.put_memory("acknowledged", str(now_ms).encode())

    def _all_stopped(self, found: Sequence[_Found], now_ms: int) -> bool:
        expected = [each.received_ms for each in found if each.gateway.status != "offline" and each.received_ms]
        stalled = liveness.stalled(expected, now_ms, self._patience)
        if stalled:
            self._logger.error("windows of all gateways have stopped", extra={"gateways": len(expected)})
        return stalled

    def _judge(self, found: Sequence[_Found], now_ms: int, outcome: Outcome) -> None:
        for each in found:
            try:
                self._judge_one(each, now_ms, outcome)
            except (*AwsError, NotAnnouncedError) as error:
                outcome.failed += 1
                extra = {"gateway": each.gateway.name, "error": str(error)}
                self._logger.warning("gateway not judged, the next pass goes on with it", extra=extra)

    def _judge_one(self, each: _Found, now_ms: int, outcome: Outcome) -> None:
        life = liveness.judge(
            each.gateway, each.received_ms, now_ms, windows_stalled=outcome.stalled, patience=self._patience
        )
        if life.look_again_ms is not None:
            outcome.look_again[each.gateway.name] = life.look_again_ms
        notices: list[BusEvent] = [] if life.notice is None else [life.notice]
        gateway, told, commands = self._follow_gaps(life.gateway, each.windows, now_ms)
        outcome.offline += gateway.status == "offline"
        outcome.gaps += len(gateway.gaps)
        self._keep(each.gateway, gateway, [*each.gateway.pending, *notices, *told], now_ms, outcome)
        for command in commands:
            self._ask(gateway.name, command, outcome)
        if gateway.status == "offline" and each.gateway.status != "offline":
            self._forget_segments(gateway, outcome)

    def _follow_gaps(
        self, gateway: Gateway, windows: Sequence[StoredWindow], now_ms: int
    ) -> tuple[Gateway, list[BusEvent], list[ResendCommand]]:
        told: list[BusEvent] = []
        commands: list[ResendCommand] = []
        left = []
        backlog = gateway.backlog_age_ms >= OLD_BACKLOG_MS and now_ms - gateway.heartbeat_ms < FRESH_HEARTBEAT_MS
        offline = gateway.status == "offline"
        for gap in (*gateway.gaps, *gaps.find(windows, gateway.gaps, now_ms)):
            # A coarser window may begin before the hole that it fills.
            first_ms, until_ms = gap.holes[0][0] - MAX_WINDOW_MS, gap.holes[-1][1]
            stored = self._tables.windows(gateway.name, first_ms, until_ms) if gap.found_ms < now_ms else windows
            step = gaps.follow(gap, gateway.name, stored, now_ms, offline=offline, backlog=backlog)
            if step.gap is not None:
                left.append(step.gap)
            if step.notice is not None:
                told.append(step.notice)
            if step.command is not None:
                commands.append(step.command)
        return replace(gateway, gaps=tuple(left[-gaps.MAX_GAPS :])), told, commands

    def _keep(self, before: Gateway, after: Gateway, events: Sequence[BusEvent], now_ms: int, outcome: Outcome) -> None:
        """Write what changed, announce, and write that it is announced: nothing is lost wherever a pass dies."""
        after = replace(after, pending=tuple(events))
        if after == before and not events:
            return
        if after != before:
            if not self._tables.put_gateway(after):
                self._logger.info("another pass was faster", extra={"gateway": after.name})
                return
            after = replace(after, version=after.version + 1)
        if events:
            outcome.announced += len(self._announcer.announce_all(events, now_ms))
            self._tables.put_gateway(replace(after, pending=()))

    def _ask(self, gateway: str, command: ResendCommand, outcome: Outcome) -> None:
        """Ask for messages; what fails is asked for again in a later pass."""
        try:
            self._send(gateway, command)
            outcome.commands += 1
        except AwsError as error:
            outcome.commands_failed += 1
            self._logger.warning("command not sent", extra={"gateway": gateway, "error": str(error)})

    def _forget_segments(self, gateway: Gateway, outcome: Outcome) -> None:
        """The state of its segments is unknown from now on."""
        newest = self._tables.newest_window(gateway.name)
        summary = newest.summary() if newest is not None else None
        for segment in summary.segments if summary is not None else ():
            outcome.segments_cleared += self._tables.clear_segment(
                segment.number, gateway=gateway.name, until_ms=gateway.seen_ms
            )

    def _clear_stale(self, now_ms: int, outcome: Outcome) -> None:
        for number, updated_ms in self._tables.stale_segments(now_ms - self._stale_ms):
            outcome.segments_cleared += self._tables.clear_segment(number, gateway=None, until_ms=updated_ms)

    def _let_judge(self, judge: NeighbourJudge, found: Sequence[_Found], now_ms: int, outcome: Outcome) -> None:
        """A judge that fails does not stop the others, nor what a gateway's silence means."""
        windows = {each.gateway.name: each.windows for each in found}
        try:
            events = judge.judge(windows, now_ms)
            outcome.announced += len(self._announcer.announce_all(events, now_ms))
            judge.commit()
        except (*AwsError, NotAnnouncedError) as error:
            outcome.judges_failed += 1
            self._logger.exception("neighbours not judged, the next pass does it again", extra={"error": str(error)})
