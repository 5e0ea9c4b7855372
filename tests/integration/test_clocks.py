"""Wall clocks that step: in this process, and in a process of its own that runs a module as it is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from roadside.runtime.clock import SystemClock
from simulator.faults.clocks import SteppedClock, step, stepped_interpreter

HOUR_S = 3600
MODULE = """
import sys, time, datetime
import beside
assert __name__ == "__main__"
print(sys.argv[1:], flush=True)
for line in sys.stdin:
    print(time.time(), time.time_ns() / 1e9, time.monotonic(), flush=True)
"""


def test_a_stepped_clock_is_off_by_what_it_was_told_and_its_steady_clock_is_not() -> None:
    clock = SteppedClock(SystemClock())
    steady_ms = clock.steady_ms()
    clock.offset_ms = -3_600_000
    assert clock.wall_ms() / 1000 == pytest.approx(time.time() - HOUR_S, abs=5)
    assert 0 <= clock.steady_ms() - steady_ms < 5000


def test_a_process_sees_the_step_while_it_runs_and_the_next_one_from_its_start(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(MODULE)
    (tmp_path / "beside.py").write_text("")
    folder = stepped_interpreter(Path(sys.prefix), tmp_path / "clock")

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(folder / "bin" / "python3"), "-m", "told", "--state-dir", "x y"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(process: subprocess.Popen[str]) -> list[float]:
        """By how much its two wall clocks and its steady clock are off ours, in seconds."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        told = [float(word) for word in process.stdout.readline().split()]
        return [told[0] - time.time(), told[1] - time.time(), told[2] - time.monotonic()]

    with start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "['--state-dir', 'x y']\n"
        assert ask(process) == pytest.approx([0, 0, 0], abs=5)
        for by_s in (HOUR_S, -HOUR_S, 0):
            step(folder, 1000 * by_s)
            assert ask(process) == pytest.approx([by_s, by_s, 0], abs=5)
        process.kill()
    step(folder, 1000 * HOUR_S)
    with start() as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert ask(process) == pytest.approx([HOUR_S, HOUR_S, 0], abs=5)
        process.kill()
