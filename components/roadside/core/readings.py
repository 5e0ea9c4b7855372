"""Readings as columns of small integers, range-checked.

Quantisation is stated once, here: speeds to 0.1 km/h ("dkmh"), occupancy to 0.001 ("permille"). From then on all
arithmetic is in integers, which is why sums of windows merge without error in any order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

MAX_VEHICLES: Final = 1000  # in one reading; a lane passes about one vehicle in two seconds
MAX_SPEED_DKMH: Final = 2550
MAX_OCCUPANCY_PERMILLE: Final = 1000
NONE: Final = -1  # a speed or occupancy that was not measured

IntColumn = npt.NDArray[np.int64]
SmallColumn = npt.NDArray[np.int16]
_I = TypeVar("_I", np.int16, np.int64)


class Fault(IntEnum):
    """Why a reading was refused. NO_FAULT is 0 so that a column of faults can be tested as a whole."""

    NO_FAULT = 0
    UNKNOWN_SENSOR = 1
    BAD_TIMESTAMP = 2
    BAD_VEHICLE_COUNT = 3
    BAD_SPEED = 4
    BAD_OCCUPANCY = 5
    FUTURE = 6
    TOO_LATE = 7
    OVERFLOW = 8


@dataclass(frozen=True, slots=True)
class ReadingBatch:
    """Readings of one gateway, one row each.

    Parameters
    ----------
    sensor : intp [n], index in the registry, -1 unknown
    timestamp_ms : int64 [n], epoch milliseconds UTC
    vehicle_count : int16 [n]
    speed_dkmh : int16 [n], mean over the reading's vehicles, NONE where not measured
    occupancy_permille : int16 [n], NONE where not measured
    fault : uint8 [n], a `Fault`; the values of a faulty row mean nothing
    """

    sensor: npt.NDArray[np.intp]
    timestamp_ms: IntColumn
    vehicle_count: SmallColumn
    speed_dkmh: SmallColumn
    occupancy_permille: SmallColumn
    fault: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.sensor)

    def rows(self, selected: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> "ReadingBatch":
        """The selected rows."""
        return ReadingBatch(
            self.sensor[selected],
            self.timestamp_ms[selected],
            self.vehicle_count[selected],
            self.speed_dkmh[selected],
            self.occupancy_permille[selected],
            self.fault[selected],
        )

    def by_window(self, window_ms: int) -> Iterator[tuple[int, "ReadingBatch"]]:
        """The readings of each window with its start, oldest window first, readings in their order."""
        start_ms = self.timestamp_ms // window_ms * window_ms
        if not len(self) or start_ms.min() == start_ms.max():  # as most batches are
            batch = self
        else:
            order = np.argsort(start_ms, kind="stable")
            batch, start_ms = self.rows(order), start_ms[order]
        changes = np.flatnonzero(start_ms[1:] != start_ms[:-1]) + 1
        for first, end in pairwise([0, *changes.tolist(), len(batch)]):
            yield int(start_ms[first]), batch.rows(slice(first, end))


def batch_from_integers(
    sensor: npt.NDArray[np.intp],
    timestamp_ms: npt.NDArray[np.integer],
    vehicle_count: npt.NDArray[np.integer],
    speed_dkmh: npt.NDArray[np.integer],
    occupancy_permille: npt.NDArray[np.integer],
) -> ReadingBatch:
    """Range-check readings that are quantised already. NONE marks a speed or occupancy that was not measured.

    A reading without vehicles has no speed, whatever its sender wrote there.
    """
    fault = np.zeros(len(sensor), dtype=np.uint8)
    has_speed = vehicle_count != 0
    # The first fault found names the reading, so the checks run from the last to the first.
    fault[(occupancy_permille < NONE) | (occupancy_permille > MAX_OCCUPANCY_PERMILLE)] = Fault.BAD_OCCUPANCY
    fault[((speed_dkmh < NONE) | (speed_dkmh > MAX_SPEED_DKMH)) & has_speed] = Fault.BAD_SPEED
    fault[(vehicle_count < 0) | (vehicle_count > MAX_VEHICLES)] = Fault.BAD_VEHICLE_COUNT
    fault[timestamp_ms < 0] = Fault.BAD_TIMESTAMP
    fault[sensor < 0] = Fault.UNKNOWN_SENSOR
    return ReadingBatch(
        sensor,
        timestamp_ms.astype(np.int64, copy=False),
        vehicle_count.astype(np.int16, copy=False),
        np.where(has_speed, speed_dkmh, NONE).astype(np.int16),
        occupancy_permille.astype(np.int16, copy=False),
        fault,
    )


def batch_from_measurements(
    sensor: npt.NDArray[np.intp],
    timestamp_ms: npt.NDArray[np.float64],
    vehicle_count: npt.NDArray[np.float64],
    speed_kmh: npt.NDArray[np.float64],
    occupancy: npt.NDArray[np.float64],
    *,
    has_speed: npt.NDArray[np.bool_],
    has_occupancy: npt.NDArray[np.bool_],
) -> ReadingBatch:
    """Range-check and quantise readings as sensors give them.

    Parameters
    ----------
    speed_kmh, occupancy : float64 [n], km/h and fraction
    has_speed, has_occupancy : bool [n], false where the sensor measured none; a NaN elsewhere is a fault
    """
    with np.errstate(over="ignore"):  # infinity is refused as well
        return batch_from_integers(
            sensor,
            _whole(timestamp_ms, np.int64, 2**53),
            _whole(np.where(vehicle_count == np.floor(vehicle_count), vehicle_count, np.nan), np.int16),
            np.where(has_speed, _whole(speed_kmh * 10.0, np.int16), np.int16(NONE)),
            np.where(has_occupancy, _whole(occupancy * 1000.0, np.int16), np.int16(NONE)),
        )


def _whole(values: npt.NDArray[np.float64], dtype: type[_I], limit: int = 2**15 - 1) -> npt.NDArray[_I]:
    """The nearest integers; what is negative, no number, or not below the limit, as a number that no check passes.

    A slightly negative value must not round into the range.
    """
    return np.where((values >= 0) & (values < limit), np.rint(values), -limit).astype(dtype)
