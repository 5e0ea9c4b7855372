"""How far each file was read, kept over a restart."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

FILE_NAME: Final = "positions.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """The place after the last line read: which file, since names are given anew, and how many bytes."""

    path: str
    inode: int
    offset_bytes: int


class Positions:
    """Where the file adapters are. They set their own; the worker saves a snapshot once its readings are delivered.

    Parameters
    ----------
    directory : the component's own; what cannot be read there counts as no position
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE_NAME
        self._positions: dict[str, Position] = self._load()
        self._saved = dict(self._positions)

    def get(self, adapter: str, path: str) -> Position | None:
        """Where an adapter was, unless it reads another file now."""
        position = self._positions.get(adapter)
        return position if position is not None and position.path == path else None

    def set(self, adapter: str, position: Position) -> None:
        """Tell where an adapter is: everything before was handed on, though maybe not yet delivered."""
        self._positions[adapter] = position

    def snapshot(self) -> Mapping[str, Position]:
        """All positions as they are now."""
        return dict(self._positions)

    def save(self, snapshot: Mapping[str, Position]) -> None:
        """Write a snapshot if it differs from the one written last. Raises OSError."""
        if snapshot == self._saved:
            return
        temporary = self._file.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({name: [each.path, each.inode, each.offset_bytes] for name, each in snapshot.items()}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._file)
        self._saved = dict(snapshot)

    def _load(self) -> dict[str, Position]:
        try:
            saved = msgspec.json.decode(self._file.read_bytes(), type=dict[str, tuple[str, int, int]])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            _log.error("cannot read the files' positions; files begin anew", extra={"reason": repr(error)})
            return {}
        return {name: Position(*values) for name, values in saved.items()}
