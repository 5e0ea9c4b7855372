"""Recordings written by tests: two freeway stations of three lanes in a row and a street of one, a few minutes long."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

SENSOR_HEADER = ["sensor_id", "edge_id", "lane", "road_class", "road", "speed_limit_kmh", "order"]
READING_HEADER = [
    "sensor_id",
    "timestamp",
    "vehicle_count",
    "average_speed_kmh",
    "harmonic_speed_kmh",
    "occupancy_pct",
]
SENSORS = [
    *([f"E0{i}_{lane}", f"E0{i}", str(lane), "freeway", "EB", "104.6", str(i)] for i in range(2) for lane in range(3)),
    ["S0_0", "S0", "0", "arterial", "row1E", "50.0", "0"],
]
SENSOR_IDS = [row[0] for row in SENSORS]
START_MS = 1_715_664_600_000  # 2024-05-14T05:30:00Z
Cells = list[str]


def iso(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_rows(intervals: int = 36, interval_s: int = 10, seed: int = 1) -> list[Cells]:
    """Rows in the order of time, slower from the middle on; speeds are empty where no vehicle passed."""
    rng = random.Random(seed)  # noqa: S311 - a test
    rows = []
    for step in range(intervals):
        for sensor in SENSOR_IDS:
            vehicles = rng.choice([0, 0, 1, 2, 3])
            speed = rng.uniform(80, 120) if step < intervals // 2 else rng.uniform(10, 30)
            mean, harmonic = (f"{speed:.1f}", f"{speed * 0.97:.1f}") if vehicles else ("", "")
            timestamp = iso(START_MS + 1000 * interval_s * step)
            rows.append([sensor, timestamp, str(vehicles), mean, harmonic, f"{rng.uniform(0, 40):.1f}"])
    return rows


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def write_recording(
    folder: Path, rows: Iterable[Sequence[str]], *, name: str = "readings_10s.csv", header: Sequence[str] | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "sensors.csv", SENSOR_HEADER, SENSORS)
    write_csv(folder / name, header or READING_HEADER, rows)
    return folder


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
