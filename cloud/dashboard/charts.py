"""Draws each kind of visual as SVG: axes with units, a tip at every mark, colours that every eye tells apart. Pure."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any, Final

from cloud.dashboard import sums, words
from cloud.dashboard.sums import Row, Value
from cloud.dashboard.svg import GRID, INK, Scale, Svg, mixed
from cloud.insights import board
from cloud.insights.queries import Kind, Query, Type
from cloud.insights.visuals import Bars, Figure, HeatMap, Lines, Map, Visual

COLUMN_PX: Final = 112  # of the grid
ROW_PX: Final = 34
_HEAD_PX: Final = 66  # of a card: its titles and legend
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 28
_TITLED_BOTTOM: Final = 42  # below which an axis has its name
_LABEL_PX: Final = 78  # of a day, with some room

_WEEKDAYS: Final = {name: day for day, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), start=1)}

Key = tuple[Any, ...]


def colours_of(column: str, values: Sequence[str]) -> dict[str, str]:
    """A colour for each value: its own, or the palette's next."""
    own = board.COLOURS.get(column, {})
    others = (value for value in values if value not in own)
    palette = {value: board.PALETTE[index % len(board.PALETTE)] for index, value in enumerate(others)}
    return {value: own.get(value) or palette[value] for value in values}


def colour_values(column: str, rows: Sequence[Row]) -> list[str]:
    """The values of a column in the order of their meaning, or of the alphabet."""
    order = list(board.COLOURS.get(column, {}))
    found = {str(row[column]) for row in rows if row[column] is not None}
    return [value for value in order if value in found] + sorted(found - set(order))


def heat_map(visual: HeatMap, rows: Sequence[Row]) -> str:
    """A square for each row and column; the darker, the more."""
    query, drawing = visual.source(), _canvas(visual)
    unit = query.column(visual.measure).unit
    week = query.column(visual.row_order).unit == "1 to 7"
    order = _WEEKDAYS if week else {row[visual.rows]: row[visual.row_order] for row in rows}
    names = sorted(order, key=lambda name: order[name])
    columns = (
        list(range(24)) if query.column(visual.columns).unit == "0 to 23" else sorted({r[visual.columns] for r in rows})
    )
    cells = {
        key: sums.total(query, group, visual.measure)
        for key, group in sums.grouped(rows, visual.rows, visual.columns).items()
    }
    highest = max((value for value in cells.values() if value is not None), default=0) or 1
    scale_px = 70
    width = (drawing.width - _LEFT - _RIGHT - scale_px) / len(columns)
    height = (drawing.height - _TOP - _TITLED_BOTTOM) / max(len(names), 1)
    for place, name in enumerate(names):
        y = _TOP + place * height
        drawing.text(_LEFT - 8, y + height / 2 + 4, str(name), anchor="end", fill=INK)
        for index, column in enumerate(columns):
            value = cells.get((name, column))
            fill = "#f2f2f2" if value is None else mixed(board.HEAT, value / highest)
            tip = f"{name} {column:02}:00, {words.number(value, unit)}"
            drawing.rect(_LEFT + index * width, y, width - 1.5, height - 1.5, fill, tip)
    for index, column in enumerate(columns):
        if index % 3 == 0:
            drawing.text(
                _LEFT + (index + 0.5) * width, drawing.height - _TITLED_BOTTOM + 16, f"{column:02}", anchor="middle"
            )
    middle = _LEFT + len(columns) * width / 2
    drawing.text(middle, drawing.height - 6, query.column(visual.columns).meaning.capitalize(), anchor="middle")
    _heat_scale(drawing, highest, unit)
    return drawing.render()


def _heat_scale(drawing: Svg, highest: float, unit: str) -> None:
    steps, x = 24, drawing.width - _RIGHT - 52
    span = drawing.height - _TOP - _TITLED_BOTTOM
    for step in range(steps):
        y = _TOP + span * (steps - 1 - step) / steps
        drawing.rect(x, y, 12, span / steps + 0.6, mixed(board.HEAT, (step + 0.5) / steps))
    drawing.text(x + 18, _TOP + 10, words.number(highest, unit), fill=INK)
    drawing.text(x + 18, _TOP + span, words.number(0, unit), fill=INK)


def lines(visual: Lines, rows: Sequence[Row]) -> str:
    """A line for each colour over time."""
    query, drawing = visual.source(), _canvas(visual)
    column = query.column(visual.measure)
    if visual.grain == "day" and column.kind is Kind.SUM:
        rows = sums.whole_days(rows, visual.time)
    key = sums.by_time(visual.time, visual.grain)
    times = sorted({key(row) for row in rows})
    names = colour_values(visual.colour, rows) if visual.colour else [""]
    colours = colours_of(visual.colour, names) if visual.colour else {"": board.PALETTE[0]}
    series: dict[str, dict[dt.datetime, float]] = {}
    for name in names:
        own = [row for row in rows if not visual.colour or row[visual.colour] == name]
        groups = {time: sums.total(query, group, visual.measure) for (time,), group in sums.grouped(own, key).items()}
        series[name] = {time: value for time, value in groups.items() if value is not None}
    highest = max((value for line in series.values() for value in line.values()), default=0)
    y = _value_axis(drawing, highest, column.unit)
    x = _times_axis(drawing, times, visual.grain)
    for name, line in series.items():
        points = [(x(time), y(line[time])) for time in times if time in line]
        if points:
            drawing.path(points, colours[name], width=2.5)
        for time, (px, py) in zip((time for time in times if time in line), points, strict=True):
            when = words.instant(time, visual.grain)
            drawing.circle(px, py, 3, colours[name], f"{when} {name}: {words.number(line[time], column.unit)}")
    return drawing.render()


def bars(visual: Bars, rows: Sequence[Row]) -> str:
    """Bars side by side, or stacked by colour."""
    query, drawing = visual.source(), _canvas(visual)
    unit = query.column(visual.bars[0]).unit
    series = colour_values(visual.colour, rows) if visual.colour else list(visual.bars)
    totals: dict[Key, Value] = {}
    for (category,), group in sums.grouped(rows, visual.category).items():
        for name in series:
            own = [row for row in group if not visual.colour or row[visual.colour] == name]
            totals[category, name] = sums.total(query, own, visual.bars[0] if visual.colour else name)
    categories = _ordered(visual, query, rows, totals, series)
    colours = colours_of(visual.colour, series) if visual.colour else dict(zip(series, board.PALETTE, strict=False))
    sizes = [[totals.get((category, name)) or 0 for name in series] for category in categories]
    highest = max(((sum(each) if visual.colour else max(each)) for each in sizes), default=0)
    draw = _horizontal if visual.horizontal else _vertical
    labels = [_category(category, query.column(visual.category).type) for category in categories]
    names = [words.readable(name) if visual.colour else query.column(name).label for name in series]
    draw(drawing, labels, names, sizes, [colours[name] for name in series], highest, unit, stacked=bool(visual.colour))
    return drawing.render()


def _ordered(
    visual: Bars, query: Query, rows: Sequence[Row], totals: dict[Key, Value], series: Sequence[str]
) -> list[Any]:
    found = list({row[visual.category]: None for row in rows if row[visual.category] is not None})
    if visual.in_order:
        hours = query.column(visual.category).unit == "0 to 23"
        return list(range(24)) if hours else sorted(found)
    ranked = series if visual.colour else series[-1:]
    return sorted(found, key=lambda category: -sum(totals.get((category, name)) or 0 for name in ranked))


def _vertical(
    drawing: Svg,
    labels: Sequence[str],
    names: Sequence[str],
    sizes: Sequence[Sequence[float]],
    colours: Sequence[str],
    highest: float,
    unit: str,
    *,
    stacked: bool,
) -> None:
    y = _value_axis(drawing, highest, unit)
    step = (drawing.width - _LEFT - _RIGHT) / max(len(labels), 1)
    every = (
        math.ceil(len(labels) * (_LABEL_PX if len(labels[0]) > 2 else 26) / (drawing.width - _LEFT)) if labels else 1
    )
    for index, (label, values) in enumerate(zip(labels, sizes, strict=True)):
        x, base = _LEFT + index * step + step * 0.12, 0.0
        bar = step * 0.76 / (1 if stacked else len(values))
        for place, (name, value, colour) in enumerate(zip(names, values, colours, strict=True)):
            top = base + value if stacked else value
            left = x if stacked else x + place * bar
            tip = f"{label} {name}: {words.number(value, unit)}"
            drawing.rect(left, y(top), bar, y(base) - y(top), colour, tip)
            base = top if stacked else 0.0
        if index % every == 0:
            drawing.text(x + step * 0.38, drawing.height - _BOTTOM + 18, label, anchor="middle")


def _horizontal(
    drawing: Svg,
    labels: Sequence[str],
    names: Sequence[str],
    sizes: Sequence[Sequence[float]],
    colours: Sequence[str],
    highest: float,
    unit: str,
    *,
    stacked: bool,
) -> None:
    left = 96.0
    scale = Scale.to(highest, left, drawing.width - 46)
    for tick in scale.ticks:
        drawing.line(scale(tick), _TOP, scale(tick), drawing.height - _TITLED_BOTTOM)
        label = words.tick(tick, unit)
        drawing.text(scale(tick), drawing.height - _TITLED_BOTTOM + 16, label, anchor="middle")
    drawing.text((left + drawing.width - 46) / 2, drawing.height - 6, _axis_name(unit), anchor="middle")
    step = (drawing.height - _TOP - _TITLED_BOTTOM) / max(len(labels), 1)
    for index, (label, values) in enumerate(zip(labels, sizes, strict=True)):
        y, base = _TOP + index * step + step * 0.14, 0.0
        bar = step * 0.72 / (1 if stacked else len(values))
        drawing.text(left - 8, y + step * 0.36 + 4, label, anchor="end", fill=INK)
        for place, (name, value, colour) in enumerate(zip(names, values, colours, strict=True)):
            end = base + value if stacked else value
            top = y if stacked else y + place * bar
            tip = f"{label} {name}: {words.number(value, unit)}"
            drawing.rect(scale(base), top, scale(end) - scale(base), bar - 1, colour, tip)
            base = end if stacked else 0.0
        shown = sum(values) if stacked else values[-1]
        drawing.text(
            scale(shown if stacked else max(values)) + 6,
            y + step * 0.36 + 4,
            words.number(shown, unit, with_unit=False),
        )


def point_map(visual: Map, rows: Sequence[Row]) -> str:
    """Every point where it lies, those that matter on top; north is up, and a bar tells a kilometre."""
    query, drawing = visual.source(), _canvas(visual)
    placed = [row for row in rows if row[visual.latitude] is not None and row[visual.longitude] is not None]
    if not placed:
        return drawing.render()
    unit = query.column(visual.measure).unit
    latitudes = [float(row[visual.latitude]) for row in placed]
    longitudes = [float(row[visual.longitude]) for row in placed]
    north, west = max(latitudes), min(longitudes)
    narrowing = math.cos(math.radians((north + min(latitudes)) / 2))
    tall, wide = max(north - min(latitudes), 1e-4), max((max(longitudes) - west) * narrowing, 1e-4)
    pixels = min((drawing.height - 50) / tall, (drawing.width - 40) / wide)  # of a degree of latitude
    left = (drawing.width - wide * pixels) / 2
    colours = colours_of(visual.colour, colour_values(visual.colour, placed))
    for row in sorted(placed, key=lambda row: (row[visual.colour] == visual.focus, str(row[visual.label]))):
        x = left + (row[visual.longitude] - west) * narrowing * pixels
        y = 16 + (north - row[visual.latitude]) * pixels
        level = words.number(row[visual.measure], unit)
        name = query.column(visual.measure).label.lower()
        tip = f"{row[visual.label]}: {row[visual.colour]}, {name} {level}"
        drawing.circle(x, y, 4.5, colours[str(row[visual.colour])], tip)
    kilometre = pixels / 111.32
    length = next((km for km in (1, 2, 5, 10, 20, 50) if km * kilometre > 40), 100)
    drawing.line(16, drawing.height - 8, 16 + length * kilometre, drawing.height - 8, INK)
    drawing.text(16, drawing.height - 14, f"{length} km")
    return drawing.render()


def sparkline(visual: Figure, values: Sequence[Value]) -> str:
    """A small line of all days, the last one marked."""
    drawing = Svg(visual.width * COLUMN_PX - 40, 40, visual.title)
    told = [value for value in values if value is not None]
    if len(told) > 1:
        low, high = min(told), max(told)
        step = (drawing.width - 12) / (len(told) - 1)
        points = [(6 + i * step, 34 - 28 * (v - low) / ((high - low) or 1)) for i, v in enumerate(told)]
        drawing.path(points, board.PALETTE[0], width=2)
        drawing.circle(*points[-1], 4, board.PALETTE[5])
    return drawing.render()


def _canvas(visual: Visual) -> Svg:
    return Svg(visual.width * COLUMN_PX - 40, visual.height * ROW_PX - _HEAD_PX + 40, visual.title)


def _axis_name(unit: str) -> str:
    return {"share": "share (%)", "times": "multiples of free flow"}.get(unit, unit)


def _value_axis(drawing: Svg, highest: float, unit: str) -> Scale:
    scale = Scale.to(highest, drawing.height - _BOTTOM, _TOP)
    for tick in scale.ticks:
        drawing.line(_LEFT, scale(tick), drawing.width - _RIGHT, scale(tick))
        drawing.text(_LEFT - 8, scale(tick) + 4, words.tick(tick, unit), anchor="end")
    middle = (drawing.height - _BOTTOM + _TOP) / 2
    drawing.text(12, middle, _axis_name(unit), anchor="middle", turn=-90)
    return scale


class _Times:
    """Places instants between the first and the last; one alone stands in the middle."""

    def __init__(self, times: Sequence[dt.datetime], start: float, end: float) -> None:
        self._first, self._start, self._width = times[0], start, end - start
        self._span_s = (times[-1] - times[0]).total_seconds()

    def __call__(self, time: dt.datetime) -> float:
        share = (time - self._first).total_seconds() / self._span_s if self._span_s else 0.5
        return self._start + self._width * share


def _times_axis(drawing: Svg, times: Sequence[dt.datetime], grain: str) -> _Times:
    x = _Times(times, _LEFT + 10, drawing.width - _RIGHT - 20)
    every = math.ceil(len(times) * _LABEL_PX / (drawing.width - _LEFT))
    for time in times[::every]:
        drawing.line(x(time), drawing.height - _BOTTOM, x(time), drawing.height - _BOTTOM + 4, GRID)
        drawing.text(x(time), drawing.height - _BOTTOM + 18, words.instant(time, grain), anchor="middle")
    return x


def _category(value: Any, kind: Type) -> str:
    if kind is Type.TIMESTAMP:
        return words.instant(value, "day")
    return f"{value:02}" if isinstance(value, int) else str(value)
