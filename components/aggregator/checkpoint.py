"""Generations in the gateway's store, and back. What changed is written; what died is deleted.

Keys: `<generation>/span`, and `<generation>/core/<piece>` for the pieces of the core's snapshot.
"""

import msgspec

from aggregator.generation import Generation
from aggregator.settings import AggregatorSettings
from roadside.core import snapshot
from roadside.core.errors import SnapshotError
from roadside.runtime.store import StateTable


class Span(msgspec.Struct):
    """What is stored of a generation beside its snapshot."""

    settings: AggregatorSettings
    from_ms: int
    until_ms: int | None


class Checkpoint:
    """Writes generations to `state` inside the caller's transaction."""

    def __init__(self, state: StateTable) -> None:
        self._state = state
        self._stored: set[str] = set(state.items())
        self._live = self._stored

    def save(self, generations: list[Generation]) -> None:
        """Write what changed. Call `done` after the commit, or `undone` if it failed."""
        live: set[str] = set()
        for generation in generations:
            name = f"{generation.number:06d}"
            span = Span(generation.settings, generation.from_ms, generation.until_ms)
            self._state.put(f"{name}/span", msgspec.json.encode(span))
            taken = snapshot.take(generation.aggregator)
            for piece, value in taken.changed.items():
                self._state.put(f"{name}/core/{piece}", value)
            live |= {f"{name}/span", f"{name}/core/{snapshot.HEAD}"}
            live |= {f"{name}/core/{piece}" for piece in taken.windows}
        for key in self._stored - live:
            self._state.delete(key)
        self._live = live

    def done(self) -> None:
        """The transaction has committed."""
        self._stored = self._live

    def undone(self, generations: list[Generation]) -> None:
        """The transaction was rolled back: all is to be written again."""
        for generation in generations:
            for grid in generation.aggregator.grids.values():
                grid.changed = True


def load(state: StateTable, steady_ms: int) -> list[Generation]:
    """The stored generations, oldest first; none from a new store.

    Raises
    ------
    SnapshotError
        The store holds a state that this version cannot read.
    """
    items = state.items()
    generations = []
    for key in sorted(items):
        name, _, rest = key.partition("/")
        if rest != "span":
            continue
        try:
            span = msgspec.json.decode(items[key], type=Span)
        except msgspec.DecodeError as error:
            raise SnapshotError(f"the settings in {key} cannot be read ({error})") from error
        registry = span.settings.registry()
        if registry is None:
            raise SnapshotError(f"the settings in {key} name no segment")
        prefix = f"{name}/core/"
        pieces = {k.removeprefix(prefix): value for k, value in items.items() if k.startswith(prefix)}
        aggregator = snapshot.restore(pieces, registry, span.settings.aggregation(), steady_ms)
        generations.append(Generation(int(name), span.settings, registry, aggregator, span.from_ms, span.until_ms))
    return generations
