"""From a run's folder to its page."""

from pathlib import Path
from typing import Final

from cloud.capacity.prices import load_prices
from simulator.report.errors import ReportError
from simulator.report.page import render
from simulator.report.run_folder import RunFolder
from simulator.run.folder import write_whole

PAGE: Final = "report.html"


def write_page(run_folder: Path, page: Path) -> Path:
    """Write the page whole or not at all. Raises ReportError or PriceError."""
    text = render(RunFolder.read(run_folder), load_prices())
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_whole(page, text)
    except OSError as error:
        raise ReportError(f"{page} cannot be written ({error.strerror}): name another file") from error
    return page
