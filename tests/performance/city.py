"""How fast the simulator is: its generator alone, and the edge of a whole city behind it, verified.

The generator is measured in CPU time of this process. The edge is `run --target memory --speed max`, in wall time, as
anybody runs it; its readings come from the same generator. Raw readings go to the local cloud, until it is behind.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.city.layout import make_city
from simulator.city.traffic import CityTraffic

REPOSITORY = Path(__file__).resolve().parents[2]
SENSORS_A_GATEWAY = 250
SIZES = (5_000, 50_000, 500_000)
EDGE_S = {5_000: 60, 50_000: 60, 500_000: 15}  # seconds of readings

RAW_SENSORS, RAW_S = 1_000, 15


class CityRunError(Exception):
    """A run that was to be measured did not end well; the message has its last lines."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One verified run of the edge.

    Parameters
    ----------
    realtime_factor : seconds of readings a second of wall time, from the first reading to the last
    verified_realtime_factor : likewise, to the verdict
    cpu_s_per_s : CPU time of all processes for a second of readings, with layout, settling and verification
    rss_mb : memory of all processes when the last reading was there
    """

    sensors: int
    realtime_factor: float
    verified_realtime_factor: float
    cpu_s_per_s: float
    rss_mb: float


def generator_realtime_factor(sensors: int, seconds: int = 60) -> float:
    """Seconds of traffic and readings that one core makes in a second of its time; best of three."""
    traffic = CityTraffic(make_city(sensors, max(1, sensors // SENSORS_A_GATEWAY), 1), 1)
    best = 0.0
    for _ in range(3):
        began_s = time.process_time()
        for _ in range(seconds):
            traffic.tick()
        best = max(best, seconds / (time.process_time() - began_s))
    return best


def edge(sensors: int, folder: Path) -> Edge:
    """Run the edge of a city. Raises CityRunError if anything was missing or wrong."""
    seconds = EDGE_S[sensors]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = _reported(sensors, seconds, folder / f"edge-{sensors}", ["--target", "memory", "--speed", "max"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Edge(
        sensors=sensors,
        realtime_factor=report["realtime_factor"],
        verified_realtime_factor=report["verified_realtime_factor"],
        cpu_s_per_s=(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds,
        rss_mb=sum(process["rss_mb"] for process in report["memory"]),
    )


def raw_rates(folder: Path) -> tuple[float | None, float]:
    """Readings a second, each published by its sensor: what the broker took while it was behind; what was stored."""
    report = _reported(RAW_SENSORS, RAW_S, folder / "raw", ["--mode", "raw"])
    return report["rate_answered_per_s"], report["rate_reached_per_s"]


def _reported(sensors: int, seconds: int, out: Path, flags: list[str]) -> dict[str, Any]:
    """The report of a run. Raises CityRunError if it did not end well."""
    size = ["--sensors", sensors, "--gateways", sensors // SENSORS_A_GATEWAY, "--duration", seconds, "--out", out]
    command = [sys.executable, "-m", "simulator", "run", "--no-archive", *flags, *map(str, size)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0:
        raise CityRunError(
            f"{sensors} sensors, exit code {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return report
