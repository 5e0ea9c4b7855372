"""Incidents: for how long and by how much a crash or a breakdown narrows a road.

Capacity left: FHWA-HOP-13-042 appendix C, table 40, after Highway Capacity Manual 2010 exhibit 10-17.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadside.traffic.errors import IncidentError

CAPACITY_LEFT: dict[int, tuple[float, ...]] = {
    2: (0.81, 0.35, 0.0),
    3: (0.83, 0.49, 0.17, 0.0),
    4: (0.85, 0.58, 0.25, 0.13),
}
"""Share of capacity left, by lanes of the road; index 0 is an accident on the shoulder, index n has n lanes blocked."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A blockage at the downstream end of a cell, during [start_s, end_s) of model time.

    `lanes_blocked` 0 is an accident on the shoulder: no lane is closed, but drivers slow down to look.
    """

    cell: int
    start_s: float
    end_s: float
    lanes_blocked: int

    def __post_init__(self) -> None:
        if self.cell < 0:
            raise IncidentError("cell", self.cell, "give the index of a cell, from 0")
        if not (math.isfinite(self.start_s) and self.start_s < self.end_s):
            raise IncidentError("end_s", self.end_s, f"an incident ends after its start at {self.start_s} s")
        if self.lanes_blocked < 0:
            raise IncidentError("lanes_blocked", self.lanes_blocked, "give 0 (shoulder) or more lanes")


def capacity_share(lanes: int, lanes_blocked: int) -> float:
    """Return the share of capacity left on a road of `lanes` lanes, 0 to 1.

    Raises
    ------
    IncidentError
        when more lanes are blocked than exist, or when the source has no figure for the case.
    """
    if lanes_blocked > lanes:
        raise IncidentError("lanes_blocked", lanes_blocked, f"the road has only {lanes} lanes")
    if lanes_blocked == lanes:
        return 0.0
    try:
        return CAPACITY_LEFT[lanes][lanes_blocked]
    except KeyError as error:
        raise IncidentError("lanes", lanes, f"capacity left is known for {sorted(CAPACITY_LEFT)} lanes only") from error


class IncidentSchedule:
    """All incidents of a run on one network; answers with a capacity factor per cell.

    Raises
    ------
    IncidentError
        when an incident lies outside the network or the capacity table.
    """

    def __init__(self, incidents: Sequence[Incident], lanes: npt.NDArray[np.intp]) -> None:
        for incident in incidents:
            if incident.cell >= lanes.size:
                raise IncidentError("cell", incident.cell, f"the network has {lanes.size} cells")
        self.incidents = tuple(incidents)
        self._cell = np.array([incident.cell for incident in incidents], dtype=np.intp)
        self._start_s = np.array([incident.start_s for incident in incidents], dtype=np.float64)
        self._end_s = np.array([incident.end_s for incident in incidents], dtype=np.float64)
        self._share = np.array(
            [capacity_share(int(lanes[incident.cell]), incident.lanes_blocked) for incident in incidents],
            dtype=np.float64,
        )
        self._cell_count = lanes.size

    def capacity_factor(self, time_s: float) -> npt.NDArray[np.float64]:
        """Return one factor per cell, 1 where nothing happened; of two incidents in one cell the worse one counts."""
        factor = np.ones(self._cell_count)
        active = (self._start_s <= time_s) & (time_s < self._end_s)
        np.minimum.at(factor, self._cell[active], self._share[active])
        return factor
