"""Whether a process of a long run takes ever more memory: its resident memory over time, and the slope when warm.

A process that was restarted is a new one; of each name the one that lived longest is judged. The first third of its
life is left out, and at least `WARM_UP_S`: caches fill, pools grow, and gateways and the oracle gather the five minutes
in which windows can change.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

WARM_UP_SHARE: Final = 1 / 3
WARM_UP_S: Final = 400.0  # until gateways and the oracle hold the five minutes in which windows can change
SHORTEST_S: Final = 120.0  # of what is left to judge
NOISE_MB: Final = 8.0  # a heap breathes by so much
MAX_SAMPLES: Final = 2000  # of a process; then every second one goes


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a run.

    Parameters
    ----------
    mb_per_hour : how much its memory may grow, in the mean: what it holds on purpose
    """

    pid: int
    mb_per_hour: float


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of one process's memory; `mb_per_hour` is None where it did not live long enough to tell."""

    name: str
    pid: int
    observed_s: float
    rss_mb: float
    mb_per_hour: float | None
    bound_mb_per_hour: float

    @property
    def leaks(self) -> bool:
        """Whether it grew faster than it may, and by more than noise."""
        if self.mb_per_hour is None or self.mb_per_hour <= self.bound_mb_per_hour:
            return False
        return self.mb_per_hour * self.observed_s / 3600 > NOISE_MB

    def in_words(self) -> str:
        if self.mb_per_hour is None:
            return f"{self.name}: {self.rss_mb:.0f} MB, lived too short to judge"
        return f"{self.name}: {self.rss_mb:.0f} MB, {self.mb_per_hour:+.1f} of {self.bound_mb_per_hour:g} MB an hour"


@dataclass(slots=True)
class _Life:
    bound_mb_per_hour: float
    samples: list[tuple[float, float]] = field(default_factory=list)  # seconds, MB
    step: int = 1
    count: int = 0

    def note(self, at_s: float, rss_mb: float) -> None:
        self.count += 1
        if self.count % self.step == 0:
            self.samples.append((at_s, rss_mb))
        if len(self.samples) > MAX_SAMPLES:
            self.samples, self.step = self.samples[1::2], 2 * self.step


class Memory:
    """The memory of all processes of a run, as it goes on."""

    def __init__(self) -> None:
        self._lives: dict[str, dict[int, _Life]] = defaultdict(dict)

    def measure(self, at_s: float, processes: Mapping[str, Process]) -> None:
        """Note how much each holds now; one that has just ended is passed over."""
        for name, process in processes.items():
            rss_mb = rss_bytes(process.pid) / 1e6
            if rss_mb:
                life = self._lives[name].setdefault(process.pid, _Life(process.mb_per_hour))
                life.note(at_s, rss_mb)

    def growth(self) -> list[Growth]:
        """Of each name, the process that lived longest."""
        return [
            _growth(name, *max(lives.items(), key=lambda each: each[1].samples[-1][0] - each[1].samples[0][0]))
            for name, lives in sorted(self._lives.items())
        ]

    def report(self) -> list[dict[str, Any]]:
        """As report.json has it: what was found, and up to a hundred samples of each process."""
        return [
            {
                "process": each.name,
                "rss_mb": round(each.rss_mb, 1),
                "mb_per_hour": None if each.mb_per_hour is None else round(each.mb_per_hour, 1),
                "bound_mb_per_hour": each.bound_mb_per_hour,
                "leaks": each.leaks,
                "restarts": len(self._lives[each.name]) - 1,
                "samples": [
                    [round(at_s), round(mb, 1)] for at_s, mb in _some(self._lives[each.name][each.pid].samples)
                ],
            }
            for each in self.growth()
        ]


def rss_bytes(pid: int) -> int:
    """Resident memory of a process; 0 if there is none of that number."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)


def _growth(name: str, pid: int, life: _Life) -> Growth:
    at_s, mb = np.array(life.samples).T
    warm = at_s >= at_s[0] + max(WARM_UP_S, WARM_UP_SHARE * (at_s[-1] - at_s[0]))
    observed_s = float(at_s[-1] - at_s[warm][0]) if warm.any() else 0.0
    slope = None
    if observed_s >= SHORTEST_S:
        slope = 3600 * float(np.polyfit(at_s[warm], mb[warm], 1)[0])
    return Growth(name, pid, observed_s, float(mb[-1]), slope, life.bound_mb_per_hour)


def _some(samples: list[tuple[float, float]]) -> list[tuple[int, float]]:
    return [(round(at_s), round(mb, 1)) for at_s, mb in samples[:: -(-len(samples) // 100)]]
