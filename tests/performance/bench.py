"""Measures the hot paths and prints each as a ratio to plain Python in the same run: `make bench`.

Workload: one gateway, 250 sensors at 1 Hz in 25 segments, 60 windows of 10 s, 1 % of the readings repeated. All engines
count the same and are checked against each other before anything is printed. Rates are readings per second of CPU time
on one core; the engines take turns and the best of three passes counts. Writes out/bench.json.
"""

import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from aggregator import messages
from aggregator.intake import Intake
from roadside.contract import topics
from roadside.contract.codec import decode_window, encode_frame, encode_window
from roadside.contract.summary import ReadingFrame, WindowSummary
from roadside.core.aggregator import Aggregator, AggregatorConfig, ClosedWindow
from roadside.core.registry import Registry, RoadClass, Segment

SENSORS, SEGMENTS, SECONDS, WINDOW_MS = 250, 25, 600, 10_000
BASE_MS = 1_762_000_000_000
PASSES = 3

Totals = dict[tuple[int, int], tuple[int, int]]  # (window start, segment) -> vehicles, sum of speeds in dkmh


def registry() -> Registry:
    per_segment = SENSORS // SEGMENTS
    return Registry(
        Segment(
            segment_id=f"seg{number:02d}",
            number=number,
            road_class=RoadClass.FREEWAY,
            free_flow_kmh=100.0,
            lanes=3,
            sensor_ids=tuple(f"gw-000-s{number * per_segment + i:04d}" for i in range(per_segment)),
            first_sensor_number=number * per_segment,
        )
        for number in range(SEGMENTS)
    )


def readings() -> dict[str, np.ndarray]:
    """Columns of all readings in the order of arrival, a hundredth of them twice."""
    rng = np.random.default_rng(7)
    phase = rng.integers(0, 1000, SENSORS)
    sensor = np.tile(np.arange(SENSORS), SECONDS)
    timestamp = BASE_MS + 1000 * np.repeat(np.arange(SECONDS), SENSORS) + np.tile(phase, SECONDS)
    count = rng.poisson(0.35 * (1 + sensor // (SENSORS // SEGMENTS) % 5))
    usual = rng.uniform(180, 1050, SEGMENTS)[sensor // (SENSORS // SEGMENTS)]
    speed = np.clip(usual * np.exp(rng.normal(0, 0.12, len(sensor))), 10, 1800).astype(np.int64)
    share = np.clip(count * 60, 0, 1000)
    again = rng.choice(len(sensor), len(sensor) // 100, replace=False)
    rows = np.concatenate([np.arange(len(sensor)), again])
    rows = rows[np.argsort(timestamp[rows], kind="stable")]
    columns = {"sensor": sensor, "timestamp": timestamp, "count": count, "speed": speed, "share": share}
    return {name: column[rows] for name, column in columns.items()}


def json_messages(columns: dict[str, np.ndarray], size: int) -> list[bytes]:
    rows = [
        {
            "sensor_id": f"gw-000-s{sensor:04d}",
            "timestamp": timestamp,
            "vehicle_count": count,
            "average_speed_kmh": speed / 10 if count else None,
            "occupancy": share / 1000,
        }
        for sensor, timestamp, count, speed, share in zip(*(c.tolist() for c in columns.values()), strict=True)
    ]
    return [json.dumps(rows[i : i + size], separators=(",", ":")).encode() for i in range(0, len(rows), size)]


def frames(columns: dict[str, np.ndarray], size: int) -> list[bytes]:
    encoded = []
    for first in range(0, len(columns["sensor"]), size):
        part = {name: column[first : first + size] for name, column in columns.items()}
        base_ms = int(part["timestamp"].min())
        speed = np.where(part["count"] == 0, ReadingFrame.NO_SPEED, part["speed"])
        encoded.append(
            encode_frame(
                ReadingFrame(
                    source="bench",
                    base_ms=base_ms,
                    sensor_number=part["sensor"].astype("<u4").tobytes(),
                    offset_ms=(part["timestamp"] - base_ms).astype("<u4").tobytes(),
                    vehicle_count=part["count"].astype("<u2").tobytes(),
                    speed_dkmh=speed.astype("<u2").tobytes(),
                    occupancy_permille=part["share"].astype("<u2").tobytes(),
                )
            )
        )
    return encoded


def through_roadside(encoded: list[bytes], topic: str) -> tuple[Totals, list[ClosedWindow]]:
    """Decode and aggregate as the component does, windows closed and summed."""
    intake, aggregator = Intake(), Aggregator(registry(), AggregatorConfig())
    windows: list[ClosedWindow] = []
    for payload in encoded:
        batch = intake.decode(topic, payload, aggregator.registry)
        if batch is not None:
            now_ms = int(batch.timestamp_ms.max())
            aggregator.feed(batch, now_ms, now_ms)
            windows += aggregator.advance(now_ms).windows
    windows += aggregator.drain().windows
    totals = {
        (window.start_ms, number): (int(window.sums.vehicle_count[number]), int(window.sums.speed_sum[number]))
        for window in windows
        for number in range(SEGMENTS)
    }
    return totals, windows


def through_plain_python(encoded: list[bytes]) -> Totals:
    """The same with json, sets and dictionaries: sums, extremes and exact percentiles of every window."""
    seen: set[tuple[str, int]] = set()
    speeds: dict[tuple[int, int], list[int]] = defaultdict(list)
    vehicles: dict[tuple[int, int], int] = defaultdict(int)
    per_segment = SENSORS // SEGMENTS
    for payload in encoded:
        for reading in json.loads(payload):
            key = reading["sensor_id"], reading["timestamp"]
            if key in seen:
                continue
            seen.add(key)
            count = reading["vehicle_count"]
            group = reading["timestamp"] // WINDOW_MS * WINDOW_MS, int(reading["sensor_id"][-4:]) // per_segment
            vehicles[group] += count
            if count:
                speeds[group] += [round(reading["average_speed_kmh"] * 10)] * count
    totals: Totals = {}
    for group, count in vehicles.items():
        ordered = sorted(speeds[group])
        if ordered:
            _ = ordered[0], ordered[-1], *(ordered[math.floor(q * (len(ordered) - 1))] for q in (0.5, 0.85))
        totals[group] = count, sum(ordered)
    return totals


def best_of(passes: int, engines: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of each engine's best pass; the engines take turns."""
    best = dict.fromkeys(engines, math.inf)
    for _ in range(passes):
        for name, engine in engines.items():
            began = time.process_time()
            engine()
            best[name] = min(best[name], time.process_time() - began)
    return best


def main() -> int:
    columns = readings()
    count = len(columns["sensor"])
    live, large = json_messages(columns, 45), json_messages(columns, 2500)
    packed_live, packed_large = frames(columns, 250), frames(columns, 2500)
    json_topic, frame_topic = topics.readings("bench"), topics.frames("bench")

    expected = through_plain_python(large)
    totals, windows = through_roadside(packed_large, frame_topic)
    for engine in (totals, through_roadside(live, json_topic)[0], through_roadside(packed_live, frame_topic)[0]):
        if {group: value for group, value in engine.items() if group in expected} != expected:
            print("bench: the engines disagree; run `make test`", file=sys.stderr)
            return 1
    summaries = [
        WindowSummary("gw-000", BASE_MS, i, w.start_ms, w.window_ms, messages.segment_summaries(w, registry()))
        for i, w in enumerate(windows)
    ]
    encoded = [encode_window(summary) for summary in summaries]

    cpu_s = best_of(
        PASSES,
        {
            "plain Python, JSON, 2,500 a message": lambda: through_plain_python(large),
            "JSON, 45 a message": lambda: through_roadside(live, json_topic),
            "JSON, 2,500 a message": lambda: through_roadside(large, json_topic),
            "frames, 250 a message": lambda: through_roadside(packed_live, frame_topic),
            "frames, 2,500 a message": lambda: through_roadside(packed_large, frame_topic),
        },
    )
    codec_s = best_of(
        PASSES,
        {
            "encode": lambda: [encode_window(summary) for summary in summaries],
            "decode": lambda: [decode_window(payload) for payload in encoded],
        },
    )
    plain_s = cpu_s["plain Python, JSON, 2,500 a message"]
    table = Table(title="Readings per second of one core: decode, de-duplicate, windows", title_justify="left")
    for heading in ("engine", "readings/s", "x plain Python", "gateways of 250 sensors a core"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for name, seconds in cpu_s.items():
        rate = count / seconds
        table.add_row(name, f"{rate:,.0f}", f"{plain_s / seconds:.1f}", f"{rate / SENSORS:,.0f}")
    console = Console()
    console.print(table)
    largest = max(map(len, encoded))
    encode_ms, decode_ms = (1e3 * codec_s[name] / len(encoded) for name in ("encode", "decode"))
    console.print(
        f"window message of 25 segments: {largest} bytes at most; encode {encode_ms:.2f} ms, decode {decode_ms:.2f} ms"
    )
    out = Path("out")
    out.mkdir(exist_ok=True)
    figures = {
        "readings_per_cpu_s": {name: round(count / seconds) for name, seconds in cpu_s.items()},
        "ratio_vs_plain_python": {name: round(plain_s / seconds, 2) for name, seconds in cpu_s.items()},
        "frames_vs_json": round(cpu_s["JSON, 2,500 a message"] / cpu_s["frames, 2,500 a message"], 2),
        "message_bytes": largest,
        "encode_ms": round(encode_ms, 3),
        "decode_ms": round(decode_ms, 3),
    }
    (out / "bench.json").write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
