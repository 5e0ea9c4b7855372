"""The conductor of faults: each act once, in order, at the pace of the readings, told, and its outcome measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulator.faults.conductor import Conductor
from simulator.faults.kinds import HOUR_MS, Kind
from simulator.faults.plan import Fault, FaultPlan
from simulator.faults.schedule import FleetFacts, schedule

START_MS = 1_700_000_000_000
WINDOW_MS = 10_000


@dataclass
class Place:
    """A gateway, or the ways: notes what is done to it."""

    gateway_id: str
    done: list[str] = field(default_factory=list)
    stored_starts_ms: set[int] = field(default_factory=set)
    lost: int | None = None

    def __getattr__(self, doing: str) -> Any:
        def do(*arguments: object) -> int:
            self.done.append(" ".join([doing, *map(str, arguments)]))
            return 7

        return do


class Ways:
    """Notes which are open."""

    def __init__(self, ways: int) -> None:
        self.open = set(range(ways))

    def cut(self, ways: Any) -> None:
        assert set(ways) <= self.open, "cut twice"
        self.open -= set(ways)

    def mend(self, ways: Any) -> None:
        assert not set(ways) & self.open, "mended twice"
        self.open |= set(ways)


class Stage:
    """Two gateways, of which the first is a process, and a conductor whose clock the test moves."""

    def __init__(self, *faults: Fault) -> None:
        self.gateways = [Place("gw-0"), Place("gw-1")]
        self.real = self.gateways[:1]
        self.fed_s = 0.0
        self.first_seconds = np.zeros(2, dtype=np.int64)
        self.elapsed_s = 0.0
        self.ways = Ways(2)
        self.told: list[str] = []
        facts = FleetFacts(("gw-0", "gw-1"), (10, 10), 1, 60)
        self.conductor = Conductor(
            schedule(FaultPlan(faults), facts, 1),
            self,
            self.ways,
            START_MS,
            window_ms=WINDOW_MS,
            lateness_ms=2000,
            tell=self.told.append,
            now_s=lambda: START_MS / 1000 + self.elapsed_s,
        )

    def at(self, elapsed_s: float, fed_s: float | None = None) -> None:
        self.elapsed_s = elapsed_s
        self.fed_s = elapsed_s if fed_s is None else fed_s
        self.conductor.act()

    def stored(self, *windows: int) -> None:
        for gateway in self.gateways:
            gateway.stored_starts_ms |= {START_MS + WINDOW_MS * window for window in windows}


CRASH = Fault("crash", Kind.GATEWAY_CRASH, 4, 2, gateways=(0,), numbers={"every_s": 0})
STEP = Fault("step", Kind.CLOCK_STEP, 10, 10, gateways=(1,), numbers={"step_ms": -HOUR_MS})
OTHER_STEP = Fault("other step", Kind.CLOCK_STEP, 15, 10, gateways=(1,), numbers={"step_ms": 60_000})
OUTAGE = Fault("outage", Kind.CLOUD_OUTAGE, 12, 10)
CUT = Fault("cut", Kind.POWER_CUT, 20, 5, gateways=(0,))
PARTITION = Fault("partition", Kind.NETWORK_PARTITION, 8, 6, gateways=(0,))
SLOW = Fault("slow", Kind.THROTTLING, 30, 5, gateways=(0,), numbers={"delay_ms": 250})
POISON = Fault("poison", Kind.POISON, 30, 5, gateways=(1,), numbers={"share": 0, "messages_per_s": 2})


def test_what_is_due_is_done_once_and_in_order_and_told() -> None:
    stage = Stage(CRASH, Fault("drop", Kind.IPC_DROP, 30, 2, gateways=(0,), numbers={"every_s": 0}), SLOW)
    stage.at(50)
    stage.at(60)
    assert stage.gateways[0].done[0] == "crash"
    assert sorted(stage.gateways[0].done) == ["crash", "drop_ipc", "throttle 250", "throttle None"]
    assert stage.conductor.counts() == {"gateway-crash": 1, "ipc-drop": 1, "throttling": 1}
    assert len(stage.told) == len(stage.conductor.happened) == 4
    assert stage.conductor.records["crash"].readings_at_risk == {0: 7}


def test_on_a_machine_that_is_behind_the_readings_set_the_pace() -> None:
    stage = Stage(CRASH)
    stage.at(50, fed_s=3.75)
    assert stage.gateways[0].done == []
    stage.at(51, fed_s=6)
    assert stage.gateways[0].done == ["crash"]


def test_steps_of_one_clock_add_up_and_end_one_by_one() -> None:
    stage = Stage(STEP, OTHER_STEP)
    stage.at(60)
    assert stage.gateways[1].done == [
        f"step_clock {offset_ms}" for offset_ms in (-HOUR_MS, -HOUR_MS + 60_000, 60_000, 0)
    ]


def test_a_way_is_open_again_when_no_fault_holds_it_any_more() -> None:
    stage = Stage(PARTITION, OUTAGE, CUT)
    for at_s, open_ways in [(9, {1}), (13, set()), (15, set()), (21, set()), (23, {1}), (26, {0, 1})]:
        stage.at(at_s)
        assert stage.ways.open == open_ways, at_s
    assert stage.gateways[0].done == ["power_off", "power_on"]


def test_poison_is_handed_over_message_by_message_and_counted_where_it_was_taken() -> None:
    stage = Stage(POISON)
    stage.at(60)
    assert len(stage.gateways[1].done) == stage.conductor.records["poison"].times == 10
    assert stage.told == []


def test_outcome_is_measured_windows_that_wait_at_worst_and_how_soon_all_was_back() -> None:
    stage = Stage(OUTAGE)
    stage.stored(0)
    stage.at(12)
    for second in range(13, 31):
        stage.at(second)
    record = stage.conductor.records["outage"]
    assert (record.began_s, record.ended_s, record.back_after_s) == (12, 22, None)
    assert record.windows_waiting_most == 2, "the window up to 20 s, of both gateways"
    stage.stored(1)
    stage.at(31.5)
    assert record.back_after_s == 9.5
    assert len(record.windows_late) == 2
    stage.at(50)
    assert record.back_after_s == 9.5, "what comes later is no fault's fault"


def test_many_gateways_are_told_as_a_number() -> None:
    stage = Stage(Fault("slow", Kind.THROTTLING, 10, 10, numbers={"delay_ms": 250}))
    stage.at(11)
    assert stage.conductor.active() == [("slow", "2 gateways")]
    assert stage.told == ["  11.0 s  slow: throttling 2 gateways"]


def test_a_fault_on_the_way_of_readings_needs_no_doing() -> None:
    stage = Stage(Fault("loss", Kind.LOSS, 5, 5, numbers={"share": 0.5}))
    stage.at(60)
    assert stage.conductor.happened == []


def test_readings_that_end_before_their_time_end_what_has_begun_and_let_nothing_more_begin() -> None:
    stage = Stage(STEP, OUTAGE, SLOW, CRASH)
    stage.at(13)
    assert stage.conductor.active() == [("outage", "all"), ("step", "gw-1")]
    stage.conductor.end()
    assert stage.conductor.active() == []
    assert stage.ways.open == {0, 1}
    assert stage.gateways[1].done[-1] == "step_clock 0"
    stage.at(60)
    assert "throttle 250" not in stage.gateways[0].done
