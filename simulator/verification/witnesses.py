"""Who is told of every valid reading of a run: the oracle, and the archive."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

IntColumn = npt.NDArray[np.int64]


class Witness(Protocol):
    """Takes readings, all int64 [n]."""

    def note(
        self,
        sensor: IntColumn,
        timestamp_ms: IntColumn,
        vehicle_count: IntColumn,
        speed_dkmh: IntColumn,
        occupancy_permille: IntColumn,
        delivered_ms: IntColumn,
    ) -> None:
        """See `Oracle.note`."""


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Several, told the same in the same order."""

    each: tuple[Witness, ...]

    def note(
        self,
        sensor: IntColumn,
        timestamp_ms: IntColumn,
        vehicle_count: IntColumn,
        speed_dkmh: IntColumn,
        occupancy_permille: IntColumn,
        delivered_ms: IntColumn,
    ) -> None:
        for witness in self.each:
            witness.note(sensor, timestamp_ms, vehicle_count, speed_dkmh, occupancy_permille, delivered_ms)
