"""The dashboard: what it shows of a run, on a terminal and in a log, and at what cost."""

from __future__ import annotations

import io
import time
from dataclasses import replace

from rich.console import Console

from simulator.run.dashboard import Dashboard, View, sparkline
from simulator.run.series import Sample

NOW = Sample(
    at_s=1.0,
    readings=2000,
    messages=8,
    message_bytes=8000,
    windows_due=9,
    windows_stored=6,
    events=2,
    cpu_s=0.5,
    memory_bytes=123_000_000,
)


def view(now: Sample, duration_s: float = 30) -> View:
    backlog = [("gw-000", 0), ("gw-001", 2), ("gw-[b]", 1)]
    return View(now, duration_s, latency_s=(2.5, 3.25), backlog=backlog, faults=["cloud-outage all"])


def terminal() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=True, width=120, color_system=None), written


class Clock:
    """The machine's time, which a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_terminal_shows_rates_latency_backlog_and_faults() -> None:
    console, written = terminal()
    clock = Clock()
    with Dashboard(console, clock) as dashboard:
        dashboard.show(view(NOW))
        clock.now_s += 2
        dashboard.show(view(replace(NOW, at_s=3.0, readings=6000, messages=12, cpu_s=1.0)))
    said = " ".join(written.getvalue().split())
    for words in (
        "3 of 30 s",
        "readings 6,000 2,000/s ██",
        "messages 12 2/s",
        "windows stored 6 of 9 due, p50 2.5 s, p95 3.2 s",
        "alerts 2",
        "backlog 3 gw-001 2, gw-[b] 1",
        "0.25 cores, 123 MB",
        "faults now 1 cloud-outage all",
    ):
        assert words in said


def test_log_gets_a_line_at_first_then_every_ten_seconds_and_at_the_end() -> None:
    written, clock = io.StringIO(), Clock()
    with Dashboard(Console(file=written, width=80), clock) as dashboard:
        for second in range(1, 26):
            clock.now_s += 1
            dashboard.show(view(replace(NOW, at_s=float(second), readings=2000 * second), duration_s=25))
        dashboard.tell("kill-gateway gw-[0]")
    lines = [" ".join(line.split()) for line in written.getvalue().splitlines()]
    assert [line.split()[0] for line in lines] == ["1", "11", "21", "25", "kill-gateway"]
    assert lines[1] == (
        "11 s of 25: 22,000 readings (2,000/s), 8 messages, 6 of 9 windows stored, p50 2.5 s, p95 3.2 s, 2 alerts; "
        "now cloud-outage all"
    )


def test_run_that_is_faster_than_the_machine_is_shown_by_the_machines_time() -> None:
    console, written = terminal()
    clock = Clock()
    with Dashboard(console, clock) as dashboard:
        for second in range(1, 202):
            dashboard.show(view(replace(NOW, at_s=float(second), readings=2000 * second), duration_s=1000))
            clock.now_s += 0.01
    said = written.getvalue()
    assert said.count("of 1,000 s") <= 4
    assert "200,000/s" in said


def test_sparkline_goes_from_nothing_to_the_highest() -> None:
    assert sparkline([0, 35, 70]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def test_a_second_of_the_dashboard_costs_less_than_a_hundredth_of_a_core() -> None:
    console, _ = terminal()
    clock = Clock()
    backlog = [(f"gw-{number:03d}", number % 7) for number in range(200)]
    with Dashboard(console, clock) as dashboard:
        dashboard.show(view(NOW))  # what rich imports and measures first
        began_s = time.process_time()
        for second in range(2, 52):
            clock.now_s += 1
            dashboard.show(View(replace(NOW, at_s=float(second), readings=50_000 * second), 60, (2.5, 3.2), backlog))
        per_show_s = (time.process_time() - began_s) / 50
    assert per_show_s < 0.01
