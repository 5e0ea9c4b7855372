"""Messages on their way to the cloud: kept until the cloud says that it has them.

Policy when there is too much: from a quarter of the limits on, neighbouring windows that were never sent may merge
(`coarsening.py`); what is older than `max_age_ms` is given up; beyond `max_bytes` sensor summaries are given up first,
then the oldest windows, and events last. All is counted for ever. Refused messages are set aside as dead letters with
the reason; of these the oldest go first.

`offered` is written before a window is first handed to the bus. A message handed over may have arrived, whatever the
bus says, so only one that is not offered may be merged.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from roadside.contract.topics import MAX_TOPIC_BYTES, CloudKind
from roadside.runtime.counters import Counters
from roadside.runtime.database import ChecksumError, Database, seal, unseal

MAX_TOPIC_SLASHES: Final = 7  # IoT Core's limit
_BASIC_INGEST: Final = "$aws/rules/"
_DAY_MS: Final = 24 * 3600 * 1000
_GIVEN_UP_FIRST: Final = ("sensors", "windows", "events")

SCHEMA: Final = (
    """CREATE TABLE outbox (
        sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, created_ms INTEGER NOT NULL, bytes INTEGER NOT NULL,
        topic TEXT NOT NULL, payload BLOB NOT NULL, offered INTEGER NOT NULL DEFAULT 1,
        start_ms INTEGER, length_ms INTEGER, revision INTEGER)""",
    "CREATE INDEX outbox_by_age ON outbox (created_ms)",
    "CREATE INDEX outbox_by_kind ON outbox (kind, created_ms)",
    "CREATE INDEX outbox_by_window ON outbox (start_ms) WHERE start_ms IS NOT NULL",
    """CREATE TABLE dead_letter (
        sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, created_ms INTEGER NOT NULL, bytes INTEGER NOT NULL,
        topic TEXT NOT NULL, payload BLOB NOT NULL, refused_ms INTEGER NOT NULL, reason TEXT NOT NULL)""",
)


class MessageRefusedError(ValueError):
    """A message that could never be sent; it was not queued.

    Attributes
    ----------
    field, value : what is at fault
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        self.field = field
        self.value = value
        super().__init__(f"{field} = {value!r}: {reason}")


@dataclass(frozen=True, slots=True)
class WindowKey:
    """Which window a message tells of, and in which edition."""

    start_ms: int
    length_ms: int
    revision: int


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message for the cloud; `sequence` comes from `Outbox.next_sequence`, `created_ms` is wall time."""

    sequence: int
    kind: CloudKind
    topic: str
    payload: bytes
    created_ms: int
    window: WindowKey | None = None


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """A queued message without its body; `offered` if the bus may have had it."""

    sequence: int
    kind: CloudKind
    created_ms: int
    offered: bool


@dataclass(frozen=True, slots=True)
class QueuedWindow:
    """A window in the queue, without its body."""

    sequence: int
    key: WindowKey
    offered: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was refused for good, and why."""

    message: OutgoingMessage
    refused_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much is kept. Sizes count payload and topic.

    The payload limit is nucleus lite's, whose local frames end at 10,000 bytes of Base64 and JSON.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_age_ms: int = 7 * _DAY_MS
    max_payload_bytes: int = 7000
    max_dead_letter_bytes: int = 8 * 1024 * 1024
    pressed_share: float = 0.25  # of max_bytes and max_age_ms, from which on windows may be merged


@dataclass(frozen=True, slots=True)
class OutboxTotals:
    """What waits now, and what became of the rest since the database began."""

    messages: int
    bytes: int
    oldest_created_ms: int | None
    acknowledged: int
    refused: int
    given_up: int
    given_up_bytes: int
    merged: int  # windows that went into coarser ones
    dead_letters: int  # set aside now


class Outbox:
    """The queue, as tables of a gateway's database. Methods raise StoreError when the disk fails.

    `next_sequence` and `add` go inside the caller's transaction; the others make their own.
    """

    def __init__(self, database: Database, limits: OutboxLimits) -> None:
        self._database = database
        self._counters = Counters(database)
        self._limits = limits

    def next_sequence(self) -> int:
        """The next number of this epoch, counted from 1. It is taken only once the transaction commits."""
        self._counters.count("sequence")
        return self._counters.value("sequence")

    def add(self, message: OutgoingMessage, *, offered: bool = True) -> None:
        """Queue `message`, and give up what the limits no longer allow.

        Parameters
        ----------
        offered : whether it may be handed to the bus without a call of `offer`

        Raises
        ------
        MessageRefusedError
            No retry could ever send it; the transaction goes on if the caller catches this inside.
        """
        self._check(message)
        size = len(message.payload) + len(message.topic.encode())
        window = message.window
        key = (window.start_ms, window.length_ms, window.revision) if window else (None, None, None)
        sealed = seal(message.payload, _about(message.sequence, message.kind, message.created_ms, message.topic))
        self._database.write(
            "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (message.sequence, message.kind, message.created_ms, size, message.topic, sealed, offered, *key),
        )
        if offered and window:
            self._offer_editions(window.start_ms)
        self._counters.count("messages")
        self._counters.count("bytes", size)
        self._give_up(message.created_ms)

    def headers(self, after_sequence: int = 0) -> list[MessageHeader]:
        """All committed messages beyond `after_sequence`, in order.

        Raises
        ------
        RuntimeError
            Inside a transaction: what is not committed must not be sent, or a crash would use its sequence twice.
        """
        if self._database.in_transaction:
            raise RuntimeError("send after the transaction, not inside it")
        return [
            MessageHeader(sequence, kind, created_ms, bool(offered))
            for sequence, kind, created_ms, offered in self._database.query(
                "SELECT sequence, kind, created_ms, offered FROM outbox WHERE sequence > ? ORDER BY sequence",
                (after_sequence,),
            )
        ]

    def read(self, sequence: int) -> OutgoingMessage | None:
        """The queued message, or None if it is no longer there. Raises ChecksumError if it was damaged."""
        rows = self._database.query(
            """SELECT sequence, kind, topic, payload, created_ms, start_ms, length_ms, revision
            FROM outbox WHERE sequence = ?""",
            (sequence,),
        )
        return _message(*rows[0]) if rows else None

    def verify(self) -> None:
        """Raises ChecksumError unless queue and counters tell the same, which a damaged index or counter would not."""
        found = self._database.query("SELECT COUNT(*), COALESCE(SUM(bytes), 0), COALESCE(MAX(sequence), 0) FROM outbox")
        messages, size, last = found[0]
        counted = self._counters.values()
        if (messages, size) != (counted.get("messages", 0), counted.get("bytes", 0)) or last > counted.get(
            "sequence", 0
        ):
            raise ChecksumError("the outbox against its counters")

    def offer(self, sequences: Iterable[int]) -> None:
        """Note for good that these may be handed to the bus from now on."""
        with self._database.transaction(removes=True):
            for sequence in sequences:
                self._database.write("UPDATE outbox SET offered = 1 WHERE sequence = ?", (sequence,))
                rows = self._database.query("SELECT start_ms FROM outbox WHERE sequence = ?", (sequence,))
                self._offer_editions(rows[0][0] if rows else None)

    def _offer_editions(self, start_ms: int | None) -> None:
        """A later edition may arrive and be gone before an earlier one is sent, which must not merge then."""
        if start_ms is not None:
            self._database.write("UPDATE outbox SET offered = 1 WHERE start_ms = ? AND offered = 0", (start_ms,))

    def windows(self, from_ms: int, until_ms: int) -> list[QueuedWindow]:
        """The windows that begin in [from_ms, until_ms), the earliest first, of one window the first edition first."""
        return [
            QueuedWindow(sequence, WindowKey(*key), bool(offered))
            for sequence, offered, *key in self._database.query(
                """SELECT sequence, offered, start_ms, length_ms, revision FROM outbox
                WHERE start_ms >= ? AND start_ms < ? ORDER BY start_ms, revision""",
                (from_ms, until_ms),
            )
        ]

    def next_unoffered_ms(self, from_ms: int, shorter_than_ms: int) -> int | None:
        """Start of the first window from `from_ms` on that was never offered and is shorter than that."""
        rows = self._database.query(
            """SELECT start_ms FROM outbox WHERE start_ms >= ? AND offered = 0 AND length_ms < ?
            ORDER BY start_ms LIMIT 1""",
            (from_ms, shorter_than_ms),
        )
        return int(rows[0][0]) if rows else None

    def replace(self, sequences: Collection[int], merged: OutgoingMessage) -> None:
        """Queue `merged` instead of those that it tells of, inside the caller's transaction.

        Raises
        ------
        MessageRefusedError
            `merged` can never be sent; nothing was changed.
        """
        self.add(merged, offered=False)
        for sequence in sequences:
            self._counters.count("merged", self._remove(sequence))

    def pressed(self, now_ms: int) -> bool:
        """Whether so much waits, or for so long, that windows should merge before any must be given up."""
        share = self._limits.pressed_share
        if self._counters.value("bytes") > share * self._limits.max_bytes:
            return True
        oldest_ms = self._oldest_created_ms()
        return oldest_ms is not None and now_ms - oldest_ms > share * self._limits.max_age_ms

    def spent(self) -> tuple[int, int]:
        """UTC day, counted from 1970, and the bytes that were noted as sent on it."""
        return self._counters.value("spent_day"), self._counters.value("spent_bytes")

    def note_spent(self, day: int, size_bytes: int) -> None:
        """Keep the day's bytes."""
        with self._database.transaction(removes=True):
            self._counters.set("spent_day", day)
            self._counters.set("spent_bytes", size_bytes)

    def settle(self, stored: Collection[int], refused: Sequence[tuple[int, str]], now_ms: int) -> None:
        """Forget what the cloud has, and set aside what it (or the bus) will never take, with the reason."""
        with self._database.transaction(removes=True):
            for sequence in stored:
                self._counters.count("acknowledged", self._remove(sequence))
            for sequence, reason in refused:
                self._database.write(
                    """INSERT OR REPLACE INTO dead_letter
                    SELECT sequence, kind, created_ms, bytes, topic, payload, ?, ? FROM outbox WHERE sequence = ?""",
                    (now_ms, reason, sequence),
                )
                self._counters.count("refused", self._remove(sequence))
            if refused:
                self._bound_dead_letters()

    def dead_letters(self) -> list[DeadLetter]:
        """Refused messages, the oldest first."""
        return [
            DeadLetter(_message(*row[:5]), *row[5:])
            for row in self._database.query(
                """SELECT sequence, kind, topic, payload, created_ms, refused_ms, reason
                FROM dead_letter ORDER BY sequence"""
            )
        ]

    def revive_dead_letters(self) -> int:
        """Queue all dead letters again under their old sequences, say after a missing permission was granted."""
        with self._database.transaction():
            rows = self._database.query("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM dead_letter")
            count, size = rows[0]
            self._database.write(
                """INSERT INTO outbox (sequence, kind, created_ms, bytes, topic, payload)
                SELECT sequence, kind, created_ms, bytes, topic, payload FROM dead_letter"""
            )
            self._database.write("DELETE FROM dead_letter")
            self._counters.count("messages", count)
            self._counters.count("bytes", size)
        return int(count)

    def totals(self) -> OutboxTotals:
        """Counts for metrics."""
        counters = self._counters.values()
        names = ("acknowledged", "refused", "given_up", "given_up_bytes", "merged")
        return OutboxTotals(
            messages=counters.get("messages", 0),
            bytes=counters.get("bytes", 0),
            oldest_created_ms=self._oldest_created_ms(),
            dead_letters=int(self._database.query("SELECT COUNT(*) FROM dead_letter")[0][0]),
            **{name: counters.get(name, 0) for name in names},
        )

    def _check(self, message: OutgoingMessage) -> None:
        if not 1 <= message.sequence <= self._counters.value("sequence"):
            raise MessageRefusedError("sequence", message.sequence, "take it from next_sequence()")
        size = len(message.payload)
        if size > self._limits.max_payload_bytes:
            raise MessageRefusedError(
                "payload", f"{size} bytes", f"must be at most {self._limits.max_payload_bytes} bytes; split the message"
            )
        # IoT Core's limits leave out the Basic Ingest prefix, $aws/rules/<rule>/.
        topic = message.topic.split("/", 3)[-1] if message.topic.startswith(_BASIC_INGEST) else message.topic
        if not topic or len(topic.encode()) > MAX_TOPIC_BYTES or topic.count("/") > MAX_TOPIC_SLASHES:
            raise MessageRefusedError(
                "topic", message.topic, f"must have 1 to {MAX_TOPIC_BYTES} bytes and at most {MAX_TOPIC_SLASHES} '/'"
            )
        if any(wildcard in topic for wildcard in "+#"):
            raise MessageRefusedError("topic", message.topic, "must not hold the wildcards '+' and '#'")

    def _give_up(self, now_ms: int) -> None:
        too_old = self._database.query(
            "SELECT sequence, bytes FROM outbox WHERE created_ms < ?", (now_ms - self._limits.max_age_ms,)
        )
        for sequence, size in too_old:
            self._give_up_one(sequence, size)
        while self._counters.value("bytes") > self._limits.max_bytes:
            self._give_up_one(*self._least_worth())

    def _least_worth(self) -> tuple[int, int]:
        """Sequence and size of the message to give up first."""
        for kind in _GIVEN_UP_FIRST:
            rows = self._database.query(
                "SELECT sequence, bytes FROM outbox WHERE kind = ? ORDER BY created_ms, sequence LIMIT 1", (kind,)
            )
            if rows:
                return rows[0][0], rows[0][1]
        raise RuntimeError("the queue is empty, but its size is counted as above its limit")

    def _give_up_one(self, sequence: int, size: int) -> None:
        self._remove(sequence)
        self._counters.count("given_up", 1)
        self._counters.count("given_up_bytes", size)

    def _remove(self, sequence: int) -> int:
        rows = self._database.query("SELECT bytes FROM outbox WHERE sequence = ?", (sequence,))
        if rows:
            self._database.write("DELETE FROM outbox WHERE sequence = ?", (sequence,))
            self._counters.count("messages", -1)
            self._counters.count("bytes", -rows[0][0])
        return len(rows)

    def _bound_dead_letters(self) -> None:
        size = self._database.query("SELECT COALESCE(SUM(bytes), 0) FROM dead_letter")[0][0]
        while size > self._limits.max_dead_letter_bytes:
            oldest = self._database.query("SELECT sequence, bytes FROM dead_letter ORDER BY sequence LIMIT 1")
            sequence, freed = oldest[0]
            self._database.write("DELETE FROM dead_letter WHERE sequence = ?", (sequence,))
            self._counters.count("given_up", 1)
            self._counters.count("given_up_bytes", freed)
            size -= freed

    def _oldest_created_ms(self) -> int | None:
        oldest: int | None = self._database.query("SELECT MIN(created_ms) FROM outbox")[0][0]
        return oldest


def _message(
    sequence: int, kind: CloudKind, topic: str, sealed: bytes, created_ms: int, *key: int | None
) -> OutgoingMessage:
    payload = unseal(sealed, f"message {sequence}", _about(sequence, kind, created_ms, topic))
    window = WindowKey(*key) if key and key[0] is not None else None  # type: ignore[arg-type]
    return OutgoingMessage(sequence, kind, topic, payload, created_ms, window)


def _about(sequence: int, kind: str, created_ms: int, topic: str) -> str:
    return f"{sequence} {kind} {created_ms} {topic}"
