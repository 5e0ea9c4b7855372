"""The time of a replay: that of the rows, as far as it can be believed.

A gateway refuses a reading from the future of its clock. A replay has no clock but the rows, so a single row with a bad
timestamp would carry it years ahead, and all that follows would be too late. Therefore a leap ahead waits until as many
rows in a row agree on it; the first row that does not shows that the ones before it were wrong.
"""

from collections.abc import Iterator
from statistics import median_low
from typing import Final

from simulator.recorded.recording import RecordedReading

AGREEING_ROWS: Final = 20


class DataClock:
    """Tells for each row at what time it comes.

    Parameters
    ----------
    interval_ms : what a row covers; it comes at the end of it
    tolerance_ms : how far rows may be ahead without being doubted: disorder, and what a gateway believes
    sensors : of the recording; of a few sensors no more rows than these can be asked to agree
    """

    def __init__(self, interval_ms: int, tolerance_ms: int, sensors: int) -> None:
        self.now_ms = 0
        self._started = False
        self._interval_ms = interval_ms
        self._leap_ms = interval_ms + tolerance_ms
        self._agreeing_rows = max(1, min(AGREEING_ROWS, sensors))
        self._doubted: list[RecordedReading] = []

    def take(self, row: RecordedReading) -> Iterator[RecordedReading]:
        """The rows that come now, each at `now_ms` of the moment in which it is given out."""
        if self._is_doubtful(row):
            self._doubted.append(row)
            if len(self._instants()) < self._agreeing_rows:
                return
            self._leap()
            yield from self._settle()
            return
        yield from self._settle()
        self.now_ms = max(self.now_ms, self._measured_ms(row))
        yield row

    def finish(self) -> Iterator[RecordedReading]:
        """The rows still doubted at the end: too few to be believed, unless there are no others."""
        if not self._started and self._instants():
            self._leap()
        yield from self._settle()

    def _leap(self) -> None:
        self.now_ms = median_low(self._instants())
        self._started = True

    def _instants(self) -> list[int]:
        """When the doubted rows were told, of those that say when."""
        return [self._measured_ms(row) for row in self._doubted if isinstance(row.timestamp_ms, int)]

    def _settle(self) -> Iterator[RecordedReading]:
        """Give out what was doubted; what is still ahead of the time is the gateway's to refuse."""
        doubted, self._doubted = self._doubted, []
        for row in doubted:
            if not self._is_doubtful(row):
                self.now_ms = max(self.now_ms, self._measured_ms(row))
            yield row

    def _is_doubtful(self, row: RecordedReading) -> bool:
        return not self._started or self._measured_ms(row) > self.now_ms + self._leap_ms

    def _measured_ms(self, row: RecordedReading) -> int:
        """When the row was told; one without an instant comes when it comes."""
        return row.timestamp_ms + self._interval_ms if isinstance(row.timestamp_ms, int) else self.now_ms
