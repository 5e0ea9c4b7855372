"""Engines taking turns on the same readings, each in a process of its own, and what comes of it."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.performance.engines import Rows

SKETCH_ERROR = 0.01  # of our percentiles, which are read off a sketch; all else must be equal
ROOT = Path(__file__).parents[2]
PEER_PYTHON = ROOT / ".venv-bench/bin/python"


@dataclass(frozen=True)
class Entry:
    """An engine in the race."""

    name: str
    engine: str
    variant: str
    python: Path

    @property
    def is_compared(self) -> bool:
        """Whether its result has to be the others': not where sensor health leaves some readings out of the sums."""
        return not self.variant.endswith("+all")


def ours(variant: str, name: str) -> Entry:
    return Entry(name, "roadside", variant, Path(sys.executable))


def peers(python: Path = PEER_PYTHON) -> list[Entry]:
    """The peers that are installed; bytewax is not there for every Python."""
    found = []
    for engine, name, variant in (
        ("duckdb", "DuckDB, 1 thread", "file"),
        ("polars", "Polars, 1 thread", "file"),
        ("bytewax", "bytewax", "json-2500"),
    ):
        command = [python, "-c", f"import {engine}"]
        if python.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0:
            found.append(Entry(name, engine, variant, python))
    return found


class Runner:
    """An engine's process."""

    def __init__(self, entry: Entry, directory: Path) -> None:
        self.entry = entry
        arguments = [entry.python, "-m", "tests.performance.turn", entry.engine, str(directory), entry.variant]
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "components"])},
        )
        self.version = self._hear()["version"]

    def run(self) -> dict[str, float]:
        return self._ask("run")

    def rows(self) -> Rows:
        return self._ask("rows")

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, what: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.entry.name} ended with code {self._process.wait()}; its traceback is above")
        return json.loads(line)


@dataclass
class Result:
    """CPU seconds of an engine by round, the best pass of each; its memory, and where it disagrees with the first."""

    version: str
    rounds_s: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    disagreement: str | None = None

    @property
    def seconds(self) -> float:
        return statistics.median(self.rounds_s)

    @property
    def spread(self) -> float:
        """Of the rounds, relative to their median."""
        return (max(self.rounds_s) - min(self.rounds_s)) / self.seconds


def ratio(slow: Result, fast: Result) -> float:
    """How many times faster: the median over the rounds, since a busy machine slows both in the same round."""
    return statistics.median(a / b for a, b in zip(slow.rounds_s, fast.rounds_s, strict=True))


def race(
    entries: list[Entry], directory: Path, *, rounds: int, passes: int, progress: Callable[[str], None]
) -> Mapping[str, Result]:
    """Let the engines take turns; checks their results against those of the first."""
    runners = [Runner(entry, directory) for entry in entries]
    try:
        results = {runner.entry.name: Result(runner.version) for runner in runners}
        for place in range(rounds + 1):
            progress(f"round {place} of {rounds}" if place else "warming up and comparing results")
            best: dict[str, float] = {}
            for _ in range(passes if place else 1):
                for runner in runners:
                    told = runner.run()
                    name = runner.entry.name
                    best[name] = min(told["cpu_s"], best.get(name, told["cpu_s"]))
                    results[name].rss_mb = told["rss_mb"]
            if place:
                for name, seconds in best.items():
                    results[name].rounds_s.append(seconds)
            else:
                expected = runners[0].rows()
                for runner in [runner for runner in runners[1:] if runner.entry.is_compared]:
                    results[runner.entry.name].disagreement = compare(expected, runner.rows())
        return results
    finally:
        for runner in runners:
            runner.close()


def compare(one: Rows, other: Rows) -> str | None:
    """The first difference between two engines' results; None if they agree.

    All is equal to the last integer, but for percentiles that are no integers: those come from a sketch.
    """
    if one.keys() != other.keys():
        return f"{len(one)} and {len(other)} groups, {len(one.keys() ^ other.keys())} of them in one result alone"
    for group, expected in one.items():
        found = other[group]
        sums_agree = expected[:7] == found[:7]
        if not sums_agree or not all(map(_percentiles_agree, expected[7:], found[7:])):
            return f"group {group} is {expected} and {found}"
    return None


def _percentiles_agree(one: float | None, other: float | None) -> bool:
    if one is None or other is None or (isinstance(one, int) and isinstance(other, int)):
        return one == other
    exact, told = (one, other) if isinstance(one, int) else (other, one)
    return abs(told - exact) <= SKETCH_ERROR * exact * (1 + 1e-9)
