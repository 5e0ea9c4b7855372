"""The memory target: the rules by which the cloud keeps, acknowledges and refuses, without a cloud."""

from __future__ import annotations

from typing import Any

from roadside.contract import topics
from roadside.contract.codec import decode_ack, encode_window
from roadside.contract.events import CongestionEvent, encode_event
from roadside.contract.sensors import SensorSummary, encode_sensors
from roadside.contract.sketch_bins import bin_of, pace_ms_per_km
from roadside.contract.summary import Ack, SegmentSummary, SpeedSketch, WindowSummary
from simulator.fleet.mqtt import PublishRefused
from simulator.run.memory_target import MemoryTarget
from simulator.run.options import Break

GATEWAY = "gw-7"
START_MS = 1_800_000_000_000
WINDOWS = topics.uplink("windows", GATEWAY)


class Device:
    """A gateway's connection to a new target, and the acknowledgements that came."""

    def __init__(self) -> None:
        self.target = MemoryTarget()
        self.acks: list[Ack] = []
        self.connection = self.target.connect(GATEWAY)
        self.connection.subscribe(topics.acks(GATEWAY), lambda _topic, payload: self.acks.append(decode_ack(payload)))

    def send(self, kind: topics.CloudKind, payload: bytes) -> None:
        assert self.connection.publish(topics.uplink(kind, GATEWAY), payload).exception() is None


def window(sequence: int, revision: int = 0, gateway: str = GATEWAY, **changes: Any) -> bytes:
    values = {"window_ms": 10_000, "segments": (SegmentSummary(1, readings_accepted=sequence),), **changes}
    return encode_window(WindowSummary(gateway, 1, sequence, START_MS, revision=revision, **values))


def test_of_a_window_the_highest_revision_is_kept_whatever_the_order_and_each_is_acknowledged() -> None:
    device = Device()
    for sequence, revision in ((1, 0), (3, 2), (2, 1), (1, 0)):
        device.send("windows", window(sequence, revision))
    [stored] = device.target.windows()[GATEWAY, START_MS]
    assert (stored.revision, stored.segments[0].readings_accepted) == (2, 3)
    assert [ack.stored for ack in device.acks] == [(1,), (3,), (2,), (1,)]


def test_windows_of_two_epochs_are_two() -> None:
    device = Device()
    device.send("windows", window(1))
    device.send("windows", encode_window(WindowSummary(GATEWAY, 2, 1, START_MS, window_ms=10_000, segments=())))
    assert [stored.epoch_ms for stored in device.target.windows()[GATEWAY, START_MS]] == [1, 2]


def test_a_message_in_anothers_name_is_refused_and_not_kept() -> None:
    device = Device()
    device.send("windows", window(5, gateway="gw-8"))
    assert (device.target.windows(), device.target.parked) == ({}, 1)
    [(sequence, reason)] = device.acks[0].refused
    assert (sequence, reason) == (5, "the body names gateway 'gw-8', the topic 'gw-7'")


def test_bytes_that_are_no_message_are_parked_and_answered_with_silence() -> None:
    device = Device()
    device.send("windows", b"\xff\xff")
    assert (device.target.parked, device.acks) == (1, [])


def test_events_are_told_once_however_often_they_come() -> None:
    device = Device()
    event = CongestionEvent("CongestionStarted", GATEWAY, 1, 4, "s-1", 1, START_MS, START_MS, 20.0, 0.4, 70)
    device.send("events", encode_event(event))
    device.send("events", encode_event(event))
    events = device.target.events
    assert (events.count, events.repeated, [told["event_id"] for told in events.events()]) == (1, 1, [event.event_id])


def test_summaries_of_sensors_are_kept_by_part() -> None:
    device = Device()
    device.send("sensors", encode_sensors(SensorSummary(GATEWAY, 1, 5, START_MS, 20_000, ())))
    assert [summary.sequence for summary in device.target.sensors()] == [5]


def test_a_topic_that_no_gateway_may_use_is_refused() -> None:
    device = Device()
    assert isinstance(
        device.connection.publish(topics.uplink("windows", "gw-8"), window(1)).exception(), PublishRefused
    )


def test_damage_takes_a_window_away_or_makes_one_of_its_sums_wrong() -> None:
    device = Device()
    seen = SegmentSummary(
        1,
        sketch=SpeedSketch(bin_of(480), (2,)),
        speed_sum_dkmh=960,
        pace_sum_ms_per_km=2 * pace_ms_per_km(480),
        speed_square_sum=2 * 480**2,
        speed_min_dkmh=480,
        speed_max_dkmh=480,
    )
    device.send("windows", window(1, segments=(seen,)))
    device.target.damage(Break.WRONG)
    [stored] = device.target.windows()[GATEWAY, START_MS]
    assert stored.segments[0].speed_sum_dkmh == 961
    device.target.damage(Break.MISSING)
    assert not device.target.windows()
