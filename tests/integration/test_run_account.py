"""A whole run of gateways in this process, as fast as it goes, with every fault that they can suffer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from simulator.faults.delivery import Readings
from simulator.faults.kinds import Kind
from simulator.faults.plan import FaultPlan
from simulator.faults.ready_made import ready_made
from simulator.fleet.local_gateway import LocalGateway
from simulator.run.options import RunOptions, TargetName
from simulator.run.run import run

SENSORS, GATEWAYS, DURATION_S = 240, 6, 40


def report_of(folder: Path, faults: FaultPlan) -> dict[str, Any]:
    options = RunOptions(
        sensors=SENSORS,
        gateways=GATEWAYS,
        gateways_real=0,
        duration_s=DURATION_S,
        target=TargetName.MEMORY,
        speed=None,
        archive=False,
        out=folder,
        faults=faults,
    )
    return run(options, Console(quiet=True))


def test_every_reading_of_a_run_with_every_fault_ends_in_one_place(tmp_path: Path) -> None:
    report = report_of(tmp_path, ready_made(["all"], duration_s=DURATION_S, gateways=GATEWAYS, gateways_real=0))
    assert (report["ok"], report["problems"], report["findings"]) == (True, [], [])
    account = report["accounting"]
    places = ("aggregated", "duplicates", "late_beyond_correction", "excluded", "shed")
    lost = account["lost_on_the_way"] + account["lost_in_crash"]
    assert account["sent"] == sum(account[place] for place in places) + sum(account["rejected"].values()) + lost
    assert account["aggregated"] == report["readings_accepted"]
    assert account["rejected"].keys() == {"bad_occupancy"}
    assert account["duplicates"] > 0 < account["lost_in_crash"]
    assert set(account["gateways"]) == {gateway for fault in report["faults"] for gateway in fault["gateways"]}

    faults = {fault["kind"]: fault for fault in report["faults"] if not fault["name"].startswith("everyday")}
    assert faults.keys() == set(Kind) - {Kind.IPC_DROP}
    on_the_way = sum(fault["readings_lost"] for fault in report["faults"])
    assert account["lost_on_the_way"] == on_the_way
    assert faults["loss"]["readings_lost"] > 0 < faults["power-cut"]["readings_lost"]
    assert account["lost_in_crash"] == sum(
        faults[kind]["readings_lost_in_crash"] for kind in ("gateway-crash", "power-cut")
    )
    assert faults["poison"]["messages_refused"] == faults["poison"]["times"] > 0
    assert faults["cloud-outage"]["windows_late"] > 0
    assert all(faults[kind]["back_after_s"] is not None for kind in ("cloud-outage", "power-cut", "throttling"))


def test_one_reading_that_is_dropped_on_purpose_is_found_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[Readings] = []
    deliver = LocalGateway.deliver

    def drop_one(gateway: LocalGateway, readings: Readings) -> None:
        if gateway.gateway_id.endswith("3") and not dropped and len(readings) > 1:
            dropped.append(readings.rows(np.array([0])))
            readings = readings.rows(np.arange(1, len(readings)))
        deliver(gateway, readings)

    monkeypatch.setattr(LocalGateway, "deliver", drop_one)
    report = report_of(tmp_path, FaultPlan())
    assert report["ok"] is False
    window_ms = 10_000
    start_ms = int(dropped[0].timestamp_ms[0]) // window_ms * window_ms
    assert [problem for problem in report["problems"] if problem.startswith("account")] == [
        f"account of gw-003: 1 of {report['accounting']['gateways']['gw-003']['sent']:,} readings nobody can tell of; "
        f"windows that miss readings: {start_ms} (+1)"
    ]
    assert report["accounting"]["remainder"] == 1
