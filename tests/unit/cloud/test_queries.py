"""What heads the files of cloud/sql, and that what follows is Athena's SQL as well as DuckDB's."""

import re

import pytest
import sqlglot
from sqlglot import exp

from cloud import lake_tables
from cloud.insights import board, queries, reference
from cloud.insights.queries import Kind, Query, QueryError, Type
from tests.lake import empty_lake

ALL = queries.load_all()
each_query = pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)

HEADER = """\
-- What it tells.
--
-- visuals: a-chart, a-table
-- refresh: hourly
--
-- day      text    key    UTC day  which day
-- lost_h   double  sum    h        time lost
-- all_h    double  sum    h        all time
-- lost     double  ratio  share    lost_h / all_h
SELECT 1
"""
DUCKDB_TYPES = {
    Type.INT: {"INTEGER", "BIGINT"},
    Type.BIGINT: {"BIGINT"},
    Type.DOUBLE: {"DOUBLE"},
    Type.TEXT: {"VARCHAR"},
    Type.TIMESTAMP: {"TIMESTAMP"},
}


def test_a_header_declares_title_visuals_refresh_columns_and_ratios() -> None:
    query = queries.parse("lost", HEADER)
    assert query.title == "What it tells."
    assert query.visuals == ("a-chart", "a-table")
    assert query.refresh == "hourly"
    assert [column.name for column in query.columns] == ["day", "lost_h", "all_h"]
    assert query.column("lost").parts == ("lost_h", "all_h")
    assert query.column("lost_h").label == "Lost"
    assert query.sql() == "SELECT 1"


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (("-- refresh: hourly\n", "-- refresh: now and then\n"), "refresh: hourly or daily or direct"),
        (("-- visuals: a-chart, a-table\n", ""), "must be `visuals"),
        (("time lost", "time  lost"), "name, type, kind, unit, meaning"),
        (("double  sum    h        all time", "real  sum    h        all time"), "a type of int, bigint"),
        (("all_h    double  sum", "all_h    double  value"), "lost divides all_h, which does not add"),
        (("lost_h / all_h", "lost_h over all_h"), "two sums as its meaning"),
        (("lost_h / all_h", "lost_h / some_h"), "has no column 'some_h'"),
    ],
)
def test_a_header_that_cannot_be_read_is_named_with_its_line(spoil: tuple[str, str], complaint: str) -> None:
    assert spoil[0] in HEADER
    with pytest.raises(QueryError, match=re.escape(complaint)):
        queries.parse("lost", HEADER.replace(*spoil))


@each_query
def test_a_query_gives_the_columns_that_its_header_declares(query: Query) -> None:
    described = empty_lake().execute(f"DESCRIBE {query.sql()}").fetchall()
    assert [name for name, *_ in described] == [column.name for column in query.columns]
    wrong = {name: kind for name, kind, *_ in described if kind not in DUCKDB_TYPES[query.column(name).type]}
    assert not wrong


@each_query
def test_a_query_is_one_statement_of_athenas_grammar(query: Query) -> None:
    (statement,) = sqlglot.parse(query.sql(), read="athena", error_level=sqlglot.ErrorLevel.RAISE)
    assert isinstance(statement, exp.Select)
    assert statement.named_selects == [column.name for column in query.columns]


@each_query
def test_a_query_means_the_same_to_athena_and_duckdb(query: Query) -> None:
    """Whatever sqlglot would have to write differently for the other one, the files do not use."""
    statement = sqlglot.parse_one(query.sql(), read="athena")
    fractions = [
        str(number) for number in statement.find_all(exp.Literal) if "." in str(number) and not number.is_string
    ]
    assert all("e" in number.lower() for number in fractions), "Trino takes it for a decimal"
    days_of_week = {"dow", "day_of_week", "dayofweek"} & {name.lower() for name in re.findall(r"\w+", query.sql())}
    assert not days_of_week, "Monday is 1 to one and Sunday 0 to the other"


@each_query
def test_a_query_names_the_database_of_every_table_when_asked_to(query: Query) -> None:
    statement = sqlglot.parse_one(query.sql(database="roadside_dev"), read="athena")
    expressions = {cte.alias for cte in statement.find_all(exp.CTE)}
    tables = [table for table in statement.find_all(exp.Table) if table.name not in expressions]
    assert tables
    for table in tables:
        assert table.db == "roadside_dev"
        assert table.name in {known.name for known in lake_tables.TABLES}


@each_query
def test_a_query_reads_no_more_days_than_it_needs(query: Query) -> None:
    """Athena is paid by the byte: every table with days is restricted by them."""
    statement = sqlglot.parse_one(query.sql(), read="athena")
    dated = {table.name for table in lake_tables.TABLES if table.partitions}
    for table in statement.find_all(exp.Table):
        if table.name in dated:
            select = table.find_ancestor(exp.Select)
            assert select is not None
            where = select.args["where"]
            assert "dt" in {column.name for column in where.find_all(exp.Column)}, table.name


@each_query
def test_the_citys_time_zone_takes_the_place_of_the_one_in_the_file(query: Query) -> None:
    assert ("Europe/Berlin" in query.sql(time_zone="Europe/Berlin")) == (queries.CITY_ZONE in query.sql())
    told_in_city_time = any(column.unit == "city's time" for column in query.columns)
    assert not told_in_city_time or queries.CITY_ZONE in query.sql()


def test_every_instant_says_whose_time_it_is() -> None:
    instants = [column for query in ALL for column in query.columns if column.type is Type.TIMESTAMP]
    assert {column.unit for column in instants} == {"city's time", "UTC day"}
    assert all(column.kind is Kind.KEY for column in instants)


@each_query
def test_a_header_names_the_visuals_of_the_board_that_show_it(query: Query) -> None:
    shown = [visual.key for sheet in board.SHEETS for visual in sheet.visuals() if visual.query == query.name]
    assert list(query.visuals) == shown


def test_the_page_on_dashboards_lists_the_board_as_it_is() -> None:
    _, begin, rest = reference.PAGE.read_text("utf-8").partition(reference.BEGIN)
    generated, end, _ = rest.partition(reference.END)
    assert begin
    assert end
    assert generated == f"\n{reference.reference()}\n", "run: .venv/bin/python -m cloud.insights.reference"
