"""A component's status: what is counted is told, in time, and nothing stops the component over it."""

from dataclasses import dataclass

import pytest

from roadside import VERSION
from roadside.contract.status import INTERVAL_MS, MAX_COUNTERS, Status, decode_status
from roadside.contract.summary import MAX_INTEGER
from roadside.runtime.clock import ManualClock
from roadside.runtime.ports import BusClosedError, BusRefusedError, BusUnavailableError
from roadside.runtime.status import LEFT_OUT, StatusTeller, counters_of

NAME = "city.roadside.Aggregator"
NUCLEUS_LITE_BYTES = 7000


class LocalBus:
    """Implements LocalPublisher; `error` is what it answers with."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.payloads: list[bytes] = []

    def publish_local(self, topic: str, payload: bytes) -> None:
        assert topic == f"roadside/v1/status/{NAME}"
        if self.error is not None:
            raise self.error
        self.payloads.append(payload)

    @property
    def last(self) -> Status:
        return decode_status(self.payloads[-1])


@dataclass(frozen=True, slots=True)
class Part:
    sent: int
    note: str


@dataclass(frozen=True, slots=True)
class Whole:
    windows: int
    rejected: dict[str, int]
    share: float
    active: bool
    part: Part


def test_every_count_of_nested_statistics_gets_a_name_and_nothing_else_does() -> None:
    statistics = Whole(3, {"Too late!": 2, "": 1}, 0.5, True, Part(7, "text"))
    assert counters_of(statistics) == {"windows": 3, "rejected.too_late": 2, "rejected": 1, "part.sent": 7}


def test_what_no_status_can_hold_is_bounded() -> None:
    assert counters_of({"big": 1 << 60, "negative": -1}) == {"big": MAX_INTEGER}
    assert counters_of({"n" * 50: 1, "n" * 49: 2}) == {"n" * 48: 3}
    many = counters_of({f"counter_{number:040d}": MAX_INTEGER for number in range(200)})
    assert len(many) == MAX_COUNTERS
    assert many[LEFT_OUT] == 200 - (MAX_COUNTERS - 1)


def test_largest_status_passes_nucleus_lite() -> None:
    bus = LocalBus()
    counters = {f"{number:048d}": MAX_INTEGER for number in range(200)}
    StatusTeller(NAME, bus, ManualClock(MAX_INTEGER)).tell("stopping", counters)
    assert len(bus.last.counters) == MAX_COUNTERS
    assert len(bus.payloads[-1]) <= NUCLEUS_LITE_BYTES


def test_status_is_told_at_once_and_then_at_its_beat_whatever_the_wall_clock_does() -> None:
    bus, clock = LocalBus(), ManualClock(1_000_000)
    teller = StatusTeller(NAME, bus, clock, lambda: {"readings": 4})
    assert teller.tell_if_due("idle", dict) == INTERVAL_MS
    clock.step_wall(-3_600_000)
    clock.advance(INTERVAL_MS - 1)
    assert teller.tell_if_due("idle", dict) == INTERVAL_MS
    assert len(bus.payloads) == 1
    clock.advance(1)
    assert teller.tell_if_due("running", lambda: {"windows": 1}) == 2 * INTERVAL_MS
    counters = {"inbox_shed.readings": 4, "windows": 1}
    assert bus.last == Status(NAME, VERSION, "running", 1_000_000, 2, INTERVAL_MS, counters)


@pytest.mark.parametrize("error", [BusUnavailableError("busy"), BusRefusedError("not authorised")])
def test_status_that_the_nucleus_does_not_take_stops_nothing_and_the_next_one_is_told(error: Exception) -> None:
    bus, clock = LocalBus(), ManualClock(0)
    teller = StatusTeller(NAME, bus, clock)
    bus.error = error
    teller.tell_if_due("running", dict)
    bus.error = None
    clock.advance(INTERVAL_MS)
    teller.tell_if_due("running", dict)
    assert bus.last.sequence == 2


def test_lost_connection_is_told_to_the_component_but_not_at_its_end() -> None:
    bus = LocalBus()
    teller = StatusTeller(NAME, bus, ManualClock(0))
    bus.error = BusClosedError("gone")
    with pytest.raises(BusClosedError):
        teller.tell_if_due("running", dict)
    teller.tell_the_end(dict)
