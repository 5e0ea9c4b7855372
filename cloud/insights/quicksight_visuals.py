"""Each kind of visual as QuickSight defines it, in CloudFormation's spelling. Pure."""

from typing import Any, Final

from cloud.insights import board
from cloud.insights.queries import Column, Kind, Type
from cloud.insights.visuals import AnyVisual, Bars, Figure, HeatMap, Lines, Map, Table

Json = dict[str, Any]

_DECIMALS: Final = {"times": 2, "share": 1}


def visual_definition(visual: AnyVisual) -> Json:
    """The visual as one of a sheet's `Visuals`."""
    match visual:
        case Figure():
            kind, configuration = "KPIVisual", _figure(visual)
        case HeatMap():
            kind, configuration = "HeatMapVisual", _heat_map(visual)
        case Lines():
            kind, configuration = "LineChartVisual", _lines(visual)
        case Bars():
            kind, configuration = "BarChartVisual", _bars(visual)
        case Map():
            kind, configuration = "GeospatialMapVisual", _map(visual)
        case Table():
            kind, configuration = "TableVisual", _table(visual)
    title = {"Visibility": "VISIBLE", "FormatText": {"PlainText": visual.title}}
    subtitle = {"Visibility": "VISIBLE", "FormatText": {"PlainText": _units(visual)}}
    if isinstance(visual, Table | Figure):  # which tell their units in the columns' heads and beside the number
        subtitle = {"Visibility": "HIDDEN"}
    return {
        kind: {
            "VisualId": visual.key,
            "Title": title,
            "Subtitle": subtitle,
            "VisualContentAltText": visual.source().title[:1024],
            "ChartConfiguration": configuration,
        }
    }


def _units(visual: AnyVisual) -> str:
    return "; ".join(f"{column.label} ({column.unit})" for column in visual.measures())


def _figure(visual: Figure) -> Json:
    return {
        "FieldWells": {
            "Values": [_measure(visual, visual.measure, suffix=True)],
            "TrendGroups": [_dimension(visual, visual.time, "DAY")],
        },
        "KPIOptions": {
            "PrimaryValueDisplayType": "ACTUAL",
            "Comparison": {"ComparisonMethod": "PERCENT_DIFFERENCE"},
            "Sparkline": {"Type": "LINE", "Visibility": "VISIBLE"},
        },
    }


def _heat_map(visual: HeatMap) -> Json:
    row_sort = {
        "ColumnSort": {
            "SortBy": identifier(visual.query, visual.row_order),
            "Direction": "ASC",
            "AggregationFunction": {"NumericalAggregationFunction": {"SimpleNumericalAggregation": "MIN"}},
        }
    }
    return {
        "FieldWells": {
            "HeatMapAggregatedFieldWells": {
                "Rows": [_dimension(visual, visual.rows)],
                "Columns": [_dimension(visual, visual.columns)],
                "Values": [_measure(visual, visual.measure)],
            }
        },
        "SortConfiguration": {
            "HeatMapRowSort": [row_sort],
            "HeatMapColumnSort": [_field_sort(visual, visual.columns)],
        },
        "ColorScale": {"ColorFillType": "GRADIENT", "Colors": [{"Color": colour} for colour in board.HEAT]},
        "RowLabelOptions": _axis_label(visual, visual.rows),
        "ColumnLabelOptions": _axis_label(visual, visual.columns),
        "Legend": {"Visibility": "VISIBLE"},
    }


def _lines(visual: Lines) -> Json:
    wells: Json = {
        "Category": [_dimension(visual, visual.time, visual.grain.upper())],
        "Values": [_measure(visual, visual.measure)],
    }
    chart: Json = {
        "Type": "LINE",
        "FieldWells": {"LineChartAggregatedFieldWells": wells},
        "SortConfiguration": {"CategorySort": [_field_sort(visual, visual.time)]},
        "XAxisLabelOptions": _axis_label(visual, visual.time),
        "PrimaryYAxisLabelOptions": _axis_label(visual, visual.measure),
    }
    if visual.colour:
        wells["Colors"] = [_dimension(visual, visual.colour)]
        chart["VisualPalette"] = _palette(visual, visual.colour)
    return chart


def _bars(visual: Bars) -> Json:
    wells: Json = {
        "Category": [_dimension(visual, visual.category, "DAY")],
        "Values": [_measure(visual, name) for name in visual.bars],
    }
    by = visual.category if visual.in_order else visual.bars[0]
    chart: Json = {
        "FieldWells": {"BarChartAggregatedFieldWells": wells},
        "Orientation": "HORIZONTAL" if visual.horizontal else "VERTICAL",
        "BarsArrangement": "STACKED" if visual.colour else "CLUSTERED",
        "SortConfiguration": {"CategorySort": [_field_sort(visual, by, descending=not visual.in_order)]},
        "CategoryLabelOptions": _axis_label(visual, visual.category),
        "ValueLabelOptions": _axis_label(visual, visual.bars[0]),
    }
    if visual.colour:
        wells["Colors"] = [_dimension(visual, visual.colour)]
        chart["VisualPalette"] = _palette(visual, visual.colour)
    return chart


def _map(visual: Map) -> Json:
    return {
        "FieldWells": {
            "GeospatialMapAggregatedFieldWells": {
                "Geospatial": [_dimension(visual, visual.latitude), _dimension(visual, visual.longitude)],
                "Values": [_measure(visual, visual.measure)],
                "Colors": [_dimension(visual, visual.colour)],
            }
        },
        "MapStyleOptions": {"BaseMapStyle": "LIGHT_GRAY"},
        "PointStyleOptions": {"SelectedPointStyle": "POINT"},
        "VisualPalette": _palette(visual, visual.colour),
    }


def _table(visual: Table) -> Json:
    keys = [name for name in visual.columns if visual.column(name).kind is Kind.KEY]
    measures = [name for name in visual.columns if name not in keys]
    sums = [name for name in measures if visual.column(name).kind is Kind.SUM]
    return {
        "FieldWells": {
            "TableAggregatedFieldWells": {
                "GroupBy": [_dimension(visual, name, "MINUTE") for name in keys],
                "Values": [_measure(visual, name) for name in measures],
            }
        },
        "SortConfiguration": {"RowSort": [_field_sort(visual, visual.sort, descending=visual.descending)]},
        "FieldOptions": {
            "SelectedFieldOptions": [
                {"FieldId": _field_id(visual, name), "CustomLabel": _head(visual.column(name))}
                for name in visual.columns
            ],
            "Order": [_field_id(visual, name) for name in visual.columns],
        },
        "TableInlineVisualizations": [
            {"DataBars": {"FieldId": _field_id(visual, name), "PositiveColor": board.PALETTE[4]}} for name in sums[:1]
        ],
    }


def _head(column: Column) -> str:
    measured = column.kind is not Kind.KEY and column.unit not in ("share", column.name)
    return f"{column.label} ({column.unit})" if measured else column.label


def _field_id(visual: AnyVisual, name: str) -> str:
    return f"{visual.key}.{name}"


def identifier(query: str, name: str) -> Json:
    return {"DataSetIdentifier": query, "ColumnName": name}


def _field_sort(visual: AnyVisual, name: str, *, descending: bool = False) -> Json:
    return {"FieldSort": {"FieldId": _field_id(visual, name), "Direction": "DESC" if descending else "ASC"}}


def _dimension(visual: AnyVisual, name: str, grain: str | None = None) -> Json:
    field: Json = {"FieldId": _field_id(visual, name), "Column": identifier(visual.query, name)}
    match visual.column(name).type:
        case Type.TEXT:
            return {"CategoricalDimensionField": field}
        case Type.TIMESTAMP:
            return {"DateDimensionField": {**field, "DateGranularity": grain}}
        case _:
            return {"NumericalDimensionField": field}


def _measure(visual: AnyVisual, name: str, *, suffix: bool = False) -> Json:
    """A sum adds, a value stands for itself; the expression of a ratio adds by itself."""
    column = visual.column(name)
    field: Json = {
        "FieldId": _field_id(visual, name),
        "Column": identifier(visual.query, name),
        "FormatConfiguration": {"FormatConfiguration": _number_format(column, suffix=suffix)},
    }
    if column.kind is not Kind.RATIO:
        simple = "SUM" if column.kind is Kind.SUM else "MAX"
        field["AggregationFunction"] = {"SimpleNumericalAggregation": simple}
    return {"NumericalMeasureField": field}


def _number_format(column: Column, *, suffix: bool) -> Json:
    decimals = {"DecimalPlacesConfiguration": {"DecimalPlaces": _DECIMALS.get(column.unit, 0)}}
    if column.unit == "share":
        return {"PercentageDisplayFormatConfiguration": decimals}
    unit = {"Suffix": f" {column.unit}"} if suffix else {}
    return {"NumberDisplayFormatConfiguration": {**decimals, **unit}}


def _axis_label(visual: AnyVisual, name: str) -> Json:
    column = visual.column(name)
    label: Json = {
        "CustomLabel": f"{column.label} ({column.unit})" if column.unit != "name" else column.label,
        "ApplyTo": {"FieldId": _field_id(visual, name), "Column": identifier(visual.query, name)},
    }
    return {"Visibility": "VISIBLE", "AxisLabelOptions": [label]}


def _palette(visual: AnyVisual, name: str) -> Json:
    """Colours of values that mean something; QuickSight gives the others the theme's."""
    field_id = _field_id(visual, name)
    return {
        "ColorMap": [
            {"Element": {"FieldId": field_id, "FieldValue": value}, "Color": colour}
            for value, colour in board.COLOURS.get(name, {}).items()
        ]
    }
