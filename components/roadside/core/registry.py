"""Which sensors and segments a gateway has. Everything else in the core speaks of them by index.

A registry never changes; a changed city is another registry with another fingerprint.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from roadside.core.errors import ConfigurationError

MAX_TABLE = 1 << 16  # numbers, to be looked up in a table: one step instead of a search, for half a megabyte


class RoadClass(StrEnum):
    """How congestion shows: on freeways as low speed, on streets with signals as standing occupancy."""

    FREEWAY = "freeway"
    RAMP = "ramp"
    ARTERIAL = "arterial"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of road in one direction and the lane sensors on it.

    Parameters
    ----------
    segment_id, number : its name, and its city-wide number
    free_flow_kmh : speed of undisturbed traffic, the reference of the congestion level
    sensor_ids : one sensor per lane and place
    first_sensor_number : city-wide number of the first of them; the others follow
    downstream : number of the segment that traffic drives into next on this road, None where it is not known
    """

    segment_id: str
    number: int
    road_class: RoadClass
    free_flow_kmh: float
    lanes: int
    sensor_ids: tuple[str, ...]
    first_sensor_number: int
    downstream: int | None = None


class Registry:
    """The segments of one gateway in the order of their numbers, and the sensors in the order of the segments.

    Attributes
    ----------
    segments : tuple of Segment, [segments]
    sensor_segment : intp [sensors], index of each sensor's segment
    first_sensor : intp [segments], index of the segment's first sensor, or of the next one's if it has none
    populated_segments : intp, indexes of the segments that have sensors
    downstream, upstream : intp [segments], index of the neighbour on the same road, -1 where this gateway has none
    fingerprint : str, equal for equal registries

    Raises
    ------
    ConfigurationError
        No segment, a number or sensor id that occurs twice, a reference speed that is not positive, or a segment that
        lies downstream of itself or of two others.
    """

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments: Sequence[Segment] = tuple(sorted(segments, key=lambda segment: segment.number))
        if not self.segments:
            raise ConfigurationError("segments", [], "must name at least one segment")
        for segment in self.segments:
            if not segment.free_flow_kmh > 0:
                raise ConfigurationError(
                    f"{segment.segment_id}.free_flow_kmh", segment.free_flow_kmh, "must be positive"
                )
            if segment.lanes < 1:
                raise ConfigurationError(f"{segment.segment_id}.lanes", segment.lanes, "must be at least 1")
        numbers = [
            segment.first_sensor_number + place for segment in self.segments for place in range(len(segment.sensor_ids))
        ]
        sensor_ids = [sensor_id for segment in self.segments for sensor_id in segment.sensor_ids]
        _must_be_unique("segment number", [segment.number for segment in self.segments])
        _must_be_unique("sensor number", numbers)
        _must_be_unique("sensor id", sensor_ids)
        sizes = np.array([len(segment.sensor_ids) for segment in self.segments], dtype=np.intp)
        self.sensor_segment = np.repeat(np.arange(len(self.segments)), sizes)
        self.first_sensor = np.cumsum(sizes) - sizes
        self.populated_segments = np.flatnonzero(sizes)
        self.free_flow_kmh = np.array([segment.free_flow_kmh for segment in self.segments])
        self.downstream, self.upstream = _neighbours(self.segments)
        self.sensor_numbers = np.array(numbers, dtype=np.int64)
        self._by_number = np.argsort(self.sensor_numbers)
        self._ordered_numbers = self.sensor_numbers[self._by_number]
        self._index_from = self._table_of_numbers()
        self._index_of_id = {sensor_id: index for index, sensor_id in enumerate(sensor_ids)}
        described = json.dumps([asdict(segment) for segment in self.segments], sort_keys=True)
        self.fingerprint = hashlib.sha256(described.encode()).hexdigest()[:16]

    @property
    def sensor_count(self) -> int:
        return len(self.sensor_numbers)

    def index_of_ids(self, sensor_ids: Iterable[str]) -> npt.NDArray[np.intp]:
        """Index of each named sensor, intp [n]; -1 where it is unknown."""
        index_of = self._index_of_id.get
        return np.fromiter([index_of(sensor_id, -1) for sensor_id in sensor_ids], dtype=np.intp)

    def index_of_numbers(self, numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
        """Index of each numbered sensor, intp [n]; -1 where it is unknown."""
        if self.sensor_count == 0:
            return np.full(len(numbers), -1, dtype=np.intp)
        if self._index_from is not None:
            # Beyond either end of the table is its last entry, which is of no sensor.
            place = numbers.astype(np.int64) - self._ordered_numbers[0]
            return self._index_from[np.where(place < 0, -1, np.minimum(place, len(self._index_from) - 1))]
        place = np.minimum(np.searchsorted(self._ordered_numbers, numbers), self.sensor_count - 1)
        return np.where(self._ordered_numbers[place] == numbers, self._by_number[place], -1)

    def _table_of_numbers(self) -> npt.NDArray[np.intp] | None:
        """Index of the sensor with each number from the lowest on, and -1 last; None if they lie too far apart."""
        if not self.sensor_count or self._ordered_numbers[-1] - self._ordered_numbers[0] >= MAX_TABLE:
            return None
        table = np.full(self._ordered_numbers[-1] - self._ordered_numbers[0] + 2, -1, dtype=np.intp)
        table[self.sensor_numbers - self._ordered_numbers[0]] = np.arange(self.sensor_count)
        return table


def _neighbours(segments: Sequence[Segment]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Index of each segment's neighbour downstream and upstream; one on another gateway counts as none."""
    _must_be_unique("downstream", [segment.downstream for segment in segments if segment.downstream is not None])
    index_of_number = {segment.number: index for index, segment in enumerate(segments)}
    downstream = np.full(len(segments), -1, dtype=np.intp)
    upstream = np.full(len(segments), -1, dtype=np.intp)
    for index, segment in enumerate(segments):
        if segment.downstream == segment.number:
            raise ConfigurationError(f"{segment.segment_id}.downstream", segment.downstream, "must be another segment")
        if segment.downstream in index_of_number:
            downstream[index] = index_of_number[segment.downstream]
            upstream[downstream[index]] = index
    return downstream, upstream


def _must_be_unique(what: str, values: Sequence[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ConfigurationError(what, value, "occurs twice")
        seen.add(value)
