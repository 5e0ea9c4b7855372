"""What contrast of speed is usual at a pair of stations at each time of the day, as on the gateway
(core/contrast_profile.py): what happened within an hour of that time on two of five days is a habit.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Final

BIN_MS: Final = 900_000
BINS: Final = 86_400_000 // BIN_MS
DAYS: Final = 10
UNKNOWN: Final = -128
AROUND: Final = 4
HABIT: Final = 0.4
SPREAD: Final = 1.64
MIN_SAMPLED_MS: Final = 300_000
NO_BIN: Final = -1
NOTHING_LEARNED: Final = -math.inf

# A day's usual contrast by quarter, None where nothing is known, from a first quarter on; the newest day last.
LearnedDays = tuple[int, Sequence[Sequence[int | None]]]

_DAY: Final = bytes([UNKNOWN + 256]) * BINS


class PairProfile:
    """Contrast of one pair, in hundredths of free flow, by day and quarter of an hour (UTC).

    Attributes
    ----------
    days : the newest last, at most DAYS
    today : counts from tomorrow
    changed : whether `days` or `today` have changed since it was last set to False
    running : quarter since the epoch, and what was sampled in it: time, sum and sum of squares
    """

    def __init__(self) -> None:
        self.days: list[array[int]] = []
        self.today = array("b", _DAY)
        self.running: list[float] = [NO_BIN, 0.0, 0.0, 0.0]
        self.changed = False
        self._expected_bin = NO_BIN
        self._expected = NOTHING_LEARNED

    def expected(self, end_ms: int) -> float:
        """Contrast that is a habit around that time of day; minus infinity where nothing is learned."""
        now = (end_ms - 1) // BIN_MS
        if now != self._expected_bin:
            around = [(now + shift) % BINS for shift in range(-AROUND, AROUND + 1)]
            largest = sorted((max(day[quarter] for quarter in around) for day in self.days), reverse=True)
            known = [usual for usual in largest if usual != UNKNOWN]
            self._expected = known[max(math.ceil(HABIT * len(known)) - 1, 0)] / 100 if known else NOTHING_LEARNED
            self._expected_bin = now
        return self._expected

    def learn(self, contrast: float, usable: bool, end_ms: int, step_ms: int) -> None:
        """Take the contrast of a step; where it is not `usable` it tells nothing."""
        running, now = self.running, (end_ms - 1) // BIN_MS
        before = int(running[0])
        if before not in (NO_BIN, now):
            self._put_down(before)
            if now // BINS != before // BINS:
                self._end_day()
        running[0] = now
        if usable:
            running[1] += step_ms
            running[2] += step_ms * contrast
            running[3] += step_ms * contrast**2

    def teach(self, learned: LearnedDays) -> bool:
        """Begin with days learned elsewhere, unless some have been learned here; whether it does."""
        if self.days:
            return False
        first_quarter, days = learned
        for known in days[-DAYS:]:
            day = array("b", _DAY)
            for quarter, usual in enumerate(known, first_quarter):
                day[quarter] = UNKNOWN if usual is None else usual
            self.days.append(day)
        self._expected_bin = NO_BIN
        self.changed = True
        return True

    def restore(self, today: array[int], days: list[array[int]]) -> None:
        """Take up stored days."""
        self.today, self.days = today, days
        self._expected_bin = NO_BIN
        self.changed = False

    def _put_down(self, quarter: int) -> None:
        _, sampled_ms, total, squares = self.running
        usual = UNKNOWN
        if sampled_ms >= MIN_SAMPLED_MS:
            mean = total / sampled_ms
            spread = math.sqrt(max(squares / sampled_ms - mean**2, 0))
            usual = min(max(round(100 * (mean + SPREAD * spread)), -127), 127)
        self.today[quarter % BINS] = usual
        self.running[1:] = [0.0, 0.0, 0.0]
        self.changed = True

    def _end_day(self) -> None:
        if any(usual != UNKNOWN for usual in self.today):
            self.days = [*self.days, self.today][-DAYS:]
        self.today = array("b", _DAY)
        self._expected_bin = NO_BIN
