"""Which sensors count fewer vehicles than pass: flow conservation along a road.

What enters at one station leaves at the next, so over an hour two neighbours count the same, less what ramps between
them take or bring. A sensor that misses vehicles makes its station's total smaller than those of both sides, and its
own lane more so; a blocked lane does not change the total, and a ramp changes it towards one side only.

A station is compared with the two next ones on each side, because the next one may miss vehicles too. The last station
of a road has one side and must fall short of both stations there.
"""

import numpy as np
import numpy.typing as npt

from roadside.core.registry import Registry

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Share of a neighbour's flow in the same lane, and of its total: half of one lane of three missed is 0.5 and 0.83.
LIMITS = (0.68, 0.95)
END_LIMITS = (0.62, 0.93)  # with one side only
PARTIAL_LIMITS = (0.60, 0.85)  # where another lane of the station is not believed: vehicles change lanes
WARM_SHARE = 0.6  # of the memory must be filled
MIN_VEHICLES = 100.0  # in a lane, in memory, for a comparison
HOPS = 2


class NeighbourFlow:
    """Flow of every sensor over the last hour, and what its neighbours make of it. Memory is in `arrays`, [sensors]."""

    def __init__(self, registry: Registry) -> None:
        segments = len(registry.segments)
        lanes = np.bincount(registry.sensor_segment, minlength=segments)
        first = np.concatenate([[0], np.cumsum(lanes)])[:-1]
        self._segment = registry.sensor_segment
        self._lane = np.arange(registry.sensor_count) - first[registry.sensor_segment]
        self._shape = (segments, int(lanes.max(initial=1)))
        self._is_lane = np.arange(self._shape[1]) < lanes[:, np.newaxis]
        self._next = [_hops(registry.upstream), _hops(registry.downstream)]
        for side in self._next:
            for hop, neighbour in enumerate(side):
                # Lanes can be told apart only where there are as many.
                alike = (neighbour >= 0) & (lanes[neighbour] == lanes)
                side[hop] = np.where(alike, neighbour, -1)
        self.arrays: dict[str, FloatArray] = {
            "flow": np.zeros(registry.sensor_count),
            "flow_ms": np.zeros(registry.sensor_count),
        }

    def skip(self, elapsed_ms: int, memory_ms: int) -> None:
        """Let the memory fade over time without readings."""
        for name, memory in self.arrays.items():
            self.arrays[name] = memory * np.exp(-elapsed_ms / memory_ms)

    def forget(self, sensors: BoolArray) -> None:
        """What these sensors counted was wrong."""
        for name, memory in self.arrays.items():
            self.arrays[name] = np.where(sensors, 0.0, memory)

    def update(self, vehicles: npt.NDArray[np.int64], reporting: BoolArray, window_ms: int, memory_ms: int) -> None:
        """Take a window's vehicles, int64 [sensors], of the sensors that reported."""
        fade = np.exp(-window_ms / memory_ms)
        self.arrays["flow"] = np.where(reporting, self.arrays["flow"] * fade + vehicles, self.arrays["flow"])
        self.arrays["flow_ms"] = np.where(reporting, self.arrays["flow_ms"] * fade + window_ms, self.arrays["flow_ms"])

    def shortfall(self, believed: BoolArray, memory_ms: int) -> FloatArray:
        """How far each sensor is from falling short of its neighbours, float64 [sensors].

        Below 1 it falls short; infinite where nothing can be said. `believed` are the sensors to compare with.
        """
        warm = self.arrays["flow_ms"] >= WARM_SHARE * memory_ms
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = np.where(warm, self.arrays["flow"] / self.arrays["flow_ms"] * memory_ms, np.nan)
        flow = self._table(rate)
        good = self._table(np.where(believed, rate, np.nan))
        sides = []
        ends = []
        for side in self._next:
            normal = [_ratio(flow, good, neighbour, LIMITS, self._is_lane) for neighbour in side]
            strict = [_ratio(flow, good, neighbour, END_LIMITS, self._is_lane) for neighbour in side]
            sides.append(np.fmin(*normal))
            ends.append(np.maximum(*strict))  # NaN unless both can be compared
        both = np.maximum(*sides)
        is_end = [(side[0] < 0)[:, np.newaxis] for side in self._next]
        score = np.where(is_end[0], ends[1], np.where(is_end[1], ends[0], both))
        shortfall: FloatArray = np.nan_to_num(score[self._segment, self._lane], nan=np.inf)
        return shortfall

    def _table(self, by_sensor: FloatArray) -> FloatArray:
        table = np.full(self._shape, np.nan)
        table[self._segment, self._lane] = by_sensor
        return table


def _hops(neighbour: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    """The neighbour, and the neighbour's neighbour, of every segment; -1 where there is none."""
    hops = [neighbour]
    while len(hops) < HOPS:
        hops.append(np.where(hops[-1] >= 0, neighbour[hops[-1]], -1))
    return hops


def _ratio(
    flow: FloatArray, good: FloatArray, neighbour: npt.NDArray[np.intp], limits: tuple[float, float], is_lane: BoolArray
) -> FloatArray:
    """The larger of the lane's and the station's share of the neighbour's flow, each over its limit; NaN if unknown.

    The station's total is that of the lanes believed at both places, and of the lane that is judged.
    """
    there = np.where((neighbour >= 0)[:, np.newaxis], good[neighbour], np.nan)
    there = np.where(there >= MIN_VEHICLES, there, np.nan)
    common = ~np.isnan(good) & ~np.isnan(there)
    here_total = np.where(common, good, 0).sum(axis=1, keepdims=True) + np.where(common, 0, flow)
    there_total = np.where(common, there, 0).sum(axis=1, keepdims=True) + np.where(common, 0, there)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = flow / there, here_total / there_total
        worst, partial = (
            np.maximum(shares[0] / lane, shares[1] / all_lanes) for lane, all_lanes in (limits, PARTIAL_LIMITS)
        )
    lanes = is_lane.sum(axis=1, keepdims=True)
    beside = common.sum(axis=1, keepdims=True) - common
    worst = np.where(beside == lanes - 1, worst, partial)
    # Against a station that does not count everything itself nothing can be said.
    unknown = (np.isnan(there) & is_lane).any(axis=1, keepdims=True) | ((beside == 0) & (lanes > 1))
    return np.where(unknown, np.nan, worst)
