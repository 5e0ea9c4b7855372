"""The stack of dashboards: data sets that are queries, visuals that use what these give, and who may do what."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloud.app import INSIGHTS, PLATFORM
from cloud.insights import board, queries, quicksight
from tests.infrastructure.cloud.conftest import Synthesised

# What QuickSight takes a result's column for.
QUICKSIGHT_TYPES = {
    "VARCHAR": "STRING",
    "BIGINT": "INTEGER",
    "INTEGER": "INTEGER",
    "DOUBLE": "DECIMAL",
    "TIMESTAMP": "DATETIME",
}
GLUE_TYPES = {"string": "VARCHAR", "array<int>": "INTEGER[]"}


@pytest.fixture(scope="session")
def insights(dev: dict[str, Synthesised]) -> Synthesised:
    return dev[INSIGHTS]


@pytest.fixture(scope="session")
def definition(insights: Synthesised) -> dict[str, Any]:
    dashboard = insights.one("AWS::QuickSight::Dashboard")["Definition"]
    assert insights.one("AWS::QuickSight::Analysis")["Definition"] == dashboard
    assert isinstance(dashboard, dict)
    return dashboard


@pytest.fixture(scope="session")
def glue(dev: dict[str, Synthesised]) -> duckdb.DuckDBPyConnection:
    """Empty tables as the platform's template declares them to Glue."""
    connection = duckdb.connect()
    for properties in dev[PLATFORM].of_type("AWS::Glue::Table").values():
        table = properties["TableInput"]
        columns = ", ".join(
            f"{column['Name']} {GLUE_TYPES.get(column['Type'], column['Type'])}"
            for column in (*table["StorageDescriptor"]["Columns"], *table.get("PartitionKeys", ()))
        )
        connection.execute(f"CREATE TABLE {table['Name']} ({columns})")
    return connection


def sources(insights: Synthesised) -> dict[str, dict[str, Any]]:
    """The custom SQL of every data set, by its name."""
    found = {}
    for data_set in insights.of_type("AWS::QuickSight::DataSet").values():
        (table,) = data_set["PhysicalTableMap"].values()
        found[table["CustomSql"]["Name"]] = {**table["CustomSql"], "ImportMode": data_set["ImportMode"]}
    return found


def visuals(definition: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
    """Sheet, kind and definition of every visual."""
    for sheet in definition["Sheets"]:
        for visual in sheet["Visuals"]:
            ((kind, body),) = visual.items()
            yield sheet, kind, body


def within(value: Any, key: str) -> Iterator[Any]:
    """Every value of `key`, however deep."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from within(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from within(item, key)


@pytest.mark.parametrize("name", quicksight.used_queries())
def test_a_data_set_declares_what_its_query_gives_of_the_tables_in_glue(
    insights: Synthesised, glue: duckdb.DuckDBPyConnection, name: str
) -> None:
    source = sources(insights)[name]
    assert "LakeDatabase" in json.dumps(source["SqlQuery"]), "QuickSight has no database of its own"
    described = glue.execute(f"DESCRIBE {queries.load(name).sql()}").fetchall()
    assert [(column, QUICKSIGHT_TYPES[kind]) for column, kind, *_ in described] == [
        (column["Name"], column["Type"]) for column in source["Columns"]
    ]


def test_every_query_of_the_board_is_a_data_set_and_every_file_a_saved_query(insights: Synthesised) -> None:
    assert set(sources(insights)) == set(quicksight.used_queries())
    saved = {query["Name"]: query["QueryString"] for query in insights.of_type("AWS::Athena::NamedQuery").values()}
    assert saved == {query.name: query.sql() for query in queries.load_all()}
    assert set(quicksight.used_queries()) == set(saved), "a query that no visual shows"


def test_rollups_are_kept_in_spice_by_schedule_and_live_views_are_asked_anew(insights: Synthesised) -> None:
    schedules = {
        schedule["DataSetId"]: schedule["Schedule"]["ScheduleFrequency"]["Interval"]
        for schedule in insights.of_type("AWS::QuickSight::RefreshSchedule").values()
    }
    modes = {name: source["ImportMode"] for name, source in sources(insights).items()}
    for query in queries.load_all():
        data_set = f"roadside-dev-{query.name.replace('_', '-')}"
        if query.refresh == "direct":
            assert (modes[query.name], schedules.get(data_set)) == ("DIRECT_QUERY", None)
        else:
            assert (modes[query.name], schedules[data_set]) == ("SPICE", query.refresh.upper())


def test_every_field_of_a_visual_is_a_column_or_a_ratio_of_its_data_set(
    insights: Synthesised, definition: dict[str, Any]
) -> None:
    known = {(name, column["Name"]) for name, source in sources(insights).items() for column in source["Columns"]}
    known |= {(field["DataSetIdentifier"], field["Name"]) for field in definition["CalculatedFields"]}
    used = [
        (column["DataSetIdentifier"], column["ColumnName"])
        for key in ("Column", "SortBy")
        for column in within(definition, key)
    ]
    assert len(used) > 80
    assert set(used) <= known


def test_visuals_refer_to_fields_of_their_own(definition: dict[str, Any]) -> None:
    for _, kind, visual in visuals(definition):
        wells = list(within(visual["ChartConfiguration"]["FieldWells"], "FieldId"))
        assert wells, kind
        assert len(wells) == len(set(wells)), kind
        assert set(within(visual, "FieldId")) == set(wells), kind


def test_means_are_ratios_of_sums(definition: dict[str, Any]) -> None:
    ratios = {field["Name"]: field["Expression"] for field in definition["CalculatedFields"]}
    assert ratios["mean_speed"] == "sum({vehicle_km}) / nullIf(sum({travel_h}), 0)"
    for field in within(definition, "NumericalMeasureField"):
        name = field["Column"]["ColumnName"]
        aggregation = field.get("AggregationFunction", {}).get("SimpleNumericalAggregation")
        column = queries.load(field["Column"]["DataSetIdentifier"]).column(name)
        expected = {queries.Kind.SUM: "SUM", queries.Kind.VALUE: "MAX", queries.Kind.RATIO: None}
        assert aggregation == expected[column.kind], name
    assert "AVERAGE" not in json.dumps(definition)


def test_every_visual_has_a_place_that_no_other_takes(definition: dict[str, Any]) -> None:
    for sheet in definition["Sheets"]:
        elements = sheet["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]
        keys = [visual["VisualId"] for shown, _, visual in visuals(definition) if shown is sheet]
        assert [element["ElementId"] for element in elements] == keys
        cells = [
            (row, column)
            for element in elements
            for row in range(element["RowIndex"], element["RowIndex"] + element["RowSpan"])
            for column in range(element["ColumnIndex"], element["ColumnIndex"] + element["ColumnSpan"])
        ]
        assert len(cells) == len(set(cells))
        assert len(cells) == 36 * max(row + 1 for row, _ in cells), "a hole in the grid"


def test_choices_and_figures_filter_visuals_that_exist(definition: dict[str, Any]) -> None:
    shown = {
        sheet["SheetId"]: {v["VisualId"] for s, _, v in visuals(definition) if s is sheet}
        for sheet in definition["Sheets"]
    }
    for scope in within(definition["FilterGroups"], "SheetVisualScopingConfigurations"):
        for each in scope:
            assert set(each.get("VisualIds", ())) <= shown[each["SheetId"]]
    filters = set(within(definition["FilterGroups"], "FilterId"))
    assert set(within(definition["Sheets"], "SourceFilterId")) <= filters
    figures = {visual["VisualId"] for _, kind, visual in visuals(definition) if kind == "KPIVisual"}
    assert {f"{figure}-days" for figure in figures} <= filters, "a figure of a day that is not over"


def test_the_board_shows_what_was_asked_for(definition: dict[str, Any]) -> None:
    kinds = [kind for _, kind, _ in visuals(definition)]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "KPIVisual": 4,
        "HeatMapVisual": 1,
        "BarChartVisual": 4,
        "LineChartVisual": 3,
        "TableVisual": 4,
        "GeospatialMapVisual": 1,
    }


def test_who_owns_and_who_reads_is_asked_at_deployment(insights: Synthesised) -> None:
    parameters = insights.template["Parameters"]
    assert "Default" not in parameters["QuickSightOwnerArn"]
    assert parameters["QuickSightReadersArn"]["Default"] == "none"
    readable = {}
    for kind in ("DataSource", "DataSet", "Theme", "Analysis", "Dashboard"):
        for resource in insights.of_type(f"AWS::QuickSight::{kind}").values():
            owner, *readers = resource["Permissions"]
            assert owner["Principal"] == {"Ref": "QuickSightOwnerArn"}
            readable[kind] = bool(readers)
            for reader in readers:
                condition, grant, nothing = reader["Fn::If"]
                assert (condition, nothing) == ("HasReaders", {"Ref": "AWS::NoValue"})
                assert grant["Principal"] == {"Ref": "QuickSightReadersArn"}
                assert not [
                    action for action in grant["Actions"] if action.split(":")[1].startswith(("Update", "Delete"))
                ]
    assert readable == {"DataSource": False, "DataSet": True, "Theme": True, "Analysis": False, "Dashboard": True}


def test_quicksight_reads_the_lake_in_a_role_that_writes_results_alone(insights: Synthesised) -> None:
    role = insights.one("AWS::IAM::Role")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "quicksight.amazonaws.com"}
    writes = [
        json.dumps(statement["Resource"])
        for statement in role["Policies"][0]["PolicyDocument"]["Statement"]
        for action in [statement["Action"]]
        if any(
            each in ("s3:PutObject", "s3:DeleteObject") for each in ([action] if isinstance(action, str) else action)
        )
    ]
    assert len(writes) == 1
    assert "athena-results/" in writes[0]
    source = insights.one("AWS::QuickSight::DataSource")
    assert source["DataSourceParameters"]["AthenaParameters"]["RoleArn"]["Fn::GetAtt"][0].startswith("Reader")


def test_cfn_lint_knows_what_a_visual_may_be(insights: Synthesised, tmp_path: Path) -> None:
    """That it passes means something: it looks into the definition as deep as this."""
    (logical_id,) = insights.of_type("AWS::QuickSight::Dashboard")
    spoiled = json.loads(json.dumps(insights.resources[logical_id]))
    sheet = spoiled["Properties"]["Definition"]["Sheets"][0]
    spoiled["Properties"] = {
        **spoiled["Properties"],
        "ThemeArn": "arn:aws:quicksight:eu-central-1:123456789012:theme/roadside",
        "Permissions": spoiled["Properties"]["Permissions"][:1],
        "Definition": {
            "DataSetIdentifierDeclarations": [
                {"Identifier": "x", "DataSetArn": "arn:aws:quicksight:eu-central-1:123456789012:dataset/x"}
            ],
            "Sheets": [{**sheet, "Visuals": [sheet["Visuals"][4]]}],
        },
    }
    sheet["Visuals"][4]["HeatMapVisual"]["ChartConfiguration"]["ColorScale"]["ColorFillType"] = "RAINBOW"
    file = tmp_path / "spoiled.json"
    parameters = {"QuickSightOwnerArn": insights.template["Parameters"]["QuickSightOwnerArn"]}
    file.write_text(json.dumps({"Parameters": parameters, "Resources": {logical_id: spoiled}}))
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(file)]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "'RAINBOW' is not one of ['DISCRETE', 'GRADIENT']" in linted.stdout


def test_the_board_itself_is_sound() -> None:
    from cloud.insights.visuals import check

    check(board.SHEETS)
