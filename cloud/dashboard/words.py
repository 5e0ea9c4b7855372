"""Numbers and instants as people read them, and what a visual has found in one line. Pure."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from cloud.dashboard import sums
from cloud.dashboard.sums import Row, Value
from cloud.insights.queries import Column, Kind, Query, Type
from cloud.insights.visuals import AnyVisual, Bars, Figure, HeatMap, Lines, Map, Table

_DECIMALS: Final = {"times": 2, "min": 0, "km/h": 0}
NOTHING: Final = "-"


def number(value: Value, unit: str, *, with_unit: bool = True) -> str:
    """A number with its unit; a share as percent."""
    if value is None:
        return NOTHING
    if unit == "share":
        decimals = 1 if 0 < abs(value) < 0.1 else 0
        return f"{100 * value:.{decimals}f} %"
    decimals = _DECIMALS.get(unit, 0 if abs(value) >= 10 or value == int(value) else 1)
    text = f"{value:,.{decimals}f}"
    bare = unit in ("times", "name", "0 to 100", "city's number", "incidents") or not with_unit
    return text if bare else f"{text} {unit}"


def tick(value: float, unit: str) -> str:
    """A round number at an axis, which tells the unit."""
    return f"{100 * value:g} %" if unit == "share" else number(value, unit, with_unit=False)


def round_number(value: Value, unit: str) -> str:
    """A number to be read at a glance: millions as such."""
    if value is not None and unit != "share" and abs(value) >= 1e6:
        return f"{value / 1e6:.2f} million {unit}"
    return number(value, unit)


def instant(value: dt.datetime, grain: str) -> str:
    """A day or a minute."""
    return f"{value:%a} {value.day} {value:%b}" if grain == "day" else f"{value:%H:%M}"


def cell(value: Any, column: Column) -> str:
    """A value in a table, whose head tells the unit."""
    if value is None:
        return NOTHING
    if column.type is Type.TIMESTAMP:
        return f"{value:%d %b %H:%M}"
    if column.type is Type.TEXT or column.kind is Kind.KEY:
        return str(value)
    return number(float(value), column.unit, with_unit=False)


def head(column: Column) -> str:
    """A column's name with its unit, for a table's head and an axis."""
    plain = column.kind is Kind.KEY or column.unit == "share" or column.unit in column.label.lower()
    return column.label if plain else f"{column.label} ({column.unit})"


def finding(visual: AnyVisual, rows: Sequence[Row]) -> str:
    """What the visual shows, in one line with its most telling number."""
    query = visual.source()
    found = visual.title
    match visual:
        case HeatMap():
            found = _worst_cell(visual, query, rows)
        case Lines():
            found = _highest(visual, query, rows)
        case Bars():
            found = _stacked(visual, query, rows) if visual.colour else _largest(visual, query, rows)
        case Map():
            focused = [row for row in rows if row[visual.colour] == visual.focus]
            found = f"{len(focused)} of {len(rows)} segments are {visual.focus}"
        case Table():
            found = _first(visual, query, rows)
        case Figure():
            pass
    return found


def _worst_cell(visual: HeatMap, query: Query, rows: Sequence[Row]) -> str:
    cells = _measured(query, sums.grouped(rows, visual.rows, visual.columns), visual.measure)
    if not cells:
        return visual.title
    (row, column), value = max(cells.items(), key=lambda item: item[1])
    return f"{row} {column:02}:00 is the worst hour: {number(value, query.column(visual.measure).unit)}"


def _highest(visual: Lines, query: Query, rows: Sequence[Row]) -> str:
    times = _measured(query, sums.grouped(rows, sums.by_time(visual.time, visual.grain)), visual.measure)
    if not times:
        return visual.title
    (when,), value = max(times.items(), key=lambda item: item[1])
    preposition = "at" if visual.grain == "minute" else "on"
    column = query.column(visual.measure)
    return f"{_most(column)} {preposition} {instant(when, visual.grain)}: {number(value, column.unit)}"


def _stacked(visual: Bars, query: Query, rows: Sequence[Row]) -> str:
    """Where there is most of what matters most, or of everything."""
    assert visual.colour  # noqa: S101 - asked before
    focused = [row for row in rows if visual.focus is None or row[visual.colour] == visual.focus]
    categories = _measured(query, sums.grouped(focused, visual.category), visual.bars[0])
    if not categories:
        return visual.title
    (category,), value = max(categories.items(), key=lambda item: item[1])
    column = query.column(visual.bars[0])
    what = f"Most {query.column(visual.colour).label.lower()} {visual.focus}" if visual.focus else _most(column)
    return f"{what} {_where(category, query.column(visual.category))}: {number(value, column.unit)}"


def _most(column: Column) -> str:
    return f"{'Highest' if column.unit == 'share' else 'Most'} {column.label.lower()}"


def _where(category: Any, column: Column) -> str:
    if isinstance(category, dt.datetime):
        return f"on {instant(category, 'day')}"
    return f"at {category:02}:00" if column.unit == "0 to 23" else f"in {category}"


def _largest(visual: Bars, query: Query, rows: Sequence[Row]) -> str:
    name = visual.bars[-1]
    categories = _measured(query, sums.grouped(rows, visual.category), name)
    if not categories:
        return visual.title
    (category,), value = max(categories.items(), key=lambda item: item[1])
    column = query.column(name)
    return f"{category} is worst: {column.label.lower()} {number(value, column.unit)}"


def _first(visual: Table, query: Query, rows: Sequence[Row]) -> str:
    ordered = table_rows(visual, query, rows)
    names = [name for name in visual.columns if query.column(name).kind is not Kind.KEY]
    subject = next(name for name in visual.columns if query.column(name).unit in ("name", "city's number"))
    told = next((name for name in names if ordered and ordered[0][name] is not None), None)
    if told is None:
        return visual.title
    row, column = ordered[0], query.column(told)
    which = f"{query.column(subject).label} {row[subject]}" if isinstance(row[subject], int) else row[subject]
    return f"{which}: {column.label.lower()} {number(row[told], column.unit)}"


def table_rows(visual: Table, query: Query, rows: Sequence[Row]) -> list[Row]:
    """A table's rows: measures over all that its keys leave together, sorted."""
    keys = [name for name in visual.columns if query.column(name).kind is Kind.KEY]
    measures = [name for name in visual.columns if name not in keys]
    shown = [
        {**dict(zip(keys, key, strict=True)), **{name: sums.total(query, group, name) for name in measures}}
        for key, group in sums.grouped(rows, *keys).items()
    ]
    told = [row for row in shown if row[visual.sort] is not None]
    return sorted(told, key=lambda row: row[visual.sort], reverse=visual.descending)


def readable(name: str) -> str:
    """A value such as `stuck_on` in words."""
    return name.replace("_", " ")


def _measured(query: Query, groups: dict[tuple[Any, ...], list[Row]], name: str) -> dict[tuple[Any, ...], float]:
    totals = {key: sums.total(query, group, name) for key, group in groups.items()}
    return {key: value for key, value in totals.items() if value is not None}
