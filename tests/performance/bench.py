"""Measures the Aggregator against its peers and its bars: `make bench`. docs/performance.md has method and figures.

    make bench ARGS="--rounds 9"      for a calmer figure
    make bench ARGS="--no-gateway --no-city"    for the race alone

Writes out/bench.json. Ends with 1 if two engines disagree; a bar that is missed is told and is no failure.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from roadside.contract import topics
from roadside.contract.summary import WindowSummary
from tests.performance import city, gateway, processor, race, sizes, workload
from tests.performance.bars import BARS

OUT = Path("out/bench.json")
JSON, FRAMES = "Roadside, JSON, 2,500 a message", "Roadside, frames, 2,500 a message"
OURS = (
    race.ours("json-2500", JSON),
    race.ours("json-250", "Roadside, JSON, 250 a message"),
    race.ours("json-2500+all", "Roadside, JSON, 2,500, and all it does besides"),
    race.ours("frames-2500", FRAMES),
    race.ours("frames-250", "Roadside, frames, 250 a message"),
    race.ours("frames-2500+all", "Roadside, frames, 2,500, and all it does besides"),
)
PEER_RATIOS = {
    "bytewax": "ratio_vs_bytewax",
    "DuckDB, 1 thread": "ratio_vs_duckdb",
    "Polars, 1 thread": "ratio_vs_polars",
}
JSON_OVER_IPC = 45  # readings a message: nucleus lite takes no more than 7,299 bytes


def main() -> int:
    arguments = _arguments()
    console = Console()
    began_s = time.monotonic()

    def progress(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began_s:5.0f} s  {what}[/dim]", highlight=False)

    columns = workload.draw()
    if workload.published_sha256(columns) != workload.PUBLISHED_SHA256:
        print("bench: the workload is not the published one; numpy may draw otherwise now", file=sys.stderr)
        return 1
    count = len(columns.sensor)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        workload.write(directory, columns)
        entries = [*race.peers(), *OURS]
        results = race.race(entries, directory, rounds=arguments.rounds, passes=arguments.passes, progress=progress)
        disagreements = {name: result.disagreement for name, result in results.items() if result.disagreement}
        for name, what in disagreements.items():
            print(f"bench: {name} disagrees with {entries[0].name}: {what}", file=sys.stderr)
        if disagreements:
            return 1
        figures = _race_figures(results, count)
        if not arguments.no_gateway:
            figures |= _message_figures(directory, progress)
            figures |= _gateway_figures(directory, columns, progress)
        if not arguments.no_city:
            figures |= _city_figures(directory, progress)
    report = {
        **figures,
        "bars": [{"figure": bar.figure, "limit": bar.limit, "met": bar.met(figures)} for bar in BARS],
        "race": {
            name: {
                "readings_per_cpu_s": round(count / result.seconds),
                "spread": round(result.spread, 3),
                "rss_mb": round(result.rss_mb, 1),
                "version": result.version,
            }
            for name, result in results.items()
        },
        "workload_sha256": workload.PUBLISHED_SHA256,
        "machine": machine(),
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2) + "\n")
    _print(console, report)
    return 0


def _race_figures(results: Mapping[str, race.Result], count: int) -> dict[str, float | None]:
    figures: dict[str, float | None] = {
        key: round(race.ratio(results[peer], results[JSON]), 2) if peer in results else None
        for peer, key in PEER_RATIOS.items()
    }
    duckdb = results.get("DuckDB, 1 thread")
    figures["frames_vs_duckdb"] = round(race.ratio(duckdb, results[FRAMES]), 2) if duckdb else None
    figures["frames_vs_json"] = round(race.ratio(results[JSON], results[FRAMES]), 2)
    figures["json_readings_per_cpu_s"] = round(count / results[JSON].seconds)
    figures["frames_readings_per_cpu_s"] = round(count / results[FRAMES].seconds)
    return figures


def _message_figures(directory: Path, progress: Callable[[str], None]) -> dict[str, float | None]:
    day = sizes.day_of_messages(progress)
    encode_ms, decode_ms = sizes.codec_ms(day.some)
    return {
        "message_bytes": day.largest_message_bytes,
        "message_item_bytes": day.largest_item_bytes,
        "message_item_mean_bytes": round(day.mean_item_bytes),
        "message_windows": day.windows,
        "encode_ms": round(encode_ms, 3),
        "decode_ms": round(decode_ms, 3),
        **_processor_figures(directory, day.some, progress),
    }


def _processor_figures(
    directory: Path, windows: Sequence[WindowSummary], progress: Callable[[str], None]
) -> dict[str, float | None]:
    progress("the processor")
    per_core_s = processor.windows_per_cpu_s(windows)
    return {
        "processor_windows_per_s": round(processor.windows_per_lambda_s(per_core_s)),
        "processor_windows_per_cpu_s": round(per_core_s),
        "processor_import_ms": round(processor.cold_import_cpu_ms("processor", directory / "runtime")),
        "processor_package_mb": round(processor.package_bytes("processor") / 1e6, 2),
    }


def _gateway_figures(
    directory: Path, columns: workload.Columns, progress: Callable[[str], None]
) -> dict[str, float | None]:
    count = len(columns.sensor)
    progress("a gateway over IPC, frames")
    frames = gateway.throughput(
        directory / "frames", topics.frames("bench"), workload.frame_messages(columns, 250), count
    )
    progress("a gateway over IPC, JSON")
    as_json = gateway.throughput(
        directory / "json", topics.readings("bench"), workload.json_messages(columns, JSON_OVER_IPC), count
    )
    steady = gateway.steady_state(directory / "steady", columns, 20, progress)
    progress("outbox")
    return {
        "ipc_frames_readings_per_s": round(frames.readings_per_s),
        "ipc_frames_readings_per_cpu_s": round(frames.readings_per_cpu_s),
        "ipc_frames_cpu_percent": round(100 * frames.cpu_share),
        "ipc_json_readings_per_s": round(as_json.readings_per_s),
        "ipc_json_readings_per_cpu_s": round(as_json.readings_per_cpu_s),
        "ipc_json_cpu_percent": round(100 * as_json.cpu_share),
        "steady_cpu_percent": round(100 * steady.cpu_share, 2),
        "rss_mb": round(steady.rss_mb, 1),
        "first_window_s": round(steady.first_window_s, 2),
        "outbox_commits_per_s": round(gateway.outbox_commits_per_s(directory)),
    }


def _city_figures(directory: Path, progress: Callable[[str], None]) -> dict[str, float | None]:
    """The simulator: generator and verified edge as ratios to real time and to each other, and how they grow."""
    figures: dict[str, float | None] = {}
    for sensors in city.SIZES:
        progress(f"the generator of {sensors:,} sensors")
        generator = city.generator_realtime_factor(sensors)
        figures[f"generator_{sensors}_realtime"] = round(generator, 1)
        figures[f"generator_{sensors}_readings_per_cpu_s"] = round(sensors * generator)
        progress(f"the verified edge of {sensors:,} sensors")
        edge = city.edge(sensors, directory)
        figures[f"edge_{sensors}_realtime"] = edge.realtime_factor
        figures[f"edge_{sensors}_verified_realtime"] = edge.verified_realtime_factor
        figures[f"edge_{sensors}_of_generator"] = round(edge.realtime_factor / generator, 4)
        figures[f"edge_{sensors}_cpu_us_per_reading"] = round(1e6 * edge.cpu_s_per_s / sensors, 2)
        figures[f"edge_{sensors}_rss_mb"] = round(edge.rss_mb)
    progress("readings published one by one")
    figures["raw_broker_readings_per_s"], figures["raw_stored_readings_per_s"] = city.raw_rates(directory)
    small, large = city.SIZES[0], city.SIZES[-1]
    for what in ("generator", "edge"):
        slow, fast = figures[f"{what}_{large}_realtime"], figures[f"{what}_{small}_realtime"]
        # 1 is linear: a hundred times the sensors at a hundredth of the speed; less is better than that.
        figures[f"{what}_growth"] = round(fast / slow / (large / small), 2) if slow and fast else None
    return figures


def machine() -> dict[str, Any]:
    """What the figures were measured on; the load tells how far to believe them."""
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "measured": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
    }


def _print(console: Console, report: Mapping[str, Any]) -> None:
    json_rate = report["json_readings_per_cpu_s"]
    table = Table(title="Readings per second of CPU time on one core, all results equal", title_justify="left")
    for heading in ("engine", "readings/s", "against Roadside, JSON", "spread", "RSS MB"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for name, result in report["race"].items():
        rate = result["readings_per_cpu_s"]
        table.add_row(
            f"{name} {'' if name.startswith('Roadside') else result['version']}".strip(),
            f"{rate:,}",
            f"{rate / json_rate:.2f} x",
            f"{result['spread']:.0%}",
            f"{result['rss_mb']:.0f}",
        )
    console.print(table)
    console.print(
        "Equal to the last integer, but for Roadside's percentiles: these are within the 1 % of its sketch, and are "
        "read off it outside the time measured.",
        highlight=False,
    )
    bars = Table(title="Bars", title_justify="left")
    for heading in ("figure", "bar", "measured", ""):
        bars.add_column(heading, justify="right" if heading in {"bar", "measured"} else "left")
    for bar in BARS:
        value, met = report.get(bar.figure), bar.met(report)
        verdict = "not measured" if met is None else "[green]met[/green]" if met else "[red]not met[/red]"
        sign = "≥" if bar.at_least else "≤"
        bars.add_row(bar.says, f"{sign} {bar.limit:,g}", "-" if value is None else f"{value:,g}", verdict)
    console.print(bars)
    shown = {bar.figure for bar in BARS}
    others = Table(title="Other figures", title_justify="left", show_header=False)
    for name, value in report.items():
        if name not in shown and isinstance(value, int | float):
            others.add_row(name, f"{value:,}")
    console.print(others)
    console.print(f"[dim]{', '.join(f'{name} {value}' for name, value in report['machine'].items())}[/dim]")
    console.print(f"written to {OUT}", highlight=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the race; the median counts")
    parser.add_argument("--passes", type=int, default=3, help="passes of a round; the best counts")
    parser.add_argument("--no-gateway", action="store_true", help="only the race")
    parser.add_argument("--no-city", action="store_true", help="without the simulator")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
