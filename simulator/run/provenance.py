"""With what a run was made: so that somebody else can make it again."""

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


def provenance() -> dict[str, Any]:
    """Command line, versions and machine; the commit is None outside of a checkout, and says so if files differ."""
    return {
        "command": ["python", "-m", "simulator", *sys.argv[1:]],
        "version": metadata.version("roadside"),
        "commit": _commit(),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "system": platform.platform(terse=True),
        "cores": os.cpu_count(),
    }


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        return None
    answer = subprocess.run(
        [git, "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None
