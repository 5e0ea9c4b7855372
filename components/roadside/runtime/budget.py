"""How many bytes may go to the cloud on one UTC day, for gateways on a cellular line.

Counted are payload and topic of every message that the bus took, repetitions included; not what MQTT, TLS and TCP add
(about 100 bytes a message) nor what comes back.

When it runs short: events always go. Live windows go until a quarter of the day's bytes is left. Backlog and sensor
summaries keep to an even pace through the day, so that they never take what the day's live windows will need. What
waits is not lost: it goes later or on the next day, coarser if need be.
"""

from typing import Final, Protocol

from roadside.runtime.lanes import Lane

LIVE_SHARE: Final = 0.75
PACED_SHARE: Final = 0.95
CHUNK_BYTES: Final = 64 * 1024
_DAY_MS: Final = 24 * 3600 * 1000


class Ledger(Protocol):
    """Where the day's bytes are kept for good."""

    def spent(self) -> tuple[int, int]:
        """UTC day, counted from 1970, and its bytes."""

    def note_spent(self, day: int, size_bytes: int) -> None:
        """Keep them. Raises StoreError."""


class DailyBudget:
    """The bytes of the present day; `daily_bytes` of 0 sets no limit.

    The ledger is written ahead in chunks: a process that was killed counts up to one chunk too much, never too little.
    A wall clock that steps back begins no day anew: then the day ends with a later one on the wall, or after 24 hours
    of the steady clock.
    """

    def __init__(self, ledger: Ledger, daily_bytes: int) -> None:
        self.daily_bytes = daily_bytes
        self._ledger = ledger
        self._day, self._spent = ledger.spent()
        self._noted = self._spent
        self._began_steady_ms: int | None = None
        self._elapsed_share = 0.0

    @property
    def spent_bytes(self) -> int:
        return self._spent

    def look(self, wall_ms: int, steady_ms: int) -> None:
        """See which day it is and how much of it is over. Call before the questions below."""
        if self._began_steady_ms is None:
            self._began_steady_ms = steady_ms
        day, in_day_ms = divmod(wall_ms, _DAY_MS)
        if day > self._day or (day < self._day and steady_ms - self._began_steady_ms >= _DAY_MS):
            self._day, self._spent, self._noted = day, 0, 0
            self._began_steady_ms = steady_ms
        self._elapsed_share = in_day_ms / _DAY_MS if day == self._day else 0.0

    def allows(self, lane: Lane) -> bool:
        """Whether a message of the lane may go now."""
        if not self.daily_bytes or lane is Lane.EVENTS:
            return True
        share = LIVE_SHARE if lane is Lane.LIVE else min(PACED_SHARE, self._elapsed_share)
        return self._spent < share * self.daily_bytes

    def spend(self, size_bytes: int) -> None:
        """Count a message that has gone."""
        self._spent += size_bytes

    @property
    def is_to_be_noted(self) -> bool:
        return self._spent > self._noted

    def note(self) -> None:
        """Write to the ledger. Raises StoreError; try again later."""
        noted = self._spent + CHUNK_BYTES
        self._ledger.note_spent(self._day, noted)
        self._noted = noted
