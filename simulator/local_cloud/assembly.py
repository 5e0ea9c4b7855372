"""The cloud assembly that a run deploys: the one `make synth` writes, made anew when its sources have changed."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cloud import paths

REPOSITORY: Final = Path(__file__).resolve().parents[2]
ASSEMBLY: Final = REPOSITORY / "cdk.out"
STAGE: Final = "dev"
STACK: Final = f"roadside-{STAGE}"
_SOURCES: Final = ("cloud", "components/roadside/contract")
_SUFFIXES: Final = (".py", ".json", ".txt", ".sql")
_STAMP: Final = ".sources"


class AssemblyError(Exception):
    """The CDK app could not be synthesised; the message holds what it said."""


def ensure_assembly() -> Path:
    """The folder of an assembly that fits the sources. Raises AssemblyError."""
    stamp = ASSEMBLY / _STAMP
    digest = _digest()
    with _alone():
        if stamp.exists() and stamp.read_text() == digest:
            return ASSEMBLY
        finished = subprocess.run(
            [sys.executable, "-m", "cloud.app"], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        if finished.returncode:
            said = finished.stderr[-2000:]
            raise AssemblyError(f"the CDK app does not synthesise; run `make synth` to see why\n{said}")
        stamp.write_text(digest)
    return ASSEMBLY


@contextmanager
def _alone() -> Iterator[None]:
    """Two runs at once make one assembly: the second waits, and finds it made."""
    paths.CACHE.mkdir(exist_ok=True)
    with (paths.CACHE / "assembly.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest() -> str:
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in _SUFFIXES and "node_modules" not in path.parts:
                digest.update(path.relative_to(REPOSITORY).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
