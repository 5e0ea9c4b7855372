"""Vehicles lane by lane, where a segment's sensors stand for its lanes."""

import numpy as np
import numpy.typing as npt

from roadside.core.readings import NONE
from roadside.core.registry import Registry
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


class LaneTable:
    """Where each sensor's vehicles stand in a table of segments and lanes."""

    def __init__(self, registry: Registry) -> None:
        self._segments = len(registry.segments)
        lanes = lane_counts(registry)
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
