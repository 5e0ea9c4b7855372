"""Signals in a run: what the first does before and after there is something to report, and what the second does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from simulator.run.interruption import EXIT_CODE, Interruption, descendants

CHILD = """
    import subprocess, sys, time
    from simulator.run.interruption import Interruption

    with Interruption(print) as interruption:
        child = subprocess.Popen(["/bin/sh", "-c", "sleep 60 & wait"], start_new_session=True)
        {ready}
        print("ready", child.pid, flush=True)
        while not interruption.asked:
            time.sleep(0.01)
        print("finishing", flush=True)
        time.sleep(60)
"""


def start(ready: str) -> tuple[subprocess.Popen[str], int]:
    """A program that hears signals and has started a shell in a session of its own, which has started another."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD.format(ready=ready))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    word, pid = process.stdout.readline().split()
    assert word == "ready"
    return process, int(pid)


def gone(pid: int) -> bool:
    """Whether no process of this group is left, but for what the system's reaper has not collected yet."""
    until_s = time.monotonic() + 5.0
    while time.monotonic() < until_s:
        states = [
            fields[0]
            for path in Path("/proc").glob("[0-9]*/stat")
            if (fields := path.read_text(errors="replace").rpartition(")")[2].split()) and fields[2] == str(pid)
        ]
        if not set(states) - {"Z"}:
            return True
        time.sleep(0.02)
    return False


def test_before_there_is_anything_to_report_a_signal_breaks_off_and_leaves_no_process() -> None:
    process, group = start("pass")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in output
    assert gone(group)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_then_the_first_asks_to_finish_and_the_second_ends_at_once_without_leaving_processes(number: int) -> None:
    process, group = start("interruption.can_finish()")
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Interrupted: verifying what was measured until now.")
    assert process.stdout.readline() == "finishing\n"
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=10) == EXIT_CODE
    assert gone(group)


def test_handlers_are_what_they_were_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        interruption.can_finish()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_descendants_are_found_over_generations() -> None:
    assert list(descendants({2: 1, 3: 2, 4: 1, 5: 9, 6: 3}, 1)) == [2, 3, 6, 4]
