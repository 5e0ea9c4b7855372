"""Whether sensors that publish singly were kept up with, and if not, who fell behind and at what rate. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

BEHIND_S: Final = 1.0
"""A lag by which something has fallen behind: a whole round of readings of every sensor."""
LASTING_S: Final = 3


class Part(StrEnum):
    """Of a reading's way, in its order."""

    CLIENT = "client"
    BROKER = "broker"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class Lags:
    """How it stood at the end of a second of a run; counts are since its start, lags of the oldest in question.

    Parameters
    ----------
    published : readings handed to their connections
    acknowledged : of them, by the broker
    client_lag_s : by how much the last one was handed over late
    broker_lag_s : for how long the oldest unacknowledged one has been under way
    table_lag_s : age of the oldest one that is not in the table
    cloud_cores, client_cores : processors that the local cloud's process and this one kept busy in that second
    """

    published: int
    acknowledged: int
    client_lag_s: float
    broker_lag_s: float
    table_lag_s: float
    cloud_cores: float
    client_cores: float

    def of(self, part: Part) -> float:
        """The lag that a part adds to that of those before it."""
        match part:
            case Part.CLIENT:
                return self.client_lag_s
            case Part.BROKER:
                return self.broker_lag_s
            case Part.FUNCTION:
                return self.table_lag_s - self.broker_lag_s - self.client_lag_s


@dataclass(frozen=True, slots=True)
class Behind:
    """A part that fell behind and stayed so to the end of the readings.

    Parameters
    ----------
    from_s : second of the run from which on
    asked_per_s : readings that were published in the second before
    """

    part: Part
    from_s: int
    asked_per_s: int


@dataclass(frozen=True, slots=True)
class Saturation:
    """Where and at what rates a run found its limits.

    Parameters
    ----------
    behind : the parts that could not keep up, the first one first
    asked_per_s : most readings that were published in a second
    answered_per_s : by the broker, from when it fell behind; None if it did not
    reached_per_s : readings a second that came through, from when the first part fell behind until the last one was in
        the table
    cloud_cores, client_cores : processors kept busy from then to the end of the readings
    """

    behind: tuple[Behind, ...]
    asked_per_s: int
    answered_per_s: float | None
    reached_per_s: float
    cloud_cores: float
    client_cores: float


def saturation(seconds: Sequence[Lags], ended_s: float) -> Saturation:
    """Judge a run of at least one second. A lag that was made up for is none: only one that lasts to the end counts.

    Parameters
    ----------
    ended_s : when the last reading was in the table, in seconds since the start
    """
    published = [0, *(each.published for each in seconds)]
    asked = [after - before for before, after in pairwise(published)]
    starts = {part: _behind_from([each.of(part) for each in seconds]) for part in Part}
    behind = [Behind(part, at_s, asked[max(0, at_s - 1)]) for part, at_s in starts.items() if at_s is not None]
    first = min((each.from_s for each in behind), default=0)
    broker_from_s = starts[Part.BROKER]
    answered = None
    if broker_from_s is not None:
        stretch = seconds[max(0, broker_from_s - 1) :]
        answered = (stretch[-1].acknowledged - stretch[0].acknowledged) / (len(stretch) - 1)
    return Saturation(
        behind=tuple(sorted(behind, key=lambda each: each.from_s)),
        asked_per_s=max(asked),
        answered_per_s=answered,
        reached_per_s=(published[-1] - published[first]) / max(1.0, ended_s - first),
        cloud_cores=_mean([each.cloud_cores for each in seconds[first:]]),
        client_cores=_mean([each.client_cores for each in seconds[first:]]),
    )


def _behind_from(lags_s: Sequence[float]) -> int | None:
    """The second from which on the lag was too long to the end, if that lasted."""
    first = len(lags_s)
    while first and lags_s[first - 1] > BEHIND_S:
        first -= 1
    return first if len(lags_s) - first >= LASTING_S else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
