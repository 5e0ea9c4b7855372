"""Ctrl-C in the real command: what is left of a run that was measuring, and of one that was starting its cloud."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.local_cloud.assembly import ensure_assembly
from simulator.local_cloud.local_cloud import LocalCloudSettings
from simulator.run.interruption import EXIT_CODE

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = ["--sensors", "100", "--gateways", "2", "--duration", "3000"]


def start(out: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", "run", *SMALL, *flags, "--out", str(out)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def interrupt_after(process: subprocess.Popen[str], words: str) -> str:
    """Ctrl-C once the words were said; everything that was said."""
    assert process.stdout is not None
    said = ""
    while words not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    return said + rest


def processes_of(out: Path) -> list[str]:
    """Command lines of processes that were given a path in the folder, by argument or by environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except (OSError, ProcessLookupError):
            continue  # it has ended, or is not ours
        if str(out).encode() in told:
            found.append((folder / "cmdline").read_text(errors="replace").replace("\0", " "))
    return found


def test_run_that_was_measuring_is_verified_and_reported(tmp_path: Path) -> None:
    process = start(tmp_path, "--target", "memory", "--speed", "20")
    said = interrupt_after(process, " s of 3,000: ")
    assert process.returncode == EXIT_CODE, said
    assert "Interrupted: verifying what was measured until now." in said
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["ok"], report["interrupted"], report["findings"], report["problems"]) == (True, True, [], []), said
    assert 0 < report["duration_s"] < report["duration_planned_s"] == 3000
    assert report["readings_accepted"] == report["readings_generated"] - report["readings_invalid"]
    assert report["windows_stored"] == report["windows_expected"] > 0
    assert json.loads((tmp_path / "run.json").read_text())["duration_s"] == report["duration_s"]
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".part", ".tmp"}]


@pytest.mark.local_cloud
@pytest.mark.skipif(not LocalCloudSettings().python.exists(), reason="no .venv-cloud (run: make test)")
def test_run_that_was_starting_its_cloud_leaves_no_report_and_no_process(tmp_path: Path) -> None:
    ensure_assembly()
    process = start(tmp_path)
    said = interrupt_after(process, "synthesise the cloud")
    assert process.returncode == EXIT_CODE, said
    assert "Interrupted before anything was measured: there is no report, and nothing is left running." in said
    assert not (tmp_path / "report.json").exists()
    assert processes_of(tmp_path) == []
