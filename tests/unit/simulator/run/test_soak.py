"""What a soak restarts, and when."""

from __future__ import annotations

import pytest

from simulator.faults.kinds import Kind
from simulator.faults.schedule import FleetFacts, schedule
from simulator.run.options import RunOptions, TargetName
from simulator.run.soak import FUNCTIONS, RESTARTED_SHARE, restarts, turns


def soak(**options: object) -> RunOptions:
    return RunOptions(**{"gateways": 4, "gateways_real": 2, "soak": True, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("duration_s", [60, 720, 36_000])
def test_every_part_has_its_turn_however_long_the_soak_is(duration_s: int) -> None:
    found = turns(soak(duration_s=duration_s))
    assert {turn.part for turn in found} == {Kind.GATEWAY_CRASH, Kind.IPC_DROP, Kind.CLOUD_OUTAGE, FUNCTIONS}
    at_s = [turn.at_s for turn in found]
    assert at_s == sorted(at_s)
    assert 0 < at_s[0] < at_s[-1] < RESTARTED_SHARE * duration_s


def test_in_a_long_soak_every_gateway_has_its_turn_again() -> None:
    crashed = [turn.gateways for turn in turns(soak(duration_s=36_000)) if turn.part is Kind.GATEWAY_CRASH]
    assert set(crashed) == {(0,), (1,), (2,), (3,)}


@pytest.mark.parametrize("duration_s", [60, 36_000])
def test_the_conductor_can_carry_out_what_a_soak_plans(duration_s: int) -> None:
    options = soak(duration_s=duration_s)
    facts = FleetFacts(("a", "b", "c", "d"), (5, 5, 5, 5), 2, duration_s)
    acts = schedule(restarts(options), facts, seed=1).acts
    by_conductor = [turn for turn in turns(options) if turn.part != FUNCTIONS]
    assert sum(act.begins for act in acts) == len(by_conductor)


def test_what_is_not_there_is_not_restarted() -> None:
    assert {turn.part for turn in turns(soak(gateways_real=0, target=TargetName.MEMORY))} == {Kind.GATEWAY_CRASH}
    assert Kind.IPC_DROP not in {turn.part for turn in turns(soak(gateways_real=0))}
