"""`verify`: the verdict on a run, asked for again."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from simulator.commands.terminal import console, failure

if TYPE_CHECKING:
    from simulator.verification.again import Judgement
    from simulator.verification.windows import Finding

_MOST_WINDOWS: Final = 10
_MOST_FIGURES: Final = 5
_MOST_LINES: Final = 20


def verify(
    run: Annotated[
        Path | None,
        typer.Argument(help="Folder of a run (its --out); without one, that of the cloud that is kept, or out."),
    ] = None,
    stage: Annotated[str, typer.Option(help="Which deployment, where AWS_* variables name an account.")] = "dev",
) -> None:
    """Compare all that a run's cloud holds now with the truth, from the archive of raw readings; nothing is simulated.

    Windows, summaries of sensors, alerts, lake, rollups and gateways: says which gateway, window, segment and figure
    differ and how, and writes verify.json into the folder. The cloud is the one that `run --keep` left running, or the
    stack on AWS that the AWS_* variables name.

    Exit code 0 if nothing is missing or wrong, 1 if something is, 2 if nothing could be compared.

    Example: python -m simulator verify out
    """
    from cloud import playground
    from cloud.deployment import CloudError, find, is_account_named
    from simulator.local_cloud.errors import LocalCloudError
    from simulator.run.folder import write_whole
    from simulator.run.steps import step
    from simulator.verification.again import NotOfThisRunError, judge_again, see_that_it_is_of
    from simulator.verification.archive import ArchiveError
    from simulator.verification.record import read_record

    kept = None if is_account_named() else playground.running()
    folder = run or (Path(kept.run) if kept is not None and kept.run is not None else Path("out"))
    try:
        record = read_record(folder)
        if not is_account_named():
            see_that_it_is_of(folder, kept)
        judgement = judge_again(
            record, folder, find(stage), is_its_own=kept is not None, step=lambda what: step(console, what)
        )
        path = folder / "verify.json"
        write_whole(path, json.dumps(judgement.as_dict(), indent=2) + "\n")
    except (ArchiveError, CloudError, LocalCloudError, NotOfThisRunError, OSError) as error:
        raise failure(error) from error
    _show(judgement)
    console.print(f"verdict: {path}", highlight=False)
    raise typer.Exit(0 if judgement.ok else 1)


def _show(judgement: "Judgement") -> None:
    told = judgement.as_dict()
    summary = Table(title="What is stored, against the truth", title_justify="left")
    for name in ("", "expected", "missing", "wrong", "unexpected"):
        summary.add_column(name, justify="right" if name else "left")
    for name, what in (
        ("windows", "windows"),
        ("summaries of sensors", "sensor_summaries"),
        ("alerts", "events"),
        ("hours of segments in the lake", "lake_rows"),
        ("the same in the rollup", "rollup_rows"),
        ("gateways", "gateways"),
    ):
        figures = [told.get(f"{what}_{each}") for each in ("expected", "missing", "wrong", "unexpected")]
        summary.add_row(name, *("" if figure is None else f"{figure:,}" for figure in figures))
    console.print(summary)
    for finding in judgement.findings[:_MOST_WINDOWS]:
        _show_finding(finding)
    unshown = len(judgement.findings) - _MOST_WINDOWS
    if unshown > 0:
        console.print(f"and {unshown} windows more, in verify.json", highlight=False)
    for line in judgement.problems[:_MOST_LINES]:
        console.print(f"[red]{escape(line)}[/red]", highlight=False)
    for line in judgement.not_compared:
        console.print(f"not compared: {line}", highlight=False, markup=False)
    console.print("[bold green]OK[/bold green]" if judgement.ok else "[bold red]NOT OK[/bold red]")


def _show_finding(finding: "Finding") -> None:
    """The window by its key, then what differs in it."""
    at = time.strftime("%H:%M:%S UTC", time.gmtime(finding.window_start_ms / 1000))
    console.print(f"[red]{finding.gateway}, window {finding.window_start_ms}[/red] ({at})", highlight=False)
    if not finding.differences:
        console.print(f"  {escape(finding.what)}", highlight=False)
        return
    figures = Table(box=None, header_style="")
    for name in ("segment", "figure"):
        figures.add_column(name, no_wrap=True)
    for name in ("stored", "should be"):
        figures.add_column(name, justify="right")
    for difference in finding.differences[:_MOST_FIGURES]:
        figures.add_row(difference.segment, difference.figure, f"{difference.stored}", f"{difference.should_be}")
    console.print(figures)
    if len(finding.differences) > _MOST_FIGURES:
        console.print(f"  and {len(finding.differences) - _MOST_FIGURES} figures more, in verify.json", highlight=False)
