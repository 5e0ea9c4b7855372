"""The command of the demo, whole: real component processes, the local cloud, the oracle, the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulator.assembly import ensure_assembly
from simulator.local_cloud.local_cloud import LocalCloudSettings

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = ["--sensors", "600", "--gateways", "4", "--duration", "14"]
RUNS = {
    "killed": ["--chaos", "kill-gateway", "--profile", "lite"],
    "missing": ["--break-window", "missing"],
    "wrong": ["--break-window", "wrong"],
}
# What is promised of report.json.
KEYS = {
    "sensors",
    "gateways",
    "readings_generated",
    "readings_accepted",
    "windows_expected",
    "windows_stored",
    "windows_missing",
    "windows_wrong",
    "events_expected",
    "events_delivered",
    "messages_published",
    "bytes_published",
    "raw_messages",
    "raw_bytes",
    "message_reduction",
    "byte_reduction",
    "latency_s",
    "realtime_factor",
    "ok",
}

pytestmark = [
    pytest.mark.local_cloud,
    pytest.mark.slow,
    pytest.mark.skipif(not LocalCloudSettings().python.exists(), reason="no .venv-cloud (run: make test)"),
]


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended."""

    exit_code: int
    output: str
    report: dict[str, Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """All runs of this module, side by side, since each of them mostly waits for time to pass."""
    folder = tmp_path_factory.mktemp("runs")
    processes: dict[str, subprocess.Popen[str]] = {}
    ensure_assembly()  # or each would synthesise into the same folder
    try:
        for name, flags in RUNS.items():
            processes[name] = subprocess.Popen(
                [sys.executable, "-m", "simulator", "run", *SMALL, *flags, "--out", str(folder / name)],
                cwd=REPOSITORY,
                stdout=(folder / f"{name}.log").open("w"),
                stderr=subprocess.STDOUT,
                text=True,
            )
        for process in processes.values():
            process.wait(timeout=100)
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
    return {name: _ended(process, folder, name) for name, process in processes.items()}


def _ended(process: subprocess.Popen[str], folder: Path, name: str) -> Run:
    report = folder / name / "report.json"
    output = (folder / f"{name}.log").read_text()
    assert report.exists(), output
    return Run(process.returncode, output, json.loads(report.read_text()))


def test_run_with_a_killed_gateway_loses_no_window_and_exits_0(runs: dict[str, Run]) -> None:
    run = runs["killed"]
    report = run.report
    assert (run.exit_code, report["ok"], report["findings"], report["problems"]) == (0, True, [], []), run.output
    assert report["chaos"] == "kill-gateway"
    assert report["profile"] == "lite"
    assert report["windows_missing"] == report["windows_wrong"] == report["windows_unexpected"] == 0
    assert report["windows_stored"] == report["windows_expected"] >= 2 * 4
    # All that was measured was accepted, but for what the process had taken and not yet written down.
    measured = report["readings_generated"] - report["readings_invalid"]
    assert report["readings_accepted"] + report["readings_lost_in_crash"] == measured
    assert report["readings_lost_in_crash"] <= 2 * 600 // 4


def test_report_has_every_promised_figure(runs: dict[str, Run]) -> None:
    for run in runs.values():
        report = run.report
        assert report.keys() >= KEYS
        assert report["latency_s"].keys() == {"p50", "p95", "max"}
        assert (report["sensors"], report["gateways"], report["gateways_real"]) == (600, 4, 2)
        assert report["readings_generated"] == report["raw_messages"] >= 600 * 14
        assert report["events_delivered"] == report["events_expected"]
        assert report["messages_published"] >= report["windows_expected"]
        assert report["message_reduction"] == round(report["raw_messages"] / report["messages_published"], 1)
        assert report["byte_reduction"] == round(report["raw_bytes"] / report["bytes_published"], 1)
        assert 0 < report["latency_s"]["p50"] <= report["latency_s"]["p95"] <= report["latency_s"]["max"]
        assert report["realtime_factor"] > 0.9
        assert report["aggregator_rss_mb"] > 10


def test_missing_window_is_named_and_exits_1(runs: dict[str, Run]) -> None:
    run = runs["missing"]
    assert (run.exit_code, run.report["ok"]) == (1, False), run.output
    assert (run.report["windows_missing"], run.report["windows_wrong"]) == (1, 0), run.output
    assert run.report["windows_stored"] == run.report["windows_expected"] - 1
    [finding] = run.report["findings"]
    assert finding["what"] == "the window is not in the table"
    assert f"{finding['gateway']} {finding['window_start_ms']}" in run.output


def test_wrong_window_is_named_with_its_segment_and_exits_1(runs: dict[str, Run]) -> None:
    run = runs["wrong"]
    assert (run.exit_code, run.report["ok"]) == (1, False), run.output
    assert (run.report["windows_missing"], run.report["windows_wrong"]) == (0, 1), run.output
    assert run.report["windows_stored"] == run.report["windows_expected"]
    [finding] = run.report["findings"]
    assert "speed_sum_dkmh is" in finding["what"]
    assert f"{finding['gateway']} {finding['window_start_ms']}" in run.output
