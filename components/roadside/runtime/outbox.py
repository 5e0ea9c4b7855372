"""Messages on their way to the cloud: kept until the cloud says that it has them.

Policy when there is too much: what is older than `max_age_ms` is given up; beyond `max_bytes` the oldest windows are
given up first and events last. Both are counted for ever. Refused messages are set aside as dead letters with the
reason; of these the oldest go first.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from roadside.contract.topics import MAX_TOPIC_BYTES, CloudKind
from roadside.runtime.database import Database, seal, unseal

MAX_TOPIC_SLASHES: Final = 7  # IoT Core's limit
_BASIC_INGEST: Final = "$aws/rules/"
_DAY_MS: Final = 24 * 3600 * 1000

SCHEMA: Final = (
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE outbox (
        sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, created_ms INTEGER NOT NULL, bytes INTEGER NOT NULL,
        topic TEXT NOT NULL, payload BLOB NOT NULL)""",
    "CREATE INDEX outbox_by_kind ON outbox (kind, sequence)",
    "CREATE INDEX outbox_by_age ON outbox (created_ms)",
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
class OutgoingMessage:
    """One message for the cloud; `sequence` comes from `Outbox.next_sequence`, `created_ms` is wall time."""

    sequence: int
    kind: CloudKind
    topic: str
    payload: bytes
    created_ms: int


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """A queued message without its body."""

    sequence: int
    kind: CloudKind
    created_ms: int


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


class Outbox:
    """The queue, as tables of a gateway's database. Methods raise StoreError when the disk fails.

    `next_sequence` and `add` go inside the caller's transaction; the others make their own.
    """

    def __init__(self, database: Database, limits: OutboxLimits) -> None:
        self._database = database
        self._limits = limits

    def next_sequence(self) -> int:
        """The next number of this epoch, counted from 1. It is taken only once the transaction commits."""
        self._count("sequence", 1)
        return self._counter("sequence")

    def add(self, message: OutgoingMessage) -> None:
        """Queue `message`, and give up what the limits no longer allow.

        Raises
        ------
        MessageRefusedError
            No retry could ever send it; the transaction goes on if the caller catches this inside.
        """
        self._check(message)
        size = len(message.payload) + len(message.topic.encode())
        self._database.write(
            "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)",
            (message.sequence, message.kind, message.created_ms, size, message.topic, seal(message.payload)),
        )
        self._count("messages", 1)
        self._count("bytes", size)
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
            MessageHeader(*row)
            for row in self._database.query(
                "SELECT sequence, kind, created_ms FROM outbox WHERE sequence > ? ORDER BY sequence", (after_sequence,)
            )
        ]

    def read(self, sequence: int) -> OutgoingMessage | None:
        """The queued message, or None if it is no longer there. Raises ChecksumError if it was damaged."""
        rows = self._database.query(
            "SELECT sequence, kind, topic, payload, created_ms FROM outbox WHERE sequence = ?", (sequence,)
        )
        return _message(*rows[0]) if rows else None

    def settle(self, stored: Collection[int], refused: Sequence[tuple[int, str]], now_ms: int) -> None:
        """Forget what the cloud has, and set aside what it (or the bus) will never take, with the reason."""
        with self._database.transaction():
            for sequence in stored:
                self._count("acknowledged", self._remove(sequence))
            for sequence, reason in refused:
                self._database.write(
                    """INSERT OR REPLACE INTO dead_letter
                    SELECT sequence, kind, created_ms, bytes, topic, payload, ?, ? FROM outbox WHERE sequence = ?""",
                    (now_ms, reason, sequence),
                )
                self._count("refused", self._remove(sequence))
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
                "INSERT INTO outbox SELECT sequence, kind, created_ms, bytes, topic, payload FROM dead_letter"
            )
            self._database.write("DELETE FROM dead_letter")
            self._count("messages", count)
            self._count("bytes", size)
        return int(count)

    def totals(self) -> OutboxTotals:
        """Counts for metrics."""
        counters = dict(self._database.query("SELECT name, value FROM counter"))
        oldest = self._database.query("SELECT created_ms FROM outbox ORDER BY sequence LIMIT 1")
        names = ("acknowledged", "refused", "given_up", "given_up_bytes")
        return OutboxTotals(
            messages=counters.get("messages", 0),
            bytes=counters.get("bytes", 0),
            oldest_created_ms=oldest[0][0] if oldest else None,
            **{name: counters.get(name, 0) for name in names},
        )

    def _check(self, message: OutgoingMessage) -> None:
        if not 1 <= message.sequence <= self._counter("sequence"):
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
        while self._counter("bytes") > self._limits.max_bytes:
            # 'windows' sorts after 'events'.
            oldest = self._database.query("SELECT sequence, bytes FROM outbox ORDER BY kind DESC, sequence LIMIT 1")
            self._give_up_one(*oldest[0])

    def _give_up_one(self, sequence: int, size: int) -> None:
        self._remove(sequence)
        self._count("given_up", 1)
        self._count("given_up_bytes", size)

    def _remove(self, sequence: int) -> int:
        rows = self._database.query("SELECT bytes FROM outbox WHERE sequence = ?", (sequence,))
        if rows:
            self._database.write("DELETE FROM outbox WHERE sequence = ?", (sequence,))
            self._count("messages", -1)
            self._count("bytes", -rows[0][0])
        return len(rows)

    def _bound_dead_letters(self) -> None:
        size = self._database.query("SELECT COALESCE(SUM(bytes), 0) FROM dead_letter")[0][0]
        while size > self._limits.max_dead_letter_bytes:
            oldest = self._database.query("SELECT sequence, bytes FROM dead_letter ORDER BY sequence LIMIT 1")
            sequence, freed = oldest[0]
            self._database.write("DELETE FROM dead_letter WHERE sequence = ?", (sequence,))
            self._count("given_up", 1)
            self._count("given_up_bytes", freed)
            size -= freed

    def _counter(self, name: str) -> int:
        rows = self._database.query("SELECT value FROM counter WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def _count(self, name: str, by: int) -> None:
        if not by:
            return
        if not self._database.write("UPDATE counter SET value = value + ? WHERE name = ?", (by, name)):
            self._database.write("INSERT INTO counter VALUES (?, ?)", (name, by))


def _message(sequence: int, kind: CloudKind, topic: str, sealed: bytes, created_ms: int) -> OutgoingMessage:
    return OutgoingMessage(sequence, kind, topic, unseal(sealed, f"message {sequence}"), created_ms)
