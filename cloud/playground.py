"""The local cloud that runs in the background of this checkout, as it tells of itself in a file.

`python -m simulator local up` and `run --keep` write it; programs that people run find the cloud by it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cloud.paths import CACHE

_STATE: Final = "state.json"


@dataclass(frozen=True, slots=True)
class Playground:
    """A local cloud that runs on.

    Parameters
    ----------
    pid, born : its process, and when that began in the kernel's words: another process may get the same number later
    what : in words
    started_ms : epoch milliseconds
    run : the run's folder where it is kept from a run, None where traffic flows until it is told to end
    logs : folder in which, somewhere below, its logs lie
    environment : AWS_* variables by which it is reached
    device_endpoint : host and port for gateways, with mutual TLS
    """

    pid: int
    born: str
    what: str
    started_ms: int
    run: str | None
    logs: str
    environment: Mapping[str, str]
    device_endpoint: str

    @property
    def is_alive(self) -> bool:
        return born(self.pid) == self.born


def folder() -> Path:
    """Where it keeps its file, and its logs. A checkout has one; ROADSIDE_PLAYGROUND names another folder."""
    return Path(os.environ.get("ROADSIDE_PLAYGROUND", CACHE / "playground"))


def born(pid: int) -> str | None:
    """When the process began: boot of the machine and ticks since; None if there is no such process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"  # a zombie has ended; field 22 of proc(5), less two


def told() -> Playground | None:
    """What the file says, whether or not that still lives; None where there is none that can be read."""
    try:
        return Playground(**json.loads((folder() / _STATE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # a file of another version is as good as none


def running() -> Playground | None:
    """The one that runs now."""
    playground = told()
    return playground if playground is not None and playground.is_alive else None


def tell(playground: Playground) -> None:
    """Write the file; whoever reads meanwhile finds it whole."""
    folder().mkdir(parents=True, exist_ok=True)
    half_written = folder() / f"{_STATE}.part"
    half_written.write_text(json.dumps(asdict(playground), indent=2) + "\n", encoding="utf-8")
    half_written.replace(folder() / _STATE)


def forget() -> None:
    """Remove the file."""
    (folder() / _STATE).unlink(missing_ok=True)
