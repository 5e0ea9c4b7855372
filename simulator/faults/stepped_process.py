"""Runs a module as `python -m` does, in a process whose wall clock another process can step.

    python stepped_process.py OFFSET_FILE -m MODULE [ARGUMENT ...]

OFFSET_FILE holds the offset in ms as text; see `clocks.py`. Only `time.time` and `time.time_ns` are off: clocks
that never step do not, on a device either. A file of its own that imports nothing of ours, since it runs in the
component's process.
"""

import os
import runpy
import sys
import time
from pathlib import Path


def main() -> None:
    """Patch the clock, then become the module."""
    offset_file, dash_m, module = sys.argv[1:4]
    if dash_m != "-m":
        raise SystemExit(f"{dash_m!r}: only -m MODULE is run here")
    descriptor = os.open(Path(offset_file), os.O_RDONLY)
    true_ns = time.time_ns

    def stepped_ns() -> int:
        return true_ns() + 1_000_000 * int(os.pread(descriptor, 32, 0))

    time.time_ns = stepped_ns
    time.time = lambda: stepped_ns() / 1e9
    sys.argv = [module, *sys.argv[4:]]
    sys.path[0] = str(Path.cwd())  # as for -m; it was this file's folder, whose modules must not be found
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
