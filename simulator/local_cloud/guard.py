"""Refuse to start when MiniStack is not the one the shims were written for.

The shims replace private functions, so an upgrade could change their meaning without an import error. Every shim
declares the names it leans on as `Hook` data; this module compares them, and the package version, before anything is
replaced. Raise the pin only with the behaviour suite (`tests/integration/local_cloud`) green.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import operator
from collections.abc import Iterable
from dataclasses import dataclass

PACKAGE = "ministack"
PINNED_VERSION = "1.5.33"


@dataclass(frozen=True, slots=True)
class Hook:
    """One private name a shim calls or replaces.

    `name` may be dotted, for a method. `signature` is `str(inspect.signature(...))` of a function, and None for a class
    or a value, which only has to exist.
    """

    module: str
    name: str
    signature: str | None = None


class GuardError(RuntimeError):
    """The installed package differs from what the shims expect. `differences` holds one sentence each."""

    def __init__(self, differences: tuple[str, ...]) -> None:
        self.differences = differences
        super().__init__(
            "the local cloud's shims do not fit the installed MiniStack, so it refuses to start: "
            + "; ".join(differences)
            + ". Install the pinned version (run: make test) or adapt the shims and their hooks."
        )


def difference(hook: Hook) -> str | None:
    """Say how the installed name differs from `hook`, or None when it fits."""
    try:
        module = importlib.import_module(hook.module)
    except ImportError as error:
        return f"{hook.module} cannot be imported ({error})"
    try:
        found = operator.attrgetter(hook.name)(module)
    except AttributeError:
        return f"{hook.module}.{hook.name} is gone"
    if hook.signature is None:
        return None
    actual = str(inspect.signature(found)) if callable(found) else repr(type(found))
    if actual == hook.signature:
        return None
    return f"{hook.module}.{hook.name} is {actual}, expected {hook.signature}"


def check(hooks: Iterable[Hook], *, package: str = PACKAGE, version: str = PINNED_VERSION) -> None:
    """Compare the installed version and every hook.

    Raises
    ------
    GuardError
        Naming every difference at once.
    """
    try:
        installed = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise GuardError((f"{package} is not installed, expected {version}",)) from error
    differences = [] if installed == version else [f"{package} is {installed}, expected {version}"]
    differences += [text for hook in hooks if (text := difference(hook)) is not None]
    if differences:
        raise GuardError(tuple(differences))
