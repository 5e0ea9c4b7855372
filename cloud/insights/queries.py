"""Reads the queries of `cloud/sql`. Pure but for reading those files.

The comment that heads each file is its declaration: what it tells, which visuals show it, how fresh they are, and every
column with type, kind, unit and meaning. QuickSight's data sets, the local page and docs/dashboards.md are made from
it, and tests hold it against what the query gives.

The queries keep to what Athena (Trino) and DuckDB both understand and mean alike. Fractions are written with an
exponent (`5e-1`): Trino takes `0.5` for a decimal, whose quotients it cuts after a digit.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from cloud import lake_tables, paths

CITY_ZONE: Final = "Etc/UTC"  # in the files, where the time zone of the city belongs

_REFRESHES: Final = ("hourly", "daily", "direct")
_FIELDS: Final = ("name", "type", "kind", "unit", "meaning")
_RATIO: Final = re.compile(r"(\w+) / (\w+)")
_TABLE: Final = re.compile(
    rf"\b(FROM|JOIN)(\s+)({'|'.join(table.name for table in lake_tables.TABLES)})\b(?!\.)",
)


class QueryError(ValueError):
    """A file of `cloud/sql` whose header does not declare what it must."""


class Type(StrEnum):
    """What a column holds."""

    INT = "int"
    BIGINT = "bigint"
    DOUBLE = "double"
    TEXT = "text"
    TIMESTAMP = "timestamp"


class Kind(StrEnum):
    """How a column may be summed up."""

    KEY = "key"  # rows are told apart by it
    SUM = "sum"  # adds over rows
    VALUE = "value"  # one a row, adds to nothing
    RATIO = "ratio"  # of two sums; not a column of the result, but what visuals derive from it


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a query's result, or a ratio of two.

    Parameters
    ----------
    parts : of a ratio, the columns above and below its line
    """

    name: str
    type: Type
    kind: Kind
    unit: str
    meaning: str
    parts: tuple[str, str] | None = None

    @property
    def label(self) -> str:
        """The name for people: `delay_h` is "Delay"."""
        words = [word for word in self.name.split("_") if word not in ("h", "km", "min", "s")]
        return " ".join(words or self.name.split("_")).capitalize()


@dataclass(frozen=True, slots=True)
class Query:
    """A query with its declaration.

    Parameters
    ----------
    name : of the file, without `.sql`
    title : first sentence of the header
    notes : the rest of its prose
    visuals : keys of those on the board that show it
    refresh : hourly or daily into SPICE, or direct, asked anew at every look
    columns : those of the result, in order
    ratios : what is derived from them
    """

    name: str
    title: str
    notes: str
    visuals: tuple[str, ...]
    refresh: str
    columns: tuple[Column, ...]
    ratios: tuple[Column, ...]
    text: str

    def sql(self, database: str | None = None, time_zone: str = CITY_ZONE) -> str:
        """The statement, without its header.

        Parameters
        ----------
        database : put before the lake's tables, where a session has no database of its own
        time_zone : of the city, as the tz database names it
        """
        sql = self.text.replace(f"'{CITY_ZONE}'", f"'{time_zone}'")
        return sql if database is None else _TABLE.sub(rf'\1\2"{database}".\3', sql)

    def column(self, name: str) -> Column:
        """The column or ratio of that name.

        Raises
        ------
        QueryError
        """
        for column in (*self.columns, *self.ratios):
            if column.name == name:
                return column
        raise QueryError(f"{self.name}.sql has no column {name!r}; it has {', '.join(c.name for c in self.columns)}")


@cache
def load(name: str) -> Query:
    """The query in `cloud/sql/<name>.sql`.

    Raises
    ------
    QueryError
    """
    return parse(name, (paths.QUERIES / f"{name}.sql").read_text())


def load_all() -> tuple[Query, ...]:
    """Every query, by name."""
    return tuple(load(path.stem) for path in sorted(paths.QUERIES.glob("*.sql")))


def parse(name: str, text: str) -> Query:
    """The query in a file's text.

    Raises
    ------
    QueryError
        naming the line that cannot be read.
    """
    lines = text.splitlines()
    header = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
    body = "\n".join(line for line in lines if not line.startswith("--")).strip()
    paragraphs = [part.splitlines() for part in "\n".join(header).split("\n\n")]
    if len(paragraphs) < 3:
        raise QueryError(f"{name}.sql: the header needs a sentence, a paragraph of settings, and its columns")
    *prose, settings, declared = paragraphs
    values = dict(line.split(": ", 1) for line in settings if ": " in line)
    if values.keys() != {"visuals", "refresh"} or values["refresh"] not in _REFRESHES:
        raise QueryError(f"{name}.sql: {settings} must be `visuals: ...` and `refresh: {' or '.join(_REFRESHES)}`")
    columns = [_column(name, line) for line in declared]
    query = Query(
        name=name,
        title=" ".join(prose[0]),
        notes=" ".join(" ".join(part) for part in prose[1:]),
        visuals=tuple(values["visuals"].split(", ")),
        refresh=values["refresh"],
        columns=tuple(column for column in columns if column.kind is not Kind.RATIO),
        ratios=tuple(column for column in columns if column.kind is Kind.RATIO),
        text=body,
    )
    for ratio in query.ratios:
        for part in ratio.parts or ():
            if query.column(part).kind is not Kind.SUM:
                raise QueryError(f"{name}.sql: {ratio.name} divides {part}, which does not add")
    return query


def _column(name: str, line: str) -> Column:
    fields = re.split(r"\s{2,}", line)
    if len(fields) != len(_FIELDS):
        raise QueryError(f"{name}.sql: {line!r} must be {', '.join(_FIELDS)}, two spaces between them")
    column, type_name, kind, unit, meaning = fields
    if type_name not in list(Type) or kind not in list(Kind):
        raise QueryError(f"{name}.sql: {line!r} must have a type of {_names(Type)} and a kind of {_names(Kind)}")
    if kind != Kind.RATIO:
        return Column(column, Type(type_name), Kind(kind), unit, meaning)
    parts = _RATIO.fullmatch(meaning)
    if parts is None:
        raise QueryError(f"{name}.sql: {line!r} must have two sums as its meaning, `one / other`")
    return Column(column, Type(type_name), Kind.RATIO, unit, meaning, (parts[1], parts[2]))


def _names(choices: type[StrEnum]) -> str:
    return ", ".join(choices)
