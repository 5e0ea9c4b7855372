"""Whole runs with the cloud's rules in memory, as fast as they go: the edge, the oracle and the report, no cloud."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from simulator.run.options import Break, RunOptions, TargetName
from simulator.run.report import Report, print_report
from simulator.run.run import run


def fast_run(out: Path, **options: object) -> Report:
    chosen = {
        "sensors": 600,
        "gateways": 4,
        "gateways_real": 0,
        "duration_s": 60,
        "target": TargetName.MEMORY,
        "speed": None,
        "out": out,
        **options,
    }
    return run(RunOptions(**chosen), Console(file=io.StringIO()))  # type: ignore[arg-type]


def test_a_run_in_memory_is_faster_than_its_readings_and_verified_like_any_other(tmp_path: Path) -> None:
    report = fast_run(tmp_path)
    assert (report["ok"], report["findings"], report["problems"]) == (True, [], [])
    assert report["windows_stored"] == report["windows_expected"] >= 4 * 6
    assert report["readings_accepted"] == report["readings_generated"] - report["readings_invalid"] == 600 * 60
    assert report["readings_late"] > 0
    assert report["events_delivered"] == report["events_expected"] > 0
    assert report["sensor_summaries_stored"] >= report["sensor_summaries_expected"] > 0
    assert report["sensor_summaries_missing"] == report["sensor_summaries_wrong"] == 0
    assert report["realtime_factor"] > 1.5
    assert report["speed"] == "max"


def test_what_a_run_in_memory_cannot_tell_is_said_and_not_made_up(tmp_path: Path) -> None:
    report = fast_run(tmp_path, duration_s=20)
    assert report["lake_rows_expected"] is report["rollup_rows_wrong"] is None
    assert set(report["latency_s"].values()) == set(report["alert_latency_s"].values()) == {None}
    assert "real time only" in report["latency_missing_because"]
    page = io.StringIO()
    print_report(report, Console(file=page, width=200))
    assert "not verified: target memory has no lake" in page.getvalue()


@pytest.mark.parametrize("how", [Break.MISSING, Break.WRONG])
def test_damage_is_found_in_memory_too(tmp_path: Path, how: Break) -> None:
    report = fast_run(tmp_path, duration_s=20, break_window=how)
    assert not report["ok"]
    assert (report["windows_missing"], report["windows_wrong"]) == ((1, 0) if how is Break.MISSING else (0, 1))


def test_a_long_run_is_judged_by_chapters_that_are_then_forgotten(tmp_path: Path) -> None:
    report = fast_run(tmp_path, sensors=30, gateways=1, duration_s=960)
    assert (report["ok"], report["findings"], report["problems"]) == (True, [], [])
    assert report["chapters_judged"] >= 1
    assert report["windows_stored"] == report["windows_expected"] >= 96
    assert report["readings_accepted"] == 30 * 960
    assert report["sensor_summaries_expected"] >= 31
    assert report["sensor_summaries_missing"] == report["sensor_summaries_wrong"] == 0
