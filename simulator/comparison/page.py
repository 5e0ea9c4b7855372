"""The comparison as one HTML file that needs nothing else, for those who decide. Pure."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cloud.dashboard.svg import INK, MUTED, Scale, Svg
from simulator.comparison.errors import NAMES

RAW, EDGE, BOUND = "#D55E00", "#0072B2", "#59636e"

_STYLE: Final = """
:root { color-scheme: light; font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: #1b1f24 }
body { margin: 0 auto; max-width: 1080px; padding: 28px 28px 48px; background: #f6f8fa }
h1 { font-size: 28px; margin: 0 0 6px } .lead { font-size: 17px; margin: 0 0 20px; max-width: 60em }
.row { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin-bottom: 14px }
.card { background: #fff; border: 1px solid #e4e7eb; border-radius: 10px; padding: 16px 20px; min-width: 0 }
.wide { grid-column: span 4 } .half { grid-column: span 2 }
.card b { display: block; font-size: 30px; font-weight: 650; letter-spacing: -0.5px } .card span { color: #59636e }
h2 { font-size: 17px; margin: 0 0 2px } .what { margin: 0 0 8px; color: #59636e; font-size: 13.5px }
.key { display: inline-block; margin-right: 14px }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px }
svg { display: block; width: 100%; height: auto; font-size: 12.5px }
footer { color: #59636e; font-size: 13px }
@media (max-width: 800px) { .row { display: block } .card { margin-bottom: 14px } }
"""


def render(comparison: Mapping[str, Any]) -> str:
    """The page."""
    edge, raw, fewer = comparison["edge"], comparison["raw"], comparison["times_fewer"]
    here, there = comparison["costs"]
    worst = max(error["most_percent"] for error in comparison["errors"]["of"].values())
    lead = (
        f"The same {comparison['duration_s']} seconds of the same {comparison['sensors']:,} sensors, twice: with every "
        f"reading sent by its sensor, and with summaries sent by {comparison['gateways']:,} gateways. Gateways needed "
        f"{fewer['messages']:,.0f} times fewer messages, "
        + (
            "and what the city learns is the same."
            if comparison["ok"]
            else "but the two did not agree, or one of the runs was not well."
        )
    )
    figures = (
        (f"{fewer['messages']:,.0f} x", "fewer messages"),
        (f"{fewer['bytes']:,.0f} x", "fewer bytes"),
        (_usd(there["edge_usd"]), f"a month for {there['sensors']:,} sensors, instead of {_usd(there['raw_usd'])}"),
        (f"{worst:.2g} %", "greatest error of any statistic of any road segment"),
    )
    amounts = (
        ("messages", raw["messages"], edge["messages"], ""),
        ("bytes", raw["bytes"], edge["bytes"], ""),
        ("database writes", raw["write_units"], edge["write_units"], ""),
        (f"cost, {here['sensors']:,} sensors", here["raw_usd"], here["edge_usd"], "$"),
        (f"cost, {there['sensors']:,} sensors", there["raw_usd"], there["edge_usd"], "$"),
    )
    key = (
        f'<span class="key"><i style="background:{RAW}"></i>every reading by itself</span>'
        f'<span class="key"><i style="background:{EDGE}"></i>gateways</span>'
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What gateways save</title><style>{_STYLE}</style></head><body><h1>What gateways save</h1>"
        f'<p class="lead">{html.escape(lead)}</p><div class="row">'
        + "".join(_figure(number, what) for number, what in figures)
        + f'<section class="card wide"><h2>What is sent, stored and paid</h2><p class="what">{key} Each pair has a '
        f"scale of its own; costs are those of a month.</p>{_amounts(amounts)}</section>"
        f'<section class="card half"><h2>What a road segment looks like</h2><p class="what">{key} Mean speed of '
        f"{html.escape(str(comparison['busiest'].get('segment', 'none')))}, window by window, km/h</p>"
        f"{_course(comparison['busiest'])}</section>"
        '<section class="card half"><h2>What summaries lose</h2><p class="what">Greatest error of each statistic over '
        f"{comparison['errors']['rows']:,} segments and windows, percent; percentiles may be off by 1 %</p>"
        f"{_errors(comparison['errors']['of'])}</section></div>"
        f"<footer>{html.escape(_footer(comparison))}</footer></body></html>\n"
    )


def _figure(number: str, what: str) -> str:
    return f'<section class="card"><b>{html.escape(number)}</b><span>{html.escape(what)}</span></section>'


def _amounts(amounts: Sequence[tuple[str, float, float, str]]) -> str:
    drawing = Svg(1000, 52 * len(amounts), "What is sent, stored and paid, in both ways")
    left, right = 170, 880
    for index, (name, raw, edge, unit) in enumerate(amounts):
        top = 52 * index + 6
        drawing.text(left - 12, top + 21, name, anchor="end", fill=INK)
        for place, (value, colour) in enumerate(((raw, RAW), (edge, EDGE))):
            width = max(1.5, (right - left) * value / (max(raw, edge) or 1))
            y = top + 19 * place
            drawing.rect(left, y, width, 16, colour, f"{name}: {unit}{value:,.0f}")
            drawing.text(left + width + 8, y + 13, f"{unit}{value:,.0f}", fill=INK if place else MUTED)
    return drawing.render()


def _course(busiest: Mapping[str, Any]) -> str:
    drawing = Svg(480, 230, "Speed of one segment, as both ways tell it")
    starts = busiest.get("window_start_ms", [])
    speeds = [v for name in ("raw_kmh", "edge_kmh") for v in busiest.get(name, []) if v is not None]
    if not speeds:
        return drawing.render()
    y = Scale.to(max(speeds), 200, 12)
    for tick in y.ticks:
        drawing.line(40, y(tick), 470, y(tick))
        drawing.text(34, y(tick) + 4, f"{tick:g}", anchor="end")
    pixels = 406 / max(1, starts[-1] - starts[0])  # of a millisecond
    places = [52 + pixels * (at - starts[0]) for at in starts]
    told = [(x, y(speed)) for x, speed in zip(places, busiest["raw_kmh"], strict=True) if speed is not None]
    drawing.path(told, RAW, width=3)
    for x, value in zip(places, busiest["edge_kmh"], strict=True):
        if value is not None:
            drawing.circle(x, y(value), 4.5, EDGE, f"{value:.1f} km/h")
    for x, at in ((places[0], starts[0]), (places[-1], starts[-1])):
        drawing.text(x, 220, f"{(at - starts[0]) / 1000:g} s", anchor="middle")
    return drawing.render()


def _errors(of: Mapping[str, Mapping[str, float]]) -> str:
    drawing = Svg(480, 230, "Greatest error of each statistic, percent")
    left, right, step = 215, 425, 24
    scale = Scale.to(max(1.0, *(error["most_percent"] for error in of.values())), left, right)
    for index, (name, error) in enumerate(of.items()):
        y = 8 + step * index
        drawing.text(left - 10, y + 13, NAMES[name].partition(" (")[0], anchor="end", fill=INK)
        percent = error["most_percent"]
        drawing.rect(left, y, max(1.0, scale(percent) - left), 16, EDGE, f"{NAMES[name]}: {percent:.4g} %")
        said = "exact" if error["exact"] == error["compared"] else f"{percent:.2g} %"
        drawing.text(scale(percent) + 8, y + 13, said)
    bottom = 8 + step * len(of)
    drawing.line(scale(1.0), 4, scale(1.0), bottom + 2, BOUND)
    drawing.text(scale(1.0), bottom + 16, "1 %", anchor="middle")
    return drawing.render()


def _footer(comparison: Mapping[str, Any]) -> str:
    raw, edge = (_seconds(comparison[way]["reading_to_table_s"]["p50"]) for way in ("raw", "edge"))
    there = comparison["costs"][1]
    kept_up = "kept up" if comparison["raw"]["bottleneck"] is None else "did not keep up"
    return (
        f"Measured on one machine, which {kept_up} with {comparison['raw']['rate_asked_per_s']:,.0f} single readings a "
        f"second. From a reading to the table: {raw} in the median by itself, {edge} in a window of "
        f"{comparison['window_s']} s. Costs by the capacity model: all of Roadside against the first design's way of a "
        f"reading alone, which at its best (Basic Ingest, provisioned writes) is {_usd(there['raw_at_its_best_usd'])}."
    )


def _usd(amount: float) -> str:
    return f"${amount:,.0f}"


def _seconds(age_s: float | None) -> str:
    return "unknown" if age_s is None else f"{age_s:.1f} s"
