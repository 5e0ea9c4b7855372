"""A gateway's durable memory in one file: outgoing messages, state and journal, changed together or not at all.

    with store.transaction():
        sequence = store.outbox.next_sequence()
        store.outbox.add(OutgoingMessage(sequence, "windows", topic, payload, created_ms))
        store.state.put("aggregator", snapshot)
        store.journal.clear()

A file that is damaged, foreign or of a later version is set aside and a new one begins, with a new epoch: the cloud
then knows that sequences start afresh.
"""

import logging
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from roadside.runtime import counters
from roadside.runtime import outbox as outbox_module
from roadside.runtime.database import Database, StoreError, seal, unseal
from roadside.runtime.outbox import Outbox, OutboxLimits

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x526F6164  # "Road": tells our files from any other SQLite database
MAX_QUARANTINED: Final = 2

_SCHEMA: Final = (
    *counters.SCHEMA,
    *outbox_module.SCHEMA,
    "CREATE TABLE epoch (started_ms INTEGER NOT NULL)",
    "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE journal (position INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_QUARANTINED: Final = re.compile(r"\.quarantined-(\d+)$")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A database file that was set aside when the store was opened, and why."""

    path: Path
    reason: str


class UnusableDatabaseError(StoreError):
    """The file is whole but not one that this version can use."""

    def __init__(self, reason: str) -> None:
        super().__init__("corrupt", "opening the database", reason)


class StateTable:
    """Named values, each written as a whole. `put` and `delete` go inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, key: str, value: bytes) -> None:
        self._database.write("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, seal(value, key)))

    def delete(self, key: str) -> None:
        self._database.write("DELETE FROM state WHERE key = ?", (key,))

    def items(self) -> dict[str, bytes]:
        """All values by key. Raises ChecksumError if one was damaged."""
        rows = self._database.query("SELECT key, value FROM state ORDER BY key")
        return {key: unseal(sealed, f"state {key!r}", key) for key, sealed in rows}


class Journal:
    """What was accepted since the last checkpoint, in order. `append` and `clear` go inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, payload: bytes) -> None:
        self._database.write("INSERT INTO journal (payload) VALUES (?)", (seal(payload),))

    def clear(self) -> None:
        self._database.write("DELETE FROM journal")

    def records(self) -> list[bytes]:
        """All records in the order of appending. Raises ChecksumError if one was damaged."""
        rows = self._database.query("SELECT position, payload FROM journal ORDER BY position")
        return [unseal(sealed, f"journal record {position}") for position, sealed in rows]


class GatewayStore:
    """The database of one gateway. It belongs to one process and, in it, to the thread that opened it.

    Attributes
    ----------
    epoch_ms : int
        When this database began; part of every message's identity.
    quarantined : Quarantine or None
        What was set aside on opening; report it, since it held whatever was not yet acknowledged.
    """

    def __init__(self, database: Database, limits: OutboxLimits, quarantined: Quarantine | None = None) -> None:
        self._database = database
        self.quarantined = quarantined
        self.epoch_ms = int(database.query("SELECT started_ms FROM epoch")[0][0])
        self.outbox = Outbox(database, limits)
        self.state = StateTable(database)
        self.journal = Journal(database)

    @classmethod
    def open(cls, path: Path | None, now_ms: int, limits: OutboxLimits | None = None) -> "GatewayStore":
        """The store in the file `path`, made if need be; None keeps it in memory.

        Raises
        ------
        StoreError
            The disk fails or is full, or another process holds the file. A damaged file raises nothing.
        """
        limits = limits or OutboxLimits()
        quarantined = None
        if path is not None and path.exists():
            try:
                return cls(_open_existing(path), limits)
            except StoreError as error:
                if error.fault != "corrupt":
                    raise
                quarantined = set_aside(path, now_ms, str(error))
        database = Database(path)
        try:
            _create(database, _new_epoch_ms(path, now_ms))
            return cls(database, limits, quarantined)
        except StoreError:
            database.close()
            raise

    def transaction(self) -> AbstractContextManager[None]:
        """Commits at the end what was written inside; undoes all of it when anything raises.

        Raises
        ------
        StoreError
            Nothing was written; keep what is in memory and try again.
        """
        return self._database.transaction()

    def close(self) -> None:
        self._database.close()


def _open_existing(path: Path) -> Database:
    database = Database(path)
    try:
        if database.query("PRAGMA schema_version") == [(0,)]:
            # A crash between making the file and its schema; nothing was ever in it.
            raise UnusableDatabaseError("it is empty")
        application_id = database.query("PRAGMA application_id")[0][0]
        if application_id != APPLICATION_ID:
            raise UnusableDatabaseError(f"application id {application_id:#x} is not ours")
        version = database.query("PRAGMA user_version")[0][0]
        if version != SCHEMA_VERSION:
            raise UnusableDatabaseError(f"schema version is {version}, this program knows {SCHEMA_VERSION}")
        schema = {statement for (statement,) in database.query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
        if schema != {statement for statement in _SCHEMA if statement.startswith("CREATE")}:
            raise UnusableDatabaseError("its tables are not those of this version")
        findings = database.query("PRAGMA integrity_check(1)")
        if findings != [("ok",)]:
            raise UnusableDatabaseError(str(findings[0][0]))
        if len(database.query("SELECT started_ms FROM epoch")) != 1:
            raise UnusableDatabaseError("it has no epoch")
        StateTable(database).items()
        Journal(database).records()
        Outbox(database, OutboxLimits()).verify()
    except StoreError:
        database.close()
        raise
    return database


def _create(database: Database, epoch_ms: int) -> None:
    with database.transaction():
        for statement in _SCHEMA:
            database.write(statement)
        database.write("INSERT INTO epoch VALUES (?)", (epoch_ms,))


def set_aside(path: Path, now_ms: int, reason: str) -> Quarantine:
    """Move the database and its log aside; only the latest few are kept, so that a bad disk does not fill up."""
    aside = path.with_name(f"{path.name}.quarantined-{_new_epoch_ms(path, now_ms)}")
    try:
        # The file before its log: a crash between them must not leave an older state that looks sound. SQLite
        # discards a log without a file.
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        for old in _quarantined(path)[:-MAX_QUARANTINED]:
            for suffix in ("-wal", "-shm", ""):
                old.with_name(old.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError("failed", f"setting {path.name} aside", str(error)) from error
    _log.error("set a damaged database aside", extra={"path": str(aside), "reason": reason})
    return Quarantine(aside, reason)


def _new_epoch_ms(path: Path | None, now_ms: int) -> int:
    """Now, but after every epoch known to have been: a gateway without a battery may wake up at the same time twice."""
    known = [int(name.group(1)) for old in _quarantined(path) if (name := _QUARANTINED.search(old.name))]
    return max([now_ms, *(at_ms + 1 for at_ms in known)])


def _quarantined(path: Path | None) -> list[Path]:
    if path is None:
        return []
    found = path.parent.glob(f"{path.name}.quarantined-*")
    return sorted((file for file in found if _QUARANTINED.search(file.name)), key=lambda file: (len(file.name), file))
