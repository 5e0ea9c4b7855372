"""What both kinds of gateways in a run have: books, and a memory of what was handed to them of late.

`real_gateway` has those that are processes under a local nucleus, `local_gateway` those in this process. Both publish
over a metered device connection with mutual TLS; what differs is how readings reach the pipeline.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aggregator.pipeline import PipelineStatistics
from simulator.faults.delivery import Readings

CRASH_LOSS_MS: Final = 1000  # what the journal may miss when a process is killed
KEPT_MS: Final = 30_000  # how long it is remembered what was handed over
SOURCE: Final = "simulator"


class GatewayError(Exception):
    """A gateway did not come up; the message says where to look."""


@dataclass(frozen=True, slots=True)
class Books:
    """What a gateway says it has done with the readings that it took, since its state began.

    `lost_in_ends` are those that its books missed after each of its ends; None if nobody could read them then.
    """

    accepted: int = 0
    duplicate: int = 0
    late: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    windows_given_up: int = 0
    lost_in_ends: int | None = None

    @property
    def readings(self) -> int:
        """All that it took, whatever became of them."""
        return self.accepted + self.duplicate + sum(self.rejected.values())

    @classmethod
    def of(cls, statistics: PipelineStatistics) -> "Books":
        return cls(
            accepted=statistics.readings_accepted,
            duplicate=statistics.readings_duplicate,
            late=statistics.readings_late,
            rejected=statistics.readings_rejected,
            windows_given_up=statistics.uplink.given_up + statistics.results_shed,
        )


@dataclass(frozen=True, slots=True)
class Handed:
    """Readings handed to a pipeline, the how manieth message they were, and when."""

    number: int
    at_ms: int
    readings: Readings


class RecentlyHanded:
    """Readings handed to a pipeline of late: what a sudden end puts at risk, since the journal may have missed it."""

    def __init__(self, steady_ms: Callable[[], int]) -> None:
        self._steady_ms = steady_ms
        self._handed: deque[Handed] = deque()
        self._count = 0
        self._at_risk: dict[int, Readings] = {}  # by number of the message, since two ends may be within a second

    def note(self, readings: Readings) -> None:
        now_ms = self._steady_ms()
        self._handed.append(Handed(self._count, now_ms, readings))
        self._count += 1
        while self._handed[0].at_ms < now_ms - KEPT_MS:
            self._handed.popleft()

    def put_at_risk(self, lag_ms: int) -> int:
        """What was handed over in the last second, by the clock of a machine that is so far behind; how many."""
        since_ms = self._steady_ms() - CRASH_LOSS_MS - lag_ms
        risky = {handed.number: handed.readings for handed in self._handed if handed.at_ms >= since_ms}
        self._at_risk |= risky
        return sum(len(readings) for readings in risky.values())

    def at_risk(self) -> list[Readings]:
        return list(self._at_risk.values())


def steady_ms() -> int:
    """The machine's clock that never steps."""
    return time.monotonic_ns() // 1_000_000
