"""Where the readers of a stream stand. Pure but for the condition variable that wakes them; no MiniStack."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any


class Arrivals:
    """Wakes the lanes when a record is put. Takes the place of the Event that MiniStack's Kinesis sets."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many puts were seen."""
        return self._count

    def set(self) -> None:
        """Note a put; named as MiniStack calls it."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait_beyond(self, count: int, timeout_s: float) -> None:
        """Wait until more than `count` puts were seen, or the timeout passes."""
        with self._condition:
            self._condition.wait_for(lambda: self._count > count, timeout_s)


@dataclass(slots=True)
class Place:
    """Where a lane stands in its shard: after the record `sequence_number`, or before the first when None.

    A sequence number survives trimming, which shifts indexes; the record's index is below `hint`, so the search for it
    goes back from there.
    """

    sequence_number: str | None = None
    hint: int = 0

    def next_index(self, records: list[dict[str, Any]]) -> int:
        """Index of the first record after this place. A place that was trimmed away is the start of the list."""
        if self.sequence_number is None:
            return 0
        for index in range(min(self.hint, len(records)) - 1, -1, -1):
            if records[index]["SequenceNumber"] == self.sequence_number:
                self.hint = index + 1
                return self.hint
        return 0


@dataclass(slots=True)
class Progress:
    """A mapping's places, one per shard and lane. `factor` is the ParallelizationFactor they were made for."""

    factor: int
    places: dict[str, list[Place]] = field(default_factory=dict)


def first_progress(mapping: dict[str, Any], stream: dict[str, Any], factor: int) -> Progress:
    """TRIM_HORIZON starts before the first record, LATEST after the last. Later shards start at their beginning."""
    progress = Progress(factor)
    for shard_id, shard in stream["shards"].items():
        records = shard["records"]
        if mapping.get("StartingPosition", "LATEST") == "LATEST" and records:
            last = str(records[-1]["SequenceNumber"])
            progress.places[shard_id] = [Place(last, len(records)) for _ in range(factor)]
        else:
            progress.places[shard_id] = [Place() for _ in range(factor)]
    return progress


def regrouped(progress: Progress, stream: dict[str, Any], factor: int) -> Progress:
    """Places for another number of lanes: all start where the slowest lane stood, so records repeat, none is lost."""
    result = Progress(factor)
    for shard_id, places in progress.places.items():
        shard = stream["shards"].get(shard_id)
        if shard is not None:
            slowest = min(places, key=lambda place: place.next_index(shard["records"]))
            result.places[shard_id] = [Place(slowest.sequence_number, slowest.hint) for _ in range(factor)]
    return result
