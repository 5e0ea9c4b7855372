"""`down` ends everything that a playground started, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cloud.playground import Playground, born
from simulator.playground.processes import family, resident_bytes, stop

# A parent with a child in a session of its own, as the local cloud is; `deaf` does not listen to SIGTERM.
PARENT = """
import signal, subprocess, sys, time
if {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
try:
    time.sleep(60)
finally:
    child.terminate()
    child.wait()
"""


@pytest.fixture
def bystander() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process.pid
    assert process.poll() is None
    process.kill()
    process.wait()


def parent(deaf: bool) -> tuple[subprocess.Popen[Any], Playground, int]:
    code = PARENT.format(deaf=deaf)
    if not deaf:
        code = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit())\n{code}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    return process, Playground(process.pid, born(process.pid) or "", "one", 0, None, "", {}, ""), child


@pytest.mark.parametrize(("deaf", "killed"), [(False, 0), (True, 2)])
def test_all_that_it_started_ends(deaf: bool, killed: int, bystander: int) -> None:
    process, playground, child = parent(deaf)
    members = family(playground.pid)
    assert {member.pid for member in members} == {process.pid, child}
    assert resident_bytes(members) > 1_000_000

    assert stop(playground, patience_s=10.0 if not deaf else 0.5) == killed

    assert not any(member.is_alive for member in members)
    assert born(bystander) is not None
    process.communicate()


def test_a_process_that_got_the_number_later_is_left_alone(bystander: int) -> None:
    stranger = Playground(bystander, "an earlier boot/12345", "one", 0, None, "", {}, "")
    began_s = time.monotonic()

    assert not stranger.is_alive
    stop(stranger, patience_s=0.2)

    assert time.monotonic() - began_s < 5
