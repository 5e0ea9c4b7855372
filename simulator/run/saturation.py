"""Whether sensors that publish singly were kept up with, and if not, who fell behind and at what rate. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

BEHIND_S: Final = 1.0
"""A lag by which something has fallen behind: a whole round of readings of every sensor."""
LASTING_S: Final = 3


class Bottleneck(StrEnum):
    """Who fell behind first on a reading's way."""

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

    @property
    def behind(self) -> Bottleneck | None:
        """Who is behind now. Who is nearer to the sensor holds up all that comes after."""
        if self.client_lag_s > BEHIND_S:
            return Bottleneck.CLIENT
        if self.broker_lag_s > BEHIND_S:
            return Bottleneck.BROKER
        return Bottleneck.FUNCTION if self.table_lag_s > BEHIND_S + self.client_lag_s + self.broker_lag_s else None


@dataclass(frozen=True, slots=True)
class Saturation:
    """Where and at what rate a run found its limit.

    Parameters
    ----------
    bottleneck : who fell behind and stayed so to the end; None if nobody did
    from_s : second of the run from which on
    asked_per_s : most readings that were published in a second
    asked_then_per_s : those that were published in the second before that
    reached_per_s : readings a second that came through, from then until the last one was in the table
    cloud_cores, client_cores : processors kept busy from then to the end of the readings
    """

    bottleneck: Bottleneck | None
    from_s: int
    asked_per_s: float
    asked_then_per_s: float
    reached_per_s: float
    cloud_cores: float
    client_cores: float


def saturation(seconds: Sequence[Lags], ended_s: float) -> Saturation:
    """Judge a run of at least one second. A lag that was made up for is none: only one that lasts to the end counts.

    Parameters
    ----------
    ended_s : when the last reading was in the table, in seconds since the start
    """
    first = len(seconds)
    while first and seconds[first - 1].behind is not None:
        first -= 1
    is_behind = len(seconds) - first >= LASTING_S
    first = first if is_behind else 0
    published = [0, *(each.published for each in seconds)]
    asked = [after - before for before, after in pairwise(published)]
    behind = [each.behind for each in seconds[first:] if each.behind is not None]
    return Saturation(
        bottleneck=max(Bottleneck, key=behind.count) if is_behind else None,
        from_s=first,
        asked_per_s=max(asked),
        asked_then_per_s=asked[max(0, first - 1)],
        reached_per_s=(published[-1] - published[first]) / max(1.0, ended_s - first),
        cloud_cores=_mean([each.cloud_cores for each in seconds[first:]]),
        client_cores=_mean([each.client_cores for each in seconds[first:]]),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
