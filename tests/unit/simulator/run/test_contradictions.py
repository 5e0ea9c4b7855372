"""Flags that cannot be together: each contradiction is told, and all at once."""

from __future__ import annotations

import pytest

from simulator.faults.kinds import Kind
from simulator.faults.plan import Fault, FaultPlan
from simulator.run.contradictions import ContradictionError, refuse_contradictions
from simulator.run.options import AwsOptions, Break, Mode, RunOptions, TargetName


def test_usual_runs_contradict_nothing() -> None:
    refuse_contradictions(RunOptions(), keep=True)
    refuse_contradictions(RunOptions(gateways_real=0, target=TargetName.MEMORY, speed=None), keep=False)


def test_all_contradictions_are_told_at_once() -> None:
    options = RunOptions(gateways=2, gateways_real=3, duration_s=10, ramp_up_s=10, target=TargetName.MEMORY)
    with pytest.raises(ContradictionError) as caught:
        refuse_contradictions(options, keep=True)
    assert str(caught.value).splitlines() == [
        "--gateways-real 3: there are --gateways 2 in all; give fewer",
        "--ramp-up-s 10: must be less than --duration 10, which it is part of",
        "--gateways-real needs a cloud: leave it out, or leave out --target memory",
        "--keep needs a cloud: leave it out, or leave out --target memory",
    ]


def test_sensors_that_publish_singly_have_nothing_that_belongs_to_gateways() -> None:
    options = RunOptions(mode=Mode.RAW, gateways_real=1, speed=2.0, faults=FaultPlan((Fault("x", Kind.LOSS),)))
    with pytest.raises(ContradictionError) as caught:
        refuse_contradictions(options, keep=False)
    told = str(caught.value)
    for flag in ("--gateways-real", "--speed", "--chaos or --faults"):
        assert f"{flag} needs gateways: leave it out, or leave out --mode raw" in told
    refuse_contradictions(RunOptions(mode=Mode.RAW, sensors=1000, gateways_real=0, ramp_up_s=30), keep=False)
    with pytest.raises(ContradictionError, match="--sensors 50000: with --mode raw each has a certificate"):
        refuse_contradictions(RunOptions(mode=Mode.RAW, gateways_real=0), keep=False)


def test_what_is_for_the_local_cloud_is_refused_on_aws_and_the_other_way_round() -> None:
    outage = FaultPlan((Fault("x", Kind.CLOUD_OUTAGE),))
    options = RunOptions(target=TargetName.AWS, speed=2.0, gateways_real=0, break_window=Break.WRONG, faults=outage)
    with pytest.raises(ContradictionError) as caught:
        refuse_contradictions(options, keep=True)
    assert [line.split(" is for the local cloud")[0] for line in str(caught.value).splitlines()] == [
        "a fault that cuts the way to the cloud",
        "--break-window",
        "--speed",
        "--keep",
    ]
    for local in (RunOptions(aws=AwsOptions(stage="x")), RunOptions()):
        with pytest.raises(ContradictionError, match="--dry-run are for --target aws: leave them out, or give that"):
            refuse_contradictions(local, keep=False, dry_run=True)
