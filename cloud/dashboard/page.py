"""Puts the board into one HTML file that needs nothing else: no script, no font, no network. Pure."""

import datetime as dt
import html
from collections.abc import Mapping, Sequence
from typing import Final

from cloud.dashboard import charts, sums, words
from cloud.dashboard.sums import Row
from cloud.insights import board
from cloud.insights.queries import Kind, Query, Type
from cloud.insights.visuals import AnyVisual, Bars, Figure, HeatMap, Lines, Map, Sheet, Table

_STYLE: Final = """
:root { color-scheme: light; font: 15px/1.4 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: #1b1f24 }
body { margin: 0 auto; max-width: 1400px; padding: 24px 28px 48px; background: #f6f8fa }
header { display: flex; justify-content: space-between; align-items: baseline; flex-wrap: wrap; gap: 4px 24px }
h1 { font-size: 26px; margin: 0 } header p { margin: 0; color: #59636e }
h2 { font-size: 19px; margin: 30px 0 10px }
.row { display: grid; grid-template-columns: repeat(12, 1fr); gap: 14px; margin-bottom: 14px }
.card { background: #fff; border: 1px solid #e4e7eb; border-radius: 10px; padding: 14px 18px; min-width: 0 }
h3 { font-size: 15.5px; margin: 0 } .what { margin: 1px 0 6px; color: #59636e; font-size: 13px }
.key { display: inline-block; margin-left: 12px; white-space: nowrap }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 4px }
svg { display: block; width: 100%; height: auto; font-size: 12.5px }
.figure b { font-size: 30px; font-weight: 650; letter-spacing: -0.5px } .figure span { color: #59636e }
table { width: 100%; border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums }
th { text-align: left; color: #59636e; font-weight: 500; padding: 5px 10px 5px 0; border-bottom: 1px solid #e4e7eb }
td { padding: 4.5px 10px 4.5px 0; border-bottom: 1px solid #f0f2f4; white-space: nowrap }
.number { text-align: right } td i { display: inline-block; height: 9px; background: #56B4E9; border-radius: 2px }
td.bar { width: 90px; padding-right: 0 } .empty { color: #59636e; padding: 22px 0 }
.pill { display: inline-block; padding: 0 8px; border-radius: 9px; color: #fff; font-size: 12.5px }
@media (max-width: 900px) { .row { display: block } .card { margin-bottom: 14px } }
"""
_MAX_ROWS: Final = 10  # of a table on the page


def render(answers: Mapping[str, Sequence[Row]], *, place: str, now: dt.datetime) -> str:
    """The page.

    Parameters
    ----------
    answers : rows of each query by its name
    place : where they come from
    """
    sheets = "".join(_sheet(sheet, answers) for sheet in board.SHEETS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Roadside</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>Roadside</h1><p>{html.escape(place)}, {now:%d %b %Y %H:%M} UTC</p></header>"
        f"{sheets}</body></html>\n"
    )


def _sheet(sheet: Sheet, answers: Mapping[str, Sequence[Row]]) -> str:
    rows = "".join(
        f'<div class="row">{"".join(_card(visual, answers[visual.query]) for visual in row)}</div>'
        for row in sheet.rows
    )
    return f"<h2>{html.escape(sheet.title)}</h2>{rows}"


def _card(visual: AnyVisual, rows: Sequence[Row]) -> str:
    span = f'style="grid-column: span {visual.width}"'
    if not rows:
        body = f'<h3>{html.escape(visual.title)}</h3><p class="empty">Nothing to show as yet.</p>'
    elif isinstance(visual, Figure):
        body = _figure(visual, rows)
    else:
        found = html.escape(words.finding(visual, rows))
        what = f"{html.escape(visual.title)}{_legend(visual, rows)}"
        body = f'<h3>{found}</h3><p class="what">{what}</p>{_drawn(visual, rows)}'
    return f'<section class="card" id="{visual.key}" {span}>{body}</section>'


def _drawn(visual: AnyVisual, rows: Sequence[Row]) -> str:
    match visual:
        case HeatMap():
            return charts.heat_map(visual, rows)
        case Lines():
            return charts.lines(visual, rows)
        case Bars():
            return charts.bars(visual, rows)
        case Map():
            return charts.point_map(visual, rows)
        case Table():
            return _table(visual, rows)
        case Figure():
            return _figure(visual, rows)


def _figure(visual: Figure, rows: Sequence[Row]) -> str:
    query = visual.source()
    unit = query.column(visual.measure).unit
    groups = sums.grouped(sums.whole_days(rows, visual.time), sums.by_time(visual.time, "day"))
    days = [(day, sums.total(query, groups[day,], visual.measure)) for (day,) in sorted(groups)]
    (last_day, last), before = days[-1], days[-2][1] if len(days) > 1 else None
    change = ""
    if last is not None and before:
        change = f", {round(100 * (last / before - 1)):+} % on the day before"
    number = words.round_number(last, unit)
    return (
        f'<p class="what">{html.escape(visual.title)}</p><div class="figure"><b>{number}</b></div>'
        f'<p class="what">{words.instant(last_day, "day")}{change}</p>'
        f"{charts.sparkline(visual, [value for _, value in days])}"
    )


def _legend(visual: AnyVisual, rows: Sequence[Row]) -> str:
    match visual:
        case Bars(colour=None):
            query = visual.source()
            pairs = [
                (query.column(name).label, colour) for name, colour in zip(visual.bars, board.PALETTE, strict=False)
            ]
        case Lines(colour=str(column)) | Bars(colour=str(column)) | Map(colour=column):
            colours = charts.colours_of(column, charts.colour_values(column, rows))
            pairs = [(words.readable(value), colour) for value, colour in colours.items()]
        case _:
            return ""
    return "".join(f'<span class="key"><i style="background:{c}"></i>{html.escape(name)}</span>' for name, c in pairs)


def _table(visual: Table, rows: Sequence[Row]) -> str:
    query = visual.source()
    shown = words.table_rows(visual, query, rows)[:_MAX_ROWS]
    barred = next((name for name in visual.columns if query.column(name).kind is Kind.SUM), None)
    longest = max((row[barred] or 0 for row in shown), default=0) if barred else 0
    heads = "".join(
        f'<th class="{_align(query, name)}"{" colspan=2" if name == barred else ""}>'
        f"{html.escape(words.head(query.column(name)))}</th>"
        for name in visual.columns
    )
    lines = []
    for row in shown:
        cells = []
        for name in visual.columns:
            cells.append(f'<td class="{_align(query, name)}">{_cell(query, name, row)}</td>')
            if name == barred:
                width = 80 * (row[name] or 0) / longest if longest else 0
                cells.append(f'<td class="bar"><i style="width:{width:.0f}px"></i></td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _cell(query: Query, name: str, row: Row) -> str:
    text = html.escape(words.readable(words.cell(row[name], query.column(name))))
    colour = board.COLOURS.get(name, {}).get(str(row[name])) if name == "status" else None
    return f'<span class="pill" style="background:{colour}">{text}</span>' if colour else text


def _align(query: Query, name: str) -> str:
    column = query.column(name)
    return "" if column.type in (Type.TEXT, Type.TIMESTAMP) or column.kind is Kind.KEY else "number"
