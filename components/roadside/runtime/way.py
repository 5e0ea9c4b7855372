"""What is known of the way to the cloud: how fast it may be used, whether the bus takes messages, whether acks come."""

from collections import deque
from typing import Final

_SECOND_MS: Final = 1000


class Way:
    """All times are steady. The way is open unless the bus is unavailable, or takes messages that nobody answers.

    Parameters
    ----------
    publishes_per_second : held in every second
    min_retry_ms, max_retry_ms : pause after the bus was unavailable; doubles with every further time
    silence_ms : without any acknowledgement of what was taken, after which the way counts as closed
    """

    def __init__(self, publishes_per_second: int, min_retry_ms: int, max_retry_ms: int, silence_ms: int) -> None:
        self._recent: deque[int] = deque()
        self.configure(publishes_per_second, min_retry_ms, max_retry_ms, silence_ms)
        self._retry_ms = min_retry_ms
        self._quiet_until_ms = 0
        self._available = True
        self._unanswered_since_ms: int | None = None  # first message that was taken since the last answer
        self.answer_delay_ms = 0  # for which an answer may be awaited before it is missed

    def configure(self, publishes_per_second: int, min_retry_ms: int, max_retry_ms: int, silence_ms: int) -> None:
        """Adopt other limits."""
        self._publishes_per_second = publishes_per_second
        self._min_retry_ms = min_retry_ms
        self._max_retry_ms = max_retry_ms
        self._silence_ms = silence_ms
        self._recent = deque(self._recent, maxlen=publishes_per_second)

    def free_ms(self) -> int:
        """When the next message may be tried."""
        full = len(self._recent) == self._publishes_per_second
        return max(self._quiet_until_ms, self._recent[0] + _SECOND_MS if full else 0)

    def is_open(self, steady_ms: int) -> bool:
        return self._available and self.silent_ms(steady_ms) < self._silence_ms

    def silent_ms(self, steady_ms: int) -> int:
        """For how long an answer has been missed, messages having been taken; 0 when none is due."""
        if self._unanswered_since_ms is None:
            return 0
        return max(0, steady_ms - self._unanswered_since_ms - self.answer_delay_ms)

    def trying(self, steady_ms: int) -> None:
        """A message is handed to the bus now."""
        self._recent.append(steady_ms)

    def taken(self, steady_ms: int) -> None:
        """The bus took it."""
        self._available = True
        self._retry_ms = self._min_retry_ms
        if self._unanswered_since_ms is None:
            self._unanswered_since_ms = steady_ms

    def unavailable(self, steady_ms: int) -> None:
        """The bus could not take it now."""
        self._available = False
        self._unanswered_since_ms = None  # no answer is due: the bus itself says that there is no way
        self._quiet_until_ms = steady_ms + self._retry_ms
        self._retry_ms = min(2 * self._retry_ms, self._max_retry_ms)

    def answered(self) -> None:
        """The cloud has acknowledged something."""
        self._unanswered_since_ms = None
