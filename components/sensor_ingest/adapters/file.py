"""Lines of a file, as it grows (tail) or once from its start to its end (replay).

A tail goes on where it was before a restart, and over a rotation: what was renamed is read to its end first. Lines
that were handed on but not yet delivered when the process was killed are read again, which changes nothing: the
Aggregator knows a reading by its sensor and its time.
"""

import asyncio
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sensor_ingest.adapters.port import AdapterError, Sink, until_room
from sensor_ingest.positions import Position, Positions
from sensor_ingest.settings import FileSettings

LINES_A_STEP: Final = 64  # other adapters get a turn in between

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileAdapter:
    """Implements Adapter."""

    settings: FileSettings
    max_bytes: int
    positions: Positions

    async def run(self, sink: Sink) -> None:
        """Read until cancelled, or to the end of a replay. Raises OSError and AdapterError."""
        path, replay = Path(self.settings.path), self.settings.mode == "replay"
        resume = None if replay else self.positions.get(self.settings.name, self.settings.path)
        from_end = not replay and self.settings.start == "end"
        while True:
            file = _open(path)
            if file is None:
                if replay:
                    raise AdapterError(f"{path} does not exist")
                resume, from_end = None, False  # a file that begins to exist is read from its start
                await asyncio.sleep(self.settings.poll_ms / 1000)
                continue
            with file:
                self._seek(file, resume, from_end=from_end)
                await self._read(file, path, sink)
            if replay:
                _log.info(f"adapter {self.settings.name} has replayed", extra={"path": self.settings.path})
                return
            resume, from_end = None, False

    def _seek(self, file: BinaryIO, resume: Position | None, *, from_end: bool) -> None:
        status = os.fstat(file.fileno())
        if resume is not None:
            file.seek(resume.offset_bytes if _continues(resume, status) else 0)
        elif from_end:
            file.seek(0, os.SEEK_END)
        self._tell(file)
        _log.info(f"adapter {self.settings.name} is reading", extra={"path": self.settings.path, "from": file.tell()})

    async def _read(self, file: BinaryIO, path: Path, sink: Sink) -> None:
        """Hand in lines until the file has ended (replay), or has ended and is no longer the one at `path` (tail)."""
        replay, gone = self.settings.mode == "replay", False
        pace = self.settings.lines_per_second
        skipping = False
        while True:
            await until_room(sink)
            lines = 0
            while lines < (1 if pace else LINES_A_STEP):
                start = file.tell()
                line = file.readline(self.max_bytes)
                whole = line.endswith(b"\n")
                if not whole and len(line) < self.max_bytes and not (replay and line):
                    file.seek(start)  # the end, or a line still being written
                    break
                lines += 1
                if skipping or (not whole and len(line) == self.max_bytes):
                    if not skipping:
                        sink.refuse("message: too large")
                    skipping = not whole
                elif line.strip():
                    sink.accept(line)
            self._tell(file)
            if lines:
                await asyncio.sleep(lines / pace if pace else 0)
                continue
            if replay or gone:
                return
            gone = not _is_at(file, path)  # then once more: the last lines may have come before it was renamed
            if not gone:
                await asyncio.sleep(self.settings.poll_ms / 1000)

    def _tell(self, file: BinaryIO) -> None:
        if self.settings.mode == "tail":
            inode = os.fstat(file.fileno()).st_ino
            self.positions.set(self.settings.name, Position(self.settings.path, inode, file.tell()))


def _open(path: Path) -> BinaryIO | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise AdapterError(f"{path} is no regular file; a pipe or a device cannot be followed")
        return path.open("rb")
    except FileNotFoundError:
        return None


def _continues(position: Position, status: os.stat_result) -> bool:
    return status.st_ino == position.inode and status.st_size >= position.offset_bytes


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether `path` still names this file, and it was not cut."""
    own = os.fstat(file.fileno())
    if own.st_size < file.tell():
        return False
    try:
        return path.stat().st_ino == own.st_ino
    except FileNotFoundError:
        return True  # between two steps of a rotation, or removed: there is nothing else to read yet
