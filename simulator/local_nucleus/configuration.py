"""A component's configuration: a tree of keys whose leaves remember when they changed. Pure; the caller gives the time.

Mappings are inner nodes, everything else (lists too) is a leaf. Reading and changing happen by path.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

KeyPath: TypeAlias = tuple[str, ...]


class KeyNotFoundError(Exception):
    """No node at this path."""


class StaleUpdateError(Exception):
    """A leaf changed later than the update's timestamp."""


@dataclass(frozen=True, slots=True)
class Change:
    """One leaf that got another value; `is_new` where it did not exist."""

    path: KeyPath
    is_new: bool


class ComponentConfiguration:
    """The configuration tree of one component.

    Parameters
    ----------
    case_sensitive
        Whether `Window` and `window` are two keys. Where not, the spelling that came first stays.
    """

    def __init__(self, *, case_sensitive: bool) -> None:
        self._case_sensitive = case_sensitive
        self._root: dict[str, Any] = {}
        self._modified_ms: dict[KeyPath, int] = {}

    def get(self, path: Sequence[str]) -> Any:
        """A copy of the value at `path`; the whole tree for an empty one.

        Raises
        ------
        KeyNotFoundError
        """
        node: Any = self._root
        for key in self.spelled(path):
            if not isinstance(node, dict) or key not in node:
                raise KeyNotFoundError(f"no configuration at {list(path)}")
            node = node[key]
        return copy.deepcopy(node)

    def spelled(self, path: Sequence[str]) -> KeyPath:
        """The path in the spelling of the tree, as far as it exists there."""
        node: Any = self._root
        spelled = []
        for wanted in path:
            key = self._spelling(node, wanted)
            spelled.append(key)
            node = node.get(key) if isinstance(node, dict) else None
        return tuple(spelled)

    def add_defaults(self, defaults: Mapping[str, Any], now_ms: int) -> list[Change]:
        """Add the keys that are missing and keep every value that exists, as an upgrade does."""
        missing = [(path, value) for path, value in _leaves(defaults) if not self._exists(path)]
        return [self._set(path, value, now_ms) for path, value in missing]

    def merge(
        self, path: Sequence[str], values: Mapping[str, Any], timestamp_ms: int, *, skip_stale: bool = False
    ) -> list[Change]:
        """Merge `values` into the node at `path` and return the leaves that really changed, in order.

        A leaf that changed after `timestamp_ms` is left alone with `skip_stale`; else nothing at all is changed.

        Raises
        ------
        StaleUpdateError
        """
        updates = [(self.spelled(leaf), value) for leaf, value in _leaves(values, tuple(path))]
        fresh = [(leaf, value) for leaf, value in updates if self._modified_ms.get(leaf, timestamp_ms) <= timestamp_ms]
        if len(fresh) < len(updates) and not skip_stale:
            raise StaleUpdateError(f"a value under {list(path)} changed after {timestamp_ms}")
        return [self._set(leaf, value, timestamp_ms) for leaf, value in fresh if self._differs(leaf, value)]

    def _exists(self, path: KeyPath) -> bool:
        try:
            self.get(path)
        except KeyNotFoundError:
            return False
        return True

    def _differs(self, path: KeyPath, value: Any) -> bool:
        try:
            current = self.get(path)
        except KeyNotFoundError:
            return True
        return type(current) is not type(value) or bool(current != value)

    def _set(self, path: KeyPath, value: Any, timestamp_ms: int) -> Change:
        node = self._root
        is_new = False
        for key in path[:-1]:
            if not isinstance(node.get(key), dict):
                node[key] = {}
                is_new = True
            node = node[key]
        is_new = is_new or path[-1] not in node
        node[path[-1]] = copy.deepcopy(value)
        self._modified_ms[path] = timestamp_ms
        return Change(path, is_new)

    def _spelling(self, node: Any, wanted: str) -> str:
        if self._case_sensitive or not isinstance(node, dict):
            return wanted
        return next((key for key in node if key.casefold() == wanted.casefold()), wanted)


def integers_as_floats(value: Any) -> Any:
    """What the classic nucleus makes of JSON numbers that pass through it."""
    if isinstance(value, dict):
        return {key: integers_as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [integers_as_floats(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _leaves(values: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value
