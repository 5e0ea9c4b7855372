"""Messages survive the way to bytes and back, and sketches survive any way of merging."""

import dataclasses
import functools
import itertools
import math
import zlib
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final, get_args

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from roadside.contract import messages_pb2 as pb
from roadside.contract.codec import (
    decode_ack,
    decode_frame,
    decode_window,
    encode_ack,
    encode_frame,
    encode_window,
)
from roadside.contract.errors import DecodeError
from roadside.contract.events import (
    CongestionEvent,
    CongestionKind,
    Event,
    IncidentEvent,
    IncidentKind,
    SensorEvent,
    SensorFaultName,
    SensorKind,
    decode_event,
    encode_event,
)
from roadside.contract.sketch_bins import MAX_SPEED_DKMH, bin_of, pace_ms_per_km
from roadside.contract.summary import (
    MAX_INTEGER,
    MAX_UINT32,
    Ack,
    CongestionState,
    ReadingFrame,
    SegmentSummary,
    SpeedSketch,
    WindowSummary,
)

LAST_BIN = bin_of(MAX_SPEED_DKMH)
ONE = SegmentSummary(
    1,
    SpeedSketch(bin_of(800), (1,)),
    speed_sum_dkmh=800,
    pace_sum_ms_per_km=45_000,
    speed_square_sum=640_000,
    speed_min_dkmh=800,
    speed_max_dkmh=800,
)

counters = st.integers(0, 500) | st.integers(0, MAX_UINT32)
# Small counts, counts of more than one byte, and counts whose sums come near the 63 bits of a residual.
bin_counts = st.integers(0, 3) | st.integers(120, 20_000) | st.integers(1 << 30, 1 << 34)
instants = st.integers(0, MAX_INTEGER)


@st.composite
def sketches(draw: st.DrawFn) -> SpeedSketch:
    """Of no vehicle, of one bin, or of many with empty ones between."""
    counts = draw(st.lists(bin_counts, max_size=30))
    if not counts:
        return SpeedSketch()
    counts[0], counts[-1] = max(counts[0], 1), max(counts[-1], 1)
    return SpeedSketch(draw(st.integers(0, LAST_BIN + 1 - len(counts))), tuple(counts))


@st.composite
def segments(draw: st.DrawFn) -> SegmentSummary:
    """Any that traffic can have made. Sums and extremes follow no sketch, so no prediction is right by luck."""
    sketch = draw(sketches())
    vehicles = sketch.vehicle_count
    low, high = sorted((draw(st.integers(0, MAX_SPEED_DKMH)), draw(st.integers(0, MAX_SPEED_DKMH))))
    observed_ms = draw(st.integers(0, 1 << 40))
    return SegmentSummary(
        number=0,
        sketch=sketch,
        vehicles_without_speed=draw(counters),
        clipped_vehicles=draw(st.integers(0, min(vehicles, MAX_UINT32))),
        speed_sum_dkmh=draw(st.integers(0, vehicles * MAX_SPEED_DKMH)),
        pace_sum_ms_per_km=draw(st.integers(vehicles * pace_ms_per_km(MAX_SPEED_DKMH), vehicles * pace_ms_per_km(0))),
        speed_square_sum=draw(st.integers(0, vehicles * MAX_SPEED_DKMH**2)),
        speed_min_dkmh=low if vehicles else None,
        speed_max_dkmh=high if vehicles else None,
        occupied_ms=draw(st.integers(0, observed_ms)),
        observed_ms=observed_ms,
        congestion_level=draw(st.none() | st.integers(0, 100)),
        congestion_state=draw(st.sampled_from(CongestionState)),
        sensors_reporting=draw(st.integers(0, 50)),
        readings_accepted=draw(st.integers(0, 1 << 20)),
        readings_duplicate=draw(counters),
        readings_late=draw(counters),
        readings_rejected=draw(counters),
        sensors_excluded=draw(st.integers(0, 50)),
        lane_vehicles=tuple(draw(st.lists(st.none() | st.integers(0, 300), max_size=8))),
    )


@st.composite
def windows(draw: st.DrawFn) -> WindowSummary:
    """Of up to 60 segments, a few of them drawn and the others copies, with gaps in their numbers."""
    drawn = draw(st.lists(segments(), max_size=4))
    rows = draw(st.lists(st.sampled_from(drawn), max_size=60)) if drawn else []
    gaps = st.integers(1, 3) | st.integers(1, 1 << 25)
    numbers = list(accumulate(draw(st.lists(gaps, min_size=len(rows), max_size=len(rows)))))
    return WindowSummary(
        gateway=draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)),
        epoch_ms=draw(instants),
        sequence=draw(instants),
        window_start_ms=draw(instants),
        window_ms=draw(st.sampled_from([1, 10_000, 60_000, 3_600_000])),
        segments=tuple(dataclasses.replace(row, number=number) for row, number in zip(rows, numbers, strict=True)),
        revision=draw(counters),
        backfill=draw(st.booleans()),
        reading_interval_ms=draw(st.sampled_from([1, 100, 1000, 7000, MAX_UINT32])),
    )


@settings(max_examples=200)
@given(windows())
@example(WindowSummary("g", 0, 0, 0, 1, ()))
@example(WindowSummary("g", 0, 0, 0, 10_000, (SegmentSummary(0), SegmentSummary(MAX_UINT32))))
@example(WindowSummary("g", 0, 0, 0, 10_000, (ONE,)))
def test_window_comes_back_whether_its_columns_are_deflated_or_plain(window: WindowSummary) -> None:
    payload = encode_window(window)
    assert decode_window(payload) == window

    message = pb.WindowSummary.FromString(payload)
    plain = zlib.decompress(message.columns, wbits=-15) if message.columns_deflated else message.columns
    assert len(message.columns) <= len(plain)
    message.columns, message.columns_deflated = plain, False
    assert decode_window(message.SerializeToString()) == window
    compressor = zlib.compressobj(level=1, wbits=-15)
    message.columns, message.columns_deflated = compressor.compress(plain) + compressor.flush(), True
    assert decode_window(message.SerializeToString()) == window


@pytest.mark.parametrize("error_permille", [1, 5, 10, 20, 100])
def test_window_comes_back_with_sketches_of_any_error(error_permille: int) -> None:
    sketch = SpeedSketch(bin_of(MAX_SPEED_DKMH, error_permille), (300,))
    top = dataclasses.replace(
        ONE,
        sketch=sketch,
        pace_sum_ms_per_km=300 * pace_ms_per_km(2550),
        speed_max_dkmh=2550,
    )
    window = WindowSummary("g", 1, 2, 3, 10_000, (top,), sketch_error_permille=error_permille)

    assert decode_window(encode_window(window)) == window


@pytest.mark.parametrize("bits", [7, 14, 21, 28, 35])
def test_counts_at_the_edges_of_their_encoding_come_back(bits: int) -> None:
    counts = ((1 << bits) - 1, 0, 1 << bits, (1 << bits) + 1)
    pace_sum = sum(counts) * pace_ms_per_km(800)
    window = WindowSummary(
        "g", 1, 2, 3, 10_000, (dataclasses.replace(ONE, sketch=SpeedSketch(9, counts), pace_sum_ms_per_km=pace_sum),)
    )

    assert decode_window(encode_window(window)) == window


@given(
    st.sets(st.integers(0, 300) | instants, max_size=60),
    st.lists(st.tuples(instants, st.text(st.characters(exclude_categories=["Cs"]), max_size=30)), max_size=5),
    instants,
)
def test_ack_comes_back(stored: set[int], refused: list[tuple[int, str]], epoch_ms: int) -> None:
    ack = Ack(epoch_ms, tuple(sorted(stored)), tuple(refused))

    assert decode_ack(encode_ack(ack)) == ack


@given(st.lists(st.integers(0, 60), max_size=60))
def test_ack_names_every_stored_sequence_once_in_order_and_neighbours_as_one_run(stored: list[int]) -> None:
    payload = encode_ack(Ack(1, tuple(stored)))

    assert decode_ack(payload).stored == tuple(sorted(set(stored)))
    runs = sum(sequence - 1 not in stored for sequence in set(stored))
    assert len(pb.Ack.FromString(payload).run_first) == runs


@given(st.data(), st.integers(0, 50), instants, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_frame_comes_back(data: st.DataObject, count: int, base_ms: int, source: str) -> None:
    def column(width: int) -> bytes:
        return data.draw(st.binary(min_size=width * count, max_size=width * count))

    frame = ReadingFrame(source, base_ms, column(4), column(4), column(2), column(2), column(2))

    assert decode_frame(encode_frame(frame)) == frame
    assert len(frame) == count


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
place: Final[dict[str, st.SearchStrategy[Any]]] = {
    "gateway": names,
    "epoch_ms": instants,
    "sequence": instants,
    "segment_id": names,
    "segment_number": st.integers(0, MAX_UINT32),
    "occurred_ms": instants,
    "started_ms": instants,
}
speeds_kmh = st.none() | st.floats(0, 255)
shares = st.none() | st.floats(0, 1)
events = st.one_of(
    st.builds(
        CongestionEvent,
        kind=st.sampled_from(get_args(CongestionKind)),
        average_speed_kmh=speeds_kmh,
        occupancy=shares,
        congestion_level=st.none() | st.integers(0, 100),
        **place,
    ),
    st.builds(
        IncidentEvent,
        kind=st.sampled_from(get_args(IncidentKind)),
        downstream_segment_number=st.none() | st.integers(0, MAX_UINT32),
        average_speed_kmh=speeds_kmh,
        downstream_speed_kmh=speeds_kmh,
        occupancy=shares,
        score=st.none() | st.floats(0, 1000),
        **place,
    ),
    st.builds(
        SensorEvent,
        kind=st.sampled_from(get_args(SensorKind)),
        sensor_id=names,
        sensor_number=st.integers(0, MAX_UINT32),
        fault=st.sampled_from(get_args(SensorFaultName)),
        effective_ms=instants,
        **place,
    ),
)


@given(events)
def test_event_comes_back(event: Event) -> None:
    assert decode_event(encode_event(event)) == event


# --- Hostile columns ---

wire_integers = st.integers(0, 3) | st.integers(0, MAX_UINT32)
signed_integers = st.integers(-3, 3) | st.integers(-(1 << 31), (1 << 31) - 1)


@st.composite
def hostile_columns(draw: st.DrawFn) -> pb.SegmentColumns:
    """Columns that protobuf can read, most of them as long as they should be."""
    rows = draw(st.integers(0, 3))
    columns = pb.SegmentColumns(
        segment_count=draw(st.just(rows) | wire_integers),
        first_segment_number=draw(wire_integers),
        sketch_error_permille=draw(st.just(10) | wire_integers),
        reading_interval_ms=draw(st.just(1000) | wire_integers),
        sketch_bins=draw(st.binary(max_size=12)),
    )
    for field in columns.DESCRIPTOR.fields:
        if field.is_repeated and draw(st.booleans()):
            kind = signed_integers if field.name.endswith(("residual", "residual_ms")) else wire_integers
            getattr(columns, field.name).extend(draw(st.lists(kind, min_size=rows, max_size=rows)))
    return columns


@settings(max_examples=400)
@given(hostile_columns())
def test_whatever_columns_can_be_read_make_sense_and_can_be_written_again(columns: pb.SegmentColumns) -> None:
    message = pb.WindowSummary(schema=1, gateway="g", window_ms=10_000, columns=columns.SerializeToString())
    try:
        window = decode_window(message.SerializeToString())
    except DecodeError:
        return
    assert decode_window(encode_window(window)) == window
    for segment in window.segments:
        speed, occupancy = segment.average_speed_kmh, segment.occupancy
        assert speed is None or 2.99 <= speed <= 255.01
        assert occupancy is None or 0 <= occupancy <= 1
        assert (segment.speed_quantile_kmh(0.5) is None) == (not segment.sketch.counts)


# --- Sketches ---


def sketch_of(speeds: Sequence[int]) -> SpeedSketch:
    """Counted one by one, as slowly as it is plain."""
    if not speeds:
        return SpeedSketch()
    bins = [bin_of(speed) for speed in speeds]
    counts = [0] * (max(bins) - min(bins) + 1)
    for index in bins:
        counts[index - min(bins)] += 1
    return SpeedSketch(min(bins), tuple(counts))


@given(sketches(), sketches(), sketches())
def test_merging_is_associative_and_commutative_and_an_empty_sketch_changes_nothing(
    a: SpeedSketch, b: SpeedSketch, c: SpeedSketch
) -> None:
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(SpeedSketch()) == SpeedSketch().merge(a) == a
    assert a.merge(b).vehicle_count == a.vehicle_count + b.vehicle_count


speeds_dkmh = st.lists(st.integers(0, MAX_SPEED_DKMH), max_size=60)


@given(st.lists(speeds_dkmh, max_size=6))
def test_any_split_merges_to_the_whole(parts: list[list[int]]) -> None:
    merged = functools.reduce(SpeedSketch.merge, map(sketch_of, parts), SpeedSketch())

    assert merged == sketch_of(list(itertools.chain(*parts)))


# --- Quantiles ---


def in_range(speeds: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[int]:
    clipped: list[int] = np.clip(np.rint(speeds), 0, MAX_SPEED_DKMH).astype(int).tolist()
    return clipped


DRAW = np.random.default_rng(20)
BIN_EDGES = [speed for speed in range(1, MAX_SPEED_DKMH) if bin_of(speed) != bin_of(speed + 1)]
DISTRIBUTIONS: dict[str, list[int]] = {
    "one vehicle": [873],
    "two vehicles": [30, 2550],
    "standing": [0] * 50,
    "standing or flying": [0] * 33 + [MAX_SPEED_DKMH] * 67,
    "all alike": [500] * 300,
    "all but one alike": [500] * 300 + [1200],
    "every speed": list(range(MAX_SPEED_DKMH + 1)),
    "last of each bin": BIN_EDGES,
    "first of each bin": [speed + 1 for speed in BIN_EDGES],
    "walking pace": list(range(30)) * 4,
    "uniform": in_range(DRAW.uniform(0, 2550, 2000)),
    "free flow": in_range(DRAW.normal(1000, 80, 2000)),
    "urban": in_range(DRAW.normal(420, 120, 1500)),
    "free and jammed": in_range(np.concatenate([DRAW.normal(150, 40, 700), DRAW.normal(950, 60, 1300)])),
    "log-normal": in_range(DRAW.lognormal(6.2, 0.6, 2000)),
    "exponential": in_range(DRAW.exponential(200, 2000)),
    "heavy tail": in_range(60 * (1 + DRAW.pareto(1.1, 2000))),
    "powers": [2**exponent for exponent in range(12) for _ in range(exponent + 1)],
}
QUANTILES = (0, 0.01, 0.05, 0.15, 0.25, 1 / 3, 0.5, 0.75, 0.85, 0.95, 0.99, 1)


def directly(speeds: Sequence[int]) -> SpeedSketch:
    return sketch_of(speeds)


def from_random_splits(speeds: Sequence[int]) -> SpeedSketch:
    part_of = np.random.default_rng(len(speeds)).integers(0, 7, len(speeds))
    parts = [[speed for speed, part in zip(speeds, part_of, strict=True) if part == chosen] for chosen in range(7)]
    return functools.reduce(SpeedSketch.merge, map(sketch_of, parts))


def through_the_codec(speeds: Sequence[int]) -> SpeedSketch:
    segment = SegmentSummary(
        number=1,
        sketch=sketch_of(speeds),
        speed_sum_dkmh=sum(speeds),
        pace_sum_ms_per_km=sum(map(pace_ms_per_km, speeds)),
        speed_square_sum=sum(speed * speed for speed in speeds),
        speed_min_dkmh=min(speeds),
        speed_max_dkmh=max(speeds),
    )
    window = decode_window(encode_window(WindowSummary("g", 1, 1, 0, 10_000, (segment,))))
    assert window.segments == (segment,)
    return window.segments[0].sketch


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("way", [directly, from_random_splits, through_the_codec])
def test_quantiles_are_within_one_percent_of_the_order_statistic(
    way: Callable[[Sequence[int]], SpeedSketch], name: str
) -> None:
    speeds = DISTRIBUTIONS[name]
    ordered = sorted(speeds)
    segment = SegmentSummary(1, way(speeds))

    for q in QUANTILES:
        exact_kmh = ordered[math.floor(q * (len(ordered) - 1))] / 10
        told_kmh = segment.speed_quantile_kmh(q)
        assert told_kmh is not None
        assert told_kmh == pytest.approx(exact_kmh, rel=0.01 + 1e-9, abs=0), q


@given(speeds_dkmh, st.floats(0, 1))
def test_any_quantile_of_any_speeds_is_within_one_percent(speeds: list[int], q: float) -> None:
    assume(speeds)
    exact_kmh = sorted(speeds)[math.floor(q * (len(speeds) - 1))] / 10

    told_kmh = SegmentSummary(1, sketch_of(speeds)).speed_quantile_kmh(q)

    assert told_kmh is not None
    assert abs(told_kmh - exact_kmh) <= 0.01 * exact_kmh + 1e-9
