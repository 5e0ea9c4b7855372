"""`compare`: gateways against single readings, on the same city and the same minute."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.run import expected_errors
from simulator.commands.terminal import console, failure
from simulator.run.contradictions import MOST_RAW_SENSORS
from simulator.run.options import Mode, RunOptions


def compare(
    sensors: Annotated[
        int, typer.Option(min=1, max=MOST_RAW_SENSORS, help="Lane sensors in the city, one reading a second each.")
    ] = 500,
    gateways: Annotated[int | None, typer.Option(min=1, help="Their gateways: one for 250 sensors by itself.")] = None,
    duration: Annotated[int, typer.Option(min=10, help="Seconds of traffic, for each of the two runs.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same traffic.")] = 1,
    city_sensors: Annotated[int, typer.Option(min=1, help="Tell costs for a city of this size as well.")] = 50_000,
    edge: Annotated[
        Path | None, typer.Option(help="Folder of a finished run with gateways, instead of a new one.")
    ] = None,
    raw: Annotated[Path | None, typer.Option(help="Folder of a finished run with --mode raw, likewise.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for compare.json and compare.html, and of the two runs.")] = Path(
        "out"
    ),
) -> None:
    """Run a city twice, with gateways and with every reading by itself, and tell what gateways save and what they lose.

    Messages, bytes, metered units, the age of what is stored, the cost of a month, and the error of every statistic of
    every segment and window against the readings in the raw table.

    Exit code 0 if both runs were well and the statistics agree, 1 if not, 2 if there was nothing to compare.

    Example: python -m simulator compare --sensors 500 --duration 30
    """
    from simulator.comparison.comparing import ComparisonError
    from simulator.comparison.comparing import compare as compare_folders
    from simulator.comparison.page import render
    from simulator.comparison.tables import print_comparison
    from simulator.run.folder import prepare, write_whole
    from simulator.run.interruption import EXIT_CODE
    from simulator.run.raw import run_raw
    from simulator.run.raw_report import verdict_on_rate
    from simulator.run.report import read_report, write_report
    from simulator.run.run import run
    from simulator.verification.archive import ArchiveError

    try:
        prepare(out, 2 * sensors * duration)
        count = gateways or math.ceil(sensors / 250)
        options = RunOptions(sensors=sensors, gateways=count, gateways_real=0, duration_s=duration, seed=seed)
        if edge is None:
            edge = out / "edge"
            console.rule("gateways", align="left")
            prepare(edge, sensors * duration)
            write_report(run(replace(options, out=edge), console), edge)
        if raw is None:
            raw = out / "raw"
            console.rule("every reading by itself", align="left")
            prepare(raw, sensors * duration)
            write_report(run_raw(replace(options, mode=Mode.RAW, out=raw), console), raw)
        comparison = compare_folders(edge, raw, city_sensors)
        write_whole(out / "compare.json", json.dumps(comparison, indent=2) + "\n")
        write_whole(out / "compare.html", render(comparison))
        print_comparison(comparison, console)
        console.print(verdict_on_rate(read_report(raw / "report.json")), highlight=False)
        console.print(f"picture: {out / 'compare.html'}, figures: {out / 'compare.json'}", highlight=False)
    except KeyboardInterrupt:
        console.print("Interrupted: nothing was compared, and nothing is left running.")
        raise typer.Exit(EXIT_CODE) from None
    except (ArchiveError, ComparisonError) as error:
        raise failure(error) from error
    except expected_errors() as error:
        raise failure(error) from error
    for folder in (edge, raw):
        report = read_report(folder / "report.json")
        if not report["ok"]:
            console.print(f"[red]The run in {folder} was not well: see its report.json[/red]")
    console.print("[bold green]OK[/bold green]" if comparison["ok"] else "[bold red]NOT OK[/bold red]")
    raise typer.Exit(0 if comparison["ok"] else 1)
