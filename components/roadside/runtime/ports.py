"""The seams between a component and its surroundings. Composition roots pass adapters; tests pass working fakes."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

Side = Literal["local", "cloud"]
MessageHandler = Callable[[str, bytes], None]  # topic, payload; must only enqueue, never block or raise


class BusError(Exception):
    """The surroundings refused or failed. Base of what a bus raises."""


class BusUnavailableError(BusError):
    """Not now: offline, spool or window full, throttled. Nothing is lost; try again later."""


class BusRefusedError(BusError):
    """Never: not authorised, or a topic or payload that no retry will make acceptable."""


class BusClosedError(BusError):
    """The connection is gone for good; flush to disk and exit non-zero so that the nucleus starts us anew."""


class Bus(Protocol):
    """Local publish/subscribe and the way to the cloud, as a component sees them."""

    def subscribe_local(self, topic_filter: str, handler: MessageHandler) -> None:
        """Hand every local message on `topic_filter` to `handler`, in order."""

    def subscribe_cloud(self, topic_filter: str, handler: MessageHandler) -> None:
        """Hand every message from the cloud on `topic_filter` to `handler`, in order."""

    def publish_local(self, topic: str, payload: bytes) -> None:
        """Hand `payload` to the local subscribers of `topic`. Whether there are any, the nucleus does not tell.

        Raises
        ------
        BusUnavailableError, BusRefusedError, BusClosedError
        """

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        """Hand `payload` on towards the cloud, QoS 1. Returning says nothing of its arrival: only an ack does.

        Raises
        ------
        BusUnavailableError, BusRefusedError, BusClosedError
        """

    def publish_cloud_once(self, topic: str, payload: bytes) -> None:
        """Hand `payload` on towards the cloud, QoS 0: for what is worth nothing later. Raises as `publish_cloud`."""

    def renew(self, side: Side) -> None:
        """End the subscriptions of that side and make them anew, with the same handlers; what comes between is lost.

        Not from a handler.

        Raises
        ------
        BusUnavailableError, BusRefusedError, BusClosedError
            Those that could not be made are made by the next call.
        """

    def close(self) -> None:
        """End all subscriptions."""


class Configuration(Protocol):
    """The component's configuration as deployed."""

    def read(self) -> dict[str, Any]:
        """The whole tree, without accessControl. Raises BusError."""

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call `notify` after a change; it must only set a flag, since the reader reads again."""


class Neighbours(Protocol):
    """The other components of the gateway, as far as the nucleus lets one component see to another."""

    def configuration_of(self, component: str) -> dict[str, Any]:
        """Another component's configuration, without accessControl. Raises BusError."""

    def restart(self, component: str) -> None:
        """Have the nucleus restart another component. Returns once it has agreed to.

        Raises
        ------
        BusUnavailableError
            It cannot: not now, or not at all. The classic nucleus needs the component aws.greengrass.Cli for it.
        BusRefusedError
            It is not allowed to us.
        BusClosedError
        """


class Updates(Protocol):
    """The nucleus's question before it stops a component for an update, which only the classic nucleus asks."""

    def on_update(self, ask: Callable[[str], None]) -> None:
        """Call `ask` with the deployment's id at each question; it must only enqueue. Raises BusError."""

    def answer_update(self, deployment_id: str, defer_ms: int) -> None:
        """Let the update go on (0), or have the nucleus ask again after `defer_ms`. Raises BusError."""


class Clock(Protocol):
    """Time as two readings: the wall, which may step, and a steady one, which never does."""

    def wall_ms(self) -> int:
        """Epoch milliseconds UTC."""

    def steady_ms(self) -> int:
        """Milliseconds from an arbitrary start; never goes back."""
