"""How eagerly messages are sent, and what became of them."""

from dataclasses import dataclass
from typing import Final

MAX_PUBLISHES_PER_SECOND: Final = 90  # IoT Core discards beyond 100/s of one gateway, all components together
_OF_THE_WAY: Final = ("publishes_per_second", "min_retry_ms", "max_retry_ms", "silence_ms")


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """How eagerly to send.

    Parameters
    ----------
    publishes_per_second : held in every second, resends included; at most 90
    window : messages sent and not yet acknowledged or timed out; nucleus lite refuses the eleventh
    ack_timeout_ms : wait before the first resend; doubles with every further one up to `max_resend_ms`
    min_retry_ms, max_retry_ms : pause after the bus was unavailable; doubles likewise
    live_ms : age from which a window is backlog
    idle_ms : longest time between two calls of `pump`
    silence_ms : without any acknowledgement of what was sent, after which the way counts as closed
    daily_budget_bytes : what may go on one UTC day (`budget.py`); 0 sets no limit
    """

    publishes_per_second: int = 20
    window: int = 8
    ack_timeout_ms: int = 30_000
    max_resend_ms: int = 300_000
    min_retry_ms: int = 1000
    max_retry_ms: int = 30_000
    live_ms: int = 60_000
    idle_ms: int = 60_000
    silence_ms: int = 90_000
    daily_budget_bytes: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.publishes_per_second <= MAX_PUBLISHES_PER_SECOND:
            raise ValueError(
                f"publishes_per_second = {self.publishes_per_second}: must be 1 to {MAX_PUBLISHES_PER_SECOND}"
            )
        for field in ("window", "ack_timeout_ms", "min_retry_ms", "idle_ms", "silence_ms"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} = {getattr(self, field)}: must be positive")
        if self.daily_budget_bytes < 0:
            raise ValueError(f"daily_budget_bytes = {self.daily_budget_bytes}: must not be negative; 0 sets no limit")

    def way(self) -> dict[str, int]:
        """What concerns the way to the cloud alone."""
        return {name: getattr(self, name) for name in _OF_THE_WAY}


@dataclass(frozen=True, slots=True)
class UplinkStatistics:
    """What became of messages. `acknowledged`, `refused`, `given_up` and `merged` count since the database began.

    `spent_bytes` is the present UTC day's, `held_by_budget` tells that something waits for a later hour or day.
    """

    sent: int
    resent: int
    unavailable: int
    acks_of_other_epochs: int
    acks_unreadable: int
    acknowledged: int
    refused: int
    given_up: int
    merged: int
    dead_letters: int
    backlog_messages: int
    backlog_bytes: int
    backlog_age_ms: int
    spent_bytes: int
    budget_bytes: int
    held_by_budget: bool
