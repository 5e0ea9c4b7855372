"""A gateway's pipeline on a real store, a clock moved by hand, a cloud that works over a bad way, and a naive tally."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from aggregator.health_settings import HealthSettings
from aggregator.pipeline import Pipeline
from aggregator.settings import AggregatorSettings
from roadside.contract import topics
from roadside.contract.codec import decode_window, encode_ack, encode_frame
from roadside.contract.events import CongestionEvent, Event, decode_event
from roadside.contract.sensors import SensorSummary, decode_sensors
from roadside.contract.summary import MAX_INTEGER, Ack, ReadingFrame, SegmentSummary, WindowSummary
from roadside.runtime.outbox import OutboxLimits
from roadside.runtime.ports import BusUnavailableError
from roadside.runtime.segments import SegmentSettings
from roadside.runtime.store import GatewayStore

GATEWAY = "gw-1"
START_MS = 1_800_000_000_000  # divides by every window length below
FRAMES = topics.frames("test")
READINGS = topics.readings("test")


class Reading(NamedTuple):
    """A reading's place; what it tells follows from it, so that a repetition tells the same."""

    sensor: int
    at_ms: int

    @property
    def vehicles(self) -> int:
        return (7 * self.sensor + self.at_ms // 500) % 5

    @property
    def speed_dkmh(self) -> int:
        return (31 * self.sensor + self.at_ms // 500) % 1300

    @property
    def occupancy_permille(self) -> int:
        return (3 * self.sensor + self.at_ms // 500) % 1001


def frame(readings: Iterable[Reading]) -> bytes:
    """The readings, at most 49 days apart, as a frame."""
    listed = list(readings)
    base_ms = min((reading.at_ms for reading in listed), default=0)

    def column(values: list[int], dtype: str) -> bytes:
        return np.array(values, dtype=dtype).tobytes()

    return encode_frame(
        ReadingFrame(
            source="test",
            base_ms=base_ms,
            sensor_number=column([reading.sensor for reading in listed], "<u4"),
            offset_ms=column([reading.at_ms - base_ms for reading in listed], "<u4"),
            vehicle_count=column([reading.vehicles for reading in listed], "<u2"),
            speed_dkmh=column([reading.speed_dkmh for reading in listed], "<u2"),
            occupancy_permille=column([reading.occupancy_permille for reading in listed], "<u2"),
        )
    )


def segment(number: int, *sensors: int, **changes: Any) -> SegmentSettings:
    values: dict[str, Any] = {
        "id": f"segment-{number}",
        "number": number,
        "road_class": "freeway",
        "free_flow_kmh": 100.0,
        "lanes": 2,
        "first_sensor_number": sensors[0],
        "sensors": [f"s{sensor}" for sensor in sensors],
    }
    return SegmentSettings(**values | changes)


# The numbers of the segments tell the layouts apart.
LAYOUTS = {
    "plain": [segment(1, 10, 11), segment(2, 20, 21)],
    "added": [segment(1, 10, 11), segment(2, 20, 21), segment(4, 30, 31)],
    "removed": [segment(2, 20, 21)],
    "renumbered": [segment(3, 20, 21), segment(5, 10, 11)],
}
# Steps of 20 s in which a gateway has to be rid of its messages: in the worst weather half of the tries are in vain,
# and a message is tried every five minutes at last.
PATIENCE = 600
SENSORS = (10, 11, 20, 21, 30, 31)
ALWAYS_KNOWN = (20, 21)  # part of every layout
_SENSORS_OF = {
    tuple(each.number for each in layout): {
        each.number: {each.first_sensor_number + place for place in range(len(each.sensors))} for each in layout
    }
    for layout in LAYOUTS.values()
}


def settings(layout: str = "plain", **changes: Any) -> AggregatorSettings:
    """Sensors are believed whatever they say: these readings are made up, and each of them is to be found again."""
    unjudged = {"health": HealthSettings(enabled=False), "sensor_summary_seconds": 0}
    return AggregatorSettings(**{"segments": LAYOUTS[layout], "correction_seconds": 86_400, **unjudged, **changes})


@dataclass
class Weather:
    """How badly the way to the cloud behaves; shares are of messages."""

    loss: float = 0.0
    repetition: float = 0.0
    unavailable: float = 0.0
    max_delay_ms: int = 0
    gathers: bool = False


@dataclass
class FakeCloud:
    """Stores and acknowledges what arrives, over a bad way there and back. Times are wall times."""

    weather: Weather = field(default_factory=Weather)
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311
    now_ms: int = START_MS
    reachable: bool = True
    messages: dict[tuple[int, int], WindowSummary | SensorSummary | Event] = field(default_factory=dict)
    published: int = 0
    _arriving: list[tuple[int, str, bytes]] = field(default_factory=list)
    _acks: list[tuple[int, bytes]] = field(default_factory=list)
    _to_name: list[tuple[int, Ack]] = field(default_factory=list)  # live windows, and when they were stored
    _next_gathered_ms: int = 0

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        if not self.reachable or self.random.random() < self.weather.unavailable:
            raise BusUnavailableError
        self.published += 1
        self._arriving += [(at_ms, topic, payload) for at_ms in self._travel()]

    def acks(self, now_ms: int) -> list[bytes]:
        """Take what has arrived by now; returns the acknowledgements that have come back."""
        self.now_ms = now_ms
        for item in [item for item in self._arriving if item[0] <= now_ms]:
            self._arriving.remove(item)
            ack, waits = self._store(*item[1:])
            if waits:
                self._to_name.append((now_ms, ack))
            else:
                self._acks += [(at_ms, encode_ack(ack)) for at_ms in self._travel()]
        if self.weather.gathers and now_ms >= self._next_gathered_ms:
            self._gather(now_ms)
        back = [item for item in self._acks if item[0] <= now_ms]
        for pair in back:
            self._acks.remove(pair)
        self.random.shuffle(back)
        return [payload for _, payload in back]

    def next_ms(self) -> int | None:
        due = [item[0] for item in self._arriving] + [item[0] for item in self._acks]
        return min([*due, self._next_gathered_ms] if self._to_name else due, default=None)

    def windows(self, last: int | None = None) -> list[WindowSummary]:
        """What was stored of windows, in the order of sequences, up to the sequence `last`."""
        stored = [message for _, message in sorted(self.messages.items()) if isinstance(message, WindowSummary)]
        return [window for window in stored if last is None or window.sequence <= last]

    def events(self) -> list[CongestionEvent]:
        return [message for _, message in sorted(self.messages.items()) if isinstance(message, CongestionEvent)]

    def _gather(self, now_ms: int) -> None:
        """One ack for what was stored of an epoch in the last four and a half minutes, every fourth minute."""
        self._next_gathered_ms = now_ms + 240_000
        self._to_name = [(at_ms, ack) for at_ms, ack in self._to_name if at_ms > now_ms - 270_000]
        for epoch_ms in {ack.epoch_ms for _, ack in self._to_name}:
            stored = tuple(ack.stored[0] for _, ack in self._to_name if ack.epoch_ms == epoch_ms)
            gathered = encode_ack(Ack(epoch_ms, stored, gathered=True))
            self._acks += [(at_ms, gathered) for at_ms in self._travel()]
        self._to_name = [(at_ms, ack) for at_ms, ack in self._to_name if at_ms > now_ms - 30_000]

    def _store(self, topic: str, payload: bytes) -> tuple[Ack, bool]:
        """The ack of a message, and whether it waits to be gathered: live windows do that are news."""
        message: WindowSummary | SensorSummary | Event
        waits = False
        if topic == topics.uplink("windows", GATEWAY):
            window = decode_window(payload)
            message = replace(window, backfill=False)
            is_news = (window.epoch_ms, window.sequence) not in self.messages
            waits = self.weather.gathers and is_news and not window.backfill and not window.revision
        elif topic == topics.uplink("sensors", GATEWAY):
            message = decode_sensors(payload)
        else:
            assert topic == topics.uplink("events", GATEWAY)
            message = decode_event(payload)
        known = self.messages.setdefault((message.epoch_ms, message.sequence), message)
        assert known == message, "one sequence, two contents"
        return Ack(message.epoch_ms, stored=(message.sequence,)), waits

    def _travel(self) -> list[int]:
        copies = 0 if self.random.random() < self.weather.loss else 1
        copies += self.random.random() < self.weather.repetition
        return [self.now_ms + self.random.randint(0, self.weather.max_delay_ms) for _ in range(copies)]


class Gateway:
    """A pipeline run as the service runs it: `tick` after every message and when it asked to be called."""

    def __init__(
        self,
        configured: AggregatorSettings,
        cloud: FakeCloud | None = None,
        path: Path | None = None,
        limits: OutboxLimits | None = None,
    ) -> None:
        self.cloud = cloud or FakeCloud()
        self._limits = limits
        self.settings = configured
        self.wall_ms = START_MS
        self.clock_off_ms = 0  # by which the gateway's own wall clock is off
        self.steady_ms = 1000
        self._boots = 0
        self._path = path
        self.store = GatewayStore.open(path, START_MS, limits)
        self._start()

    def _start(self) -> None:
        # The segments come after the state, as in the component.
        self.pipeline = Pipeline(
            GATEWAY,
            self.store,
            self.cloud,
            AggregatorSettings(),
            steady_ms=self.steady_ms,
            boot_id=f"boot-{self._boots}",
        )
        self.pipeline.apply(self.settings)
        self.tick()

    @property
    def clock_ms(self) -> int:
        """What the gateway's wall clock shows."""
        return self.wall_ms + self.clock_off_ms

    def tick(self) -> None:
        self.wake_ms = self.pipeline.tick(self.clock_ms, self.steady_ms)
        assert self.wake_ms > self.steady_ms, "it asks to be called again at once, though all that was due is done"

    def receive(self, *readings: Reading) -> None:
        self.receive_payload(FRAMES, frame(readings))

    def receive_payload(self, topic: str, payload: bytes) -> None:
        self.pipeline.receive(topic, payload, self.clock_ms, self.steady_ms)
        self.tick()

    def apply(self, configured: AggregatorSettings) -> None:
        self.settings = configured
        self.pipeline.apply(configured)
        self.tick()

    def pass_time(self, by_ms: int) -> None:
        end_ms = self.wall_ms + by_ms
        while True:
            for ack in self.cloud.acks(self.wall_ms):
                self.pipeline.on_ack(ack, self.clock_ms)
                self.tick()
            if self.wake_ms <= self.steady_ms:
                self.tick()
            if self.wall_ms >= end_ms:
                return
            cloud_ms = self.cloud.next_ms()
            step_ms = min(end_ms - self.wall_ms, self.wake_ms - self.steady_ms)
            if cloud_ms is not None:
                step_ms = min(step_ms, max(1, cloud_ms - self.wall_ms))
            self.wall_ms += step_ms
            self.steady_ms += step_ms

    def crash(self, configured: AggregatorSettings | None = None, *, down_ms: int = 100, reboots: bool = True) -> None:
        """Drop the process's memory; another begins, on a machine whose steady clock has begun anew if it reboots."""
        self.settings = configured or self.settings
        self.wall_ms += down_ms
        self.steady_ms = 7 if reboots else self.steady_ms + down_ms
        self._boots += reboots
        if self._path is not None:
            self.store.close()
            self.store = GatewayStore.open(self._path, self.clock_ms, self._limits)
            assert self.store.quarantined is None
        self._start()

    def fill_disk(self) -> None:
        pages = self.store._database.query("PRAGMA page_count")[0][0]
        self.store._database.query(f"PRAGMA max_page_count = {pages}")

    def empty_disk(self) -> None:
        self.store._database.query("PRAGMA max_page_count = 1000000")

    def finish(self) -> int:
        """Close every window and let the cloud have all messages up to the sequence that is returned.

        Windows without readings go on closing meanwhile; they have higher sequences.
        """
        self.pipeline.drain(self.clock_ms)
        self.tick()
        last = max((header.sequence for header in self.store.outbox.headers()), default=0)
        last = max(last, *(sequence for _, sequence in self.cloud.messages), 0, 0)
        for _ in range(PATIENCE):
            if all(header.sequence > last for header in self.store.outbox.headers()):
                return last
            self.pass_time(20_000)
        raise AssertionError("the outbox does not drain")

    def finish_windows(self) -> None:
        """Close every window and let the cloud have all of them that hold readings, as they are or merged."""
        self.pipeline.drain(self.clock_ms)
        self.tick()
        end_ms = max((window.key.start_ms for window in self.store.outbox.windows(0, MAX_INTEGER)), default=0) + 1
        for _ in range(PATIENCE):
            # Dead letters that were revived no longer tell which window they are of.
            unplaced = "SELECT 1 FROM outbox WHERE kind = 'windows' AND start_ms IS NULL LIMIT 1"
            if not self.store.outbox.windows(0, end_ms) and not self.store._database.query(unplaced):
                return
            self.pass_time(20_000)
        raise AssertionError("the outbox does not drain")


def last_editions(windows: list[WindowSummary]) -> dict[int, WindowSummary]:
    """The last edition of each window by start, after checking that editions and windows follow their laws."""
    editions = defaultdict[int, list[WindowSummary]](list)
    for window in windows:  # in the order of sequences
        editions[window.window_start_ms].append(window)
    for of_one in editions.values():
        assert [window.revision for window in of_one] == list(range(len(of_one))), "each edition once, in order"
        assert len({window.window_ms for window in of_one}) == 1
    last = {start_ms: editions[start_ms][-1] for start_ms in sorted(editions)}
    ordered = list(last.values())
    for earlier, later in pairwise(ordered):
        assert earlier.window_end_ms <= later.window_start_ms, "windows overlap"
    return last


def expected_segment(number: int, readings: Iterable[Reading], interval_ms: int = 1000) -> dict[str, int | None]:
    """What a segment's summary has to say of these readings, added up one by one."""
    listed = list(readings)
    moving = [reading for reading in listed if reading.vehicles]
    speeds = [reading.speed_dkmh for reading in moving]
    return {
        "number": number,
        "vehicle_count": sum(reading.vehicles for reading in listed),
        "speed_sum_dkmh": sum(reading.vehicles * reading.speed_dkmh for reading in listed),
        "speed_square_sum": sum(reading.vehicles * reading.speed_dkmh**2 for reading in listed),
        "speed_min_dkmh": min(speeds, default=None),
        "speed_max_dkmh": max(speeds, default=None),
        "occupied_ms": sum(reading.occupancy_permille * interval_ms // 1000 for reading in listed),
        "observed_ms": interval_ms * len(listed),
        "readings_accepted": len(listed),
        "sensors_reporting": len({reading.sensor for reading in listed}),
    }


def told(summary: SegmentSummary) -> dict[str, int | None]:
    return {name: getattr(summary, name) for name in expected_segment(0, [])}


def check_windows(
    windows: list[WindowSummary],
    certain: set[Reading],
    perhaps: set[Reading] = frozenset(),  # type: ignore[assignment]
    *,
    interval_ms: int = 1000,
    may_be_merged: bool = False,
) -> None:
    """The last editions hold exactly the readings; of those that were at risk in a crash, any number.

    Of a merged window it is not known how many sensors reported in all.
    """
    last = last_editions(windows)
    covered = set[Reading]()
    by_minute = defaultdict[int, list[Reading]](list)
    for reading in certain | perhaps:
        by_minute[reading.at_ms // 60_000].append(reading)
    for window in last.values():
        sensors_of = _SENSORS_OF[tuple(summary.number for summary in window.segments)]
        minutes = range(window.window_start_ms // 60_000, -(-window.window_end_ms // 60_000))
        near = (reading for minute in minutes for reading in by_minute[minute])
        inside = {r for r in near if window.window_start_ms <= r.at_ms < window.window_end_ms}
        covered |= inside
        for summary in window.segments:
            here = {reading for reading in inside if reading.sensor in sensors_of[summary.number]}
            if here & perhaps:
                surely = len(here - perhaps)
                assert surely <= summary.readings_accepted <= len(here)
            else:
                found, expected = told(summary), expected_segment(summary.number, here, interval_ms)
                if may_be_merged:
                    sensors, most = found.pop("sensors_reporting"), expected.pop("sensors_reporting")
                    assert sensors is not None
                    assert most is not None
                    assert bool(here) <= sensors <= most
                assert found == expected
    nowhere = {reading for reading in certain - covered if reading.sensor in ALWAYS_KNOWN}
    assert not nowhere, f"no window has {sorted(nowhere)[:5]}"
