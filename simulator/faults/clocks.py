"""Wall clocks that can be stepped while the steady clock goes on, as when a gateway's time is set.

A gateway in this process reads a `SteppedClock`. A gateway that is a process of its own is started by an interpreter
that `stepped_interpreter` makes: `stepped_process.py` runs the component's module, unchanged, in a process whose
`time.time` and `time.time_ns` are off by what a file says. Shipped code knows nothing of it.
"""

import os
import shlex
from pathlib import Path
from typing import Final

from roadside.runtime.ports import Clock

LAUNCHER: Final = Path(__file__).with_name("stepped_process.py")
WIDTH: Final = 20


class SteppedClock:
    """A clock whose wall reading is off by `offset_ms` from that of `true`. Implements Clock."""

    def __init__(self, true: Clock) -> None:
        self.offset_ms = 0
        self._true = true

    def wall_ms(self) -> int:
        return self._true.wall_ms() + self.offset_ms

    def steady_ms(self) -> int:
        return self._true.steady_ms()


def stepped_interpreter(environment: Path, folder: Path) -> Path:
    """An environment whose `bin/python3` has a wall clock that `step` sets; for `ComponentDeployment.python`.

    Parameters
    ----------
    environment : the virtual environment to run in
    folder : is made; holds the interpreter and the file with the clock's offset
    """
    bin_folder = folder / "bin"
    bin_folder.mkdir(parents=True)
    step(folder, 0)
    command = shlex.join([str(environment / "bin" / "python3"), str(LAUNCHER), str(_offset_file(folder))])
    interpreter = bin_folder / "python3"
    interpreter.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    interpreter.chmod(0o755)
    return folder


def step(folder: Path, offset_ms: int) -> None:
    """Set the wall clock of the processes started by that interpreter, now and later ones, to `offset_ms` off."""
    descriptor = os.open(_offset_file(folder), os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, f"{offset_ms:+0{WIDTH}d}".encode(), 0)  # one write of one size: never seen in half
    finally:
        os.close(descriptor)


def _offset_file(folder: Path) -> Path:
    return folder / "clock-offset-ms"
