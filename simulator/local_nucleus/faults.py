"""Faults to inject into a running nucleus. Set a field from any thread; it takes effect with the next message."""

from __future__ import annotations

from collections.abc import Callable


class Faults:
    """Switches for tests and chaos runs.

    Attributes
    ----------
    refuse_connect
        New IPC connections are closed at once.
    delay_ms
        Every message from a component is handled this much later.
    spool_full
        A publish to IoT Core finds the spool (or the window) full.
    """

    def __init__(self, silence: Callable[[], None]) -> None:
        self.refuse_connect = False
        self.delay_ms = 0.0
        self.spool_full = False
        self._silence = silence

    def silence_subscriptions(self) -> None:
        """Kill the present subscriptions silently: no callback, no error, publishes still succeed, new ones work."""
        self._silence()
