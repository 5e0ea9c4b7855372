"""Chaos as data: the schedule is a pure function of the seed, and says nothing that could not be done."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.faults.delivery import DeliveryFaults
from simulator.faults.schedule import Act, Chaos, ChaosParameters, delivery_faults, expand, schedule

ALL = expand([Chaos.ALL])
LASTING = {Chaos.CLOUD_OUTAGE, Chaos.UPLINK_FULL, Chaos.CLOCK_STEP}


def acts(chaos: frozenset[Chaos] = ALL, *, seed: int = 1, duration_s: int = 60, real: int = 4) -> list[Act]:
    return schedule(chaos, seed=seed, duration_s=duration_s, gateways=20, gateways_real=real)


def test_all_is_every_kind_and_none_is_no_kind() -> None:
    assert frozenset(Chaos) - ALL == {Chaos.ALL, Chaos.NONE}
    assert expand([Chaos.NONE]) == expand([]) == frozenset()
    assert expand([Chaos.DISORDER, Chaos.NONE, Chaos.IPC_DROP]) == {Chaos.DISORDER, Chaos.IPC_DROP}
    assert expand([Chaos.DISORDER, Chaos.ALL]) == ALL


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    assert acts(seed=5) == acts(seed=5)
    assert acts(seed=5) != acts(seed=6)


@pytest.mark.parametrize("kind", sorted(ALL))
def test_a_kind_alone_happens_as_it_does_among_all(kind: Chaos) -> None:
    assert acts(frozenset({kind})) == [act for act in acts() if act.fault is kind]


def test_a_minute_of_all_kills_every_real_gateway_again_and_again_and_cuts_the_cloud_off() -> None:
    minute = acts()
    kills = Counter(act.gateway for act in minute if act.fault is Chaos.KILL_GATEWAY)
    assert kills == {gateway: 3 for gateway in range(4)}
    [cut, mended] = [act for act in minute if act.fault is Chaos.CLOUD_OUTAGE]
    assert (cut.begins, mended.begins) == (True, False)
    assert mended.at_s - cut.at_s == pytest.approx(10)
    steps = [act for act in minute if act.fault is Chaos.CLOCK_STEP]
    assert {act.by_ms for act in steps} == {3_600_000, -3_600_000}
    assert {act.gateway for act in steps} > set(range(4))


@given(seed=st.integers(0, 1000), duration_s=st.integers(4, 200), real=st.integers(0, 4))
def test_what_begins_ends_within_the_run_and_in_order(seed: int, duration_s: int, real: int) -> None:
    planned = acts(seed=seed, duration_s=duration_s, real=real)
    assert [act.at_s for act in planned] == sorted(act.at_s for act in planned)
    assert all(0 < act.at_s <= duration_s for act in planned)
    for kind in LASTING:
        for gateway in {act.gateway for act in planned if act.fault is kind}:
            begun, ended = [act for act in planned if act.fault is kind and act.gateway == gateway]
            assert (begun.begins, ended.begins) == (True, False)
            assert 0 < ended.at_s - begun.at_s <= duration_s / 4 + 1e-9
            assert begun.by_ms == -ended.by_ms


def test_disorder_and_duplicates_change_the_delivery_and_nothing_else_does() -> None:
    parameters, base = ChaosParameters(), DeliveryFaults()
    assert delivery_faults(ALL - {Chaos.DISORDER, Chaos.DUPLICATES}, base, parameters) == base
    both = delivery_faults(ALL, base, parameters)
    assert (both.disordered_share, both.late_share, both.duplicate_share) == (0.1, 0.01, 0.1)
    assert both.invalid_share == base.invalid_share
