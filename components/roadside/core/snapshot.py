"""The aggregator's state as named pieces of bytes, and back.

A snapshot names only what changed since the one before: the head (clock, counters, the detectors' memory), the windows
that took readings or were sent, and the profile where it has learned something. Whoever stores the pieces in one
transaction with the messages that came of them can be killed at any instant.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from roadside.core.aggregator import Aggregator, AggregatorConfig, Counters
from roadside.core.errors import SnapshotError
from roadside.core.grid import WindowGrid
from roadside.core.readings import Fault
from roadside.core.registry import Registry

LAYOUT: Final = 1
HEAD: Final = "head"
PROFILE: Final = "profile"
WINDOW_PREFIX: Final = "window/"

_GRID_ARRAYS = ("offset_ms", "vehicle_count", "speed_dkmh", "occupancy_permille", "duplicates", "late", "rejected")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Pieces to store, and names of stored pieces to delete."""

    changed: Mapping[str, bytes]
    live: frozenset[str]  # names of all pieces that live; any other stored piece is to go


def take(aggregator: Aggregator) -> Snapshot:
    """What changed since the last call; marks it as unchanged."""
    profile = aggregator.incidents.profile
    memories = _memories(aggregator)
    pieces = {HEAD: _pack(_head(aggregator), {name: memory[key] for name, memory, key in memories})}
    if profile.changed:
        pieces[PROFILE] = _pack({}, {"days": profile.days, "today": profile.today})
        profile.changed = False
    for start_ms, grid in aggregator.grids.items():
        if grid.changed:
            pieces[f"{WINDOW_PREFIX}{start_ms}"] = _pack_grid(aggregator, grid)
            grid.changed = False
    return Snapshot(
        pieces, frozenset([HEAD, PROFILE, *(f"{WINDOW_PREFIX}{start_ms}" for start_ms in aggregator.grids)])
    )


def undo(aggregator: Aggregator) -> None:
    """The pieces of the last `take` were not stored after all: they have changed still."""
    aggregator.incidents.profile.changed = True
    for grid in aggregator.grids.values():
        grid.changed = True


def _memories(aggregator: Aggregator) -> list[tuple[str, dict[str, Any], str]]:
    """Every array of the detectors: its name in the head, and the dictionary and key that hold it."""
    held: list[tuple[str, dict[str, Any]]] = [
        ("", aggregator.detector.arrays),
        ("health/", aggregator.health.arrays),
        ("flow/", aggregator.health.flow.arrays),
        ("tally/", aggregator.tally.arrays),
    ]
    if aggregator.incidents.has_pairs:  # otherwise it never moves, and would be most of the head
        held += [
            ("incidents/", aggregator.incidents.arrays),
            ("profile/", aggregator.incidents.profile.running),
        ]
    return [(prefix + key, memory, key) for prefix, memory in held for key in memory]


def restore(
    pieces: Mapping[str, bytes],
    registry: Registry,
    config: AggregatorConfig,
    steady_ms: int,
    *,
    same_clock: bool = False,
) -> Aggregator:
    """The aggregator that the pieces describe, at `steady_ms` of a new process.

    `same_clock` tells that its steady clock is the one of the process that took the snapshot.

    Raises
    ------
    SnapshotError
        The pieces are damaged, or of another registry, window length or layout.
    """
    aggregator = Aggregator(registry, config)
    try:
        head, arrays = _unpack(pieces[HEAD])
        _must_match(head, _identity(aggregator))
        _restore_head(aggregator, head, arrays)
        if PROFILE in pieces:
            _, learned = _unpack(pieces[PROFILE])
            aggregator.incidents.profile.restore(learned["days"], learned["today"])
        for name, piece in pieces.items():
            if name.startswith(WINDOW_PREFIX):
                _restore_grid(aggregator, piece)
    except (KeyError, ValueError, TypeError, zlib.error) as error:
        if isinstance(error, SnapshotError):
            raise
        raise SnapshotError(f"the snapshot cannot be read ({error!r}); start with an empty state") from error
    aggregator.clock.rebase(steady_ms, same_clock=same_clock)
    for grid in aggregator.grids.values():
        if grid.late_since_ms is not None:
            grid.late_since_ms = steady_ms
    return aggregator


def _identity(aggregator: Aggregator) -> dict[str, Any]:
    return {
        "layout": LAYOUT,
        "registry": aggregator.registry.fingerprint,
        "window_ms": aggregator.config.window_ms,
        "reading_interval_ms": aggregator.config.reading_interval_ms,
    }


def _must_match(head: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    for name, value in identity.items():
        if head[name] != value:
            raise SnapshotError(f"the snapshot has {name} {head[name]!r}, the configuration {value!r}")


def _head(aggregator: Aggregator) -> dict[str, Any]:
    counters = aggregator.counters
    return {
        **_identity(aggregator),
        "next_start_ms": aggregator.next_start_ms,
        "final_ms": aggregator.final_ms,
        "until_ms": aggregator.until_ms,
        "tally_ms": [aggregator.tally.start_ms, aggregator.tally.end_ms],
        "latest_ms": aggregator.clock.latest_ms,
        "watermark_ms": aggregator.clock.reached_ms,
        "trusted_ms": aggregator.clock.trusted_ms,
        "trusted_at_steady_ms": aggregator.clock.trusted_at_steady_ms,
        "counters": {name: getattr(counters, name) for name in Counters.__dataclass_fields__ if name != "rejected"},
        "rejected": {str(int(fault)): count for fault, count in counters.rejected.items()},
    }


def _restore_head(aggregator: Aggregator, head: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    aggregator.next_start_ms = head["next_start_ms"]
    aggregator.final_ms = head.get("final_ms", 0)  # states of 0.1 have none
    aggregator.until_ms = head["until_ms"]
    aggregator.clock.latest_ms = head["latest_ms"]
    aggregator.clock.reached_ms = head["watermark_ms"]
    aggregator.clock.trusted_ms = head["trusted_ms"]
    aggregator.clock.trusted_at_steady_ms = head.get("trusted_at_steady_ms", 0)  # 0.1.0 did not tell
    rejected = {Fault(int(fault)): count for fault, count in head["rejected"].items()}
    aggregator.counters = Counters(rejected=rejected, **head["counters"])
    aggregator.tally.start_ms, aggregator.tally.end_ms = head.get("tally_ms", (None, 0))
    for name, memory, key in _memories(aggregator):
        if name in arrays or memory is aggregator.detector.arrays:  # states of 0.1 know congestion only
            memory[key] = arrays[name]


def _pack_grid(aggregator: Aggregator, grid: WindowGrid) -> bytes:
    arrays = {name: getattr(grid, name) for name in _GRID_ARRAYS}
    if grid.start_ms in aggregator.states:
        arrays["state"] = aggregator.states[grid.start_ms]
    if grid.start_ms in aggregator.excluded:
        arrays["excluded"] = aggregator.excluded[grid.start_ms]
    side = [[*place, *told] for place, told in grid.side.items()]
    head = {
        "start_ms": grid.start_ms,
        "revision": grid.revision,
        "has_late": grid.late_since_ms is not None,
        "side": side,
    }
    return _pack(head, arrays)


def _restore_grid(aggregator: Aggregator, piece: bytes) -> None:
    head, arrays = _unpack(piece)
    grid = aggregator.grid(head["start_ms"])
    for name in _GRID_ARRAYS:
        if arrays[name].shape != getattr(grid, name).shape:
            raise SnapshotError(f"{name} of window {grid.start_ms} has shape {arrays[name].shape}")
        setattr(grid, name, arrays[name])
    for sensor, offset, *told in head["side"]:
        grid.put_aside((sensor, offset), tuple(told))
    grid.revision = head["revision"]
    grid.late_since_ms = 0 if head["has_late"] else None
    grid.changed = False
    if "state" in arrays:
        aggregator.states[grid.start_ms] = arrays["state"]
    if "excluded" in arrays:
        aggregator.excluded[grid.start_ms] = arrays["excluded"]


def _pack(head: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """A JSON line that names the arrays, then their bytes; deflated."""
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    line = json.dumps({"head": head, "arrays": listed}).encode() + b"\n"
    return zlib.compress(line + b"".join(array.tobytes() for array in arrays.values()), level=1)


def _unpack(piece: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    line, _, rest = zlib.decompress(piece).partition(b"\n")
    described = json.loads(line)
    arrays: dict[str, npt.NDArray[Any]] = {}
    at = 0
    for name, dtype, shape in described["arrays"]:
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(rest, dtype=dtype, count=count, offset=at).reshape(shape).copy()
        at += arrays[name].nbytes
    return described["head"], arrays
