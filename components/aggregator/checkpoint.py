"""Generations in the gateway's store, and back. What changed is written; what died is deleted.

Keys: `boot` for the boot whose steady clock the rest speaks of, `<generation>/span`, and `<generation>/core/<piece>`
for the pieces of the core's snapshot.
"""

from typing import Final

import msgspec

from aggregator.generation import Generation
from aggregator.settings import AggregatorSettings
from roadside.core import snapshot
from roadside.core.errors import SnapshotError
from roadside.runtime.store import StateTable

BOOT: Final = "boot"


class Span(msgspec.Struct):
    """What is stored of a generation beside its snapshot."""

    settings: AggregatorSettings
    from_ms: int
    until_ms: int | None


class Checkpoint:
    """Reads generations from `state`, and writes them inside the caller's transaction.

    Attributes
    ----------
    same_clock : whether what is stored is of the boot `boot_id`, so that the steady clock has run on since; an empty
        `boot_id` is none that is known
    """

    def __init__(self, state: StateTable, boot_id: str) -> None:
        self._state = state
        self._boot_id = boot_id.encode()
        stored = state.items()
        self.same_clock = bool(boot_id) and stored.get(BOOT) == self._boot_id
        self._stored = set(stored)
        self._live = self._stored

    def save(self, generations: list[Generation]) -> None:
        """Write what changed. Call `done` after the commit, or `undone` if it failed."""
        live = {BOOT}
        self._state.put(BOOT, self._boot_id)
        for generation in generations:
            name = f"{generation.number:06d}"
            span = Span(generation.settings, generation.from_ms, generation.until_ms)
            self._state.put(f"{name}/span", msgspec.json.encode(span))
            taken = snapshot.take(generation.aggregator)
            for piece, value in taken.changed.items():
                self._state.put(f"{name}/core/{piece}", value)
            live |= {f"{name}/span", *(f"{name}/core/{piece}" for piece in taken.live)}
        for key in self._stored - live:
            self._state.delete(key)
        self._live = live

    def done(self) -> None:
        """The transaction has committed."""
        self._stored = self._live

    def undone(self, generations: list[Generation]) -> None:
        """The transaction was rolled back: all is to be written again."""
        for generation in generations:
            snapshot.undo(generation.aggregator)

    def load(self, steady_ms: int) -> list[Generation]:
        """The stored generations, oldest first; none from a new store.

        Raises
        ------
        SnapshotError
            The store holds a state that this version cannot read.
        """
        items = self._state.items()
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
            aggregator = snapshot.restore(
                pieces, registry, span.settings.aggregation(), steady_ms, same_clock=self.same_clock
            )
            generations.append(Generation(int(name), span.settings, registry, aggregator, span.from_ms, span.until_ms))
        return generations
