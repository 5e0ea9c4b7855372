"""What a run found, as `report.json` and as a table on the terminal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.run.folder import write_whole

Report = dict[str, Any]


def latency_summary(latencies_s: list[float]) -> dict[str, float | None]:
    """Median, 95th percentile and maximum, in seconds."""
    if not latencies_s:
        return {"p50": None, "p95": None, "max": None}
    p50, p95, most = np.percentile(latencies_s, [50, 95, 100]).tolist()
    return {"p50": round(p50, 3), "p95": round(p95, 3), "max": round(most, 3)}


def ratio(whole: float, part: float) -> float | None:
    return round(whole / part, 1) if part else None


def _times(factor: float | None) -> str:
    return "unknown" if factor is None else f"{factor:,} x"


def _of_memory(process: Report) -> str:
    slope = process["mb_per_hour"]
    grows = "lived too short to judge" if slope is None else f"{slope:+} MB an hour"
    return f"{process['rss_mb']} MB, {grows} (bound {process['bound_mb_per_hour']:g}), {process['restarts']} restarts"


def _of_lake(report: Report, what: str) -> str:
    if report[f"{what}_rows_expected"] is None:
        return f"not verified: target {report['target']} has no lake"
    return ", ".join(f"{report[f'{what}_rows_{name}']:,}" for name in ("expected", "missing", "wrong"))


def print_account(account: dict[str, Any], console: Console) -> None:
    """Where every reading of the run ended."""
    table = Table(title="Every reading of it", show_header=False, title_justify="left")
    table.add_column(style="cyan")
    table.add_column(justify="right")
    rejected = account["rejected"].items()
    rows = [
        ("sent by sensors, repetitions included", account["sent"]),
        ("aggregated in stored windows", account["aggregated"]),
        ("duplicates", account["duplicates"]),
        *((f"rejected: {reason}", count) for reason, count in rejected),
        ("late beyond correction", account["late_beyond_correction"]),
        ("of sensors that gateways left out", account["excluded"]),
        ("shed with windows for want of room", account["shed"]),
        ("lost on the way (declared)", account["lost_on_the_way"]),
        ("lost in declared crash seconds", account["lost_in_crash"]),
        ("left over", account["remainder"]),
    ]
    for name, count in rows:
        table.add_row(name, f"{count:,}")
    console.print(table)


def write_report(report: Report, out: Path) -> Path:
    """Write `report.json` into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "report.json"
    write_whole(path, json.dumps(report, indent=2) + "\n")
    return path


def read_report(path: Path) -> Report:
    """A report that `write_report` wrote."""
    report: Report = json.loads(path.read_text(encoding="utf-8"))
    return report


def _latencies(report: Report) -> list[tuple[str, str]]:
    if report["latency_missing_because"]:
        return [("latencies", report["latency_missing_because"])]
    named = (
        ("window end to table (s)", report["latency_s"]),
        ("window end to alert in SQS (s)", report["alert_latency_s"]),
        ("window's closing to alert (s)", report["alert_latency_from_closing_s"]),
    )
    return [(name, ", ".join(f"{share} {told[share]}" for share in ("p50", "p95", "max"))) for name, told in named]


def print_report(report: Report, console: Console) -> None:
    """The summary a person looks at first."""
    table = Table(title="Roadside run", show_header=False, title_justify="left")
    table.add_column(style="cyan")
    table.add_column(justify="right")
    rows: list[tuple[str, str]] = [
        (
            "sensors on gateways",
            f"{report['sensors']:,} on {report['gateways']:,} ({report['gateways_real']} real processes)",
        ),
        ("readings generated", f"{report['readings_generated']:,}"),
        ("readings accepted", f"{report['readings_accepted']:,}"),
        ("readings late, then corrected", f"{report['readings_late']:,}"),
        ("windows stored of expected", f"{report['windows_stored']:,} of {report['windows_expected']:,}"),
        ("windows missing, wrong", f"{report['windows_missing']}, {report['windows_wrong']}"),
        ("hours of segments in the lake, missing, wrong", _of_lake(report, "lake")),
        ("the same in the rollup", _of_lake(report, "rollup")),
        ("events delivered of expected", f"{report['events_delivered']} of {report['events_expected']}"),
        ("chaos", ", ".join(f"{count} {kind}" for kind, count in report["chaos_counts"].items()) or "none"),
        ("messages published", f"{report['messages_published']:,} instead of {report['raw_messages']:,}"),
        ("bytes published", f"{report['bytes_published']:,} instead of {report['raw_bytes']:,}"),
        ("fewer messages, bytes", f"{_times(report['message_reduction'])}, {_times(report['byte_reduction'])}"),
        *_latencies(report),
        ("real-time factor", f"{report['realtime_factor']}"),
        ("fleet process", f"{report['fleet_cpu_cores']} cores"),
        *[("memory of " + each["process"], _of_memory(each)) for each in report["memory"] if report["soak"]],
        *([("Aggregator process", f"{report['aggregator_rss_mb']} MB")] if report["gateways_real"] else []),
    ]
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    print_account(report["accounting"], console)
    for finding in report["findings"][:10]:
        console.print(
            f"[red]{finding['gateway']} {finding['window_start_ms']}[/red] {escape(finding['what'])}", highlight=False
        )
    for line in report["problems"]:
        console.print(f"[red]{escape(line)}[/red]", highlight=False)
    console.print("[bold green]OK[/bold green]" if report["ok"] else "[bold red]NOT OK[/bold red]")
