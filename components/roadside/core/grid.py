"""The readings of one window, as a dense grid of sensors and time slots.

A reading is one write into its cell, a repeated reading meets itself there, a missing one leaves the cell empty, and
the state is bounded by the number of cells. Two readings of one sensor in one slot (jitter brings them about) differ
in their timestamps: the second goes to a side list, so neither is lost.
Cost: 10 bytes a cell; 250 sensors at 1 Hz in 10 s are 25 kB.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.core.readings import ReadingBatch

EMPTY = -1
Row = tuple[int, int, int]  # vehicle count, speed, occupancy


@dataclass(frozen=True, slots=True)
class InsertReport:
    """What became of the rows of one insert, each bool [n]."""

    accepted: npt.NDArray[np.bool_]
    duplicate: npt.NDArray[np.bool_]
    conflict: npt.NDArray[np.bool_]  # duplicates that told something else; the first telling stands
    overflow: npt.NDArray[np.bool_]


class WindowGrid:
    """The window [start_ms, start_ms + window_ms) of `sensor_count` sensors.

    Attributes
    ----------
    revision : editions sent so far, minus one; -1 before the first
    late_since_ms : steady time of the first late reading not yet sent, None if there is none
    duplicates, late, rejected : int64 [segments], readings counted by segment
    """

    def __init__(self, start_ms: int, window_ms: int, slot_ms: int, sensor_count: int, segment_count: int) -> None:
        self.start_ms = start_ms
        self.window_ms = window_ms
        self.slot_ms = slot_ms
        self.sensor_count = sensor_count
        self.slots = -(-window_ms // slot_ms)
        cells = self.slots * sensor_count
        self.offset_ms = np.full(cells, EMPTY, dtype=np.int32)
        self.vehicle_count = np.zeros(cells, dtype=np.int16)
        self.speed_dkmh = np.zeros(cells, dtype=np.int16)
        self.occupancy_permille = np.zeros(cells, dtype=np.int16)
        self.side: dict[tuple[int, int], Row] = {}  # (sensor, offset) of second readings in a slot
        self._aside = [0] * sensor_count  # how many of them each sensor has
        self.duplicates = np.zeros(segment_count, dtype=np.int64)
        self.late = np.zeros(segment_count, dtype=np.int64)
        self.rejected = np.zeros(segment_count, dtype=np.int64)
        self.revision = -1
        self.late_since_ms: int | None = None
        self.changed = True  # since the last snapshot

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.window_ms

    def insert(self, batch: ReadingBatch) -> InsertReport:
        """Take readings that belong to this window and have no fault."""
        self.changed = True
        offset = (batch.timestamp_ms - self.start_ms).astype(np.int32)
        cell = offset // self.slot_ms * self.sensor_count + batch.sensor
        row = np.arange(len(batch))
        # Of several rows for one cell the first in the batch is to win: numpy keeps the last write, so write backwards.
        first_row = np.empty(len(self.offset_ms), dtype=np.intp)
        first_row[cell[::-1]] = row[::-1]
        accepted = (first_row[cell] == row) & (self.offset_ms[cell] == EMPTY)
        fresh = np.flatnonzero(accepted)
        target = cell[fresh]
        self.offset_ms[target] = offset[fresh]
        self.vehicle_count[target] = batch.vehicle_count[fresh]
        self.speed_dkmh[target] = batch.speed_dkmh[fresh]
        self.occupancy_permille[target] = batch.occupancy_permille[fresh]

        duplicate, conflict, overflow = np.zeros((3, len(batch)), dtype=bool)
        if len(fresh) == len(batch):
            return InsertReport(accepted, duplicate, conflict, overflow)
        rest = np.flatnonzero(~accepted)
        repeats = self.offset_ms[cell[rest]] == offset[rest]
        repeated = rest[repeats]
        duplicate[repeated] = True
        conflict[repeated] = self._differs(batch, repeated, cell[repeated])
        for i in rest[~repeats].tolist():
            place = int(batch.sensor[i]), int(offset[i])
            told: Row = (int(batch.vehicle_count[i]), int(batch.speed_dkmh[i]), int(batch.occupancy_permille[i]))
            stored = self.side.get(place)
            if stored is not None:
                duplicate[i] = True
                conflict[i] = stored != told
            elif self._aside[place[0]] < self.slots:  # of each sensor: one that floods takes no room from the others
                self.put_aside(place, told)
                accepted[i] = True
            else:
                overflow[i] = True
        return InsertReport(accepted, duplicate, conflict, overflow)

    def put_aside(self, place: tuple[int, int], told: Row) -> None:
        """Keep a second reading of a slot."""
        self.side[place] = told
        self._aside[place[0]] += 1

    def _differs(
        self, batch: ReadingBatch, rows: npt.NDArray[np.intp], cell: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.bool_]:
        """Which of the rows tell something else than their cells, bool [rows]."""
        differs: npt.NDArray[np.bool_] = (
            (self.vehicle_count[cell] != batch.vehicle_count[rows])
            | (self.speed_dkmh[cell] != batch.speed_dkmh[rows])
            | (self.occupancy_permille[cell] != batch.occupancy_permille[rows])
        )
        return differs

    def table(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """All accepted readings, a column for each sensor: a row for each slot, and more for second readings in a slot.

        Returns
        -------
        bool [rows, sensors], which cells hold a reading; int64 [3, rows, sensors], their vehicle count, speed and
        occupancy. What stands in the other cells means nothing.
        """
        shape = (self.slots, self.sensor_count)
        told = (self.offset_ms != EMPTY).reshape(shape)
        values = np.array([self.vehicle_count, self.speed_dkmh, self.occupancy_permille], dtype=np.int64)
        values = values.reshape(3, *shape)
        if not self.side:
            return told, values
        sensor, *columns = np.array(sorted((sensor, *row) for (sensor, _), row in self.side.items()), dtype=np.int64).T
        rank = np.arange(len(sensor)) - np.searchsorted(sensor, sensor)  # among the second readings of its sensor
        more = (int(rank.max()) + 1, self.sensor_count)
        more_told, more_values = np.zeros(more, dtype=bool), np.zeros((3, *more), dtype=np.int64)
        more_told[rank, sensor] = True
        more_values[:, rank, sensor] = columns
        return np.concatenate([told, more_told]), np.concatenate([values, more_values], axis=1)

    def has_readings(self) -> bool:
        return bool(self.side) or bool((self.offset_ms != EMPTY).any())
