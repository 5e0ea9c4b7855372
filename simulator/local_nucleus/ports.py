"""What the nucleus needs from the cloud."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol


class CloudLink(Protocol):
    """A device's one MQTT connection, shared by all its components. `fleet.mqtt.DeviceConnection` is the real one.

    Callbacks may come from any thread and must not block.
    """

    @property
    def connected(self) -> bool:
        """Whether a publish would be tried now."""
        ...

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:
        """Send; the future completes at the acknowledgement (QoS 1), or fails: refused, or the connection is gone."""
        ...

    def subscribe(self, topic_filter: str, handler: Callable[[str, bytes], None]) -> Future[None]:
        """Call `handler(topic, payload)` for matching messages from now on, over reconnects.

        The future completes when the broker grants it, at once while offline, or fails when the broker refuses.
        """
        ...

    def on_state(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(connected)` at every change."""
        ...
