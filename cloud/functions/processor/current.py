"""Keeps the segments table current with few writes and hardly a read.

A write that fails its condition costs as much as one that succeeds, so what is not news must not be attempted. The
tracker therefore remembers what the table holds. It believes its memory of a gateway only while it handles that
gateway's messages without a gap or a long pause; after one another process may have written, and it reads again.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from cloud.functions.processor.logic import SegmentState, WindowRecord, is_news

_CALM_BATCH: Final = 20  # windows
_TRUSTED_MS: Final = 60_000  # the sweep lets states be unknown of a gateway that is silent for longer
_MAX_REMEMBERED: Final = 100_000  # states; about 50 MB


class SegmentTable(Protocol):
    """What the tracker needs of the segments table."""

    def read_segments(self, numbers: Sequence[int]) -> dict[int, SegmentState]:
        """Current states of those segments that have one."""

    def put_segments(self, states: Sequence[SegmentState]) -> dict[int, SegmentState]:
        """Write what is newer than the stored; what the table then holds."""


class CurrentStates:
    """Writes a window's segment states where they are news.

    Parameters
    ----------
    refresh_ms : age at which an unchanged state is written again
    reads_per_batch : gateways of one batch that may be read again, one of a batch so full that others wait behind
        it. After a cold start every gateway is new, and bringing all of them up at once would hold back the windows
        that follow; the rest come up with their next messages.
    """

    def __init__(self, table: SegmentTable, refresh_ms: int, reads_per_batch: int) -> None:
        self._table = table
        self._refresh_ms = refresh_ms
        self._reads_per_batch = reads_per_batch
        self._held: dict[int, SegmentState] = {}
        self._handled: dict[str, tuple[int, int]] = {}  # gateway: epoch and sequence of its last message
        self._latest_ms: dict[str, int] = {}  # gateway: start of its latest window
        self._reads_left = reads_per_batch

    def begin_batch(self, windows: int) -> None:
        """Allow as many gateways to be read again as a batch of so many windows can afford."""
        self._reads_left = self._reads_per_batch if windows <= _CALM_BATCH else 1

    def update(self, record: WindowRecord) -> int:
        """Bring the table up to the window; the number of states written. Raises what the table raises.

        A failure forgets that the gateway's messages came without a gap, so that the next attempt reads again.
        """
        window = record.window
        if record.from_future or window.window_start_ms < self._latest_ms.get(window.gateway, 0):
            return 0
        pause_ms = window.window_start_ms - self._latest_ms.get(window.gateway, 0)
        follows = self._handled.pop(window.gateway, None) == (window.epoch_ms, window.sequence - 1)
        if pause_ms > max(_TRUSTED_MS, 2 * window.window_ms):
            follows = False
        if not follows or len(self._held) > _MAX_REMEMBERED:
            if not self._reads_left:
                return 0
            self._reads_left -= 1
            self._read_again([state.segment for state in record.segments])
        news = [s for s in record.segments if is_news(self._held.get(s.segment), s, self._refresh_ms)]
        self._held.update(self._table.put_segments(news))
        self._handled[window.gateway] = window.epoch_ms, window.sequence
        self._latest_ms[window.gateway] = window.window_start_ms
        return sum(self._held[state.segment] is state for state in news)

    def _read_again(self, numbers: Sequence[int]) -> None:
        if len(self._held) > _MAX_REMEMBERED:
            self._held.clear()
            self._handled.clear()
        self._forget(numbers)
        self._held.update(self._table.read_segments(numbers))

    def _forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._held.pop(number, None)
