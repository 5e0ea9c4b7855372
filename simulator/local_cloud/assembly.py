"""The cloud assemblies that runs deploy: the one `make synth` writes, made anew when its sources have changed."""

import fcntl
import hashlib
import json
import os
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
RAW_ASSEMBLY: Final = paths.CACHE / "cdk.raw"
# Of one size whatever the run's: a shard or lane more makes nothing faster in a local cloud, which is one process.
_RAW_CONTEXT: Final = {"ingest": "raw", "sensors": 1000, "gateways": 4}
_SOURCES: Final = ("cloud", "components/roadside/contract")
_SUFFIXES: Final = (".py", ".json", ".txt", ".sql")
_STAMP: Final = ".sources"


class AssemblyError(Exception):
    """The CDK app could not be synthesised; the message holds what it said."""


def ensure_assembly(*, raw: bool = False) -> Path:
    """The folder of an assembly that fits the sources. Raises AssemblyError.

    Parameters
    ----------
    raw : with the way for sensors that have no gateway
    """
    folder = RAW_ASSEMBLY if raw else ASSEMBLY
    context = {"CDK_OUTDIR": str(folder), "CDK_CONTEXT_JSON": json.dumps(_RAW_CONTEXT)} if raw else {}
    stamp = folder / _STAMP
    digest = _digest() + context.get("CDK_CONTEXT_JSON", "")
    with _alone():
        if stamp.exists() and stamp.read_text() == digest:
            return folder
        finished = subprocess.run(
            [sys.executable, "-m", "cloud.app"],
            cwd=REPOSITORY,
            env=os.environ | context,
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode:
            said = finished.stderr[-2000:]
            raise AssemblyError(f"the CDK app does not synthesise; run `make synth` to see why\n{said}")
        stamp.write_text(digest)
    return folder


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
