"""How far event time has come.

The law: the watermark never goes back. It follows the newest accepted reading by the allowed lateness, and once all
sensors have been silent for a while it moves on at the pace of the steady clock, so that windows close without data.
The wall clock only bounds how far ahead a reading may be, since it can step by an hour and must not close a window.
The bound itself follows what readings and wall clock agree on: a sensor whose clock runs fast cannot lift it, and
within the bound it takes event time no further than to now.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class EventClock:
    """Event time of one gateway. All values in milliseconds.

    Parameters
    ----------
    allowed_lateness_ms : how far a reading may be behind the newest one and still be on time
    idle_grace_ms : silence of all sensors after which the steady clock takes over
    max_future_skew_ms : how far a reading may be ahead of both the wall clock and trusted time
    """

    allowed_lateness_ms: int
    idle_grace_ms: int
    max_future_skew_ms: int
    latest_ms: int | None = None
    latest_at_steady_ms: int = 0
    reached_ms: int | None = None
    trusted_ms: int | None = None  # newest instant that a reading and the wall clock have both passed
    trusted_at_steady_ms: int = 0

    def now_ms(self, wall_ms: int, steady_ms: int) -> int:
        """What time it is, as far as is known here.

        Trusted time counts beside the wall clock, so that a wall clock stepping back locks no healthy sensor out.
        """
        trusted_ms = self._trusted_now_ms(steady_ms)
        return wall_ms if trusted_ms is None else max(wall_ms, trusted_ms)

    def future_bound_ms(self, wall_ms: int, steady_ms: int) -> int:
        """Newest timestamp to believe."""
        return self.now_ms(wall_ms, steady_ms) + self.max_future_skew_ms

    def trust(self, newest_ms: int, wall_ms: int, steady_ms: int) -> None:
        """Lift trusted time to what an accepted reading and the wall clock agree on; it runs on by the steady clock."""
        agreed_ms = min(newest_ms, wall_ms)
        trusted_ms = self._trusted_now_ms(steady_ms)
        # Anew each time, so that a process that is killed has saved a trusted time of late.
        self.trusted_ms = agreed_ms if trusted_ms is None else max(agreed_ms, trusted_ms)
        self.trusted_at_steady_ms = steady_ms

    def share_trust(self, other: "EventClock", steady_ms: int) -> None:
        """What time it is, one generation of a gateway knows from another."""
        theirs_ms, ours_ms = other._trusted_now_ms(steady_ms), self._trusted_now_ms(steady_ms)
        if theirs_ms is not None and (ours_ms is None or ours_ms <= theirs_ms):  # anew also where they are equal
            self.trusted_ms, self.trusted_at_steady_ms = theirs_ms, steady_ms

    def observe(self, newest_ms: int, steady_ms: int) -> None:
        """A reading of `newest_ms` has come. One that is not newer breaks no silence: it may be a repetition."""
        if self.latest_ms is None or newest_ms > self.latest_ms:
            self.latest_ms = newest_ms
            self.latest_at_steady_ms = steady_ms

    def rebase(self, steady_ms: int, *, same_clock: bool) -> None:
        """A new process takes over: silence counts from now. Trusted time has run on, if the steady clock is the same.

        If it is not, as after a reboot, how long the gateway was down is unknown.
        """
        self.latest_at_steady_ms = steady_ms
        if not same_clock:
            self.trusted_at_steady_ms = steady_ms

    def watermark_ms(self, steady_ms: int) -> int | None:
        """No reading before it is on time any more. None before the first reading."""
        if self.latest_ms is None:
            return None
        silent_ms = steady_ms - self.latest_at_steady_ms
        newest_ms = self.latest_ms + max(0, silent_ms - self.idle_grace_ms)
        candidate = newest_ms - self.allowed_lateness_ms
        self.reached_ms = candidate if self.reached_ms is None else max(self.reached_ms, candidate)
        return self.reached_ms

    def steady_ms_of(self, watermark_ms: int, latest_ms: int) -> int:
        """When the watermark will reach `watermark_ms` if every sensor stays silent after a reading of `latest_ms`."""
        return self.latest_at_steady_ms + self.idle_grace_ms + watermark_ms + self.allowed_lateness_ms - latest_ms

    def _trusted_now_ms(self, steady_ms: int) -> int | None:
        return None if self.trusted_ms is None else self.trusted_ms + steady_ms - self.trusted_at_steady_ms
