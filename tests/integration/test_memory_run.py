"""Whole runs with the cloud's rules in memory, as fast as they go: the edge, the oracle and the report, no cloud."""

from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from simulator.faults.kinds import Kind
from simulator.faults.plan import Fault, FaultPlan
from simulator.run import run as run_module
from simulator.run.interruption import Interruption
from simulator.run.memory_target import MemoryTarget
from simulator.run.options import Break, RunOptions, TargetName
from simulator.run.report import Report, print_report
from simulator.run.run import run
from simulator.verification.record import read_record


def fast_run(out: Path, interruption: Interruption | None = None, **options: object) -> Report:
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
    return run(RunOptions(**chosen), Console(file=io.StringIO()), interruption=interruption)  # type: ignore[arg-type]


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


class _Presses(Interruption):
    """Somebody presses Ctrl-C after so many seconds of readings."""

    def __init__(self, after_s: int) -> None:
        super().__init__()
        self._left = after_s

    def can_finish(self) -> None:
        super().can_finish()
        self._left -= 1
        self.asked = self._left <= 0


def test_interrupted_run_is_verified_and_reported_like_a_shorter_one_also_in_its_ramp(tmp_path: Path) -> None:
    late = Fault("late", Kind.DELAY, whole_run=True, numbers={"share": 0.05, "least_delay_s": 5, "most_delay_s": 30})
    report = fast_run(tmp_path, _Presses(23), sensors=400, ramp_up_s=40, faults=FaultPlan((late,)))
    assert (report["ok"], report["findings"], report["problems"]) == (True, [], [])
    assert (report["interrupted"], report["duration_s"], report["duration_planned_s"]) == (True, 23, 60)
    # Of four gateways with 100 sensors each, those that begin at 0, 10 and 20 s were on.
    assert report["readings_generated"] - report["readings_invalid"] == 100 * (23 + 13 + 3)
    assert report["readings_late"] > 0
    assert report["windows_stored"] == report["windows_expected"] > 0
    again = read_record(tmp_path)
    assert again.duration_s == 23


class _Capped(MemoryTarget):
    """Takes no more readings when it holds so many windows, as a cap would have it."""

    @property
    def is_spent(self) -> bool:  # type: ignore[override]
        return len(self.windows()) >= 8


def test_cap_ends_the_readings_and_what_there_were_is_verified_yet_not_all_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "open_target", lambda _o, _c, pace, *_: nullcontext(_Capped(pace.clock.wall_ms)))
    report = fast_run(tmp_path)
    assert (report["ok"], report["interrupted"], report["findings"]) == (False, False, [])
    assert 10 < report["duration_s"] < 60  # the first window is short where the run begins within it
    assert report["problems"] == [f"the cap ended the readings after {report['duration_s']} of 60 s"]
    assert report["windows_stored"] == report["windows_expected"] >= 8
