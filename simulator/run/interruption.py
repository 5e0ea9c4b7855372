"""Ctrl-C and SIGTERM in a run: what was measured until then is verified and reported; asked twice, it ends at once.

While nothing has been measured a signal ends the run like an error does, by KeyboardInterrupt, and every part cleans up
behind itself. From the first second of readings on it only asks the run to come to its end.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

EXIT_CODE: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Hears the signals while it is entered, on the main thread.

    Attributes
    ----------
    asked : whether the run is to end before its time
    """

    def __init__(self, tell: Callable[[str], None] = lambda _words: None) -> None:
        self.asked = False
        self._tell = tell
        self._can_finish = False
        self._before: dict[int, signal.Handlers] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)  # type: ignore[assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.asked:
            end_descendants()  # a part that was interrupted while it started something may not know of it

    def can_finish(self) -> None:
        """There is something to report: from now on the run can come to its end instead of breaking off."""
        self._can_finish = True

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            end_descendants()
            os._exit(EXIT_CODE)
        self.asked = True
        if not self._can_finish:
            raise KeyboardInterrupt
        self._tell("Interrupted: verifying what was measured until now. Ctrl-C again ends at once, without a report.")


def end_descendants() -> None:
    """SIGKILL every process that this one has started, and what those have started, whatever their session.

    Where they are in process groups of their own these are killed as a whole: a process that is being started at the
    same moment is in no list yet.
    """
    all_running = running()
    own_group = os.getpgrp()
    for pid in descendants({pid: parent for pid, (parent, _) in all_running.items()}, os.getpid()):
        _, group = all_running[pid]
        try:
            if group == own_group:
                os.kill(pid, signal.SIGKILL)
            else:
                os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has ended by itself


def descendants(parents: Mapping[int, int], ancestor: int) -> Iterator[int]:
    """Children before grandchildren, given the parent of every process."""
    for pid, parent in parents.items():
        if parent == ancestor:
            yield pid
            yield from descendants(parents, pid)


def running() -> dict[int, tuple[int, int]]:
    """Parent and process group of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        _, parent, group = after_name.split()[:3]
        found[int(path.parent.name)] = int(parent), int(group)
    return found
