"""What a gateway's database holds, in numbers: never a message's content. Standard library only.

A running Aggregator has its database locked for itself, so a copy is read: the file, then its write-ahead log. What the
Aggregator writes in between can make the copy unsound although the database is not; then it is copied again.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

MAX_DEAD_LETTERS: Final = 500
_ATTEMPTS: Final = 3
_CONTENT: Final = frozenset({"payload", "value"})  # columns that are never read


def database_facts(path: Path, scratch: Path) -> dict[str, Any]:
    """Integrity, epoch, counters, how much waits since when, and the dead letters' reasons.

    Parameters
    ----------
    path : the database
    scratch : a folder with room for a copy of it

    Raises
    ------
    OSError, sqlite3.Error
        It cannot be copied. That it is damaged is a fact, under "integrity".
    """
    for attempt in range(1, _ATTEMPTS + 1):
        with _copied(path, scratch) as copy, closing(sqlite3.connect(copy)) as connection:
            try:
                findings = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
            except sqlite3.DatabaseError as error:
                findings = [str(error)]
            facts: dict[str, Any] = {"file_bytes": path.stat().st_size, "integrity": findings, "attempt": attempt}
            if findings == ["ok"]:
                return facts | _contents(connection)
    return facts


def _contents(connection: sqlite3.Connection) -> dict[str, Any]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
    facts: dict[str, Any] = {
        "schema_version": connection.execute("PRAGMA user_version").fetchone()[0],
        "rows": {table: connection.execute(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0] for table in tables},  # noqa: S608
    }
    if "epoch" in tables:
        facts["epoch_ms"] = [row[0] for row in connection.execute("SELECT started_ms FROM epoch")]
    if "counter" in tables:
        facts["counters"] = dict(connection.execute("SELECT name, value FROM counter ORDER BY name"))
    if "outbox" in tables:
        facts["outbox"] = _rows(
            connection,
            """SELECT kind, COUNT(*) AS messages, SUM(bytes) AS bytes, MIN(created_ms) AS oldest_ms
            FROM outbox GROUP BY kind ORDER BY kind""",
        )
    if "dead_letter" in tables:
        names = [row[1] for row in connection.execute("PRAGMA table_info(dead_letter)")]
        shown = ", ".join(name for name in names if name not in _CONTENT)
        facts["dead_letters"] = _rows(
            connection,
            f"SELECT {shown} FROM dead_letter ORDER BY sequence DESC LIMIT {MAX_DEAD_LETTERS}",  # noqa: S608
        )
    return facts


def _rows(connection: sqlite3.Connection, statement: str) -> list[dict[str, Any]]:
    cursor = connection.execute(statement)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


@contextmanager
def _copied(path: Path, scratch: Path) -> Iterator[Path]:
    log = path.with_name(path.name + "-wal")
    size = sum(part.stat().st_size for part in (path, log) if part.exists())
    free = shutil.disk_usage(scratch).free
    if free < 2 * size:
        raise OSError(f"{scratch} has {free} bytes free, a copy of {path.name} needs {size} and some room to spare")
    with TemporaryDirectory(dir=scratch, prefix=".bundle-") as directory:
        copy = Path(directory) / path.name
        shutil.copyfile(path, copy)
        if log.exists():
            shutil.copyfile(log, copy.with_name(copy.name + "-wal"))
        yield copy
