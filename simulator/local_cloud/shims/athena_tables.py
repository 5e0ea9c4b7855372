"""Athena reads a table's objects with the columns that Glue has of it.

MiniStack guesses the columns of JSON from its contents (a text that looks like a date becomes one, a column that is
always null gets no type) and has no arrays in a table without objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.local_cloud.guard import Hook

_ATHENA = "ministack.services.athena"
HOOKS = (
    Hook(_ATHENA, "_table_relation", "(table_data, files)"),
    Hook(_ATHENA, "_data_format", "(table_data)"),
    Hook(_ATHENA, "_path_partition_keys", "(table_data, files)"),
    Hook(_ATHENA, "_hive_options", "(partitions)"),
    Hook(_ATHENA, "_sql_list", "(paths)"),
    Hook(_ATHENA, "_duckdb_type", "(column)"),
    Hook("ministack.services.firehose", "_hive_to_duckdb_type", "(hive_type)"),
)


def install() -> None:
    """Replace how a JSON table is read, and the types of columns."""
    from ministack.services import athena, firehose  # noqa: PLC0415

    table_relation: Callable[..., str] = athena._table_relation

    def relation(table_data: dict[str, Any], files: list[str]) -> str:
        if athena._data_format(table_data) != "json":
            return table_relation(table_data, files)
        columns = {column["Name"]: duckdb_type(column) for column in table_data["StorageDescriptor"]["Columns"]}
        hive = athena._hive_options(athena._path_partition_keys(table_data, files))
        return f"read_json({athena._sql_list(files)}, columns = {columns!r}, format = 'newline_delimited', {hive})"

    def duckdb_type(column: dict[str, Any]) -> str:
        found: str = firehose._hive_to_duckdb_type(column["Type"])
        return found

    athena._table_relation = relation
    athena._duckdb_type = duckdb_type
