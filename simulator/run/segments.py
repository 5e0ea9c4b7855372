"""What the cloud knew of every segment, window by window, and where the segments lie: `segments.npz` beside a report.

It is made of the windows as they are stored, not of the truth, since a picture shows what a city would have been shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from roadside.contract.summary import CongestionState, SegmentSummary, WindowSummary
from simulator.city.layout import City

FILE: Final = "segments.npz"
MAX_VALUES: Final = 4_000_000  # of one quantity: more windows than that are gathered several to a column
NOTHING: Final = np.iinfo(np.uint8).max  # a level of which nothing is known

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentHistory:
    """A city's segments by number, and windows of them as arrays [windows, segments].

    Attributes
    ----------
    gateways, districts : names, to which the numbers of each segment point
    gateway, district, corridor : int32 [segments]
    place_m, length_m : float32 [segments], from the beginning of the corridor, and along it
    latitude, longitude, free_flow_kmh : float64 and float32 [segments], of its middle
    is_freeway : bool [segments]
    window_start_ms : int64 [windows], one every `column_ms`
    level : uint8, congestion level 0 to 100, NOTHING where it is unknown
    state : uint8, CongestionState
    speed_kmh : float32, space mean, NaN without vehicles
    flow_vph : float32, vehicles per hour over all lanes that have a sensor, NaN where nothing was observed
    occupancy : float32, 0 to 1, NaN likewise
    """

    gateways: npt.NDArray[np.str_]
    districts: npt.NDArray[np.str_]
    gateway: npt.NDArray[np.int32]
    district: npt.NDArray[np.int32]
    corridor: npt.NDArray[np.int32]
    place_m: Floats
    length_m: Floats
    latitude: npt.NDArray[np.float64]
    longitude: npt.NDArray[np.float64]
    free_flow_kmh: Floats
    is_freeway: npt.NDArray[np.bool_]
    window_start_ms: npt.NDArray[np.int64]
    column_ms: npt.NDArray[np.int64]
    level: npt.NDArray[np.uint8]
    state: npt.NDArray[np.uint8]
    speed_kmh: Floats
    flow_vph: Floats
    occupancy: Floats

    @classmethod
    def of(cls, city: City, stored: Mapping[tuple[str, int], Sequence[WindowSummary]]) -> Self:
        """The history that the stored windows tell, by gateway and window start; without any, the map alone."""
        windows = [window for each in stored.values() for window in each if window.segments]
        columns = _Columns.over(windows, city.segment_count)
        for window in windows:
            for segment in window.segments:
                columns.add(window, segment)
        corridor, place_m, length_m = _along_corridors(city)
        segments = list(city.segments())
        districts = sorted({gateway.district for gateway in city.gateways})
        sizes = [len(gateway.segments) for gateway in city.gateways]
        of_district = [districts.index(gateway.district) for gateway in city.gateways]
        return cls(
            gateways=np.array([gateway.gateway_id for gateway in city.gateways]),
            districts=np.array(districts),
            gateway=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            district=np.repeat(np.array(of_district, dtype=np.int32), sizes),
            corridor=corridor,
            place_m=place_m,
            length_m=length_m,
            latitude=np.array([segment.latitude for segment in segments]),
            longitude=np.array([segment.longitude for segment in segments]),
            free_flow_kmh=np.array([segment.free_flow_kmh for segment in segments], dtype=np.float32),
            is_freeway=np.array([segment.road_class == "freeway" for segment in segments]),
            **columns.results(),
        )

    def write(self, folder: Path) -> Path:
        path = folder / FILE
        np.savez_compressed(path, **{field.name: getattr(self, field.name) for field in fields(self)})
        return path

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises OSError, KeyError or ValueError for a file that is none."""
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


class _Columns:
    """Sums over windows that share a column, as float64 [columns, segments]: windows add, and so do gateways' epochs.

    A window that was merged from several counts in each column that it covers, by its share.
    """

    def __init__(self, first_ms: int, column_ms: int, columns: int, segments: int) -> None:
        self._first_ms, self._column_ms = first_ms, column_ms
        shape = columns, segments
        self._vehicles, self._moving, self._pace = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._occupied, self._observed = np.zeros(shape), np.zeros(shape)
        self._level = np.full(shape, NOTHING, dtype=np.uint8)
        self._state = np.zeros(shape, dtype=np.uint8)

    @classmethod
    def over(cls, windows: Sequence[WindowSummary], segments: int) -> "_Columns":
        if not windows:
            return cls(0, 1, 0, segments)
        first_ms = min(window.window_start_ms for window in windows)
        span_ms = max(window.window_end_ms for window in windows) - first_ms
        column_ms = min(window.window_ms for window in windows)
        gathered = -(-span_ms * segments // (column_ms * MAX_VALUES))
        column_ms *= max(1, gathered)
        return cls(first_ms, column_ms, -(-span_ms // column_ms), segments)

    def add(self, window: WindowSummary, segment: SegmentSummary) -> None:
        first = (window.window_start_ms - self._first_ms) // self._column_ms
        end = -(-(window.window_end_ms - self._first_ms) // self._column_ms)
        share = 1 / (end - first)
        at = slice(first, end), segment.number
        self._vehicles[at] += share * segment.vehicle_count
        self._moving[at] += share * segment.sketch.vehicle_count
        self._pace[at] += share * segment.pace_sum_ms_per_km
        self._occupied[at] += share * segment.occupied_ms
        self._observed[at] += share * segment.observed_ms
        # Of several windows in a column the worst is shown.
        if segment.congestion_level is not None:
            known = np.where(self._level[at] == NOTHING, 0, self._level[at])
            self._level[at] = np.maximum(known, segment.congestion_level)
        if segment.congestion_state is not CongestionState.UNKNOWN:
            self._state[at] = np.maximum(self._state[at], segment.congestion_state)

    def results(self) -> dict[str, Any]:
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = 3_600_000 * self._moving / self._pace
            flow = 1000 * 3600 * self._vehicles / self._column_ms
            occupancy = self._occupied / self._observed
        return {
            "window_start_ms": self._first_ms + self._column_ms * np.arange(len(self._level), dtype=np.int64),
            "column_ms": np.array(self._column_ms, dtype=np.int64),
            "level": self._level,
            "state": self._state,
            "speed_kmh": speed.astype(np.float32),
            "flow_vph": np.where(self._observed > 0, flow, np.nan).astype(np.float32),
            "occupancy": occupancy.astype(np.float32),
        }


def _along_corridors(city: City) -> tuple[npt.NDArray[np.int32], Floats, Floats]:
    """Corridor, beginning along it and length of every segment, by number."""
    corridor = np.zeros(city.segment_count, dtype=np.int32)
    place_m, length_m = np.zeros((2, city.segment_count), dtype=np.float32)
    for number, plan in enumerate(city.corridors):
        at_m = 0.0
        for segment in plan.segment_numbers:
            corridor[segment], place_m[segment] = number, at_m
            length_m[segment] = city.network.length_m[slice(*city.segment_cells[segment])].sum()
            at_m += float(length_m[segment])
    return corridor, place_m, length_m
