"""The lake's tables as every reader and writer of them takes them for granted."""

import re

import pytest

from cloud import lake_tables
from cloud.lake_tables import Format, LakeTable

GLUE_TYPES = {"boolean", "int", "bigint", "double", "string", "array<int>"}


@pytest.fixture(params=lake_tables.TABLES, ids=lambda table: table.name)
def table(request: pytest.FixtureRequest) -> LakeTable:
    found: LakeTable = request.param
    return found


def test_names_are_such_that_sql_needs_no_quotes(table: LakeTable) -> None:
    names = [table.name, *table.column_names()]
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
    assert len(set(table.column_names())) == len(table.column_names())


def test_every_column_has_a_type_that_glue_and_firehose_know_and_a_meaning(table: LakeTable) -> None:
    for column in table.columns:
        assert column.type in GLUE_TYPES, column.name
        assert column.meaning, column.name


def test_the_keys_of_firehose_rows_differ_even_in_small_letters(table: LakeTable) -> None:
    keys = [column.json_key.lower() for column in table.columns]
    assert len(set(keys)) == len(keys)


def test_only_what_firehose_writes_has_short_keys(table: LakeTable) -> None:
    if table.format is not Format.PARQUET:
        assert all(column.key is None for column in table.columns)


def test_no_table_lies_within_another() -> None:
    prefixes = [table.prefix for table in lake_tables.TABLES]
    assert not [(a, b) for a in prefixes for b in prefixes if a != b and a.startswith(b)]
    assert lake_tables.SEGMENTS_KEY.startswith(lake_tables.SEGMENTS.prefix)


def test_every_partition_tells_athena_how_to_find_its_values(table: LakeTable) -> None:
    for partition in table.partitions:
        assert {"type", "range"} <= dict(partition.projection).keys()
