"""What a day's messages weigh as they are stored, and what writing and reading one costs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.messages import segment_summaries
from cloud.functions.processor.items import item_bytes, window_item
from cloud.functions.processor.logic import WindowRecord
from cloud.functions.shared.envelope import Envelope
from roadside.contract.codec import decode_window, encode_window
from roadside.contract.summary import WindowSummary
from roadside.core.aggregator import Aggregator, AggregatorConfig
from roadside.core.health import HealthRules
from roadside.core.readings import batch_from_integers
from tests.performance.workload import SEGMENTS, SENSORS, START_MS, WINDOW_MS, registry

GATEWAY = "gw-000000000042"  # of 15 letters, the longest for which the budget is promised
DAY_WINDOWS = 24 * 3600 * 1000 // WINDOW_MS
KEPT_WINDOWS = 60  # for timing


@dataclass(frozen=True, slots=True)
class DayOfMessages:
    """Of one gateway with 250 sensors: sizes of all, and some of them."""

    largest_message_bytes: int
    largest_item_bytes: int
    mean_item_bytes: float
    windows: int
    some: Sequence[WindowSummary]


def day_of_messages(progress: Callable[[str], None], windows: int = DAY_WINDOWS) -> DayOfMessages:
    """A day with two rush hours, drawn like the benchmark's readings; every hundredth reading comes twice."""
    random = np.random.default_rng(11)
    sensors = registry()
    # Drawn readings are not like real ones: sensor health would leave out the sensors, and windows would be small.
    aggregator = Aggregator(sensors, AggregatorConfig(health=HealthRules(enabled=False)))
    per_sensor = WINDOW_MS // 1000
    sensor = np.tile(np.arange(SENSORS), per_sensor)
    segment = sensor // (SENSORS // SEGMENTS)
    offset_ms = 1000 * np.repeat(np.arange(per_sensor), SENSORS) + random.integers(0, 1000, SENSORS)[sensor]
    base_kmh = random.uniform(18, 105, SEGMENTS)
    sizes: list[tuple[int, int]] = []
    some: list[WindowSummary] = []
    for place in range(windows):
        timestamp_ms = START_MS + place * WINDOW_MS + offset_ms
        demand = rush(place / DAY_WINDOWS)
        vehicles = random.poisson(0.35 * demand * (1 + segment % 5))
        wave = 1 - 0.45 * (np.sin(timestamp_ms / 97_000 + segment) > 0.8)
        speed_kmh = np.clip(base_kmh[segment] * wave * np.exp(random.normal(0, 0.12, len(sensor))), 1, 180)
        covered = vehicles * 0.06 / np.maximum(speed_kmh / 40, 0.2) + random.normal(0.01, 0.004, len(sensor))
        rows = np.concatenate([np.arange(len(sensor)), random.choice(len(sensor), len(sensor) // 100, replace=False)])
        batch = batch_from_integers(
            sensor[rows],
            timestamp_ms[rows],
            vehicles[rows],
            np.rint(speed_kmh * 10).astype(np.int64)[rows],
            np.rint(np.clip(covered, 0, 1) * 1000).astype(np.int64)[rows],
        )
        now_ms = START_MS + (place + 1) * WINDOW_MS
        aggregator.feed(batch, now_ms, now_ms)
        for window in aggregator.advance(now_ms).windows:
            summary = WindowSummary(
                gateway=GATEWAY,
                epoch_ms=START_MS,
                sequence=3_000_000 + place,  # a month and many messages on: the longest that header fields get
                window_start_ms=window.start_ms,
                window_ms=window.window_ms,
                segments=segment_summaries(window, sensors),
                revision=window.revision,
                backfill=True,
            )
            payload = encode_window(summary)
            record = WindowRecord(Envelope(GATEWAY, summary.window_end_ms, payload, "windows"), summary, ())
            sizes.append((len(payload), item_bytes(window_item(record, retention_days=90))))
            if len(some) < KEPT_WINDOWS and demand > 0.7:
                some.append(summary)
        if place % 864 == 0:
            progress(f"messages of a day: {100 * place // windows} %")
    payloads, items = np.array(sizes).T
    return DayOfMessages(int(payloads.max()), int(items.max()), float(items.mean()), len(sizes), some)


def rush(share_of_day: float) -> float:
    """Demand over that of the benchmark's readings, to which the peaks at 8 and 17 o'clock come near.

    Those readings have up to 1.75 vehicles a second and lane, more than twice what a lane carries.
    """
    peaks = sum(np.exp(-(((24 * share_of_day - hour) / 2.0) ** 2)) for hour in (8, 17))
    return float(0.1 + 0.6 * peaks + 0.3 * np.sin(np.pi * share_of_day) ** 2)


def codec_ms(summaries: Sequence[WindowSummary], passes: int = 5) -> tuple[float, float]:
    """CPU milliseconds of writing and of reading one message, best of the passes."""
    payloads = [encode_window(summary) for summary in summaries]
    writing = min(_cpu_s(lambda: [encode_window(summary) for summary in summaries]) for _ in range(passes))
    reading = min(_cpu_s(lambda: [decode_window(payload) for payload in payloads]) for _ in range(passes))
    return 1e3 * writing / len(summaries), 1e3 * reading / len(summaries)


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
