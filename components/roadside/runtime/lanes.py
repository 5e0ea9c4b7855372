"""Every queued message in the lane where it waits to be sent. No clock, no disk.

A window that was never offered to the bus waits apart, as `fresh`: while the way to the cloud is closed it stays so
and may still be merged with its neighbours.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from roadside.runtime.outbox import MessageHeader


class Lane(IntEnum):
    """In the order of sending."""

    EVENTS = 0
    LIVE = 1
    SENSORS = 2
    BACKLOG = 3


_WINDOW_LANES: Final = (Lane.LIVE, Lane.BACKLOG)


@dataclass(slots=True)
class Delivery:
    """A queued message and what became of it in this process."""

    header: MessageHeader
    offered: bool
    attempts: int = 0
    sent_ms: int = 0  # steady, of the last attempt
    waiting: bool = False  # in a lane


class Lanes:
    """Sequences by lane, each the oldest first; `live_ms` is the age from which a window is backlog."""

    def __init__(self, live_ms: int) -> None:
        self.live_ms = live_ms
        self.offered_windows = 0
        self._deliveries: dict[int, Delivery] = {}
        # Heaps of sequences; one whose delivery is gone is skipped when it comes up.
        self._due: dict[Lane, list[int]] = {lane: [] for lane in Lane}
        self._fresh: dict[Lane, list[int]] = {lane: [] for lane in _WINDOW_LANES}

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._deliveries

    def __getitem__(self, sequence: int) -> Delivery:
        return self._deliveries[sequence]

    def __iter__(self) -> Iterator[int]:
        return iter(self._deliveries)

    def add(self, header: MessageHeader, wall_ms: int) -> None:
        """A message that is new here."""
        is_window = header.kind == "windows"
        delivery = Delivery(header, offered=header.offered or not is_window, waiting=True)
        self._deliveries[header.sequence] = delivery
        self.offered_windows += is_window and delivery.offered
        heaps = self._due if delivery.offered else self._fresh
        heapq.heappush(heaps[self._lane_of(header, wall_ms)], header.sequence)

    def again(self, sequence: int, wall_ms: int) -> None:
        """It is to be sent once more; no effect if it waits already or is gone."""
        delivery = self._deliveries.get(sequence)
        if delivery is not None and not delivery.waiting:
            delivery.waiting = True
            heapq.heappush(self._due[self._lane_of(delivery.header, wall_ms)], sequence)

    def forget(self, sequence: int) -> None:
        delivery = self._deliveries.pop(sequence, None)
        if delivery is not None and delivery.header.kind == "windows":
            self.offered_windows -= delivery.offered

    def age(self, wall_ms: int) -> None:
        """Move the windows that are no longer live to the backlog."""
        for heaps in (self._due, self._fresh):
            live = heaps[Lane.LIVE]
            self._drop_gone(live)
            while live and self.is_late(self._deliveries[live[0]].header, wall_ms):
                heapq.heappush(heaps[Lane.BACKLOG], heapq.heappop(live))
                self._drop_gone(live)

    def head(self, lane: Lane) -> int | None:
        """The message that is next in its lane."""
        self._drop_gone(self._due[lane])
        return self._due[lane][0] if self._due[lane] else None

    def take(self, lane: Lane) -> None:
        """Its head has been sent."""
        self._deliveries[heapq.heappop(self._due[lane])].waiting = False

    def fresh(self, lane: Lane, limit: int) -> list[int]:
        """The next windows of the lane that must be offered before they may be sent."""
        if lane not in self._fresh:
            return []
        self._drop_gone(self._fresh[lane])
        return [s for s in heapq.nsmallest(limit, self._fresh[lane]) if s in self._deliveries]

    def fresh_is_older(self, lane: Lane) -> bool:
        """Whether the lane's next message is a window that must be offered first."""
        fresh = self._fresh.get(lane)
        if not fresh:
            return False
        self._drop_gone(fresh)
        head = self.head(lane)
        return bool(fresh) and (head is None or fresh[0] < head)

    def admit(self, lane: Lane, sequences: Iterable[int]) -> None:
        """These, the next fresh ones of the lane, are offered now."""
        for sequence in sequences:
            self._deliveries[sequence].offered = True
            self.offered_windows += 1
            heapq.heappush(self._due[lane], sequence)
        fresh = self._fresh[lane]
        while fresh and (fresh[0] not in self._deliveries or self._deliveries[fresh[0]].offered):
            heapq.heappop(fresh)

    def any_due(self) -> bool:
        return any(self.head(lane) is not None for lane in Lane)

    def is_late(self, header: MessageHeader, wall_ms: int) -> bool:
        return header.kind == "windows" and wall_ms - header.created_ms > self.live_ms

    def _lane_of(self, header: MessageHeader, wall_ms: int) -> Lane:
        if header.kind == "events":
            return Lane.EVENTS
        if header.kind == "windows":
            return Lane.BACKLOG if self.is_late(header, wall_ms) else Lane.LIVE
        return Lane.SENSORS

    def _drop_gone(self, heap: list[int]) -> None:
        while heap and heap[0] not in self._deliveries:
            heapq.heappop(heap)
