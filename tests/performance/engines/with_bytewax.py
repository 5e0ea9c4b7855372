"""bytewax: a flow of arrays of readings, decoded by msgspec, folded in event-time windows by segment."""

import csv
import importlib.metadata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.testing import TestingSink, TestingSource, run_main

from tests.performance.engines import WINDOW_MS, Rows, read_messages

VERSION = importlib.metadata.version("bytewax")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reading(msgspec.Struct, gc=False):
    sensor_id: str
    timestamp: int
    vehicle_count: int
    average_speed_kmh: float
    occupancy: float


class Group:
    """What is known of one segment in one window."""

    __slots__ = ("fastest", "occupancy", "readings", "seen", "slowest", "speed_sum", "speeds", "square_sum", "vehicles")

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self.readings = self.vehicles = self.speed_sum = self.square_sum = self.occupancy = 0
        self.slowest, self.fastest = 9999, -1
        self.speeds: list[int] = []


def fold(group: Group, reading: Reading) -> Group:
    identity = (reading.sensor_id, reading.timestamp)
    if identity in group.seen:
        return group
    group.seen.add(identity)
    group.readings += 1
    group.occupancy += round(reading.occupancy * 1000)
    count = reading.vehicle_count
    if count:
        speed = round(reading.average_speed_kmh * 10)
        group.vehicles += count
        group.speed_sum += count * speed
        group.square_sum += count * speed * speed
        group.slowest = min(group.slowest, speed)
        group.fastest = max(group.fastest, speed)
        group.speeds += [speed] * count
    return group


def result(item: tuple[str, tuple[int, Group]]) -> tuple[str, int, list[float | None]]:
    segment, (window, group) = item
    speeds, last = sorted(group.speeds), group.vehicles - 1
    told = [group.slowest, group.fastest] if speeds else [None, None]
    percentiles = [speeds[last * 50 // 100], speeds[last * 85 // 100]] if speeds else [None, None]
    sums = [group.readings, group.vehicles, group.speed_sum, group.square_sum]
    return segment, window, [*sums, *told, group.occupancy, *percentiles]


def prepare(directory: Path, variant: str) -> Callable[[], list[Any]]:
    received = read_messages(directory / f"{variant}.messages")
    with (directory / "sensors.csv").open() as lines:
        segment_of = {row["sensor_id"]: row["segment"] for row in csv.DictReader(lines)}
    decode = msgspec.json.Decoder(list[Reading]).decode
    moment_of = datetime.fromtimestamp
    sensor_of = attrgetter("sensor_id")
    clock = windowing.EventClock(
        ts_getter=lambda reading: moment_of(reading.timestamp / 1000, UTC),
        wait_for_system_duration=timedelta(seconds=2),
    )
    windower = windowing.TumblingWindower(length=timedelta(milliseconds=WINDOW_MS), align_to=EPOCH)

    def merge(one: Group, other: Group) -> Group:
        raise AssertionError("tumbling windows do not merge")

    def turn() -> list[Any]:
        found: list[Any] = []
        flow = Dataflow("bench")
        arrays = op.input("arrays", flow, TestingSource(received, batch_size=1))
        readings = op.flat_map("decode", arrays, decode)
        keyed = op.key_on("segment", readings, lambda reading: segment_of[sensor_of(reading)])
        windows = windowing.fold_window("window", keyed, clock, windower, Group, fold, merge, ordered=False)
        op.output("out", op.map("result", windows.down, result), TestingSink(found))
        run_main(flow)
        return found

    return turn


def rows(found: list[Any]) -> Rows:
    return {f"{window * WINDOW_MS}/{segment}": values for segment, window, values in found}
