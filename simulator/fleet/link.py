"""A device's connection with a meter: how much it sends, and how long until the cloud has it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Protocol

from roadside.contract import messages_pb2, topics
from roadside.contract.codec import decode_ack
from roadside.contract.events import decode_event
from roadside.runtime.ports import BusRefusedError, BusUnavailableError
from simulator.fleet.metered import Metered
from simulator.fleet.mqtt import DeviceConnectionError, PublishRefused
from simulator.local_nucleus.ports import CloudLink
from simulator.run.latencies import LatencyByEnd

ALWAYS_MS: Final = 0  # of an event, which is waited for whenever it was


class Meter:
    """Counts of all links of a run, and the seconds from the end of each window to its acknowledgement.

    Windows that end after `latency_until_s` (epoch seconds) are not timed: silence closes the last ones.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.messages = 0
        self.message_bytes = 0
        self.metered = Metered()
        self.refused = 0
        self.stored_windows = 0
        self.latency_until_s = 0.0
        self.latencies_s: list[float] = []
        self.latency_by_end = LatencyByEnd()

    def published(self, topic: str, payload: bytes) -> None:
        with self._lock:
            self.messages += 1
            self.message_bytes += len(payload) + len(topic)
            self.metered.add(topic, len(payload))

    def stored(self, end_s: float) -> None:
        now_s = time.time()
        with self._lock:
            self.stored_windows += 1
            if end_s <= self.latency_until_s:
                self.latencies_s.append(now_s - end_s)
                self.latency_by_end.add(end_s, now_s - end_s)

    def was_refused(self) -> None:
        with self._lock:
            self.refused += 1


class Connection(CloudLink, Protocol):
    """A gateway's connection to what stands behind it. `DeviceConnection` is the one over MQTT."""

    def close(self) -> None:
        """Disconnect for good. Idempotent."""
        ...


class MeteredLink:
    """Implements the nucleus's CloudLink over a connection, and reads along.

    The time of an acknowledgement is an upper bound of the time at which the window was in the table.

    Attributes
    ----------
    acknowledged_starts_ms : starts of the windows of which an edition was acknowledged
    acknowledged_ends_ms : ends of the intervals of which a summary of sensors was acknowledged
    """

    def __init__(self, connection: Connection, gateway: str, meter: Meter) -> None:
        self._connection = connection
        self._subscriptions: list[tuple[str, Callable[[str, bytes], None]]] = []
        self._windows_topic = topics.uplink("windows", gateway)
        self._sensors_topic = topics.uplink("sensors", gateway)
        self._events_topic = topics.uplink("events", gateway)
        self._acks_topic = topics.acks(gateway)
        self._meter = meter
        self._ends_s: dict[tuple[int, int], float] = {}  # (epoch, sequence) -> end of the window, first edition only
        self._lock = threading.Lock()
        self._sent: dict[tuple[int, int], tuple[str, int]] = {}  # likewise, but every message -> topic, instant of it
        self._settled_messages: set[tuple[int, int]] = set()
        self.acknowledged_starts_ms: set[int] = set()
        self.acknowledged_ends_ms: set[int] = set()

    def unacknowledged(self, until_ms: int) -> int:
        """Messages that were published and of which the cloud has said nothing yet.

        Not those of windows that start after `until_ms`: silence goes on closing windows for ever.
        """
        with self._lock:
            return sum(at_ms <= until_ms for _, at_ms in self._sent.values())

    @property
    def in_flight(self) -> int:
        """Messages that were published over a connection that stands, and of which the cloud has said nothing yet."""
        return len(self._sent) if self.connected else 0

    @property
    def connected(self) -> bool:
        return self._connection.connected

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:
        self._meter.published(topic, payload)
        if topic == self._windows_topic:
            window = messages_pb2.WindowSummary.FromString(payload)
            self._note((window.epoch_ms, window.sequence), topic, window.window_start_ms)
            if window.revision == 0:
                end_s = (window.window_start_ms + window.window_ms) / 1000
                self._ends_s.setdefault((window.epoch_ms, window.sequence), end_s)
        elif topic == self._sensors_topic:
            summary = messages_pb2.SensorSummary.FromString(payload)
            end_ms = summary.interval_start_ms + summary.interval_ms
            self._note((summary.epoch_ms, summary.sequence), topic, end_ms)
        elif topic == self._events_topic:
            event = decode_event(payload)
            self._note((event.epoch_ms, event.sequence), topic, ALWAYS_MS)
        future = self._connection.publish(topic, payload, qos)
        future.add_done_callback(self._settled)
        return future

    def subscribe(self, topic_filter: str, handler: Callable[[str, bytes], None]) -> Future[None]:
        def read_along(topic: str, payload: bytes) -> None:
            if topic == self._acks_topic:
                ack = decode_ack(payload)
                for sequence in (*ack.stored, *(refused for refused, _ in ack.refused)):
                    self._settle((ack.epoch_ms, sequence))
                for sequence in ack.stored:
                    end_s = self._ends_s.pop((ack.epoch_ms, sequence), None)
                    if end_s is not None:
                        self._meter.stored(end_s)
            handler(topic, payload)

        self._subscriptions.append((topic_filter, read_along))
        return self._connection.subscribe(topic_filter, read_along)

    def renew(self) -> None:
        """Ask for all subscriptions again: a broker may have lost them without a word."""
        for topic_filter, handler in self._subscriptions:
            self._connection.subscribe(topic_filter, handler)

    def on_state(self, callback: Callable[[bool], None]) -> None:
        self._connection.on_state(callback)

    def close(self) -> None:
        self._connection.close()

    def _note(self, message: tuple[int, int], topic: str, at_ms: int) -> None:
        """A repetition of what was acknowledged, under way when the acknowledgement came, is nothing to wait for."""
        with self._lock:
            if message not in self._settled_messages:
                self._sent[message] = topic, at_ms

    def _settle(self, message: tuple[int, int]) -> None:
        with self._lock:
            self._settled_messages.add(message)
            topic, at_ms = self._sent.pop(message, ("", 0))
            if topic == self._windows_topic:
                self.acknowledged_starts_ms.add(at_ms)
            elif topic == self._sensors_topic:
                self.acknowledged_ends_ms.add(at_ms)

    def _settled(self, future: Future[None]) -> None:
        if isinstance(future.exception(), PublishRefused):
            self._meter.was_refused()


class _Link(Protocol):
    @property
    def connected(self) -> bool: ...

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]: ...


class LinkPublisher:
    """Implements the uplink's Publisher for a gateway in this process.

    Attributes
    ----------
    delay_ms : how much later than handed over a message leaves; 0 refuses them all, None is no fault
    """

    def __init__(self, link: _Link, steady_ms: Callable[[], int]) -> None:
        self._link = link
        self._steady_ms = steady_ms
        self.delay_ms: float | None = None
        self._held: deque[tuple[float, str, bytes]] = deque()  # with when each is due

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        """Hand on without waiting; only an acknowledgement from the cloud says that a message arrived."""
        if self.delay_ms == 0:
            raise BusUnavailableError("throttled")
        if self.delay_ms is not None:
            self._held.append((self._steady_ms() + self.delay_ms, topic, payload))
            return
        self._hand_on(topic, payload)

    def pump(self) -> float:
        """Hand on what was held for long enough; when to look again, in milliseconds of the steady clock."""
        while self._held and (self.delay_ms is None or self._held[0][0] <= self._steady_ms()):
            _, topic, payload = self._held.popleft()
            try:
                self._hand_on(topic, payload)
            except (BusUnavailableError, BusRefusedError):
                continue  # it was taken, so it is lost like any that breaks off on its way: the uplink sends it again
        return self._held[0][0] if self._held else float("inf")

    def _hand_on(self, topic: str, payload: bytes) -> None:
        if not self._link.connected:
            raise BusUnavailableError("offline")
        try:
            future = self._link.publish(topic, payload)
        except PublishRefused as error:
            raise BusRefusedError(str(error)) from error
        except DeviceConnectionError as error:
            raise BusUnavailableError(str(error)) from error
        if future.done() and isinstance(future.exception(), DeviceConnectionError):
            raise BusUnavailableError(str(future.exception()))
