"""Roadside: from the bytes of local messages through intake and core to closed windows.

Variants are `json-2500`, `frames-250` and so on. Sensor health, summaries of sensors and incident detection, which no
peer has, are off; congestion is always judged. With `+all` appended everything is on, and each window is encoded as the
message that leaves the gateway. Sensor health then leaves sensors out, as drawn readings are not like real ones.
"""

from collections.abc import Callable
from pathlib import Path

from aggregator import messages
from aggregator.intake import Intake
from roadside.contract import topics
from roadside.contract.codec import encode_window
from roadside.contract.summary import WindowSummary
from roadside.core.aggregator import Aggregator, AggregatorConfig, ClosedWindow
from roadside.core.health import HealthRules
from roadside.core.readings import NONE
from roadside.core.sketch import quantile_kmh
from tests.performance import workload
from tests.performance.engines import Rows, read_messages

VERSION = "this checkout"


def prepare(directory: Path, variant: str) -> Callable[[], list[ClosedWindow]]:
    form, _, rest = variant.partition("+")
    received = read_messages(directory / f"{form}.messages")
    topic = topics.frames("bench") if form.startswith("frames") else topics.readings("bench")
    registry = workload.registry(in_a_row=bool(rest))
    config = AggregatorConfig()
    if not rest:
        config = AggregatorConfig(sensor_interval_ms=0, health=HealthRules(enabled=False))

    def turn() -> list[ClosedWindow]:
        intake, aggregator = Intake(), Aggregator(registry, config)
        closed: list[ClosedWindow] = []
        for payload in received:
            batch = intake.decode(topic, payload, registry)
            assert batch is not None
            now_ms = int(batch.timestamp_ms.max())
            aggregator.feed(batch, now_ms, now_ms)
            closed += aggregator.advance(now_ms).windows
        closed += aggregator.drain().windows
        if rest:
            for place, window in enumerate(closed):
                summaries = messages.segment_summaries(window, registry)
                encode_window(WindowSummary("gw000", 1, place, window.start_ms, window.window_ms, summaries))
        return closed

    return turn


def rows(closed: list[ClosedWindow]) -> Rows:
    found: Rows = {}
    for window in closed:
        sums = window.sums
        percentiles = [(quantile_kmh(sums.sketch, q) * 10).tolist() for q in (0.5, 0.85)]
        columns = zip(
            sums.readings_accepted.tolist(),
            sums.vehicle_count.tolist(),
            sums.speed_sum.tolist(),
            sums.speed_square_sum.tolist(),
            sums.speed_min.tolist(),
            sums.speed_max.tolist(),
            sums.occupied_ms.tolist(),  # a reading covers 1000 ms
            *percentiles,
            strict=True,
        )
        for segment, values in enumerate(columns):
            unmeasured = values[4] == NONE
            found[f"{window.start_ms}/{segment}"] = [
                None if unmeasured and place in {4, 5, 7, 8} else value for place, value in enumerate(values)
            ]
    return {group: values for group, values in found.items() if values[0]}
