"""A connection that is made some time after its gateway: what is subscribed to before waits for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from simulator.fleet.link import Connection
from simulator.fleet.mqtt import DeviceOfflineError

Handler = Callable[[str, bytes], None]


class LateConnection:
    """Away until it is opened, and then what `connect` makes. Implements Connection."""

    def __init__(self, gateway: str, connect: Callable[[str], Connection]) -> None:
        self._gateway = gateway
        self._connect = connect
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._subscriptions: list[tuple[str, Handler]] = []
        self._state_callbacks: list[Callable[[bool], None]] = []

    def open(self) -> None:
        """Connect, from any thread, once. Raises what `connect` raises."""
        connection = self._connect(self._gateway)
        with self._lock:
            for topic_filter, handler in self._subscriptions:
                connection.subscribe(topic_filter, handler)
            for callback in self._state_callbacks:
                connection.on_state(callback)
            self._connection = connection  # last: what is published from now on may be answered at once
        for callback in self._state_callbacks:
            callback(True)

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.connected

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:
        if self._connection is not None:
            return self._connection.publish(topic, payload, qos)
        refused: Future[None] = Future()
        refused.set_exception(DeviceOfflineError(self._gateway, "not connected yet"))
        return refused

    def subscribe(self, topic_filter: str, handler: Handler) -> Future[None]:
        with self._lock:
            if self._connection is not None:
                return self._connection.subscribe(topic_filter, handler)
            self._subscriptions.append((topic_filter, handler))
        granted: Future[None] = Future()
        granted.set_result(None)
        return granted

    def on_state(self, callback: Callable[[bool], None]) -> None:
        with self._lock:
            self._state_callbacks.append(callback)
            if self._connection is not None:
                self._connection.on_state(callback)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
