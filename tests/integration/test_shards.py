"""Gateways in worker processes: the same run as in one process, and an end that is told."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from simulator.city.layout import make_city
from simulator.fleet import fleet as fleet_module
from simulator.fleet.gateways import GatewayError
from simulator.fleet.shards import Order, Shard
from simulator.run.options import RunOptions, TargetName
from simulator.run.report import Report
from simulator.run.run import run


def reported(out: Path) -> Report:
    options = RunOptions(
        sensors=400,
        gateways=4,
        gateways_real=0,
        duration_s=45,
        target=TargetName.MEMORY,
        speed=None,
        archive=False,
        out=out,
    )
    return run(options, Console(file=io.StringIO()))


def test_a_run_on_two_processes_is_the_run_on_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = reported(tmp_path / "one")
    monkeypatch.setattr(fleet_module, "LEAST_OF_A_SHARD", 2)
    monkeypatch.setattr(fleet_module.os, "cpu_count", lambda: 2)
    shared = reported(tmp_path / "two")
    assert shared["ok"], (shared["findings"], shared["problems"])
    # Windows begin at other instants of the clock, so the counts of these may differ; of readings they may not.
    assert shared["readings_accepted"] == alone["readings_accepted"]
    assert shared["readings_generated"] == alone["readings_generated"]
    assert shared["windows_stored"] == shared["windows_expected"] > 0


def test_what_fails_in_a_process_and_its_end_are_told_and_not_waited_for() -> None:
    plan = make_city(20, 1, 1).gateways[0]
    shard = Shard([Order(plan, {"segments": plan.registry_configuration()}, None)], 1_800_000_000_000)
    try:
        assert shard.ask(0, "was_interrupted") is False
        assert shard.cpu_s() > 0
        with pytest.raises(GatewayError, match="no_such_thing"):
            shard.ask(0, "no_such_thing")
        os.kill(shard.pid, signal.SIGKILL)
        with pytest.raises(GatewayError, match="a process of gateways has ended"):
            shard.ask(0, "statistics", ())
    finally:
        shard.close()
