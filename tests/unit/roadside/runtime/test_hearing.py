import pytest

from roadside.runtime.hearing import Hearing
from roadside.runtime.ports import BusClosedError, BusUnavailableError, Side


class Bus:
    def __init__(self, fault: Exception | None = None) -> None:
        self.renewed: list[Side] = []
        self._fault = fault

    def renew(self, side: Side) -> None:
        self.renewed.append(side)
        if self._fault is not None:
            raise self._fault


def renewals_at(hearing: Hearing, bus: Bus, until_ms: int) -> list[int]:
    times = []
    for silent_ms in range(0, until_ms, 10):
        before = len(bus.renewed)
        hearing.look(silent_ms, bus)
        if len(bus.renewed) > before:
            times.append(silent_ms)
    return times


def test_silence_is_mended_at_doubling_intervals_and_ends_in_giving_up() -> None:
    hearing, bus = Hearing("echoes", "local", 100, 1000), Bus()
    assert renewals_at(hearing, bus, 1000) == [100, 200, 400, 800]
    with pytest.raises(BusClosedError, match="echoes"):
        hearing.look(1000, bus)
    assert hearing.renewals == 4


def test_after_something_was_heard_it_begins_anew() -> None:
    hearing, bus = Hearing("acks", "cloud", 100, 1000), Bus()
    for _ in range(3):
        assert renewals_at(hearing, bus, 150) == [100]


def test_a_process_that_stood_still_renews_before_it_gives_up() -> None:
    hearing, bus = Hearing("acks", "cloud", 100, 1000), Bus()
    hearing.look(50_000, bus)
    assert bus.renewed == ["cloud"]


def test_a_renewal_that_fails_is_tried_again_and_a_closed_bus_is_told() -> None:
    assert renewals_at(Hearing("acks", "cloud", 100, 1000), Bus(BusUnavailableError()), 500) == [100, 200, 400]
    with pytest.raises(BusClosedError):
        Hearing("acks", "cloud", 100, 1000).look(100, Bus(BusClosedError()))
