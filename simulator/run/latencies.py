"""How long windows took, by the instant at which they ended: summarised as time goes on, so that a run can be long."""

from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np

OPEN_ENDS: Final = 64  # ends whose latencies are kept one by one; an acknowledgement may come late


@dataclass(frozen=True, slots=True)
class EndLatency:
    """The seconds that `count` windows took that ended at `end_s`."""

    end_s: float
    count: int
    p50: float
    p95: float
    max: float


class LatencyByEnd:
    """Latencies of a fleet's windows. One that comes after its end was summarised makes an entry of its own."""

    def __init__(self) -> None:
        self._open: dict[float, array[float]] = {}
        self._summarised: list[EndLatency] = []

    def add(self, end_s: float, latency_s: float) -> None:
        self._open.setdefault(end_s, array("f")).append(latency_s)
        if len(self._open) > OPEN_ENDS:
            earliest = min(self._open)
            self._summarised.append(_summary(earliest, self._open.pop(earliest)))

    def summary(self) -> list[EndLatency]:
        """All of them, in order of their ends."""
        still_open = [_summary(end_s, latencies) for end_s, latencies in self._open.items()]
        return sorted([*self._summarised, *still_open], key=lambda each: each.end_s)


def _summary(end_s: float, latencies: "array[float]") -> EndLatency:
    p50, p95, most = np.percentile(latencies, [50, 95, 100]).tolist()
    return EndLatency(end_s, len(latencies), round(p50, 3), round(p95, 3), round(most, 3))
