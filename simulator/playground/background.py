"""A command that goes on when it has given its terminal back.

The command starts a second process with the same terminal and waits. The second one does the work, and hands over as
soon as it has something to keep: the first one then ends with the exit code it was told, and the second one goes on in
a session of its own, where no Ctrl-C and no closed terminal reaches it, and speaks to its log.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_HANDLE: Final = "ROADSIDE_HAND_OVER"


def is_second() -> bool:
    """Whether this process is the one that goes on."""
    return _HANDLE in os.environ


def start(arguments: Sequence[str]) -> int:
    """Run `python -m simulator ARGUMENTS` as the second process, until it hands over or ends; its exit code."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[write_end],
        env={**os.environ, _HANDLE: str(write_end)},
    )
    os.close(write_end)
    with _handing_on_signals(process), os.fdopen(read_end, "rb") as pipe:
        told = pipe.read()
        return told[0] if told else process.wait()


@contextmanager
def _handing_on_signals(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The second process ends at Ctrl-C and SIGTERM as it would if it had the terminal to itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, _frame: process.send_signal(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hand_over(exit_code: int, log: Path) -> None:
    """Let the first process end with this code, and speak to the log from now on."""
    handle = int(os.environ.pop(_HANDLE))
    sys.stdout.flush()
    sys.stderr.flush()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.write(handle, bytes([exit_code]))
    os.close(handle)
