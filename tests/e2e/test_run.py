"""The command of the demo, whole: real component processes, the local cloud, the oracle, the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulator.faults.kinds import RULES, Kind, Strikes
from simulator.local_cloud.assembly import ensure_assembly
from simulator.local_cloud.local_cloud import LocalCloudSettings
from tests.browser.chromium import WHY_NOT, Chromium

REPOSITORY = Path(__file__).resolve().parents[2]
SENSORS, GATEWAYS = 600, 4
SMALL = ["--sensors", str(SENSORS), "--gateways", str(GATEWAYS), "--duration", "14"]
BAD_S = 26
BAD_DAY = ["--duration", str(BAD_S), "--faults", "simulator/examples/bad-day.toml", "--profile", "classic"]
CHAOS = ["--duration", str(BAD_S), "--chaos", "all", "--profile", "lite"]
RUNS = {
    "classic": BAD_DAY,
    "lite": CHAOS,
    "wrong": ["--break-window", "wrong"],
    "lake": ["--break-window", "lake"],
    "raw": ["--mode", "raw", "--sensors", "40", "--gateways", "1", "--duration", "5"],
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
    "lake_rows_expected",
    "lake_rows_missing",
    "lake_rows_wrong",
    "rollup_rows_expected",
    "rollup_rows_missing",
    "rollup_rows_wrong",
    "events_expected",
    "events_delivered",
    "messages_published",
    "bytes_published",
    "raw_messages",
    "raw_bytes",
    "message_reduction",
    "byte_reduction",
    "latency_s",
    "alert_latency_s",
    "alert_latency_from_closing_s",
    "realtime_factor",
    "ok",
}

pytestmark = [
    pytest.mark.local_cloud,
    pytest.mark.slow,
    pytest.mark.timeout(300),  # all runs are one set-up; on a busy machine they take their time
    pytest.mark.skipif(not LocalCloudSettings().python.exists(), reason="no .venv-cloud (run: make test)"),
]


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended."""

    exit_code: int
    output: str
    report: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """All runs of this module, side by side, since each of them mostly waits for time to pass."""
    folder = tmp_path_factory.mktemp("runs")
    processes: dict[str, subprocess.Popen[str]] = {}
    ensure_assembly()  # or each would synthesise into the same folder
    ensure_assembly(raw=True)
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
            process.wait(timeout=240)  # a message whose acknowledgement the outage took is sent again after 30 s
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
    return Run(process.returncode, output, json.loads(report.read_text()), report.parent)


@pytest.mark.parametrize("profile", ["classic", "lite"])
def test_run_through_every_kind_of_fault_loses_no_window_and_exits_0(runs: dict[str, Run], profile: str) -> None:
    run = runs[profile]
    report = run.report
    assert (run.exit_code, report["ok"], report["findings"], report["problems"]) == (0, True, [], []), run.output
    assert report["profile"] == profile
    assert report["windows_missing"] == report["windows_wrong"] == report["windows_unexpected"] == 0
    assert report["windows_stored"] == report["windows_expected"] >= 2 * GATEWAYS
    assert report["events_delivered"] == report["events_expected"]
    account = report["accounting"]
    lost = account["lost_on_the_way"] + account["lost_in_crash"]
    elsewhere = sum(account[place] for place in ("duplicates", "late_beyond_correction", "excluded", "shed"))
    assert account["sent"] == account["aggregated"] + elsewhere + sum(account["rejected"].values()) + lost
    assert account["remainder"] == 0 == account["shed"]
    assert account["aggregated"] == report["readings_accepted"]
    assert account["lost_on_the_way"] > 0 < account["rejected"]["bad_occupancy"]


@pytest.mark.parametrize("profile", ["classic", "lite"])
def test_report_tells_what_was_broken_when_and_what_became_of_it(runs: dict[str, Run], profile: str) -> None:
    report = runs[profile].report
    faults = report["faults"]
    assert {fault["kind"] for fault in faults} == set(Kind)
    assert [entry["at_s"] for entry in report["chaos"]] == sorted(entry["at_s"] for entry in report["chaos"])
    for entry in report["chaos"]:
        assert 0 < entry["at_s"] <= BAD_S + 5
    for fault in faults:
        assert fault["gateways"], fault
        if RULES[Kind(fault["kind"])].strikes in (Strikes.READINGS, Strikes.SENSORS):
            assert fault["readings_struck"] > 0 or fault["messages_refused"] or fault["name"].startswith("everyday")
        else:
            assert fault["times"] > 0
            assert fault["back_after_s"] is not None, fault
            assert f"{fault['name']}: {fault['kind']}" in runs[profile].output
    by_kind = {fault["kind"]: fault for fault in faults}
    assert by_kind["power-cut"]["readings_lost"] > 0
    assert by_kind["loss"]["readings_lost"] == by_kind["loss"]["readings_struck"] > 0
    assert report["component_restarts"] >= 2  # some ends meet a process that is down
    assert report["readings_late"] > 0


def test_report_has_every_promised_figure(runs: dict[str, Run]) -> None:
    for run in (run for name, run in runs.items() if name != "raw"):  # which has no gateways, and a report of its own
        report = run.report
        assert report.keys() >= KEYS
        assert report["latency_s"].keys() == {"p50", "p95", "max"}
        assert (report["sensors"], report["gateways"], report["gateways_real"]) == (SENSORS, GATEWAYS, 2)
        assert report["readings_generated"] == report["raw_messages"] >= SENSORS * 14
        assert report["events_delivered"] == report["events_expected"]
        assert report["messages_published"] >= report["windows_expected"]
        assert report["message_reduction"] == round(report["raw_messages"] / report["messages_published"], 1)
        assert report["byte_reduction"] == round(report["raw_bytes"] / report["bytes_published"], 1)
        assert 0 < report["latency_s"]["p50"] <= report["latency_s"]["p95"] <= report["latency_s"]["max"]
        assert report["realtime_factor"] > 0.2
        assert report["aggregator_rss_mb"] > 10


def test_wrong_window_is_named_with_its_segment_and_exits_1(runs: dict[str, Run]) -> None:
    run = runs["wrong"]
    assert (run.exit_code, run.report["ok"]) == (1, False), run.output
    assert (run.report["windows_missing"], run.report["windows_wrong"]) == (0, 1), run.output
    assert run.report["windows_stored"] == run.report["windows_expected"]
    [finding] = run.report["findings"]
    assert "speed_sum_dkmh is" in finding["what"]
    assert f"{finding['gateway']} {finding['window_start_ms']}" in run.output


def test_a_damaged_lake_is_found_and_exits_1_though_every_window_is_right(runs: dict[str, Run]) -> None:
    run = runs["lake"]
    report = run.report
    assert (run.exit_code, report["ok"]) == (1, False), run.output
    assert (report["windows_missing"], report["windows_wrong"], report["findings"]) == (0, 0, []), run.output
    assert report["lake_rows_missing"] + report["lake_rows_wrong"] > 0
    assert (report["rollup_rows_missing"], report["rollup_rows_wrong"]) == (0, 0), run.output
    assert any(problem.startswith("lake: segment_windows: segment ") for problem in report["problems"])


def test_sensors_that_publish_singly_lose_no_reading(runs: dict[str, Run]) -> None:
    run = runs["raw"]
    report = run.report
    assert (run.exit_code, report["ok"], report["findings"], report["problems"]) == (0, True, [], []), run.output
    assert report["readings_stored"] == report["readings_expected"] == 40 * report["duration_s"]
    assert report["messages_published"] == report["readings_generated"] + report["readings_repeated"]
    assert report["metered"]["write_units"] == report["messages_published"]
    assert report["latency_s"]["p50"] > 0
    assert len(report["seconds"]) == report["duration_s"]


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
def test_every_run_has_a_page_that_opens_without_complaint_and_says_its_verdict(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    with Chromium(tmp_path) as browser:
        browser.look(1280, 900)
        for run in runs.values():
            browser.open(run.folder / "report.html")
            assert browser.complaints() == []
            verdict = browser.evaluate("document.querySelector('#verdict b').textContent")
            assert verdict == ("OK" if run.report["ok"] else "NOT OK")
            shown = browser.evaluate("document.querySelector('[data-key=readings_generated]').textContent")
            assert shown == f"{run.report['readings_generated']:,}"
