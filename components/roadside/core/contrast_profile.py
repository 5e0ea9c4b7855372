"""What contrast of speed is usual between neighbouring stations at each time of the day.

A bottleneck that slows traffic morning by morning is no incident. So each quarter of an hour the contrast that was
usual in it is put down. What happened within an hour of that time of day on two of five days is a habit and to be
expected; what happened on fewer was an incident, and nobody need say so. The profile learns slowly, as today counts
from tomorrow, and ages quickly: the oldest of ten days leaves when a new one comes.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

FloatColumn = npt.NDArray[np.float64]
Ratings = npt.NDArray[np.int8]

BIN_MS: Final = 900_000
BINS: Final = 86_400_000 // BIN_MS
DAYS: Final = 10
UNKNOWN: Final = -128
AROUND: Final = 4  # quarters before and after that belong to a time of day: queues come early or late
HABIT: Final = 0.4  # share of the known days
SPREAD: Final = 1.64  # standard deviations above the mean: about the 95th percentile
MIN_SAMPLED_MS: Final = 300_000  # less of a quarter tells nothing
NO_BIN: Final = -1


class ContrastProfile:
    """Contrast of each segment to the next, as a ratio of free flow, by time of day (UTC).

    All of its memory is in `arrays`: `days` is int8 [segments, BINS, DAYS], the newest day last, and `today`
    int8 [segments, BINS], both in hundredths. The sums of the running quarter are [segments].

    Attributes
    ----------
    changed : whether `days` or `today` have changed since it was last set to False
    """

    def __init__(self, segments: int) -> None:
        self.changed = True
        self.days: Ratings = np.full((segments, BINS, DAYS), UNKNOWN, dtype=np.int8)
        self.today: Ratings = np.full((segments, BINS), UNKNOWN, dtype=np.int8)
        self.running: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]] = {
            "bin": np.full(segments, NO_BIN, dtype=np.int64),  # quarters since the epoch
            "sampled_ms": np.zeros(segments),
            "sum": np.zeros(segments),
            "square_sum": np.zeros(segments),
        }
        self._expected_bin = NO_BIN
        self._expected: FloatColumn = np.full(segments, -np.inf)

    def expected(self, end_ms: int) -> FloatColumn:
        """Contrast that is a habit around that time of day, float64 [segments]; -inf where nothing is learned."""
        now = (end_ms - 1) // BIN_MS
        if now != self._expected_bin:
            around = [(now + shift) % BINS for shift in range(-AROUND, AROUND + 1)]
            by_day = -np.sort(-self.days[:, around].max(axis=1).astype(np.int64), axis=1)  # the largest first
            known_days = (by_day != UNKNOWN).sum(axis=1)
            rank = np.ceil(HABIT * known_days).astype(np.int64)
            habit = np.take_along_axis(by_day, np.maximum(rank - 1, 0)[:, np.newaxis], axis=1)[:, 0]
            self._expected = np.where(known_days > 0, habit / 100, -np.inf)
            self._expected_bin = now
        return self._expected

    def learn(self, contrast: FloatColumn, usable: npt.NDArray[np.bool_], end_ms: int, step_ms: int) -> None:
        """Take the contrast of a step; where it is not `usable` it tells nothing."""
        running, now = self.running, (end_ms - 1) // BIN_MS
        before = int(running["bin"][0])
        if before not in (NO_BIN, now):
            self._put_down(before)
            if now // BINS != before // BINS:
                self._end_day()
        running["bin"] = np.full_like(running["bin"], now)
        weight = usable * float(step_ms)
        running["sampled_ms"] = running["sampled_ms"] + weight
        running["sum"] = running["sum"] + weight * contrast
        running["square_sum"] = running["square_sum"] + weight * contrast**2

    def teach(self, segment: int, days: Ratings) -> None:
        """Begin a segment with days learned elsewhere, int8 [days, BINS], the newest last."""
        kept = days[-DAYS:].T
        self.days[segment] = UNKNOWN
        self.days[segment, :, DAYS - kept.shape[1] :] = kept
        self._expected_bin = NO_BIN
        self.changed = True

    def is_learned(self, segment: int) -> bool:
        """Whether the segment knows of any day."""
        return bool((self.days[segment] != UNKNOWN).any())

    def inherit(self, mine: int, predecessor: "ContrastProfile", theirs: int) -> None:
        """Go on where another profile's segment ends."""
        self.days[mine], self.today[mine] = predecessor.days[theirs], predecessor.today[theirs]
        for name, values in self.running.items():
            values[mine] = predecessor.running[name][theirs]
        self._expected_bin = NO_BIN
        self.changed = True

    def restore(self, days: Ratings, today: Ratings) -> None:
        """Take up stored days.

        Raises
        ------
        ValueError
            Their shape is another.
        """
        if days.shape != self.days.shape or today.shape != self.today.shape:
            raise ValueError(f"profile of shape {days.shape}, expected {self.days.shape}")
        self.days, self.today = days, today
        self._expected_bin = NO_BIN
        self.changed = False

    def end(self) -> None:
        """Put down what has been taken so far: nothing more will come of this day."""
        if (before := int(self.running["bin"][0])) != NO_BIN:
            self._put_down(before)
            self._end_day()
            self.running["bin"] = np.full_like(self.running["bin"], NO_BIN)

    def _put_down(self, quarter: int) -> None:
        running = self.running
        known = running["sampled_ms"] >= MIN_SAMPLED_MS
        sampled = np.where(known, running["sampled_ms"], 1)
        mean = running["sum"] / sampled
        spread = np.sqrt(np.maximum(running["square_sum"] / sampled - mean**2, 0))
        usual = np.clip(np.rint(100 * (mean + SPREAD * spread)), -127, 127)
        self.today[:, quarter % BINS] = np.where(known, usual, UNKNOWN)
        for name in ("sampled_ms", "sum", "square_sum"):
            running[name] = np.zeros_like(running[name])
        self.changed = True

    def _end_day(self) -> None:
        """Let today be the newest of the days; a day that told nothing of a segment pushes none of its days out."""
        told = (self.today != UNKNOWN).any(axis=1)
        shifted = np.concatenate([self.days[told, :, 1:], self.today[told, :, np.newaxis]], axis=2)
        self.days[told] = shifted
        self.today = np.full_like(self.today, UNKNOWN)
        self._expected_bin = NO_BIN
