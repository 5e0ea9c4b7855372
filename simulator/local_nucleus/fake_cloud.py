"""`InMemoryCloud`: a working `CloudLink` without a network, for tests.

Like the real link it answers from a thread of its own, in order; unlike it, it can be told to hold its answers or to
refuse.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from .topics import mqtt_filter_matches

Handler = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Published:
    """A publish that reached the cloud, with the future of its acknowledgement."""

    topic: str
    payload: bytes
    qos: int
    acknowledged: Future[None] = field(compare=False)


class InMemoryCloud:
    """A broker for one device.

    Attributes
    ----------
    holds_acknowledgements
        Answers wait until `acknowledge_all()`.
    refuses
        Topics and filters that are answered with a failure.
    """

    def __init__(self, *, connected: bool = True) -> None:
        self.holds_acknowledgements = False
        self.refuses: set[str] = set()
        self._connected = connected
        self._lock = threading.Lock()
        self._published: list[Published] = []
        self._handlers: list[tuple[str, Handler]] = []
        self._state_callbacks: list[Callable[[bool], None]] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="in-memory-cloud")

    @property
    def connected(self) -> bool:
        """Whether the device is online."""
        return self._connected

    @property
    def published(self) -> list[Published]:
        """What arrived, in order."""
        with self._lock:
            return list(self._published)

    @property
    def filters(self) -> list[str]:
        """The filters that were subscribed to."""
        with self._lock:
            return [topic_filter for topic_filter, _ in self._handlers]

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:
        """Take a message; fails with ConnectionError while offline and PermissionError for a refused topic."""
        future: Future[None] = Future()
        if not self._connected:
            future.set_exception(ConnectionError("offline"))
            return future
        if topic in self.refuses:
            self._worker.submit(future.set_exception, PermissionError(topic))
            return future
        with self._lock:
            self._published.append(Published(topic, payload, qos, future))
        if not self.holds_acknowledgements:
            self._worker.submit(future.set_result, None)
        return future

    def subscribe(self, topic_filter: str, handler: Handler) -> Future[None]:
        """Register a handler; fails with PermissionError for a refused filter."""
        future: Future[None] = Future()
        if topic_filter in self.refuses:
            self._worker.submit(future.set_exception, PermissionError(topic_filter))
            return future
        with self._lock:
            self._handlers.append((topic_filter, handler))
        self._worker.submit(future.set_result, None)
        return future

    def on_state(self, callback: Callable[[bool], None]) -> None:
        """Call back at every change."""
        self._state_callbacks.append(callback)

    def deliver(self, topic: str, payload: bytes) -> int:
        """Send a message to the device; returns how many filters matched."""
        with self._lock:
            handlers = [handler for topic_filter, handler in self._handlers if mqtt_filter_matches(topic_filter, topic)]
        for handler in handlers:
            self._worker.submit(handler, topic, payload)
        return len(handlers)

    def acknowledge_all(self) -> None:
        """Answer everything that waits for an answer."""
        for message in self.published:
            if not message.acknowledged.done():
                message.acknowledged.set_result(None)

    def go_offline(self) -> None:
        """Cut the connection: what is not acknowledged fails."""
        self._connected = False
        for message in self.published:
            if not message.acknowledged.done():
                message.acknowledged.set_exception(ConnectionError("the connection ended"))
        self._announce()

    def go_online(self) -> None:
        """Restore the connection."""
        self._connected = True
        self._announce()

    def close(self) -> None:
        """End the worker thread."""
        self._worker.shutdown()

    def _announce(self) -> None:
        for callback in self._state_callbacks:
            callback(self._connected)
