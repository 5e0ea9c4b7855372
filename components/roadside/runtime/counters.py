"""Numbers in a gateway's database that only its own transactions change: totals, the next sequence, the day's bytes."""

from typing import Final

from roadside.runtime.database import Database

SCHEMA: Final = ("CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",)


class Counters:
    """Integers by name, 0 until set. `count` and `set` go inside a transaction. Every method raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def value(self, name: str) -> int:
        rows = self._database.query("SELECT value FROM counter WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def values(self) -> dict[str, int]:
        return dict(self._database.query("SELECT name, value FROM counter"))

    def count(self, name: str, by: int = 1) -> None:
        if by:
            self._write(name, by, "UPDATE counter SET value = value + ? WHERE name = ?")

    def set(self, name: str, value: int) -> None:
        self._write(name, value, "UPDATE counter SET value = ? WHERE name = ?")

    def _write(self, name: str, value: int, update: str) -> None:
        if not self._database.write(update, (value, name)):
            self._database.write("INSERT INTO counter VALUES (?, ?)", (name, value))
