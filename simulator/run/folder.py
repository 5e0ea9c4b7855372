"""The folder that a run writes to: whether it can, and files that are there whole or not at all."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

WORK_BYTES: Final = 200_000_000  # the gateways' software and databases, logs
READING_BYTES: Final = 4  # of the archive of truth, which took 1.6 when it was measured
_MEGABYTE: Final = 1_000_000


class FolderError(Exception):
    """A run cannot write what it has to; the message names the folder and says what to do."""


def prepare(folder: Path, readings: int) -> None:
    """Make the folder and see that a run of so many readings can be written to it.

    Raises
    ------
    FolderError
        before anything else was started.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise FolderError(f"--out {folder} leads through a file: give a folder, or a path for a new one") from error
    except OSError as error:
        raise FolderError(f"--out {folder} cannot be written to ({error.strerror}): give another folder") from error
    needed_bytes = WORK_BYTES + READING_BYTES * readings
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise FolderError(
            f"--out {folder} is on a disk with {free_bytes // _MEGABYTE:,} MB free, and a run of {readings:,} readings "
            f"may need {needed_bytes // _MEGABYTE:,} MB: make room, or give a folder on another disk"
        )


def clear(folder: Path) -> None:
    """Remove what an earlier run left there, of which nobody shall take anything for this run's."""
    for name in ("work", "truth"):
        shutil.rmtree(folder / name, ignore_errors=True)
    results = (
        "run.json",
        "report.json",
        "report.html",
        "series.json",
        "segments.npz",
        "readings.npz",
        "windows.npz",
    )
    for name in results:
        (folder / name).unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that whoever looks, and whatever happens meanwhile, finds the old one or the new one."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
