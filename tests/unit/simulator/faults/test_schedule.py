"""The schedule of a plan: a pure function of plan, fleet and seed, and nothing in it that could not be done."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.faults.kinds import HOUR_MS, Kind
from simulator.faults.plan import Fault, FaultPlan, FaultPlanError, read_plan
from simulator.faults.ready_made import ready_made
from simulator.faults.schedule import LASTING, FleetFacts, Schedule, schedule

BAD_DAY = Path(__file__).resolve().parents[4] / "simulator" / "examples" / "bad-day.toml"


def fleet(gateways: int = 20, real: int = 2, duration_s: float = 60) -> FleetFacts:
    return FleetFacts(tuple(f"gw-{n:03d}" for n in range(gateways)), (10,) * gateways, real, duration_s)


def planned(*faults: Fault, facts: FleetFacts | None = None, seed: int = 1) -> Schedule:
    return schedule(FaultPlan(faults), facts or fleet(), seed)


def all_chaos(facts: FleetFacts, seed: int = 1) -> Schedule:
    gateways = len(facts.gateway_ids)
    plan = ready_made(["all"], duration_s=facts.duration_s, gateways=gateways, gateways_real=facts.gateways_real)
    return schedule(plan, facts, seed)


def told(plan: Schedule) -> list[object]:
    struck = [(one.fault, one.gateways, None if one.sensors is None else one.sensors.tolist()) for one in plan.struck]
    return [*struck, *plan.acts]


def mistakes(*faults: Fault, facts: FleetFacts | None = None) -> list[str]:
    with pytest.raises(FaultPlanError) as refused:
        planned(*faults, facts=facts)
    return refused.value.mistakes


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    assert told(all_chaos(fleet(), 5)) == told(all_chaos(fleet(), 5))
    assert told(all_chaos(fleet(), 5)) != told(all_chaos(fleet(), 6))


def test_a_fault_alone_strikes_as_it_does_among_all() -> None:
    everything = all_chaos(fleet())
    for one in everything.struck:
        alone = planned(one.fault)
        assert alone.struck[0].gateways == one.gateways
        assert list(alone.acts) == [act for act in everything.acts if act.fault.name == one.fault.name]


def test_targets_are_indices_ids_tiers_and_shares_of_them() -> None:
    def struck(**target: object) -> tuple[int, ...]:
        return planned(Fault("x", Kind.THROTTLING, 5, 5, numbers={"delay_ms": 0}, **target)).struck[0].gateways  # type: ignore[arg-type]

    assert struck() == tuple(range(20))
    assert struck(gateways=(3, "gw-001", 3)) == (1, 3)
    assert struck(gateways="real") == (0, 1)
    assert struck(gateways="in-process") == tuple(range(2, 20))
    some = struck(gateways="in-process", gateway_share=0.25)
    assert len(some) == 5
    assert set(some) < set(range(2, 20))


def test_sensors_are_struck_by_share_of_those_of_the_gateways() -> None:
    [one] = planned(Fault("x", Kind.SENSOR_DEAD, 5, 5, gateways=(4, 5), sensor_share=0.3)).struck
    assert one.sensors is not None
    chosen = np.flatnonzero(one.sensors)
    assert len(chosen) == 6
    assert set(chosen // 10) <= {4, 5}


def test_a_power_cut_begins_and_ends_between_two_slices_of_readings() -> None:
    acts = planned(Fault("x", Kind.POWER_CUT, 5.1, 5.0, gateways=(4,))).acts
    assert [(act.at_s, act.begins) for act in acts] == [(5.25, True), (10.25, False)]


def test_crashes_come_again_and_again_or_once() -> None:
    often = Fault("often", Kind.GATEWAY_CRASH, 6, 48, gateways=(0, 1), numbers={"every_s": 12})
    once = Fault("once", Kind.GATEWAY_CRASH, 6, 48, gateways=(7,), numbers={"every_s": 0})
    acts = planned(often, once).acts
    assert Counter((act.fault.name, act.gateway) for act in acts) == {("often", 0): 4, ("often", 1): 4, ("once", 7): 1}
    assert all(6 <= act.at_s <= 54 for act in acts)


def test_everything_that_the_fleet_or_the_run_cannot_do_is_said_at_once() -> None:
    found = mistakes(
        Fault("late", Kind.LOSS, 50, 20, numbers={"share": 0.1}),
        Fault("drop", Kind.IPC_DROP, 5, 5, numbers={"every_s": 0}),
        Fault("nobody", Kind.THROTTLING, 5, 5, gateways="real", numbers={"delay_ms": 0}),
        Fault("stranger", Kind.POWER_CUT, 5, 5, gateways=(99, "gw-x")),
        Fault("dark end", Kind.POWER_CUT, 50, 9, gateways=(1,)),
        Fault("old", Kind.CLOCK_SKEW, 1, 9, numbers={"skew_ms": -2500}),
        facts=fleet(real=0),
    )
    for words in [
        'fault "late": start_s + duration_s = 70: the run ends at 60 s; give --duration 70 or more',
        'fault "drop": kind = ipc-drop: only a gateway that is a process of its own can suffer it; give',
        'fault "nobody": gateways = "real": this fleet has none; give --gateways-real 1 or more',
        'fault "stranger": gateways = 99: this fleet has no such gateway; give 0 to 19, or an id from gw-000 to gw-019',
        "fault \"stranger\": gateways = 'gw-x': this fleet has no such gateway",
        'fault "dark end": start_s + duration_s = 59: the power must be back 3 s before the run ends at 60 s',
        'fault "old": start_s = 1 with skew_ms = -2500: its readings would be older than the run; begin after 2.5 s',
    ]:
        assert any(mistake.startswith(words) for mistake in found), (words, found)


def test_a_name_that_another_fault_has_is_refused() -> None:
    loss = Fault("twin", Kind.LOSS, 5, 5, numbers={"share": 0.1})
    assert len(mistakes(loss, loss)) == 2


def test_a_gateway_that_is_no_process_cannot_lose_its_ipc() -> None:
    [mistake] = mistakes(Fault("drop", Kind.IPC_DROP, 5, 5, gateways=(0, 7), numbers={"every_s": 0}))
    assert "gateways = 7: it is no process of its own, which ipc-drop needs; give one below 2" in mistake


def test_a_power_cut_may_not_meet_a_stepped_clock_or_another_power_cut() -> None:
    cut = Fault("cut", Kind.POWER_CUT, 10, 5, gateways=(3, 4))
    step = Fault("step", Kind.CLOCK_STEP, 14, 9, gateways=(4,), numbers={"step_ms": HOUR_MS})
    [mistake] = mistakes(cut, step)
    assert 'fault "cut": it meets "step" on gw-004' in mistake
    [mistake] = mistakes(cut, Fault("dusk", Kind.POWER_CUT, 12, 9, gateways=(3,)))
    assert 'fault "cut": it meets "dusk" on gw-003' in mistake
    assert planned(cut, Fault("step", Kind.CLOCK_STEP, 16, 9, gateways=(4,), numbers={"step_ms": HOUR_MS})).acts


@given(
    seed=st.integers(0, 1000),
    duration_s=st.integers(8, 200),
    gateways=st.integers(1, 30),
    real=st.integers(0, 4),
)
def test_ready_made_chaos_fits_any_run_and_what_begins_ends_within_it_in_order(
    seed: int, duration_s: int, gateways: int, real: int
) -> None:
    plan = all_chaos(fleet(gateways, min(real, gateways), duration_s), seed)
    assert [act.at_s for act in plan.acts] == sorted(act.at_s for act in plan.acts)
    assert all(0 < act.at_s <= duration_s for act in plan.acts)
    open_acts: set[tuple[str, int | None]] = set()
    for act in plan.acts:
        if not act.begins:
            open_acts.remove((act.fault.name, act.gateway))
        elif act.fault.kind in LASTING:
            open_acts.add((act.fault.name, act.gateway))
    assert not open_acts


def test_all_is_every_kind_that_the_fleet_can_suffer_and_a_word_that_it_cannot_is_refused() -> None:
    assert {one.fault.kind for one in all_chaos(fleet()).struck} == set(Kind)
    assert {one.fault.kind for one in all_chaos(fleet(real=0)).struck} == set(Kind) - {Kind.IPC_DROP}
    with pytest.raises(FaultPlanError, match="ipc-drop needs a real gateway: give --gateways-real 1 or more"):
        ready_made(["all", "ipc-drop"], duration_s=60, gateways=20, gateways_real=0)
    assert not ready_made(["none"], duration_s=60, gateways=20, gateways_real=0).faults


@pytest.mark.parametrize(("gateways", "duration_s"), [(6, 26), (200, 60), (8, 90)])
def test_the_bad_day_fits_small_and_large_runs(gateways: int, duration_s: int) -> None:
    plan = schedule(read_plan(BAD_DAY), fleet(gateways, 2, duration_s), 1)
    assert {one.fault.kind for one in plan.struck} == set(Kind)
    assert all(one.gateways for one in plan.struck)
