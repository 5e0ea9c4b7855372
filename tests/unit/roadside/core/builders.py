"""Registries and batches for tests of the core, in as few words as a test needs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from roadside.core.readings import NONE, ReadingBatch, batch_from_integers
from roadside.core.registry import Registry, RoadClass, Segment

T0_MS = 1_762_000_020_000  # starts a window of each length that the tests use


class Row(NamedTuple):
    """A reading as integers: sensor index, epoch ms, vehicles, tenths of km/h, thousandths."""

    sensor: int
    timestamp_ms: int
    vehicles: int = 1
    speed: int = 500
    occupancy: int = 50


def registry_of(
    *sensor_counts: int,
    road_class: RoadClass | Sequence[RoadClass] = RoadClass.FREEWAY,
    free_flow_kmh: float = 100.0,
    in_a_row: bool = False,
) -> Registry:
    """One segment of two lanes per count with so many sensors; segments carry the numbers 0, 1, ...

    `in_a_row` makes each one drive into the next.
    """
    classes = [road_class] * len(sensor_counts) if isinstance(road_class, RoadClass) else list(road_class)
    segments, first = [], 0
    for number, (count, kind) in enumerate(zip(sensor_counts, classes, strict=True)):
        names = tuple(f"s{first + place}" for place in range(count))
        downstream = number + 1 if in_a_row and number + 1 < len(sensor_counts) else None
        segments.append(Segment(f"seg{number}", number, kind, free_flow_kmh, 2, names, first, downstream))
        first += count
    return Registry(segments)


def batch_of(rows: Iterable[Row]) -> ReadingBatch:
    """The rows in their order, range-checked."""
    columns = np.array(list(rows), dtype=np.int64).reshape(-1, 5)
    return batch_from_integers(
        columns[:, 0].astype(np.intp), columns[:, 1], columns[:, 2], columns[:, 3], columns[:, 4]
    )


__all__ = ["NONE", "T0_MS", "Row", "batch_of", "registry_of"]
