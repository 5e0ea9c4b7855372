"""The MQTT proxy: components' publishes to IoT Core and their subscriptions, over the device's one `CloudLink`.

`Spool` is the classic nucleus (success means stored in memory), `Window` is lite (success means handed to the socket,
and nothing is kept). Both live on the nucleus's event loop; the link calls back from its own threads through `post`.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from .errors import RpcError
from .faults import Faults
from .ports import CloudLink
from .profiles import Profile
from .topics import MAX_IOT_CORE_PAYLOAD_BYTES, iot_core_topic_fault

Post = Callable[..., None]
Deliver = Callable[[str, bytes], None]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class CloudCounters:
    """What the proxy did with the components' publishes."""

    accepted: int = 0
    refused: int = 0
    acknowledged: int = 0
    failed: int = 0
    """Accepted and then lost: given up after the retries, evicted, or failed where nothing is kept."""


@dataclass(order=True, slots=True)
class Message:
    """A publish on its way. Order is the order of arrival."""

    sequence: int
    topic: str = field(compare=False)
    payload: bytes = field(compare=False)
    qos: int = field(compare=False)
    attempts: int = field(default=0, compare=False)


class RateLimiter:
    """A token bucket that holds one second's worth. Pure: the caller gives the time in seconds."""

    def __init__(self, rate_per_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._tokens = rate_per_s
        self._at_s = 0.0

    def wait_s(self, now_s: float, amount: float) -> float:
        """How long to wait until `amount` may pass. More than one second's worth passes once the bucket is full."""
        self._tokens = min(self._rate_per_s, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        return max(0.0, (min(amount, self._rate_per_s) - self._tokens) / self._rate_per_s)

    def take(self, amount: float) -> None:
        """Let `amount` pass, after `wait_s` said 0."""
        self._tokens -= amount


class Outgoing(Protocol):
    """How publishes leave."""

    def offer(self, message: Message) -> None:
        """Take a message or raise RpcError."""
        ...

    def pump(self) -> None:
        """Go on sending: the link came back."""
        ...


class Spool:
    """In memory and bounded; sends in order, at a limited rate, with a few messages in flight, and retries."""

    def __init__(
        self, profile: Profile, link: CloudLink | None, faults: Faults, post: Post, counters: CloudCounters
    ) -> None:
        self._profile = profile
        self._link = link
        self._faults = faults
        self._post = post
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Message] = []
        self._in_flight = 0
        self._stored_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._publishes = RateLimiter(profile.publishes_per_s)
        self._bytes = RateLimiter(profile.publish_bytes_per_s)

    def offer(self, message: Message) -> None:
        if message.qos == 0 and not _online(self._link):
            raise RpcError("ServiceError", "Cannot publish QoS 0 while offline.")
        self._make_room(len(message.payload))
        self._stored_bytes += len(message.payload)
        heapq.heappush(self._waiting, message)
        self.pump()

    def pump(self) -> None:
        while self._waiting and self._in_flight < self._profile.window_messages and _online(self._link):
            size = len(self._waiting[0].payload)
            now_s = self._loop.time()
            wait_s = max(self._publishes.wait_s(now_s, 1), self._bytes.wait_s(now_s, size))
            if wait_s > 0:
                if self._timer is None:
                    self._timer = self._loop.call_later(wait_s, self._pump_again)
                return
            self._publishes.take(1)
            self._bytes.take(size)
            message = heapq.heappop(self._waiting)
            self._in_flight += 1
            assert self._link is not None  # noqa: S101 - _online() has just said so
            sent = self._link.publish(message.topic, message.payload, message.qos)
            sent.add_done_callback(partial(self._post, self._finished, message))

    def _pump_again(self) -> None:
        self._timer = None
        self.pump()

    def _make_room(self, size: int) -> None:
        free = 0 if self._faults.spool_full else self._profile.spool_bytes - self._stored_bytes
        evicted = []
        for old in sorted(message for message in self._waiting if message.qos == 0):
            if free >= size:
                break
            evicted.append(old)
            free += len(old.payload)
        if free < size:
            raise RpcError("ServiceError", "Message spool is full. Message could not be added.")
        for old in evicted:
            self._waiting.remove(old)
            self._drop(old)
        heapq.heapify(self._waiting)

    def _finished(self, message: Message, sent: Future[None]) -> None:
        self._in_flight -= 1
        fault = _fault(sent)
        if fault is None:
            self._stored_bytes -= len(message.payload)
            self._counters.acknowledged += 1
        elif message.attempts >= self._profile.max_publish_retries:
            logger.warning("giving up a message to %s after %d retries: %s", message.topic, message.attempts, fault)
            self._drop(message)
        else:
            message.attempts += _online(self._link)  # an outage is no attempt
            heapq.heappush(self._waiting, message)
        self.pump()

    def _drop(self, message: Message) -> None:
        self._stored_bytes -= len(message.payload)
        self._counters.failed += 1


class Window:
    """Nothing is kept: a publish goes out at once or is refused at once."""

    def __init__(
        self, profile: Profile, link: CloudLink | None, faults: Faults, post: Post, counters: CloudCounters
    ) -> None:
        self._profile = profile
        self._link = link
        self._faults = faults
        self._post = post
        self._counters = counters
        self._unacknowledged: dict[int, int] = {}

    def offer(self, message: Message) -> None:
        if self._link is None or not self._link.connected:
            raise RpcError("ServiceError", "MQTT is not connected.")
        size = len(message.payload)
        limit = self._profile.window_bytes
        if message.qos > 0 and (
            self._faults.spool_full
            or len(self._unacknowledged) >= self._profile.window_messages
            or (limit is not None and sum(self._unacknowledged.values()) + size > limit)
        ):
            raise RpcError("ServiceError", "Too many unacknowledged messages.")
        if message.qos > 0:
            self._unacknowledged[message.sequence] = size
        sent = self._link.publish(message.topic, message.payload, message.qos)
        sent.add_done_callback(partial(self._post, self._finished, message))

    def pump(self) -> None:
        """Nothing waits here."""

    def _finished(self, message: Message, sent: Future[None]) -> None:
        self._unacknowledged.pop(message.sequence, None)
        fault = _fault(sent)
        if fault is None:
            self._counters.acknowledged += 1
        else:
            logger.warning("a message to %s was accepted from the component and lost: %s", message.topic, fault)
            self._counters.failed += 1


class CloudProxy:
    """What the MQTT operations talk to.

    Parameters
    ----------
    link
        The device's connection; None is a device that never gets online.
    post
        `post(function, *args)` runs the function on the nucleus's event loop, from any thread.
    """

    def __init__(self, profile: Profile, link: CloudLink | None, faults: Faults, post: Post) -> None:
        self.counters = CloudCounters()
        self._profile = profile
        self._link = link
        self._post = post
        kind: type[Spool | Window] = Spool if profile.spool_bytes else Window
        self._outgoing: Outgoing = kind(profile, link, faults, post, self.counters)
        self._sequence = 0
        self._listeners: dict[str, dict[object, Deliver]] = {}
        if link is not None:
            link.on_state(partial(post, self._state_changed))

    def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Take a publish under the profile's rules.

        Raises
        ------
        RpcError
            Offline, full, too large, or not a topic of IoT Core.
        """
        self._sequence += 1
        try:
            _check_publish(topic, payload)
            self._outgoing.offer(Message(self._sequence, topic, payload, qos))
        except RpcError:
            self.counters.refused += 1
            raise
        self.counters.accepted += 1

    def subscribe(
        self, topic_filter: str, deliver: Deliver, on_done: Callable[[BaseException | None], None]
    ) -> Callable[[], None]:
        """Listen; `on_done` gets None once granted. Returns the way to stop listening.

        The link keeps its subscription for the rest of its life: a component that comes back finds it made.

        Raises
        ------
        RpcError
            There is no cloud at all.
        """
        if self._link is None:
            raise RpcError("ServiceError", "MQTT is not connected.")
        key = object()
        is_new = topic_filter not in self._listeners
        self._listeners.setdefault(topic_filter, {})[key] = deliver
        if is_new:
            granted = self._link.subscribe(topic_filter, partial(self._post, self._arrived, topic_filter))
            granted.add_done_callback(partial(self._post, self._subscribed, topic_filter, on_done))
        else:
            on_done(None)
        return partial(self._unsubscribe, topic_filter, key)

    def silence(self) -> None:
        """Forget who listens, without a word."""
        for listeners in self._listeners.values():
            listeners.clear()

    def _unsubscribe(self, topic_filter: str, key: object) -> None:
        self._listeners.get(topic_filter, {}).pop(key, None)

    def _subscribed(
        self, topic_filter: str, on_done: Callable[[BaseException | None], None], granted: Future[None]
    ) -> None:
        fault = _fault(granted)
        if fault is not None:
            self._listeners.pop(topic_filter, None)
        on_done(fault)

    def _arrived(self, topic_filter: str, topic: str, payload: bytes) -> None:
        limit = self._profile.max_inbound_bytes
        if limit is not None and len(payload) + len(topic.encode()) > limit:
            logger.warning("a message of %d bytes on %s is too large to arrive", len(payload), topic)
            return
        for deliver in list(self._listeners.get(topic_filter, {}).values()):
            deliver(topic, payload)

    def _state_changed(self, connected: bool) -> None:
        logger.info("the cloud is %s", "online" if connected else "offline")
        if connected:
            self._outgoing.pump()


def _check_publish(topic: str, payload: bytes) -> None:
    fault = iot_core_topic_fault(topic)
    if fault is not None:
        raise RpcError("ServiceError", fault)
    if len(payload) > MAX_IOT_CORE_PAYLOAD_BYTES:
        message = f"payload has {len(payload)} bytes; at most {MAX_IOT_CORE_PAYLOAD_BYTES} are allowed"
        raise RpcError("ServiceError", message)


def _online(link: CloudLink | None) -> bool:
    return link is not None and link.connected


def _fault(future: Future[Any]) -> BaseException | None:
    try:
        return future.exception(timeout=0)
    except CancelledError as error:
        return error
