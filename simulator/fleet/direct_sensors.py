"""The sensors of the first design: each has a connection of its own and publishes every reading by itself."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Final

import numpy as np

from roadside.contract import topics
from simulator.faults.delivery import Readings
from simulator.fleet.feed import CityFeed, compact_json, documents
from simulator.fleet.link import Connection, Meter

CONNECTING_AT_ONCE: Final = 16
TOO_LATE_S: Final = 20.0  # an answer that is older than this is not waited for: keep-alives would fail next


class DirectSensors:
    """Use as a context manager: entering connects all of them, leaving closes the connections.

    Parameters
    ----------
    sensor_ids : by sensor number
    connect : makes the connection of the sensor of that name; called from several threads
    on_connected : called after each

    Attributes
    ----------
    meter : what was published
    failed : publishes that were refused, or whose connection ended before the broker had answered
    client_lag_s : by how much the last reading was handed over late
    """

    def __init__(
        self,
        sensor_ids: Mapping[int, str],
        connect: Callable[[str], Connection],
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        self.meter = Meter()
        self.failed = self.acknowledged = 0
        self.acknowledged_after_s: list[float] = []
        self.client_lag_s = 0.0
        self._ids = sensor_ids
        self._connect = connect
        self._on_connected = on_connected
        self._connections: dict[int, Connection] = {}
        self._lock = threading.Lock()
        self._under_way: dict[int, float] = {}  # number of the message -> when it was published; the oldest comes first
        self._closing = ExitStack()

    def __enter__(self) -> "DirectSensors":
        try:
            with ThreadPoolExecutor(CONNECTING_AT_ONCE) as pool:
                self._connections = dict(zip(self._ids, pool.map(self._connected, self._ids.values()), strict=True))
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def run(
        self,
        feed: CityFeed,
        start_ms: int,
        duration_s: int,
        on_second: Callable[[int], None],
        is_over: Callable[[], bool] = lambda: False,
        on_published: Callable[[str, int, int], None] = lambda _sensor_id, _timestamp_ms, _due_ms: None,
    ) -> None:
        """Publish every reading at its instant, late ones at the start of the second in which they come.

        When the broker is so far behind that connections would break next, no further reading is made: what is under
        way shall arrive. `feed.seconds` tells how many were.

        Parameters
        ----------
        on_second : called with the number of each second when it is over
        is_over : whether the readings shall end before `duration_s`
        on_published : called with each reading's sensor and timestamp, and the instant at which it was due
        """
        second = 0
        while second < duration_s or not feed.exhausted:
            if second < duration_s:
                feed.draw(second)
            self._publish_second(feed.arrivals(second), start_ms + 1000 * second, on_published)
            _sleep_until((start_ms + 1000 * (second + 1)) / 1000)
            on_second(second)
            second += 1
            if second < duration_s and (is_over() or self.broker_lag_s > TOO_LATE_S):
                duration_s = second
                feed.cut()

    @property
    def broker_lag_s(self) -> float:
        """For how long the oldest message that the broker has not answered has been under way."""
        with self._lock:
            oldest_s = next(iter(self._under_way.values()), None)
        return 0.0 if oldest_s is None else time.monotonic() - oldest_s

    @property
    def under_way(self) -> int:
        """Messages that the broker has not answered."""
        with self._lock:
            return len(self._under_way)

    def _connected(self, sensor_id: str) -> Connection:
        connection = self._connect(sensor_id)
        self._closing.callback(connection.close)
        self._on_connected()
        return connection

    def _publish_second(
        self, readings: Readings, second_ms: int, on_published: Callable[[str, int, int], None]
    ) -> None:
        due_ms = np.maximum(readings.timestamp_ms, second_ms)
        order = np.argsort(due_ms, kind="stable")
        readings = readings.rows(order)
        for sensor, at_ms, document in zip(
            readings.sensor.tolist(), due_ms[order].tolist(), documents(readings, self._ids), strict=True
        ):
            _sleep_until(at_ms / 1000)
            self.client_lag_s = time.time() - at_ms / 1000
            self._publish(sensor, compact_json(document))
            on_published(document["sensor_id"], document["timestamp"], at_ms)

    def _publish(self, sensor: int, payload: bytes) -> None:
        topic = topics.direct_reading(self._ids[sensor])
        number = self.meter.messages
        self.meter.published(topic, payload)
        with self._lock:
            self._under_way[number] = time.monotonic()
        self._connections[sensor].publish(topic, payload).add_done_callback(partial(self._answered, number))

    def _answered(self, number: int, future: Future[None]) -> None:
        with self._lock:
            after_s = time.monotonic() - self._under_way.pop(number)
            if future.exception() is None:
                self.acknowledged += 1
                self.acknowledged_after_s.append(after_s)
            else:
                self.failed += 1


def _sleep_until(at_s: float) -> None:
    """Sleep, unless it is past that already: a run that is behind does not wait."""
    left_s = at_s - time.time()
    if left_s > 0:
        time.sleep(left_s)
