"""Windows that are missing between others of one epoch: found, asked for, and repaired. Pure.

What is missing is told by time, not by sequences, so that a coarser window fills the place of those that it was made
of. Sequences tell whether anything was made at all: a gateway that was switched off has nothing to send. Two epochs
never have a gap between them: a gateway that lost its memory lost what it had not sent.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Final

from cloud.functions.sweep.windows import MAX_WINDOW_MS, StoredWindow
from roadside.contract.bus import DataNotice
from roadside.contract.commands import MAX_RUN_LENGTH, ResendCommand

Span = tuple[int, int]

# A window whose first sending got lost is sent again after 30 s by itself.
PATIENCE_MS: Final = 90_000
LONG_MS: Final = 120_000  # a hole of an outage, which the gateway fills by itself, the oldest first
LONG_PATIENCE_MS: Final = 15 * 60_000  # without any progress
BACKLOG_PATIENCE_MS: Final = 60 * 60_000  # where the gateway says that it has old messages to send
ASK_AGAIN_MS: Final = 10 * 60_000
MAX_ASKED: Final = 6
FORGET_MS: Final = 8 * 86_400_000  # gateways give up after seven days
MAX_HOLES: Final = 40
MAX_GAPS: Final = 10


@dataclass(frozen=True, slots=True)
class Gap:
    """Holes of one epoch that were found in one pass.

    Parameters
    ----------
    holes : what is still missing, in order, as instants [from, until)
    first_ms, until_ms, missing_ms : of the holes when they were found
    run : first sequence and number of the messages that may hold them; (0, 0) if that cannot be told
    found_ms, progressed_ms : when they were found, and when one was last filled
    told_ms : when people and systems were told, 0 for not yet
    asked : how often the gateway was asked for them, the last time at asked_ms
    """

    epoch_ms: int
    holes: tuple[Span, ...]
    first_ms: int
    until_ms: int
    missing_ms: int
    run: tuple[int, int]
    found_ms: int
    progressed_ms: int
    told_ms: int = 0
    asked: int = 0
    asked_ms: int = 0

    @property
    def longest_ms(self) -> int:
        return max(until_ms - from_ms for from_ms, until_ms in self.holes)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Gap":
        holes = tuple((from_ms, until_ms) for from_ms, until_ms in body["holes"])
        return cls(**{**body, "holes": holes, "run": tuple(body["run"])})


@dataclass(frozen=True, slots=True)
class Step:
    """What a pass makes of a gap: what is left of it, None for nothing; whom to tell; what to ask for."""

    gap: Gap | None
    notice: DataNotice | None = None
    command: ResendCommand | None = None


def find(windows: Iterable[StoredWindow], known: Iterable[Gap], now_ms: int) -> list[Gap]:
    """Gaps between windows of a gateway, one for each epoch that has any; what `known` ones cover is no news.

    Parameters
    ----------
    windows : without a hole in the reading itself: every window that is stored of a range of time
    """
    epochs: dict[int, list[StoredWindow]] = {}
    for window in windows:
        epochs.setdefault(window.epoch_ms, []).append(window)
    found = []
    for epoch_ms, told in epochs.items():
        told.sort(key=lambda window: (window.start_ms, window.end_ms))
        spans = [hole for gap in known if gap.epoch_ms == epoch_ms for hole in gap.holes]
        pairs = [(a, b) for a, b in pairwise(_reaching(told)) if b.start_ms > a.end_ms and _may_exist(a, b)]
        holes = [hole for a, b in pairs for hole in without((a.end_ms, b.start_ms), spans)]
        if holes:
            missing_ms = sum(until_ms - from_ms for from_ms, until_ms in holes)
            run = _run(told, holes[0][0], holes[-1][1])
            gap = Gap(
                epoch_ms, _few(holes), holes[0][0], holes[-1][1], missing_ms, run, found_ms=now_ms, progressed_ms=now_ms
            )
            found.append(gap)
    return found


def follow(
    gap: Gap,
    gateway: str,
    windows: Iterable[StoredWindow],
    now_ms: int,
    *,
    offline: bool = False,
    backlog: bool = False,
) -> Step:
    """What a pass makes of the gap.

    Parameters
    ----------
    windows : all that are stored of the time of its holes
    offline : the gateway is; of that people know already, and it cannot be asked
    backlog : it says that it has old messages to send
    """
    spans = [(window.start_ms, window.end_ms) for window in windows if window.epoch_ms == gap.epoch_ms]
    holes = _few([left for hole in gap.holes for left in without(hole, spans)])
    if not holes:
        return Step(None, _notice(gap, gateway, "DataRepaired", now_ms) if gap.told_ms else None)
    if now_ms - gap.found_ms > FORGET_MS:
        return Step(None)
    if holes != gap.holes:
        gap = replace(gap, holes=holes, progressed_ms=now_ms)
    patience_ms = LONG_PATIENCE_MS if gap.longest_ms > LONG_MS else PATIENCE_MS
    if backlog:
        patience_ms = BACKLOG_PATIENCE_MS
    if offline or now_ms - gap.progressed_ms < patience_ms:
        return Step(gap)
    notice = None
    if not gap.told_ms:
        gap = replace(gap, told_ms=now_ms)
        notice = _notice(gap, gateway, "DataGap", now_ms)
    if not gap.run[1] or gap.asked >= MAX_ASKED or (gap.asked and now_ms - gap.asked_ms < ASK_AGAIN_MS):
        return Step(gap, notice)
    gap = replace(gap, asked=gap.asked + 1, asked_ms=now_ms)
    command = ResendCommand(f"gap-{gap.first_ms}-{gap.asked}", gap.epoch_ms, (gap.run,))
    return Step(gap, notice, command)


def without(span: Span, covered: Sequence[Span]) -> list[Span]:
    """What is left of the span where nothing covers it."""
    left = []
    from_ms, until_ms = span
    for start_ms, end_ms in sorted(covered):
        if start_ms >= until_ms:
            break
        if start_ms > from_ms:
            left.append((from_ms, start_ms))
        from_ms = max(from_ms, end_ms)
    if from_ms < until_ms:
        left.append((from_ms, until_ms))
    return left


def _reaching(windows: Sequence[StoredWindow]) -> Iterable[StoredWindow]:
    """Those that reach further than all before them: what another covers ends nothing."""
    end_ms = -1
    for window in windows:
        if window.end_ms > end_ms:
            end_ms = window.end_ms
            yield window


def _may_exist(before: StoredWindow, after: StoredWindow) -> bool:
    """Whether enough messages were made between the two to fill the time between them, be they ever so coarse.

    A correction took the place of the first edition and its sequence, so that it tells nothing of that.
    """
    if before.revision or after.revision:
        return True
    made = after.sequence - before.sequence - 1
    return made >= max(1, math.ceil((after.start_ms - before.end_ms) / MAX_WINDOW_MS))


def _run(windows: Sequence[StoredWindow], from_ms: int, until_ms: int) -> tuple[int, int]:
    """Sequences that lie between those of first editions before and after the holes.

    A coarser window has a sequence later than its place in time. To ask for too much does no harm: what the gateway no
    longer holds it passes over.
    """
    after = [window.sequence for window in windows if window.start_ms >= until_ms and not window.revision]
    if not after:
        return 0, 0
    before = [window.sequence for window in windows if window.end_ms <= from_ms and not window.revision]
    first = max((sequence + 1 for sequence in before if sequence < min(after)), default=0)
    first = max(first, min(after) - MAX_RUN_LENGTH)
    return first, min(after) - first


def _few(holes: Sequence[Span]) -> tuple[Span, ...]:
    """At most MAX_HOLES: the last ones become one, which only makes the sweep read more."""
    if len(holes) <= MAX_HOLES:
        return tuple(holes)
    return (*holes[: MAX_HOLES - 1], (holes[MAX_HOLES - 1][0], holes[-1][1]))


def _notice(gap: Gap, gateway: str, kind: Any, now_ms: int) -> DataNotice:
    return DataNotice(
        kind, gateway, gap.epoch_ms, gap.first_ms, gap.until_ms, gap.missing_ms, now_ms, started_ms=gap.told_ms
    )
