"""One SQLite connection with the durability we promise: what a transaction commits survives a power cut, whole.

The write-ahead log is synced on every commit (`synchronous=FULL`), and the file is locked for this process alone, so
that two instances can never send for the same gateway. A connection belongs to the thread that opened it.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

CHECKSUM_BYTES: Final = 4
_LOCK_WAIT_MS: Final = 1000

Fault = Literal["full", "locked", "corrupt", "failed"]


class StoreError(Exception):
    """The store could not do it; the transaction is undone as a whole. Keep what is in memory and try again later.

    Attributes
    ----------
    fault : str
        "full": no room on the disk. "locked": another process holds the file. "corrupt": restart, so that opening
        quarantines the file. "failed": any other failure of the disk.
    """

    def __init__(self, fault: Fault, doing: str, reason: str) -> None:
        self.fault = fault
        super().__init__(f"{doing}: {reason}; {_ADVICE[fault]}")


_ADVICE: Final[dict[Fault, str]] = {
    "full": "free some disk space; nothing was written",
    "locked": "stop the other process that holds the database; nothing was written",
    "corrupt": "restart the component, which sets the damaged file aside",
    "failed": "check the disk and the rights on the database's folder; nothing was written",
}


class ChecksumError(StoreError):
    """A stored value is not the one that was written."""

    def __init__(self, what: str) -> None:
        super().__init__("corrupt", f"reading {what}", "its checksum does not match")


class Database:
    """A connection that speaks in StoreErrors and knows no transaction but whole ones.

    Raises
    ------
    StoreError
        From every method, when SQLite fails.
    """

    def __init__(self, path: Path | None) -> None:
        with _translated("opening the database"):
            self._connection = sqlite3.connect(path or ":memory:", isolation_level=None)
        # Damaged text is for the checksums to notice, row by row, and not for SQLite.
        self._connection.text_factory = lambda text: text.decode(errors="replace")
        try:
            self.query(f"PRAGMA busy_timeout = {_LOCK_WAIT_MS}")
            self.query("PRAGMA locking_mode = EXCLUSIVE")
            self.query("PRAGMA temp_store = MEMORY")
            self.query("PRAGMA journal_mode = WAL")
            self.query("PRAGMA synchronous = FULL")
        except StoreError:
            self._connection.close()
            raise

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is committed at the end, or none of it when anything raises."""
        if self.in_transaction:
            raise RuntimeError("transactions do not nest; end the outer one first")
        with _translated("beginning a transaction"):
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with _translated("committing"):
                self._connection.execute("COMMIT")
        finally:
            # Still open only if something failed; SQLite ends it itself after some errors.
            if self.in_transaction:
                with _translated("rolling back"):
                    self._connection.execute("ROLLBACK")

    def write(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Rows changed by `statement`, which must be inside a transaction."""
        if not self.in_transaction:
            raise RuntimeError("write inside `with store.transaction():`, which makes it all or nothing")
        with _translated("writing"):
            return self._connection.execute(statement, parameters).rowcount

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of `statement`."""
        with _translated("reading"):
            return self._connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        """Close the file; a transaction left open is undone."""
        with _translated("closing the database"):
            self._connection.close()


def seal(value: bytes, about: str = "") -> bytes:
    """`value` behind a checksum of it and of what is said `about` it: SQLite checks its pages, not what they hold."""
    return zlib.crc32(value, zlib.crc32(about.encode())).to_bytes(CHECKSUM_BYTES, "big") + value


def unseal(sealed: bytes, what: str, about: str = "") -> bytes:
    """The value in `sealed`. Raises ChecksumError, naming `what`, if it or what is said about it was damaged."""
    value = sealed[CHECKSUM_BYTES:]
    if seal(value, about) != sealed:
        raise ChecksumError(what)
    return value


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_fault(error), doing, str(error)) from error


def _fault(error: sqlite3.Error) -> Fault:
    primary_code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # extended codes keep the primary one below
    if primary_code == sqlite3.SQLITE_FULL:
        return "full"
    if primary_code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "locked"
    if primary_code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "corrupt"
    return "failed"
