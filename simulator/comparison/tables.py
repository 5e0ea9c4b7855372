"""The comparison on the terminal."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from simulator.comparison.errors import NAMES

_AMOUNTS: Final = (
    ("connections", "connections"),
    ("messages", "messages"),
    ("bytes", "bytes, topics included"),
    ("rule_units", "rules and actions, units of 5 KB"),
    ("stream_units", "stream, units of 25 KB"),
    ("write_units", "writes of readings or windows, units of 1 KB"),
)


def print_comparison(comparison: Mapping[str, Any], console: Console) -> None:
    """What is sent, what it costs, how old it is, and what summaries lose."""
    edge, raw = comparison["edge"], comparison["raw"]
    sent = Table(
        "", "every reading", "gateways", "times", title="What is sent", title_justify="left", title_style="bold"
    )
    for column in sent.columns[1:]:
        column.justify = "right"
    for name, words in _AMOUNTS:
        sent.add_row(words, f"{raw[name]:,}", f"{edge[name]:,}", _times(raw[name], edge[name]))
    for name, words in (("p50", "median"), ("p95", "95th percentile")):
        told = (each["reading_to_table_s"][name] for each in (raw, edge))
        sent.add_row(
            f"reading to table, {words} (s)", *("unknown" if age is None else f"{age:.2f}" for age in told), ""
        )
    for cost in comparison["costs"]:
        what = f"$ a month, {cost['sensors']:,} sensors"
        ours, first, best = cost["edge_usd"], cost["raw_usd"], cost["raw_at_its_best_usd"]
        sent.add_row(what, f"{first:,.0f}", f"{ours:,.0f}", _times(first, ours))
        sent.add_row("  the first design at its best", f"{best:,.0f}", f"{ours:,.0f}", _times(best, ours))
    console.print(sent)
    found = comparison["errors"]
    title = f"What summaries lose, over {found['rows']:,} segments and windows"
    lost = Table("", "exact", "mean error", "greatest", "%", title=title, title_justify="left", title_style="bold")
    for column in lost.columns[1:]:
        column.justify = "right"
    for name, error in found["of"].items():
        exact = f"{error['exact']:,} of {error['compared']:,}"
        lost.add_row(NAMES[name], exact, f"{error['mean']:.2g}", f"{error['most']:.2g}", f"{error['most_percent']:.2g}")
    console.print(lost)
    for name in ("only_edge", "only_raw"):
        if found[name]:
            whose = "gateways" if name == "only_edge" else "single readings"
            console.print(f"[red]{found[name]} segments and windows are known from {whose} alone[/red]")
    for name, error in found["of"].items():
        if error["unlike"]:
            console.print(f"[red]{NAMES[name]}: {error['unlike']} values are known from one of the two alone[/red]")


def _times(whole: float, part: float) -> str:
    return f"{whole / part:,.1f}" if part else ""
