"""How the memory of each process of a run went. Pure."""

from collections.abc import Mapping
from typing import Any

from simulator.report import words


def table(report: Mapping[str, Any]) -> str:
    """A line for each process: what it holds, and how fast it grew and may grow; nothing if nobody measured."""
    told = report.get("memory") or ()
    if not told:
        return ""
    rows = "".join(
        f'{_row(each)}<th scope="row">{words.escape(each["process"])}</th>'
        f'<td class="n">{words.number(each["rss_mb"], "MB", 0)}</td><td class="n">{_slope(each)}</td>'
        f'<td class="n">{each["bound_mb_per_hour"]:g}</td><td class="n">{each["restarts"]}</td></tr>'
        for each in told
    )
    heads = "".join(
        f'<th scope="col" class="n">{name}</th>' for name in ("holds", "MB an hour", "may grow by", "restarts")
    )
    return (
        '<details><summary>Process by process</summary><div class="scroll"><table><thead><tr>'
        f'<th scope="col">process</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def _row(told: Mapping[str, Any]) -> str:
    return '<tr class="bad">' if told["leaks"] else "<tr>"


def _slope(told: Mapping[str, Any]) -> str:
    slope = told["mb_per_hour"]
    return "too short to tell" if slope is None else f"{slope:+.1f}"
