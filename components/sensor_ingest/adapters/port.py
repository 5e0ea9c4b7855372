"""What an adapter is, and what it has of the rest."""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

ROOM_POLL_S: Final = 0.05


class AdapterError(Exception):
    """An adapter cannot go on for a reason outside of it; it is started again after a while."""


class Outcome(Protocol):
    """What became of one payload."""

    @property
    def accepted(self) -> int:
        """Readings taken."""

    @property
    def refused(self) -> Mapping[str, int]:
        """Records refused, by reason."""


class Sink(Protocol):
    """Where an adapter puts what it got. From any thread; never blocks and never raises."""

    def accept(self, payload: bytes, sensor_id: str | None = None) -> Outcome:
        """Take a payload; `sensor_id` is whom the channel names as the sender."""

    def refuse(self, reason: str) -> None:
        """Count what could not even be handed in."""

    def has_room(self) -> bool:
        """Whether a sender that can wait may send on."""


class Adapter(Protocol):
    """One way in. Made anew whenever its settings change."""

    async def run(self, sink: Sink) -> None:
        """Hand in what comes until cancelled; returns only when nothing more will ever come.

        Raises OSError or AdapterError when it cannot go on; it is then run again after a while.
        """


async def until_room(sink: Sink) -> None:
    """Hold a sender back for as long as its share of the queue is taken."""
    while not sink.has_room():
        await asyncio.sleep(ROOM_POLL_S)
