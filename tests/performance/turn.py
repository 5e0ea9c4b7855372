"""One engine in a process of its own: takes its turn when told to, and tells the CPU time it took.

    python -m tests.performance.turn ENGINE DIRECTORY VARIANT

Reads `run` and `rows` from standard input, one a line. Needs nothing but the standard library and the engine.
"""

import gc
import importlib
import json
import sys
import time
from pathlib import Path


def main() -> None:
    name, directory, variant = sys.argv[1:]
    engine = importlib.import_module(f"tests.performance.engines.with_{name}")
    turn = engine.prepare(Path(directory), variant)
    _tell({"version": engine.VERSION})
    outcome = None
    for line in sys.stdin:
        if line.strip() == "run":
            outcome = None
            gc.collect()
            began = time.process_time()
            outcome = turn()
            cpu_s = time.process_time() - began
            _tell({"cpu_s": cpu_s, "rss_mb": _peak_rss_mb()})
        else:
            _tell(engine.rows(outcome))


def _peak_rss_mb() -> float:
    # Not getrusage's: that begins with what the parent had.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _tell(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
