"""The support bundle: one archive with what helps to understand a gateway from afar. Standard library only.

It takes versions, the Monitor's notes (last heartbeat, configurations), ends of logs, numbers of the database, disks,
memory and installed packages. It takes no private key, no secret that it can tell, and no message's content. Whatever
cannot be had is named with the reason, and the rest is taken all the same.
"""

import argparse
import importlib.metadata
import io
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from monitor.database_facts import database_facts
from monitor.redaction import redact_text
from roadside import VERSION

ROOTS: Final = (Path("/greengrass/v2"), Path("/var/lib/greengrass"))  # classic, lite
LOG_BYTES: Final = 1024 * 1024
OURS: Final = "city.roadside.*"
NOTES: Final = ("heartbeat.json", "configurations.json")
JOURNAL_UNITS: Final = ("ggl.city.roadside.*", "ggl.core.*")  # where nucleus lite's components and daemons log
_JOURNAL_LINES: Final = 5000
_JOURNAL_TIMEOUT_S: Final = 20


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the bundle to be: its name, where it comes from, and how to get it."""

    name: str
    source: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a piece; `reason` says why it is not there."""

    name: str
    source: str
    size_bytes: int = 0
    reason: str | None = None


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command line of it."""
    parser = commands.add_parser("bundle", description=__doc__, help="gather what support needs into one archive")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tar.gz", help="the archive to write")
    parser.add_argument("--root", type=Path, help=f"Greengrass' folder; default: {' or '.join(map(str, ROOTS))}")
    parser.add_argument("--log-bytes", type=int, default=LOG_BYTES, help="most of each log, from its end")


def make(out: Path, root: Path | None, log_bytes: int) -> int:
    """Write the bundle and tell what it holds; returns the exit code, 1 if it could not be written."""
    root = root or next((each for each in ROOTS if each.is_dir()), ROOTS[0])
    try:
        taken = write(out, pieces(root, out.absolute().parent, log_bytes))
    except OSError as error:
        print(f"cannot write {out}: {error}", file=sys.stderr)
        return 1
    for each in taken:
        told = f"{each.size_bytes:>9} bytes" if each.reason is None else "    not taken"
        print(f"{told}  {each.name}  ({each.reason or each.source})")
    print(f"\nwritten to {out.absolute()}, {out.stat().st_size} bytes, readable by you alone")
    print("It holds no keys and no messages; look into it before you pass it on.")
    return 0


def write(out: Path, wanted: Iterator[Piece]) -> list[Taken]:
    """Write the archive with all pieces that can be had, and a manifest of all. Raises OSError."""
    unfinished = out.with_name(out.name + ".unfinished")
    taken: list[Taken] = []
    try:
        with os.fdopen(_private(unfinished), "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for piece in wanted:
                try:
                    content = piece.read()
                except (OSError, ValueError, sqlite3.Error, subprocess.SubprocessError) as error:
                    taken.append(Taken(piece.name, piece.source, reason=f"{type(error).__name__}: {error}"))
                else:
                    _add(archive, piece.name, content)
                    taken.append(Taken(piece.name, piece.source, len(content)))
            _add(archive, "manifest.json", _json([asdict(each) for each in taken]))
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return taken


def pieces(root: Path, scratch: Path, log_bytes: int) -> Iterator[Piece]:
    """Everything worth having. `scratch` takes a copy of the database for a moment."""
    work = root / "work"
    yield Piece("versions.json", "this machine", partial(_json_of, _versions, root))
    yield Piece("machine.json", "/proc and the disks", partial(_json_of, _machine, root))
    notes = work / "city.roadside.Monitor"
    for name in NOTES:
        yield Piece(f"notes/{name}", str(notes / name), partial(_text, notes / name, log_bytes))
    for folder in sorted(work.glob(OURS)):
        component, environment = folder.name, folder / "venv"
        yield Piece(f"files/{component}.json", str(folder), partial(_json_of, _files, folder))
        yield Piece(f"packages/{component}.json", str(environment), partial(_json_of, _packages, environment))
        for database in sorted(folder.glob("*.sqlite")):
            facts = partial(_json_of, database_facts, database, scratch)
            yield Piece(f"databases/{component}.{database.stem}.json", str(database), facts)
    for log in sorted([*(root / "logs").glob(f"{OURS}.log"), *(root / "logs").glob("greengrass.log")]):
        yield Piece(f"logs/{log.name}", str(log), partial(_text, log, log_bytes))
    if shutil.which("journalctl"):
        for unit in JOURNAL_UNITS:
            command = partial(_journal, unit, log_bytes)
            yield Piece(f"logs/{unit.rstrip('.*')}.journal.log", f"journalctl -u {unit}", command)


def _versions(root: Path) -> dict[str, Any]:
    release = Path("/etc/os-release")
    deployed = (root / "packages" / "artifacts-unarchived").glob(f"{OURS}/*")
    return {
        "bundle_of": VERSION,
        "made_ms": time.time_ns() // 1_000_000,
        "deployed": sorted(f"{folder.parent.name} {folder.name}" for folder in deployed),
        "kernel": " ".join(os.uname()),
        "system": release.read_text("utf-8").splitlines() if release.exists() else None,
        "python": f"{platform.python_version()} {sys.executable}",
    }


def _machine(root: Path) -> dict[str, Any]:
    proc = Path("/proc")
    disks = {str(path): shutil.disk_usage(path)._asdict() for path in (Path("/"), root, root / "work") if path.exists()}
    return {
        "disks": disks,
        "cores": os.cpu_count(),
        **{name: (proc / name).read_text("utf-8").splitlines() for name in ("loadavg", "uptime", "meminfo")},
    }


def _files(folder: Path) -> list[dict[str, Any]]:
    """What lies in a component's own folder, a damaged database set aside among it; not its virtual environment."""
    found = []
    for path in sorted(folder.iterdir()):
        status = path.lstat()
        found.append({"name": path.name, "bytes": status.st_size, "changed_s": int(status.st_mtime)})
    return found


def _packages(environment: Path) -> dict[str, str]:
    places = [str(place) for place in environment.glob("lib/python3*/site-packages")]
    if not places:
        raise FileNotFoundError(f"{environment} has no packages")
    found = importlib.metadata.distributions(path=places)
    return dict(sorted((distribution.name, distribution.version) for distribution in found))


def _text(path: Path, most_bytes: int) -> bytes:
    """The end of a text, without what looks like a secret."""
    with path.open("rb") as file:
        begin = max(0, file.seek(0, os.SEEK_END) - most_bytes)
        file.seek(begin)
        content = file.read(most_bytes)
    if begin:
        content = content.partition(b"\n")[2]  # half a line says little, and could hide half a secret
    return redact_text(content.decode("utf-8", errors="replace")).encode()


def _journal(unit: str, most_bytes: int) -> bytes:
    command = ["journalctl", "--no-pager", "--quiet", "-o", "short-iso", "-n", str(_JOURNAL_LINES), "-u", unit]
    done = subprocess.run(command, capture_output=True, timeout=_JOURNAL_TIMEOUT_S, check=True)
    return redact_text(done.stdout[-most_bytes:].decode("utf-8", errors="replace")).encode()


def _json_of(tell: Callable[..., Any], *arguments: Any) -> bytes:
    return _json(tell(*arguments))


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, default=repr).encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mtime = int(time.time())
    archive.addfile(info, io.BytesIO(content))


def _private(path: Path) -> int:
    """A new file that its owner alone can read; what was there of an attempt before is overwritten."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor
