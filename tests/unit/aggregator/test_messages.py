"""The core's windows in the contract's words, against the readings added up one by one."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aggregator.messages import incident_event, segment_summaries
from roadside.contract import sketch_bins
from roadside.contract.codec import decode_window, encode_window
from roadside.contract.events import decode_event, encode_event
from roadside.contract.summary import WindowSummary
from roadside.core.aggregator import Aggregator
from roadside.core.incidents import IncidentChange
from roadside.core.readings import NONE, ReadingBatch, batch_from_integers
from roadside.core.registry import Registry
from tests.unit.aggregator.rig import START_MS, settings

SENSORS_OF = {1: (0, 1), 2: (2, 3), 4: (4, 5)}

readings = st.lists(
    st.tuples(
        st.integers(-1, 5),  # the sensor's index; -1 unknown
        st.integers(0, 9999),  # ms into the window
        st.integers(0, 1001),  # one more than can be
        st.sampled_from([NONE, 0, 1, 29, 30, 31, 500, 2550, 2551]) | st.integers(NONE, 2551),
        st.sampled_from([NONE, 0, 1, 499, 1000, 1001]) | st.integers(NONE, 1001),
    ),
    max_size=40,
    unique_by=lambda row: row[:2],
)


def batch_of(rows: list[tuple[int, ...]]) -> ReadingBatch:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    return batch_from_integers(columns[0].astype(np.intp), START_MS + columns[1], columns[2], columns[3], columns[4])


@given(rows=readings, repeated=st.integers(0, 3), interval_ms=st.sampled_from([100, 333, 1000, 7000]))
def test_a_window_says_what_its_readings_add_up_to(
    rows: list[tuple[int, ...]], repeated: int, interval_ms: int
) -> None:
    configured = settings("added", reading_interval_ms=interval_ms)
    registry = configured.registry()
    assert isinstance(registry, Registry)
    aggregator = Aggregator(registry, configured.aggregation())
    usable = [
        row for row in rows if row[0] >= 0 and row[2] <= 1000 and (row[3] <= 2550 or row[2] == 0) and row[4] <= 1000
    ]
    # One reading a slot at most: two in one slot may find no place, which is the grid's to test.
    slots = {(row[0], row[1] // interval_ms): row for row in reversed(usable)}
    kept = [row for row in usable if slots[row[0], row[1] // interval_ms] == row]
    dropped = [row for row in usable if row not in kept]
    fed = [row for row in rows if row not in dropped] + kept[:repeated]
    aggregator.feed(batch_of(fed), START_MS + 20_000, 0)
    output = aggregator.drain()
    if not kept:
        assert not output.windows
        return
    [closed] = output.windows
    summaries = segment_summaries(closed, registry)
    assert [summary.number for summary in summaries] == [1, 2, 4]
    for summary in summaries:
        mine = [row for row in kept if row[0] in SENSORS_OF[summary.number]]
        moving = [(count, speed) for _, _, count, speed, _ in mine if count and speed != NONE]
        seen = [share for *_, share in mine if share != NONE]
        bins: dict[int, int] = {}
        for count, speed in moving:
            place = sketch_bins.bin_of(speed)
            bins[place] = bins.get(place, 0) + count
        sketch = {summary.sketch.first_bin + i: n for i, n in enumerate(summary.sketch.counts) if n}
        assert sketch == bins
        assert summary.vehicle_count == sum(row[2] for row in mine)
        assert summary.vehicles_without_speed == sum(count for _, _, count, speed, _ in mine if speed == NONE)
        assert summary.clipped_vehicles == sum(count for count, speed in moving if speed < 30)
        assert summary.speed_sum_dkmh == sum(count * speed for count, speed in moving)
        assert summary.pace_sum_ms_per_km == sum(n * sketch_bins.pace_ms_per_km(speed) for n, speed in moving)
        assert summary.speed_square_sum == sum(count * speed * speed for count, speed in moving)
        assert summary.speed_min_dkmh == min((speed for _, speed in moving), default=None)
        assert summary.speed_max_dkmh == max((speed for _, speed in moving), default=None)
        assert summary.occupied_ms == sum((share * interval_ms + 500) // 1000 for share in seen)
        assert summary.observed_ms == interval_ms * len(seen)
        assert summary.sensors_reporting == len({row[0] for row in mine})
        assert summary.readings_accepted == len(mine)
        assert summary.readings_duplicate == sum(row[0] in SENSORS_OF[summary.number] for row in kept[:repeated])
    window = WindowSummary("gw-1", 1, 1, closed.start_ms, closed.window_ms, summaries, reading_interval_ms=interval_ms)
    assert decode_window(encode_window(window)) == window


def test_an_incident_is_told_with_both_stations_of_its_pair() -> None:
    registry = settings("added").registry()
    assert isinstance(registry, Registry)
    change = IncidentChange(
        segment=0,
        downstream=1,
        detected=True,
        occurred_ms=START_MS,
        started_ms=START_MS,
        speed_kmh=23.449,
        downstream_speed_kmh=float("nan"),
        occupancy=0.3456,
        score=1.2345,
    )
    event = incident_event(change, registry, "gw-1", 7, 8)
    assert decode_event(encode_event(event)) == event
    first, second = registry.segments[:2]
    assert (event.kind, event.segment_id, event.segment_number) == ("IncidentDetected", first.segment_id, first.number)
    assert event.downstream_segment_number == second.number
    assert (event.average_speed_kmh, event.downstream_speed_kmh, event.occupancy) == (23.4, None, 0.346)
    assert event.score == 1.23
    assert incident_event(replace(change, detected=False), registry, "gw-1", 7, 9).kind == "IncidentCleared"
