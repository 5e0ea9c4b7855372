"""A window's message is what a city pays for: its size is measured, with an ordinary gateway's traffic."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from aggregator.messages import segment_summaries
from cloud.functions.processor.items import MAX_WINDOW_ITEM_BYTES, item_bytes, window_item
from cloud.functions.processor.logic import WindowRecord
from cloud.functions.shared.envelope import Envelope
from roadside.contract.codec import decode_window, encode_window
from roadside.contract.summary import WindowSummary
from roadside.core.aggregator import Aggregator, AggregatorConfig, ClosedWindow
from roadside.core.health import HealthRules
from roadside.core.readings import ReadingBatch, batch_from_measurements
from roadside.core.registry import Registry, RoadClass, Segment

SENSORS, SEGMENTS, SECONDS = 250, 25, 600
START_MS = 1_762_000_000_000
MAX_MESSAGE_BYTES = 984
GATEWAY = "gw-000000000042"  # of 15 letters, the longest for which the budget is promised


def deliveries() -> list[tuple[int, ReadingBatch]]:
    """Ten minutes of one gateway, as batches of 2,500 readings with the instant of the last one's arrival.

    Each sensor reads once a second; 1 % of the readings come twice, and each is up to 2 s on its way. Speeds scatter
    about each segment's own, which drops by 45 % now and then.
    """
    draw = np.random.default_rng(7)
    sensor = np.repeat(np.arange(SENSORS), SECONDS)
    second = np.tile(np.arange(SECONDS), SENSORS)
    readings = SENSORS * SECONDS
    phase_ms = draw.integers(0, 1000, SENSORS)
    timestamp_ms = START_MS + 1000 * second + phase_ms[sensor]
    segment = sensor // 10
    base_kmh = draw.uniform(18, 105, SEGMENTS)
    wave = 1 - 0.45 * (np.sin(timestamp_ms / 97_000 + segment) > 0.8)
    count = draw.poisson(0.35 * (1 + segment % 5))
    speed_kmh = np.round(np.clip(base_kmh[segment] * wave * np.exp(draw.normal(0, 0.12, readings)), 1, 180), 1)
    covered = count * 0.06 / np.maximum(speed_kmh / 40, 0.2) + draw.normal(0.01, 0.004, readings)
    occupancy = np.round(np.clip(covered, 0, 1), 3)
    delivered = np.concatenate([np.arange(readings), draw.choice(readings, readings // 100, replace=False)])
    arrival_ms = timestamp_ms[delivered] + draw.integers(0, 2000, len(delivered))
    order = np.argsort(arrival_ms, kind="stable")

    def batch(rows: npt.NDArray[np.intp]) -> ReadingBatch:
        return batch_from_measurements(
            sensor[rows],
            timestamp_ms[rows].astype(np.float64),
            count[rows].astype(np.float64),
            speed_kmh[rows],
            occupancy[rows],
            has_speed=np.ones(len(rows), dtype=np.bool_),
            has_occupancy=np.ones(len(rows), dtype=np.bool_),
        )

    pieces = np.array_split(order, len(order) // 2500)
    return [(int(arrival_ms[piece[-1]]), batch(delivered[piece])) for piece in pieces]


@pytest.fixture(scope="module")
def windows() -> list[WindowSummary]:
    """What the gateway sends of them, at the longest that header fields get: late, a month and many messages on."""
    registry = Registry(
        Segment(
            segment_id=f"seg-{index:04d}",
            number=3000 + index,
            road_class=RoadClass.ARTERIAL,
            free_flow_kmh=60.0,
            lanes=2,
            sensor_ids=tuple(f"s{10 * index + place:04d}" for place in range(10)),
            first_sensor_number=30_000 + 10 * index,
        )
        for index in range(SEGMENTS)
    )
    aggregator = Aggregator(registry, AggregatorConfig(health=HealthRules(enabled=False)))
    closed: list[ClosedWindow] = []
    for now_ms, batch in deliveries():
        aggregator.feed(batch, now_ms, now_ms)
        closed += aggregator.advance(now_ms).windows
    closed += aggregator.drain().windows
    return [
        WindowSummary(
            gateway=GATEWAY,
            epoch_ms=1_759_000_000_000,
            sequence=3_000_000 + place,
            window_start_ms=window.start_ms,
            window_ms=window.window_ms,
            segments=segment_summaries(window, registry),
            revision=window.revision,
            backfill=True,
        )
        for place, window in enumerate(closed)
    ]


def test_the_workload_is_whole(windows: list[WindowSummary]) -> None:
    starts = sorted({window.window_start_ms for window in windows})
    last = {window.window_start_ms: window for window in windows}  # later editions replace earlier ones
    segments = [segment for window in last.values() for segment in window.segments]

    assert len(starts) in (60, 61)  # a sensor's ten minutes begin up to a second after the gateway's
    assert sum(segment.readings_accepted for segment in segments) == SENSORS * SECONDS
    assert sum(len(segment.sketch.counts) > 1 for segment in segments) > 0.99 * len(segments)
    assert 1200 < sum(segment.readings_duplicate for segment in segments) <= SENSORS * SECONDS // 100


def test_every_window_comes_back(windows: list[WindowSummary]) -> None:
    assert [decode_window(encode_window(window)) for window in windows] == windows


def with_lanes(window: WindowSummary) -> WindowSummary:
    """As if a road of three lanes crossed the gateway and its first and last two stations told them one by one."""
    draw = np.random.default_rng(window.sequence)
    told = {
        index: replace(window.segments[index], lane_vehicles=tuple(draw.poisson(4, 3).tolist()))
        for index in (0, 10, 11)
    }
    return replace(window, segments=tuple(told.get(i, segment) for i, segment in enumerate(window.segments)))


@pytest.mark.parametrize("crossed", [False, True], ids=["inside", "crossed by a road"])
def test_every_window_is_within_the_size_that_one_write_unit_pays_for(
    windows: list[WindowSummary], crossed: bool
) -> None:
    if crossed:
        windows = list(map(with_lanes, windows))
    payloads = [encode_window(window) for window in windows]
    items = [
        window_item(
            WindowRecord(Envelope(GATEWAY, window.window_end_ms, payload, "windows"), window, ()), retention_days=90
        )
        for window, payload in zip(windows, payloads, strict=True)
    ]

    assert max(map(len, payloads)) <= MAX_MESSAGE_BYTES
    assert max(map(item_bytes, items)) <= MAX_WINDOW_ITEM_BYTES == 1024
