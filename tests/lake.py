"""The lake's tables in DuckDB, in memory, filled row by row, for tests of what is asked of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from cloud.insights.queries import Query
from cloud.lake_tables import TABLES, LakeTable

DUCKDB_TYPES = {"string": "VARCHAR", "array<int>": "INTEGER[]"}


def empty_lake() -> duckdb.DuckDBPyConnection:
    """A database with every table of the lake, partitions as columns, as Athena shows them."""
    connection = duckdb.connect()
    for table in TABLES:
        columns = ", ".join(
            f"{column.name} {DUCKDB_TYPES.get(column.type, column.type)}"
            for column in (*table.columns, *table.partitions)
        )
        connection.execute(f"CREATE TABLE {table.name} ({columns})")
    return connection


def insert(connection: duckdb.DuckDBPyConnection, table: LakeTable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; what a row does not tell is null."""
    names = table.column_names()
    unknown = {name for row in rows for name in row} - set(names)
    assert not unknown, f"{table.name} has no {unknown}"
    places = ", ".join("?" for _ in names)
    connection.executemany(
        f"INSERT INTO {table.name} VALUES ({places})",  # noqa: S608 - names of our own tables
        [[row.get(name) for name in names] for row in rows],
    )


def answer(connection: duckdb.DuckDBPyConnection, query: Query, time_zone: str = "Etc/UTC") -> list[dict[str, Any]]:
    """The rows of the query's result."""
    result = connection.execute(query.sql(time_zone=time_zone))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
