"""Gateways against single readings: a run of gateways in memory, and the same readings as a table would hold them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from simulator.comparison.comparing import Comparison, ComparisonError, compare
from simulator.comparison.page import render
from simulator.comparison.tables import print_comparison
from simulator.run.options import RunOptions, TargetName
from simulator.run.report import write_report
from simulator.run.run import run
from simulator.verification import archive
from simulator.verification.archive import ArchiveError
from simulator.verification.readings import StoredReadings, ToldReadings, speed_kmh
from simulator.verification.record import read_record, write_record

EARLIER_MS = 12_345_000  # no multiple of a window


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edge")
    options = RunOptions(
        sensors=60, gateways=2, gateways_real=0, duration_s=25, target=TargetName.MEMORY, speed=None, out=folder
    )
    write_report(run(options, Console(file=io.StringIO())), folder)
    return folder


def raw_of(
    edge: Path, folder: Path, change: Callable[[StoredReadings], StoredReadings] = lambda stored: stored
) -> Path:
    """A folder as a run of the first design would have left it, some hours before."""
    witness = ToldReadings()
    archive.tell(edge, witness)
    told = witness.readings()
    at_ms = told.timestamp_ms - EARLIER_MS
    stored = StoredReadings(
        told.sensor, at_ms, at_ms + 40, told.vehicle_count, speed_kmh(told), told.occupancy_permille / 1000
    )
    change(stored).write(folder)
    record = read_record(edge)
    write_record(
        replace(record, start_ms=record.start_ms - EARLIER_MS, options={**record.options, "mode": "raw"}), folder
    )
    report = {
        "ok": True,
        "messages_published": len(stored),
        "bytes_published": 176 * len(stored),
        "metered": dict.fromkeys(("rule_units", "stream_units", "write_units"), len(stored)),
        "latency_s": {"p50": 0.04, "p95": 0.1, "max": 0.2},
        "rate_asked_per_s": 60.0,
        "rate_reached_per_s": 60.0,
        "bottleneck": None,
    }
    write_report(report, folder)
    return folder


@pytest.fixture(scope="module")
def comparison(edge: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(edge, raw_of(edge, tmp_path_factory.mktemp("raw")), 50_000)


def test_gateways_say_what_single_readings_say(comparison: Comparison) -> None:
    assert comparison["ok"]
    found = comparison["errors"]
    assert (found["only_edge"], found["only_raw"]) == (0, 0)
    assert found["rows"] >= 6 * 3
    for name, error in found["of"].items():
        assert error["unlike"] == 0, name
        assert error["compared"] > 0, name
        assert error["most_percent"] <= (1.0 if name.startswith("p") else 0.2), name
    assert found["of"]["vehicle_count"]["exact"] == found["of"]["vehicle_count"]["compared"]
    assert found["of"]["p85_kmh"]["most"] > 0  # of a sketch


def test_savings_and_costs_are_told_for_this_city_and_the_other(comparison: Comparison) -> None:
    assert comparison["raw"]["messages"] == 60 * 25
    assert comparison["times_fewer"]["messages"] == pytest.approx(60 * 25 / comparison["edge"]["messages"], abs=0.05)
    assert comparison["edge"]["connections"] == 2
    assert [cost["sensors"] for cost in comparison["costs"]] == [60, 50_000]
    assert comparison["costs"][1]["raw_usd"] > 500 * comparison["costs"][1]["edge_usd"]


def test_picture_and_tables_show_the_figures(comparison: Comparison) -> None:
    page = render(comparison)
    assert f"{comparison['times_fewer']['messages']:,.0f} times fewer messages" in page
    assert f"{comparison['raw']['messages']:,}" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # needs nothing from anywhere
    told = io.StringIO()
    print_comparison(comparison, Console(file=told, width=140))
    for words in ("85th percentile of speed", f"{comparison['edge']['bytes']:,}", "50,000 sensors"):
        assert words in told.getvalue()
    json.dumps(comparison, allow_nan=False)


def test_one_vehicle_too_many_is_no_agreement(edge: Path, tmp_path: Path) -> None:
    def one_more(stored: StoredReadings) -> StoredReadings:
        vehicles = stored.vehicle_count.copy()
        vehicles[np.argmax(vehicles)] += 1
        return replace(stored, vehicle_count=vehicles)

    found = compare(edge, raw_of(edge, tmp_path, one_more), 50_000)
    assert not found["ok"]
    assert found["errors"]["of"]["vehicle_count"]["exact"] == found["errors"]["of"]["vehicle_count"]["compared"] - 1


def test_runs_of_two_cities_are_not_compared(edge: Path, tmp_path: Path) -> None:
    raw = raw_of(edge, tmp_path)
    write_record(replace(read_record(raw), seed=2), raw)
    with pytest.raises(ComparisonError, match="two cities: --seed 1 and 2"):
        compare(edge, raw, 50_000)
    with pytest.raises(ComparisonError, match="--raw is the folder of a run with --mode edge"):
        compare(edge, edge, 50_000)


def test_a_folder_without_a_run_is_named(edge: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no such file"):
        compare(edge, tmp_path, 50_000)
