"""Vehicles lane by lane, where a segment's sensors stand for its lanes."""

import numpy as np
import numpy.typing as npt

from roadside.core.readings import NONE
from roadside.core.registry import Registry, RoadClass
from roadside.core.sensor_sums import SensorSums

MAX_LANES = 8  # wider segments are not told lane by lane


def lane_counts(registry: Registry) -> npt.NDArray[np.int64]:
    """Lanes that each segment tells apart, int64 [segments]: one sensor a lane, in the order of the lanes, or none.

    Auxiliary lanes may have no sensor; more sensors than lanes stand at several places and tell no lanes apart.
    """
    counts = [len(segment.sensor_ids) for segment in registry.segments]
    lanes = [segment.lanes for segment in registry.segments]
    return np.array(
        [n if n <= min(wide, MAX_LANES) else 0 for n, wide in zip(counts, lanes, strict=True)], dtype=np.int64
    )


def border_stations(registry: Registry) -> npt.NDArray[np.intp]:
    """Freeway stations by whose lanes somebody who sees both sides can judge the pairs at this gateway's borders.

    That is where a road comes in, the last one before it goes on to another gateway, and the one before that. Whether
    a road that comes in comes from anywhere, this gateway does not know.
    """
    told = lane_counts(registry) > 1
    freeway = np.array([segment.road_class is RoadClass.FREEWAY for segment in registry.segments])
    named = np.array([segment.downstream is not None for segment in registry.segments])
    first = registry.upstream < 0
    last = named & (registry.downstream < 0)
    before_last = (registry.downstream >= 0) & last[registry.downstream]
    return np.flatnonzero(told & freeway & (first & named | last | before_last))


class LaneTable:
    """Where each sensor's vehicles stand in a table of segments and lanes.

    Attributes
    ----------
    counts : int64 [segments], lanes that each segment tells apart
    borders : intp, indexes of the segments of which the lanes are told to others
    """

    def __init__(self, registry: Registry) -> None:
        self.borders = border_stations(registry)
        self.counts = lane_counts(registry)
        self._segments = len(registry.segments)
        lanes = self.counts
        lane = np.arange(registry.sensor_count) - registry.first_sensor[registry.sensor_segment]
        self._sensor = np.flatnonzero(lane < lanes[registry.sensor_segment])
        self._cell = registry.sensor_segment[self._sensor] * MAX_LANES + lane[self._sensor]

    def vehicles(self, sums: SensorSums, excluded: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
        """Vehicles of the window, int64 [segments, MAX_LANES]; NONE for a lane that told nothing or is `excluded`."""
        told = sums.readings > 0
        if excluded is not None:
            told &= ~excluded
        table = np.full(self._segments * MAX_LANES, NONE, dtype=np.int64)
        table[self._cell] = np.where(told, sums.vehicle_count, NONE)[self._sensor]
        return table.reshape(self._segments, MAX_LANES)

    def at_borders(
        self, sums: SensorSums, excluded: npt.NDArray[np.bool_] | None = None
    ) -> dict[int, npt.NDArray[np.int64]]:
        """Vehicles of the lanes of each station at a border, by index of the segment."""
        if not len(self.borders):
            return {}
        table = self.vehicles(sums, excluded)
        return {index: table[index, : self.counts[index]] for index in self.borders.tolist()}
