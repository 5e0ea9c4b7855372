"""One SQLite connection with the durability we promise: what a transaction commits survives a power cut, whole.

The write-ahead log is synced on every commit (`synchronous=FULL`), and the file is locked for this process alone, so
that two instances can never send for the same gateway. A connection belongs to the thread that opened it.

On a full disk not even deleting works, since that is logged as well, and the log cannot be brought in where the
database would have to grow. So a file beside the database, the reserve, keeps some room. When the disk is full it goes,
the log is brought in and cut to nothing, and what is left is shared: half for writing, half kept. When that half is too
small, what adds is refused until enough was removed; removing still works.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

CHECKSUM_BYTES: Final = 4
LOG_PAGES: Final = 250  # a megabyte of log is brought into the database
RESERVE_BYTES: Final = 512 * 1024
LEAST_RESERVE_BYTES: Final = 64 * 1024
RESERVE_AFTER_COMMITS: Final = 100  # not at once: a database that is opened for a moment needs none
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
        self._reserve = None if path is None else path.with_name(f"{path.name}-reserve")
        self._commits = 0
        self._disk_is_short = False
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
            self.query(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        except StoreError:
            self._connection.close()
            raise

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @contextmanager
    def transaction(self, *, removes: bool = False) -> Iterator[None]:
        """All that is written inside is committed at the end, or none of it when anything raises.

        Parameters
        ----------
        removes : whether it makes room rather than needs it, and so may use the last that there is
        """
        if self.in_transaction:
            raise RuntimeError("transactions do not nest; end the outer one first")
        if self._disk_is_short and not removes and not self._has_free_pages() and not self._keep_reserve():
            raise StoreError("full", "beginning a transaction", "the last room on the disk is for removing")
        with _translated("beginning a transaction"):
            self._connection.execute("BEGIN IMMEDIATE")
        is_full = False
        try:
            yield
            with _translated("committing"):
                self._connection.execute("COMMIT")
        except StoreError as error:
            is_full = error.fault == "full"
            raise
        finally:
            # Still open only if something failed; SQLite ends it itself after some errors.
            if self.in_transaction:
                with _translated("rolling back"):
                    self._connection.execute("ROLLBACK")
            if is_full:
                self._make_room()
        self._commits += 1
        if self._disk_is_short:
            self._bring_log_in()
        elif self._commits % RESERVE_AFTER_COMMITS == 0:
            self._keep_reserve()

    def _has_free_pages(self) -> bool:
        """Whether so much was removed that the database need not grow for a while."""
        [[pages]], [[page_bytes]] = self.query("PRAGMA freelist_count"), self.query("PRAGMA page_size")
        return bool(pages * page_bytes >= RESERVE_BYTES)

    def _keep_reserve(self) -> bool:
        """Keep half of what is free, up to RESERVE_BYTES; whether that is enough."""
        if self._reserve is None:
            return True
        try:
            if self._reserve.exists():
                return True
            disk = os.statvfs(self._reserve.parent)
            size = min(RESERVE_BYTES, disk.f_bavail * disk.f_frsize // 2)
            if size < LEAST_RESERVE_BYTES:
                return False
            with self._reserve.open("wb") as file:
                file.write(bytes(size))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self._reserve.unlink(missing_ok=True)
            return False
        self._disk_is_short = size < RESERVE_BYTES
        return True

    def _make_room(self) -> None:
        """For the next attempt."""
        if self._reserve is not None:
            self._disk_is_short = True
            self._reserve.unlink(missing_ok=True)
            self._bring_log_in()

    def _bring_log_in(self) -> None:
        """While the disk is short after every commit, so that no more than one ever waits to be brought in."""
        with suppress(StoreError):  # the next transaction tells
            self.query("PRAGMA wal_checkpoint(TRUNCATE)")

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
