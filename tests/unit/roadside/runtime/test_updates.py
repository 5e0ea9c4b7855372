"""The answer to an update: go on when all is safe, later when not, and not for ever."""

from collections.abc import Callable

import pytest

from roadside.runtime.clock import ManualClock
from roadside.runtime.ports import BusClosedError, BusUnavailableError
from roadside.runtime.updates import PATIENCE_MS, RECHECK_MS, UpdateGate


class Nucleus:
    """Takes answers, or raises."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, int]] = []
        self.error: Exception | None = None

    def on_update(self, ask: Callable[[str], None]) -> None:
        raise NotImplementedError

    def answer_update(self, deployment_id: str, defer_ms: int) -> None:
        if self.error is not None:
            raise self.error
        self.answers.append((deployment_id, defer_ms))


class Bench:
    def __init__(self) -> None:
        self.nucleus, self.clock, self.settled = Nucleus(), ManualClock(0, 1000), True
        self.gate = UpdateGate(self.nucleus, self.clock, lambda: self.settled)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_update_goes_on_as_soon_as_all_is_safe(bench: Bench) -> None:
    bench.settled = False
    bench.gate.answer("a")
    bench.settled = True
    bench.gate.answer("a")
    assert bench.nucleus.answers == [("a", RECHECK_MS), ("a", 0)]


def test_update_is_put_off_for_the_patience_and_no_longer_and_the_next_one_begins_anew(bench: Bench) -> None:
    bench.settled = False
    bench.gate.answer("a")
    bench.clock.advance(PATIENCE_MS - 1)
    bench.gate.answer("a")
    bench.clock.advance(1)
    bench.gate.answer("a")
    bench.gate.answer("b")
    assert bench.nucleus.answers == [("a", RECHECK_MS), ("a", RECHECK_MS), ("a", 0), ("b", RECHECK_MS)]


def test_answer_that_comes_too_late_ends_nothing_and_a_lost_connection_does(bench: Bench) -> None:
    bench.nucleus.error = BusUnavailableError("the time to answer is over")
    bench.gate.answer("a")
    bench.nucleus.error = BusClosedError("gone")
    with pytest.raises(BusClosedError):
        bench.gate.answer("a")
