"""How the time of a run's readings goes along with the machine's: with it, N times as fast, or as fast as work allows.

At speed 1 gateways read the machine's clock. At any other they read a clock that the fleet moves from one thing that is
due to the next; so a gateway sees its time pass as at the roadside, whatever the machine needs for it. That time begins
so far in the past that it ends now: the cloud never gets a window of its future.
"""

import math
import time

from roadside.runtime.clock import ManualClock, SystemClock

REAL_TIME = 1.0


class Pace:
    """The clock of a run and its speed.

    Parameters
    ----------
    speed : seconds of readings in a second; None is as fast as it goes
    seconds : how long the run's time will go on; matters to where it begins
    """

    def __init__(self, speed: float | None = REAL_TIME, seconds: float = 0.0) -> None:
        self.clock: SystemClock | ManualClock = SystemClock()
        if speed != REAL_TIME:
            begin_ms = self.clock.wall_ms() - round(1000 * seconds)
            self.clock = ManualClock(begin_ms, begin_ms)
        self._speed = math.inf if speed is None else speed
        self._origin_s = self.now_s()
        self._machine_origin_s = time.monotonic()

    def now_s(self) -> float:
        """The run's time, in seconds since 1970."""
        return self.clock.wall_ms() / 1000

    def start(self, speed: float | None = None) -> None:
        """Count from now on, and at another speed if so told."""
        self._speed = self._speed if speed is None else speed
        self._origin_s = self.now_s()
        self._machine_origin_s = time.monotonic()

    def elapsed_s(self) -> float:
        """Seconds of the machine since `start`."""
        return time.monotonic() - self._machine_origin_s

    def wait_s(self, at_s: float) -> float:
        """Seconds of the machine until the run's time is to be `at_s`; not above 0 when it may be so now."""
        until_now_s = at_s - time.time()
        if isinstance(self.clock, SystemClock):
            return until_now_s
        return max((at_s - self._origin_s) / self._speed - self.elapsed_s(), until_now_s)

    def reach(self, at_s: float) -> None:
        """Let the run's time be `at_s`, if it may; the machine's clock gets there by itself."""
        if isinstance(self.clock, ManualClock) and self.wait_s(at_s) <= 0:
            self.clock.advance(max(0, round(1000 * at_s) - self.clock.wall_ms()))
