"""Asks a folder that is laid out as the lake's bucket, by DuckDB: a copy of the bucket, or a lake made by hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloud.dashboard.sums import Row
from cloud.insights.queries import Query
from cloud.lake_tables import TABLES, LakeTable

if TYPE_CHECKING:
    import duckdb

_TYPES: Final = {"string": "VARCHAR", "array<int>": "INTEGER[]"}


class Files:
    """A lake in a folder."""

    def __init__(self, folder: Path, *, time_zone: str) -> None:
        import duckdb  # noqa: PLC0415 - heavy, and not needed to ask Athena

        self._time_zone = time_zone
        self._connection = duckdb.connect()
        for table in TABLES:
            self._connection.execute(f"CREATE VIEW {table.name} AS {_select(table, folder)}")

    def answer(self, query: Query) -> list[Row]:
        """The rows of the query's result."""
        result: duckdb.DuckDBPyConnection = self._connection.execute(query.sql(time_zone=self._time_zone))
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _select(table: LakeTable, folder: Path) -> str:
    """A table's rows in whatever form its objects are; no rows where it has no objects."""
    columns = {column.name: column.type for column in table.columns}
    columns |= {partition.name: partition.type for partition in table.partitions}
    typed = {name: _TYPES.get(kind, kind) for name, kind in columns.items()}
    objects = folder / table.prefix
    declared = ", ".join(f"'{name}': '{kind}'" for name, kind in typed.items())
    partitioned = "hive_partitioning = true, hive_types_autocast = false"
    rows = "(SELECT 1 WHERE false)"
    values = {name: "NULL" for name in typed}
    if any(objects.rglob("*.parquet")):
        rows, values = f"read_parquet('{objects}/**/*.parquet', {partitioned}, union_by_name = true)", {}
    elif any(objects.rglob("*.json.gz")):
        rows, values = f"read_json('{objects}/**/*.json.gz', columns = {{{declared}}}, {partitioned})", {}
    elif any(objects.rglob("*.csv")):
        rows, values = f"read_csv('{objects}/**/*.csv', header = true, columns = {{{declared}}})", {}
    picked = ", ".join(f"CAST({values.get(name, name)} AS {kind}) AS {name}" for name, kind in typed.items())
    return f"SELECT {picked} FROM {rows}"  # noqa: S608 - names of our own tables, and a folder of the user's own
