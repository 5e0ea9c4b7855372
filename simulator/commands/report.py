"""`report`: a run as one page to look at."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.terminal import console, failure


def report(
    run_folder: Annotated[Path, typer.Argument(help="The --out of a run.")] = Path("out"),
    out: Annotated[
        Path | None, typer.Option(help="File to write; report.html in the run's folder if not said.")
    ] = None,
) -> None:
    """Draw a run as one HTML file that needs nothing else: map, roads over time, latency, faults, cost, verdict.

    A run writes it by itself; this makes it again, also of a run that was interrupted.

    Example: python -m simulator report out --out monday.html
    """
    from cloud.capacity.prices import PriceError
    from simulator.report.errors import ReportError
    from simulator.report.writing import PAGE, write_page

    try:
        page = write_page(run_folder, out or run_folder / PAGE)
    except (PriceError, ReportError) as error:
        raise failure(error) from error
    console.print(f"{page}: {page.stat().st_size / 1e6:.1f} MB, open it in a browser", highlight=False)
