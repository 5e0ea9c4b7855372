"""The report: its figures, its file and the page a person sees; the options it repeats."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from simulator.run import settling
from simulator.run.options import RunOptions
from simulator.run.report import latency_summary, print_report, ratio, write_report

REPORT: dict[str, Any] = {
    "ok": True,
    "sensors": 50_000,
    "gateways": 200,
    "gateways_real": 2,
    "readings_generated": 3_000_000,
    "readings_accepted": 2_999_990,
    "readings_late": 12,
    "windows_stored": 1200,
    "windows_expected": 1201,
    "windows_missing": 1,
    "windows_wrong": 2,
    "lake_rows_expected": 5000,
    "lake_rows_missing": 3,
    "lake_rows_wrong": 4,
    "rollup_rows_expected": 5000,
    "rollup_rows_missing": 0,
    "rollup_rows_wrong": 1,
    "events_delivered": 7,
    "events_expected": 8,
    "messages_published": 1500,
    "raw_messages": 3_000_000,
    "bytes_published": 1_000_000,
    "raw_bytes": 400_000_000,
    "message_reduction": 2000.0,
    "byte_reduction": 400.0,
    "chaos_counts": {"gateway-crash": 12, "cloud-outage": 1},
    "accounting": {
        "sent": 3_000_600,
        "aggregated": 3_000_000,
        "duplicates": 500,
        "rejected": {"bad_occupancy": 60},
        "late_beyond_correction": 0,
        "excluded": 0,
        "shed": 0,
        "lost_on_the_way": 0,
        "lost_in_crash": 40,
        "remainder": 0,
    },
    "latency_missing_because": None,
    "latency_s": {"p50": 2.2, "p95": 2.9, "max": None},
    "alert_latency_s": {"p50": 2.3, "p95": 2.8, "max": 3.1},
    "alert_latency_from_closing_s": {"p50": 0.3, "p95": 0.8, "max": 1.1},
    "realtime_factor": 1.0,
    "fleet_cpu_cores": 0.8,
    "aggregator_rss_mb": 51.1,
    "soak": False,
    "memory": [],
    "findings": [],
    "problems": [],
}


def printed(**changed: Any) -> str:
    stream = io.StringIO()
    print_report({**REPORT, **changed}, Console(file=stream, width=160))
    return stream.getvalue()


def test_latencies_are_summarised_as_percentiles() -> None:
    assert latency_summary([float(n) for n in range(101)]) == {"p50": 50.0, "p95": 95.0, "max": 100.0}
    assert latency_summary([1.23456]) == {"p50": 1.235, "p95": 1.235, "max": 1.235}


def test_nothing_measured_is_none_rather_than_0() -> None:
    assert latency_summary([]) == {"p50": None, "p95": None, "max": None}
    assert ratio(10, 0) is None


def test_reduction_is_whole_by_part() -> None:
    assert ratio(1000, 3) == 333.3


def test_report_file_is_json_in_a_folder_made_for_it(tmp_path: Path) -> None:
    path = write_report(REPORT, tmp_path / "deep" / "out")
    assert path == tmp_path / "deep" / "out" / "report.json"
    assert json.loads(path.read_text()) == REPORT


def test_page_shows_the_figures_and_the_verdict() -> None:
    page = printed()
    for words in (
        "50,000 on 200 (2 real processes)",
        "1,200 of 1,201",
        "1, 2",
        "7 of 8",
        "2,000.0 x",
        "p95 2.9",
        "12 gateway-crash, 1 cloud-outage",
        "3,000,600",
        "rejected: bad_occupancy",
        "51.1 MB",
    ):
        assert words in page
    assert "OK" in page
    assert "NOT OK" not in page


def test_page_names_findings_and_problems_as_they_are() -> None:
    finding = {"gateway": "gw-003", "window_start_ms": 1_700_000_000_000, "what": "seg [b]: x is 1, should be 2 [/b]"}
    page = printed(ok=False, findings=[finding], problems=["alert missing: segment [7]"])
    assert "gw-003 1700000000000 seg [b]: x is 1, should be 2 [/b]" in page
    assert "alert missing: segment [7]" in page
    assert "NOT OK" in page


def test_page_of_a_run_that_published_nothing_still_shows() -> None:
    assert "unknown, unknown" in printed(messages_published=0, message_reduction=None, byte_reduction=None)


@pytest.mark.parametrize("start_s", range(10))
@pytest.mark.parametrize("window_s", [1, 10, 60])
def test_run_waits_until_silence_has_closed_the_last_window(start_s: int, window_s: int) -> None:
    """The gateway's clock: silent for 5 s, then event time goes on; a window closes 2 s after its end."""
    start = 1_700_000_000 + start_s
    last_reading_s = start + 14 - 0.001
    options = RunOptions(duration_s=14, window_s=window_s)
    waits_until_s = settling.last_results_s(options, start * 1000, now_s=start + 16.0)
    end_s = last_reading_s // window_s * window_s + window_s
    closed_s = last_reading_s + 5 + (end_s + 2 - last_reading_s)
    assert closed_s + 3 <= waits_until_s <= closed_s + 13
    assert waits_until_s >= start + 16 + 5 + 1  # a correction waits for its companions, and is stored


def test_run_on_a_slow_machine_waits_for_silence_as_much_longer_as_it_was_late() -> None:
    def waits_until_s(now_s: float) -> float:
        return settling.last_results_s(RunOptions(duration_s=14), 1_700_000_000_000, now_s)

    assert waits_until_s(1_700_000_116.0) == waits_until_s(1_700_000_016.0) + 100


def test_page_of_a_soak_tells_the_memory_of_every_process() -> None:
    process = {"process": "gw-000", "rss_mb": 52.0, "mb_per_hour": 1.5, "bound_mb_per_hour": 10.0, "restarts": 2}
    assert "memory of gw-000" in printed(soak=True, memory=[process])
    assert "52.0 MB, +1.5 MB an hour (bound 10), 2 restarts" in printed(soak=True, memory=[process])
    assert "gw-000" not in printed(soak=False, memory=[process])
