"""The loop around a component: messages and time in, orderly end out. Whatever the component does is the worker's.

Handlers of the bus run on its network thread and only put messages into the bounded `Inbox`; one thread, the one
that calls `run`, does everything else and so needs no locks.
"""

import logging
import os
import queue
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from types import FrameType
from typing import Final, Protocol

from roadside.runtime.ports import BusClosedError, Clock

STOP_BUDGET_S: Final = 3.0  # the classic nucleus kills 5 s after SIGTERM
MAX_WAIT_MS: Final = 60_000
_OVERHEAD_BYTES: Final = 200  # what a message costs in memory besides its payload

_log = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """Why a component ended; anything but STOPPED makes the nucleus start it again."""

    STOPPED = 0
    FAILED = 1
    CONNECTION_LOST = 2
    STOP_TOOK_TOO_LONG = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for the worker; `source` is the name under which its handler was made."""

    source: str
    topic: str
    payload: bytes


class Inbox:
    """Messages between the bus and the worker, bounded in memory.

    When it is full, the oldest messages of the bulkiest source give way and are counted: a flood of readings never
    pushes out an acknowledgement or a command.
    """

    def __init__(self, max_bytes: int = 8 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Delivery]] = {}
        self._bytes: Counter[str] = Counter()
        self._shed: Counter[str] = Counter()
        # A SimpleQueue may be put to from a signal handler, which a condition or an event may not.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def handler(self, source: str) -> Callable[[str, bytes], None]:
        """A message handler for the bus; never blocks and never raises."""

        def enqueue(topic: str, payload: bytes) -> None:
            self.put(Delivery(source, topic, payload))

        return enqueue

    def put(self, delivery: Delivery) -> None:
        """Take a message, shedding others if need be. From any thread."""
        with self._lock:
            self._waiting.setdefault(delivery.source, deque()).append(delivery)
            self._bytes[delivery.source] += _size(delivery)
            while self._bytes.total() > self._max_bytes:
                bulkiest = max(self._bytes, key=lambda source: self._bytes[source])
                self._bytes[bulkiest] -= _size(self._waiting[bulkiest].popleft())
                self._shed[bulkiest] += 1
        self.wake()

    def wake(self) -> None:
        """End a wait in `take`. From any thread, and from signal handlers."""
        if self._bell.empty():
            self._bell.put(None)

    def take(self, wait_s: float) -> list[Delivery]:
        """All waiting messages, those of one source in order; waits for the first one or for `wake`."""
        try:
            self._bell.get(timeout=max(0.0, wait_s))
        except queue.Empty:
            return []
        with self._lock:
            taken = [delivery for waiting in self._waiting.values() for delivery in waiting]
            self._waiting.clear()
            self._bytes.clear()
        return taken

    def shed(self) -> Mapping[str, int]:
        """How many messages of each source were shed."""
        with self._lock:
            return dict(self._shed)


def _size(delivery: Delivery) -> int:
    return len(delivery.payload) + _OVERHEAD_BYTES


class Worker(Protocol):
    """What a component does. All methods are called on the thread that runs the service."""

    def work(self, deliveries: list[Delivery]) -> int:
        """Handle the messages and whatever is due; returns the steady time of the next call, in ms.

        Raises BusClosedError when the connection is gone. A fault that passes, such as a StoreError, must be handled
        inside: any other exception ends the process.
        """

    def stop(self) -> None:
        """Write to disk what must not be lost; called once, after the last `work`."""


class Service:
    """Runs a worker until SIGTERM, SIGINT or the loss of the connection. One use only.

    The loss comes to the worker like any message, since what came before it is to be handled first; the worker then
    raises BusClosedError.
    """

    def __init__(
        self, worker: Worker, inbox: Inbox, clock: Clock, *, exit_now: Callable[[int], object] = os._exit
    ) -> None:
        self._worker = worker
        self._inbox = inbox
        self._clock = clock
        self._exit_now = exit_now
        self._stopping = False
        self._end_begun: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._ended = threading.Event()

    def stop(self) -> None:
        """End `run` within STOP_BUDGET_S. From any thread, and from signal handlers."""
        self._stopping = True
        self._end_begun.put(None)
        self._inbox.wake()

    def run(self) -> ExitCode:
        """Work until told to stop, then stop the worker; what is not done by STOP_BUDGET_S is cut off."""
        threading.Thread(target=self._cut_off, name="stop-watchdog", daemon=True).start()
        with self._signals():
            code = self._work()
            self._end_begun.put(None)
            try:
                self._worker.stop()
            except Exception:  # noqa: BLE001  the run loop is where a fault ends: logged, and told by the exit code
                _log.exception("the worker failed while stopping")
                code = ExitCode.FAILED if code is ExitCode.STOPPED else code
            finally:
                self._ended.set()
        return code

    def _cut_off(self) -> None:
        self._end_begun.get()
        if not self._ended.wait(STOP_BUDGET_S):
            _log.error("stopping took too long")
            self._exit_now(int(ExitCode.STOP_TOOK_TOO_LONG))

    def _work(self) -> ExitCode:
        wake_ms = self._clock.steady_ms()
        try:
            while not self._stopping:
                wait_ms = min(wake_ms - self._clock.steady_ms(), MAX_WAIT_MS)
                wake_ms = self._worker.work(self._inbox.take(wait_ms / 1000))
            self._worker.work(self._inbox.take(0))  # what came before the end is not to be lost
        except BusClosedError as error:
            _log.error("the connection to the nucleus is lost", extra={"reason": str(error)})
            return ExitCode.CONNECTION_LOST
        except Exception:  # noqa: BLE001  as above
            _log.exception("the worker failed")
            return ExitCode.FAILED
        return ExitCode.STOPPED

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask for an orderly stop meanwhile; only the main thread may receive them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def request_stop(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {number: signal.signal(number, request_stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
