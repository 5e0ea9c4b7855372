"""The door that all adapters share: maps what they hand in, queues the readings and counts. Safe for threads."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from roadside.runtime.ports import Clock
from sensor_ingest.batcher import Batch, Batcher
from sensor_ingest.mapping import Mapper

MAX_NAMED: Final = 20  # unknown sensors told by name, the ones seen first


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one payload: readings taken, and records refused by reason."""

    accepted: int
    refused: Mapping[str, int]


@dataclass(slots=True)
class AdapterCounters:
    """What one adapter handed in since the start."""

    messages: int = 0
    readings: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Intake:
    """Takes payloads from any thread; readings wait here for the worker's next beat.

    Parameters
    ----------
    wake : called when a frame is full; from any thread
    """

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._lock = threading.Lock()
        self._mappers: Mapping[str, Mapper] = {}
        self._batcher = Batcher(1)
        self._counters: dict[str, AdapterCounters] = {}
        self._unknown: dict[str, None] = {}

    def configure(self, mappers: Mapping[str, Mapper], capacity: int, frame_readings: int) -> None:
        """Change how each adapter's payloads are read, and the bounds; what waits stays."""
        with self._lock:
            self._mappers = mappers
            self._unknown.clear()
            self._batcher.configure(capacity, frame_readings, mappers.keys())

    def door(self, adapter: str) -> "Door":
        """The adapter's own way in."""
        return Door(self, adapter)

    def accept(self, adapter: str, payload: bytes, sensor_id: str | None) -> Outcome:
        """Map and queue a payload."""
        mapper = self._mappers.get(adapter)
        if mapper is None:  # its end was ordered, and it has not ended yet
            self.refuse(adapter, "adapter: no longer configured")
            return Outcome(0, {"adapter: no longer configured": 1})
        mapped = mapper.read(payload, self._clock.wall_ms(), sensor_id)
        with self._lock:
            counters = self._counters.setdefault(adapter, AdapterCounters())
            counters.messages += 1
            counters.readings += len(mapped.readings)
            counters.refused += mapped.refused
            for name in mapped.unknown_sensors[:MAX_NAMED]:
                if len(self._unknown) < MAX_NAMED:
                    self._unknown[name] = None
            self._batcher.add(adapter, mapped.readings)
            full = self._batcher.has_full_frame()
        if full:
            self._wake()
        return Outcome(len(mapped.readings), mapped.refused)

    def refuse(self, adapter: str, reason: str) -> None:
        """Count what an adapter could not even hand in."""
        with self._lock:
            self._counters.setdefault(adapter, AdapterCounters()).refused[reason] += 1

    def has_room(self, adapter: str) -> bool:
        """Whether senders of this adapter that can wait may send on."""
        with self._lock:
            return self._batcher.has_room(adapter)

    def has_full_frame(self) -> bool:
        """Whether a frame is full before its beat."""
        with self._lock:
            return self._batcher.has_full_frame()

    def take(self) -> list[Batch]:
        """All that waits, in batches that fit a frame."""
        with self._lock:
            return self._batcher.take()

    def give_back(self, batches: Sequence[Batch]) -> None:
        """Queue batches again that could not be delivered."""
        with self._lock:
            self._batcher.give_back(batches)

    def statistics(self) -> dict[str, object]:
        """Counters since the start by adapter, what waits, what was shed, and sensors that nobody configured."""
        with self._lock:
            adapters: Collection[str] = self._counters.keys() | self._mappers.keys()
            return {
                "adapters": {
                    name: {
                        "messages": counters.messages,
                        "readings": counters.readings,
                        "refused": dict(counters.refused),
                        "shed": self._batcher.shed().get(name, 0),
                    }
                    for name in sorted(adapters)
                    for counters in [self._counters.get(name, AdapterCounters())]
                },
                "waiting": len(self._batcher),
                "unknownSensors": list(self._unknown),
            }

    def totals(self) -> dict[str, object]:
        """The same over all adapters, which is small however many there are."""
        with self._lock:
            return {
                "messages": sum(each.messages for each in self._counters.values()),
                "readings": sum(each.readings for each in self._counters.values()),
                "records_refused": sum((each.refused for each in self._counters.values()), Counter()),
                "readings_shed": sum(self._batcher.shed().values()),
                "readings_waiting": len(self._batcher),
                "unknown_sensors": len(self._unknown),
            }


@dataclass(frozen=True, slots=True)
class Door:
    """One adapter's view of the intake. Implements Sink."""

    intake: Intake
    adapter: str

    def accept(self, payload: bytes, sensor_id: str | None = None) -> Outcome:
        """Map and queue a payload."""
        return self.intake.accept(self.adapter, payload, sensor_id)

    def refuse(self, reason: str) -> None:
        """Count what could not be handed in."""
        self.intake.refuse(self.adapter, reason)

    def has_room(self) -> bool:
        """Whether senders that can wait may send on."""
        return self.intake.has_room(self.adapter)
