"""The board as QuickSight's definition of an analysis or dashboard, in CloudFormation's spelling. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from cloud.insights import board, queries
from cloud.insights.queries import Column, Query, Type
from cloud.insights.quicksight_visuals import Json, identifier, visual_definition
from cloud.insights.visuals import GRID_COLUMNS, Figure, Sheet

COLUMN_TYPES: Final = {
    Type.INT: "INTEGER",
    Type.BIGINT: "INTEGER",
    Type.DOUBLE: "DECIMAL",
    Type.TEXT: "STRING",
    Type.TIMESTAMP: "DATETIME",
}
_GRID_COLUMNS: Final = 36  # QuickSight's, three for each of the board's
_CONTROL_COLUMNS: Final = 6
_FIGURE_DAYS: Final = 28  # of the small line in a figure


def definition(data_set_arns: Mapping[str, str], week_start: str = "MONDAY") -> Json:
    """Definition of analysis and dashboard.

    Parameters
    ----------
    data_set_arns : of each query that the board uses
    """
    return {
        "DataSetIdentifierDeclarations": [
            {"Identifier": name, "DataSetArn": data_set_arns[name]} for name in used_queries()
        ],
        "CalculatedFields": [
            {
                "DataSetIdentifier": name,
                "Name": ratio.name,
                "Expression": _ratio_expression(ratio),
            }
            for name in used_queries()
            for ratio in queries.load(name).ratios
        ],
        "Sheets": [_sheet(sheet) for sheet in board.SHEETS],
        "FilterGroups": [*_figure_filters(), *(group for sheet in board.SHEETS for group in _filters(sheet))],
        "Options": {"WeekStart": week_start},
    }


def used_queries() -> tuple[str, ...]:
    """Queries of the board, each once, in order of their first visual."""
    return tuple(dict.fromkeys(visual.query for sheet in board.SHEETS for visual in sheet.visuals()))


def physical_table(query: Query, data_source_arn: str, database: str, time_zone: str) -> Json:
    """The query as a data set's source."""
    return {
        "CustomSql": {
            "DataSourceArn": data_source_arn,
            "Name": query.name,
            "SqlQuery": query.sql(database=database, time_zone=time_zone),
            "Columns": [{"Name": column.name, "Type": COLUMN_TYPES[column.type]} for column in query.columns],
        }
    }


def logical_table(query: Query, physical_table_id: str) -> Json:
    """The table as visuals see it: with a description of each column, and with what lies on the map marked."""
    roles = {"latitude": "LATITUDE", "longitude": "LONGITUDE"}
    transforms = []
    for column in query.columns:
        tags: list[Json] = [{"ColumnDescription": {"Text": f"{column.meaning} ({column.unit})"}}]
        if column.name in roles:
            tags.append({"ColumnGeographicRole": roles[column.name]})
        transforms.append({"TagColumnOperation": {"ColumnName": column.name, "Tags": tags}})
    return {"Alias": query.name, "Source": {"PhysicalTableId": physical_table_id}, "DataTransforms": transforms}


def theme() -> Json:
    """Colours and spacing of the board."""
    return {
        "DataColorPalette": {
            "Colors": list(board.PALETTE),
            "MinMaxGradient": [board.HEAT[0], board.HEAT[-1]],
            "EmptyFillColor": "#F2F2F2",
        },
        "UIColorPalette": {
            "PrimaryForeground": "#1B1F24",
            "PrimaryBackground": "#FFFFFF",
            "SecondaryForeground": "#59636E",
            "SecondaryBackground": "#F6F8FA",
            "Accent": board.PALETTE[0],
            "AccentForeground": "#FFFFFF",
        },
        "Sheet": {
            "Tile": {"Border": {"Show": False}},
            "TileLayout": {"Gutter": {"Show": True}, "Margin": {"Show": True}},
        },
    }


def _ratio_expression(ratio: Column) -> str:
    assert ratio.parts is not None  # noqa: S101 - a ratio is parsed with its parts
    above, below = ratio.parts
    return f"sum({{{above}}}) / nullIf(sum({{{below}}}), 0)"


def _sheet(sheet: Sheet) -> Json:
    elements: list[Json] = []
    row_index = 0
    for row in sheet.rows:
        column_index = 0
        for visual in row:
            span = visual.width * _GRID_COLUMNS // GRID_COLUMNS
            elements.append(_element(visual.key, "VISUAL", column_index, row_index, span, visual.height))
            column_index += span
        row_index += row[0].height
    controls = [_control_id(sheet, query, name) for query, name in sheet.filters]
    return {
        "SheetId": sheet.key,
        "Name": sheet.title,
        "ContentType": "INTERACTIVE",
        "Visuals": [visual_definition(visual) for visual in sheet.visuals()],
        "FilterControls": [
            {
                "Dropdown": {
                    "FilterControlId": _control_id(sheet, query, name),
                    "SourceFilterId": _filter_id(sheet, query, name),
                    "Title": queries.load(query).column(name).label,
                    "Type": "MULTI_SELECT",
                }
            }
            for query, name in sheet.filters
        ],
        "Layouts": [{"Configuration": {"GridLayout": {"Elements": elements, "CanvasSizeOptions": _canvas()}}}],
        "SheetControlLayouts": [
            {
                "Configuration": {
                    "GridLayout": {
                        "Elements": [
                            _element(control, "FILTER_CONTROL", index * _CONTROL_COLUMNS, 0, _CONTROL_COLUMNS, 1)
                            for index, control in enumerate(controls)
                        ]
                    }
                }
            }
        ],
    }


def _canvas() -> Json:
    return {"ScreenCanvasSizeOptions": {"ResizeOption": "FIXED", "OptimizedViewPortWidth": "1600px"}}


def _element(key: str, kind: str, column: int, row: int, columns: int, rows: int) -> Json:
    return {
        "ElementId": key,
        "ElementType": kind,
        "ColumnIndex": column,
        "ColumnSpan": columns,
        "RowIndex": row,
        "RowSpan": rows,
    }


def _filter_id(sheet: Sheet, query: str, name: str) -> str:
    return f"{sheet.key}-{query}-{name}"


def _control_id(sheet: Sheet, query: str, name: str) -> str:
    return f"{_filter_id(sheet, query, name)}-control"


def _filters(sheet: Sheet) -> Iterator[Json]:
    """What a reader chooses on a sheet: nothing chosen is everything."""
    for query, name in sheet.filters:
        yield _filter_group(
            _filter_id(sheet, query, name),
            {
                "CategoryFilter": {
                    "FilterId": _filter_id(sheet, query, name),
                    "Column": identifier(query, name),
                    "Configuration": {
                        "FilterListConfiguration": {
                            "MatchOperator": "CONTAINS",
                            "SelectAllOptions": "FILTER_ALL_VALUES",
                        }
                    },
                }
            },
            {"SheetId": sheet.key, "Scope": "ALL_VISUALS"},
        )


def _figure_filters() -> Iterator[Json]:
    """Figures are about whole days: today, which is not over, is left out."""
    for sheet in board.SHEETS:
        for visual in sheet.visuals():
            if isinstance(visual, Figure):
                yield _filter_group(
                    f"{visual.key}-days",
                    {
                        "RelativeDatesFilter": {
                            "FilterId": f"{visual.key}-days",
                            "Column": identifier(visual.query, visual.time),
                            "AnchorDateConfiguration": {"AnchorOption": "NOW"},
                            "TimeGranularity": "DAY",
                            "RelativeDateType": "LAST",
                            "RelativeDateValue": _FIGURE_DAYS + 1,
                            "ExcludePeriodConfiguration": {"Amount": 1, "Granularity": "DAY", "Status": "ENABLED"},
                            "NullOption": "NON_NULLS_ONLY",
                        }
                    },
                    {"SheetId": sheet.key, "Scope": "SELECTED_VISUALS", "VisualIds": [visual.key]},
                )


def _filter_group(key: str, filter_: Json, scope: Json) -> Json:
    return {
        "FilterGroupId": f"{key}-group",
        "Filters": [filter_],
        "CrossDataset": "SINGLE_DATASET",
        "Status": "ENABLED",
        "ScopeConfiguration": {"SelectedSheets": {"SheetVisualScopingConfigurations": [scope]}},
    }
