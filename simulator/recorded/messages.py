"""Rows of a recording as the local messages that a gateway hears."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.contract import topics
from simulator.fleet.packing import packed_frame
from simulator.recorded.recording import RecordedReading

FRAME_SPAN_MS: Final = 86_400_000  # a frame's offsets are 32 bits wide, so an older row does not go with it
NO_SENSOR: Final = 2**32 - 1  # a number no registry holds, for sensors that sensors.csv does not name
_MEASURE = {float, NoneType}


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a frame tells, each [rows]; a speed or occupancy that was not measured is NaN."""

    timestamp_ms: npt.NDArray[np.int64]
    vehicle_count: npt.NDArray[np.float64]
    speed_kmh: npt.NDArray[np.float64]
    occupancy: npt.NDArray[np.float64]


def messages(rows: Sequence[RecordedReading], now_ms: int, numbers: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Topic and payload of each: the rows as one frame, but those that no frame can tell, each as JSON."""
    base_ms = max(0, now_ms - FRAME_SPAN_MS)
    columns = _columns(rows, base_ms)
    if columns is None:
        framed = [_columns([row], base_ms) is not None for row in rows]
        for row in (row for row, fits in zip(rows, framed, strict=True) if not fits):
            yield topics.readings("replay"), _as_json(row)
        rows = [row for row, fits in zip(rows, framed, strict=True) if fits]
        columns = _columns(rows, base_ms)
    if columns is not None:
        sensors = np.array([numbers.get(row.sensor_id, NO_SENSOR) for row in rows])
        yield topics.frames("replay"), _frame(sensors, columns, base_ms)


def _columns(rows: Sequence[RecordedReading], base_ms: int) -> _Columns | None:
    """The rows' values if a frame's unsigned integers can tell them all; whether they make sense the gateway judges."""
    if not rows:
        return None
    _, times_ms, counts, speeds, shares = zip(*rows, strict=True)
    if {*map(type, times_ms)} != {int} or {*map(type, counts)} != {float}:
        return None
    if not {*map(type, speeds), *map(type, shares)} <= _MEASURE:
        return None
    if min(times_ms) < base_ms or max(times_ms) >= base_ms + 2**32:
        return None
    count = np.array(counts)
    speed, occupancy = np.array(speeds, dtype=np.float64), np.array(shares, dtype=np.float64)
    fits = (
        bool(((count >= 0) & (count < 2**16) & (count == np.floor(count))).all())
        and _fit(speed, 6500.0, speeds.count(None))
        and _fit(occupancy, 65.0, shares.count(None))
    )
    return _Columns(np.array(times_ms), count, speed, occupancy) if fits else None


def _fit(values: npt.NDArray[np.float64], most: float, missing: int) -> bool:
    """Whether all are between 0 and `most` but the `missing` ones, which are NaN here as a cell "NaN" would be."""
    return int(((values >= 0) & (values <= most)).sum()) + missing == len(values)


def _frame(sensors: npt.NDArray[np.int64], columns: _Columns, base_ms: int) -> bytes:
    def whole(values: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.int64]:
        return np.where(np.isnan(values), -1, np.rint(np.nan_to_num(values) * scale)).astype(np.int64)

    return packed_frame(
        "replay",
        base_ms,
        sensors,
        columns.timestamp_ms,
        whole(columns.vehicle_count, 1),
        whole(columns.speed_kmh, 10),
        whole(columns.occupancy, 1000),
    )


def _as_json(row: RecordedReading) -> bytes:
    return json.dumps(
        {
            "sensor_id": row.sensor_id,
            "timestamp": row.timestamp_ms,
            "vehicle_count": row.vehicle_count,
            "average_speed_kmh": row.speed_kmh,
            "occupancy": row.occupancy,
        }
    ).encode()
