"""From a run's folder to its page."""

from pathlib import Path
from typing import Final

from cloud.capacity.prices import load_prices
from simulator.report.page import render
from simulator.report.run_folder import RunFolder
from simulator.run.folder import write_whole

PAGE: Final = "report.html"


def write_page(run_folder: Path, page: Path) -> Path:
    """Write the page whole or not at all. Raises ReportError, PriceError or OSError."""
    write_whole(page, render(RunFolder.read(run_folder), load_prices()))
    return page
