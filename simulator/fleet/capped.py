"""A bound on what a fleet may publish, held by the connections themselves."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from simulator.fleet.link import Connection
from simulator.fleet.mqtt import DeviceOfflineError


class Cap:
    """So many messages and no more, counted over all connections.

    Parameters
    ----------
    most_messages : the bound
    reserve : messages that are kept for what is under way when the readings end

    Attributes
    ----------
    used : messages that were let through
    """

    def __init__(self, most_messages: int, reserve: int) -> None:
        self.most_messages = most_messages
        self.used = 0
        self._reserve = reserve
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Count one message, if there is one left."""
        with self._lock:
            if self.used >= self.most_messages:
                return False
            self.used += 1
            return True

    @property
    def reached(self) -> bool:
        """Whether nothing may be published any more."""
        return self.used >= self.most_messages

    @property
    def is_near(self) -> bool:
        """Whether the readings must end, so that what they led to can still be sent."""
        return self.used >= self.most_messages - self._reserve


class CappedConnection:
    """A connection that publishes within the cap and is away beyond it. Implements Connection."""

    def __init__(self, connection: Connection, gateway: str, cap: Cap) -> None:
        self._connection = connection
        self._gateway = gateway
        self._cap = cap

    @property
    def connected(self) -> bool:
        return self._connection.connected and not self._cap.reached

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:
        if self._cap.take():
            return self._connection.publish(topic, payload, qos)
        refused: Future[None] = Future()
        refused.set_exception(
            DeviceOfflineError(self._gateway, f"the cap of {self._cap.most_messages} messages is reached")
        )
        return refused

    def subscribe(self, topic_filter: str, handler: Callable[[str, bytes], None]) -> Future[None]:
        return self._connection.subscribe(topic_filter, handler)

    def on_state(self, callback: Callable[[bool], None]) -> None:
        self._connection.on_state(callback)

    def close(self) -> None:
        self._connection.close()
