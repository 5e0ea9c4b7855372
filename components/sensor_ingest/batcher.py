"""Readings that wait for the next beat, bounded, and frames made of them. Pure.

Each source, which is an adapter, has a queue of its own; all together hold at most `capacity` readings. Senders that
can wait are to be held back once their source has its share, which is `capacity / (2 x sources)`. Those that cannot
(datagrams, MQTT) are taken always: when all together are too many, the oldest readings of the longest queue give way
and are counted. So a flood never pushes out the readings of a sender that waits, as long as one message of it is
smaller than its share.
"""

import struct
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from roadside.contract.summary import MAX_FRAME_READINGS, ReadingFrame
from sensor_ingest.mapping import Reading

_MAX_OFFSET_MS: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of one source, in the order of their coming."""

    source: str
    readings: tuple[Reading, ...]


class Batcher:
    """The queues. Not safe for threads.

    Parameters
    ----------
    capacity : most readings in all
    frame_readings : readings of a full frame, at most MAX_FRAME_READINGS
    """

    def __init__(self, capacity: int, frame_readings: int = MAX_FRAME_READINGS) -> None:
        self._capacity = capacity
        self._frame_readings = frame_readings
        self._share = capacity
        self._waiting: dict[str, deque[Reading]] = {}
        self._count = 0
        self._shed: Counter[str] = Counter()

    def configure(self, capacity: int, frame_readings: int, sources: Collection[str]) -> None:
        """Change the bounds and who shares them; what waits stays, as far as there is room."""
        self._capacity, self._frame_readings = capacity, frame_readings
        self._share = max(1, capacity // (2 * max(1, len(sources))))
        self._make_room()

    def __len__(self) -> int:
        """Readings that wait."""
        return self._count

    def waiting(self, source: str) -> int:
        """Readings of one source that wait."""
        return len(self._waiting.get(source, ()))

    def shed(self) -> Mapping[str, int]:
        """Readings that gave way since the start, by source."""
        return self._shed

    def has_room(self, source: str) -> bool:
        """Whether a sender of this source that can wait may send on."""
        return self.waiting(source) < self._share

    def has_full_frame(self) -> bool:
        """Whether it is worth not to wait for the beat."""
        return any(len(queue) >= self._frame_readings for queue in self._waiting.values())

    def add(self, source: str, readings: Sequence[Reading]) -> None:
        """Queue readings; the oldest of the longest queue give way if need be."""
        self._waiting.setdefault(source, deque()).extend(readings)
        self._count += len(readings)
        self._make_room()

    def take(self) -> list[Batch]:
        """All that waits, in batches that fit a frame."""
        batches = []
        for source, queue in self._waiting.items():
            for readings in _runs(queue, self._frame_readings):
                batches.append(Batch(source, readings))
        self._waiting.clear()
        self._count = 0
        return batches

    def give_back(self, batches: Sequence[Batch]) -> None:
        """Queue batches of the last `take` again, before what came since."""
        for batch in reversed(batches):
            self._waiting.setdefault(batch.source, deque()).extendleft(reversed(batch.readings))
            self._count += len(batch.readings)
        self._make_room()

    def _make_room(self) -> None:
        while self._count > self._capacity:
            source = max(self._waiting, key=lambda each: len(self._waiting[each]))
            self._waiting[source].popleft()
            self._shed[source] += 1
            self._count -= 1


def _runs(readings: deque[Reading], most: int) -> Iterator[tuple[Reading, ...]]:
    """Consecutive readings whose count and whose span of time fit a frame."""
    run: list[Reading] = []
    first_ms = last_ms = 0
    for reading in readings:
        instant_ms = reading.timestamp_ms
        if run:
            first_ms, last_ms = min(first_ms, instant_ms), max(last_ms, instant_ms)
        if not run or len(run) == most or last_ms - first_ms > _MAX_OFFSET_MS:
            if run:
                yield tuple(run)
            run, first_ms, last_ms = [], instant_ms, instant_ms
        run.append(reading)
    if run:
        yield tuple(run)


def pack(batch: Batch) -> ReadingFrame:
    """The batch as a frame."""
    readings = batch.readings
    base_ms = min(reading.timestamp_ms for reading in readings)
    none = ReadingFrame.NO_SPEED
    return ReadingFrame(
        source=batch.source,
        base_ms=base_ms,
        sensor_number=_column("I", [each.sensor_number for each in readings]),
        offset_ms=_column("I", [each.timestamp_ms - base_ms for each in readings]),
        vehicle_count=_column("H", [each.vehicle_count for each in readings]),
        speed_dkmh=_column("H", [none if each.speed_dkmh is None else each.speed_dkmh for each in readings]),
        occupancy_permille=_column(
            "H", [none if each.occupancy_permille is None else each.occupancy_permille for each in readings]
        ),
    )


def _column(code: str, values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}{code}", *values)
