"""Whatever bytes arrive, a decoder answers with a message or a DecodeError, and fills no memory."""

import tracemalloc
import zlib
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.contract import messages_pb2 as pb
from roadside.contract.codec import (
    MAX_ACK_RUN,
    MAX_SEGMENTS,
    decode_ack,
    decode_frame,
    decode_window,
)
from roadside.contract.errors import ContractError, UnsupportedSchemaError
from roadside.contract.events import decode_event
from roadside.contract.sketch_bins import whole_bin_paces_ms_per_km, whole_bin_speeds_dkmh
from roadside.contract.summary import ReadingFrame, SegmentSummary, WindowSummary
from roadside.contract.wire import MAX_COLUMNS_BYTES
from tests.unit.roadside.contract.hostile import ACK, FRAME, WINDOW, Decoder, each_decoder, error_of, readable

# --- Any message ---


@each_decoder
def test_what_is_cut_short_within_a_field_is_refused(decode: Decoder, payload: bytes) -> None:
    assert readable(decode, payload)
    cuts = [payload[:length] for length in range(len(payload)) if readable(decode, payload[:length])]

    # A protobuf message that ends between two fields is a message. Of ours, acks then name fewer and frames are empty.
    assert cuts == [] or decode in (decode_ack, decode_frame)
    if decode is decode_frame:
        assert all(len(decode_frame(cut)) == 0 for cut in cuts)


@each_decoder
def test_flipped_bits_raise_nothing_but_decode_errors(decode: Decoder, payload: bytes) -> None:
    for bit in range(len(payload) * 8):
        flipped = bytearray(payload)
        flipped[bit // 8] ^= 1 << bit % 8
        readable(decode, bytes(flipped))


@each_decoder
@settings(max_examples=150)
@given(data=st.data())
def test_random_bytes_and_random_damage_raise_nothing_but_decode_errors(
    decode: Decoder, payload: bytes, data: st.DataObject
) -> None:
    noise = data.draw(st.binary(max_size=40))
    start, end = sorted((data.draw(st.integers(0, len(payload))), data.draw(st.integers(0, len(payload)))))

    readable(decode, noise)
    readable(decode, payload[:start] + noise + payload[end:])


@pytest.mark.parametrize("schema", [0, 2, (1 << 32) - 1])
@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (decode_window, pb.WindowSummary.FromString(WINDOW)),
        (decode_ack, pb.Ack.FromString(ACK)),
        (decode_frame, pb.ReadingFrame.FromString(FRAME)),
    ],
)
def test_unknown_schema_is_named(decode: Decoder, message: Any, schema: int) -> None:
    message.schema = schema

    error = error_of(decode, message.SerializeToString())

    assert isinstance(error, UnsupportedSchemaError)
    assert (error.field, error.value) == ("schema", str(schema))


@pytest.mark.parametrize(("decode", "payload"), [(decode_window, WINDOW), (decode_ack, ACK), (decode_frame, FRAME)])
def test_field_of_a_later_version_is_passed_over(decode: Decoder, payload: bytes) -> None:
    field_200_holding_1 = b"\xc0\x0c\x01"

    assert decode(payload + field_200_holding_1) == decode(payload)


# --- Windows ---


def window_of(columns: pb.SegmentColumns | bytes, **fields: Any) -> bytes:
    body = columns if isinstance(columns, bytes) else columns.SerializeToString()
    known = {"schema": 1, "gateway": "g", "epoch_ms": 1, "sequence": 1, "window_ms": 10_000, "columns": body}
    return pb.WindowSummary(**{**known, **fields}).SerializeToString()


BIN: Final = 287
SPEED: Final = whole_bin_speeds_dkmh()[BIN]
PACE: Final = whole_bin_paces_ms_per_km()[BIN]


def columns_of(**fields: Any) -> pb.SegmentColumns:
    """One segment with one vehicle at the speed of its bin's value, and changes to that."""
    known = {
        "segment_count": 1,
        "first_segment_number": 7,
        "sketch_error_permille": 10,
        "sketch_first_bin": [BIN],
        "sketch_bin_count": [1],
        "sketch_bins": b"\x01",
        "reading_interval_ms": 1000,
        "sensors_reporting": [1],
    }
    return pb.SegmentColumns(**{**known, **fields})


def test_the_columns_that_the_cases_below_change_are_sound() -> None:
    (segment,) = decode_window(window_of(columns_of())).segments

    assert (segment.vehicle_count, segment.speed_sum_dkmh, segment.pace_sum_ms_per_km) == (1, SPEED, PACE)
    assert (segment.readings_accepted, segment.observed_ms) == (10, 10_000)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("segment_count", {"segment_count": MAX_SEGMENTS + 1}),
        ("segment_count", {"segment_count": (1 << 32) - 1}),
        ("reading_interval_ms", {"reading_interval_ms": 0}),
        ("sketch_error_permille", {"sketch_error_permille": 0}),
        ("sketch_error_permille", {"sketch_error_permille": 101}),
        ("sketch_bin_count", {"sketch_first_bin": [394], "sketch_bin_count": [2], "sketch_bins": b"\x01\x01"}),
        ("sketch_bin_count", {"sketch_first_bin": [(1 << 32) - 1]}),
        ("sketch_bin_count", {"sketch_bin_count": [2]}),  # more bins than there are counts
        ("sketch_bin_count", {"sketch_bins": b""}),
        ("sketch_bins", {"sketch_bins": b"\x01\x01"}),  # more counts than there are bins
        ("sketch_bins", {"sketch_bins": b"\x81"}),
        ("sketch_bins", {"sketch_bins": b"\xff" * 20}),
        ("sketch_bins", {"sketch_bins": b"\x80" * 6 + b"\x01"}),  # 2^42 vehicles
        ("sketch_bins", {"sketch_bins": b"\x00"}),
        ("sketch_bins", {"sketch_bin_count": [2], "sketch_bins": b"\x01\x00"}),
        ("sketch_bins", {"sketch_bin_count": [2], "sketch_bins": b"\x00\x01"}),
        ("number", {"segment_number_gap": [(1 << 32) - 1]}),
        ("clipped_vehicles", {"clipped_vehicles": [2]}),
        ("speed_sum_dkmh", {"speed_sum_residual": [-SPEED - 1]}),
        ("speed_sum_dkmh", {"speed_sum_residual": [2551 - SPEED]}),
        ("pace_sum_ms_per_km", {"pace_sum_residual": [-PACE]}),
        ("pace_sum_ms_per_km", {"pace_sum_residual": [14_117 - PACE]}),
        ("pace_sum_ms_per_km", {"pace_sum_residual": [1_200_001 - PACE]}),
        ("speed_square_sum", {"speed_square_sum_residual": [-(SPEED**2) - 1]}),
        ("speed_min_dkmh", {"speed_min_residual": [SPEED + 1]}),
        ("speed_min_dkmh", {"speed_min_residual": [-1]}),
        ("speed_max_dkmh", {"speed_max_residual": [2551 - SPEED]}),
        ("speed_min_dkmh", {"speed_max_residual": [-1]}),  # the slowest faster than the fastest
        ("observed_ms", {"observed_residual_ms": [-10_001]}),
        ("occupied_ms", {"occupied_ms": [10_001]}),
        ("occupied_ms", {"occupied_ms": [(1 << 64) - 1]}),
        ("readings_accepted", {"readings_accepted_residual": [-11], "observed_residual_ms": [100_000]}),
        ("congestion_level", {"congestion_level_plus_one": [102]}),
        ("congestion_state", {"congestion_state": [3]}),
        ("lane_count", {"lane_count": [3], "lane_vehicles_plus_one": b"\x01\x01"}),
        ("lane_count", {"lane_count": [(1 << 32) - 1]}),
        ("lane_vehicles_plus_one", {"lane_count": [1], "lane_vehicles_plus_one": b"\x01\x01"}),
        ("lane_vehicles_plus_one", {"lane_vehicles_plus_one": b"\x01"}),
        ("lane_vehicles_plus_one", {"lane_count": [1], "lane_vehicles_plus_one": b"\xff" * 20}),
        ("occupied_ms", {"occupied_ms": [1, 2]}),
        ("readings_late", {"readings_late": [0, 0]}),
    ],
)
def test_columns_that_no_gateway_sends_are_refused_by_their_field(field: str, changes: dict[str, Any]) -> None:
    assert error_of(decode_window, window_of(columns_of(**changes))).field == field


def test_sums_without_a_vehicle_are_refused() -> None:
    without = {"sketch_first_bin": [], "sketch_bin_count": [], "sketch_bins": b""}
    assert decode_window(window_of(columns_of(**without))).segments[0].vehicle_count == 0

    for field in ("speed_sum_dkmh", "pace_sum_ms_per_km", "speed_square_sum"):
        name = field.removesuffix("_dkmh").removesuffix("_ms_per_km") + "_residual"
        assert error_of(decode_window, window_of(columns_of(**without, **{name: [1]}))).field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gateway", ""),
        ("window_ms", 0),
        ("epoch_ms", 1 << 53),
        ("sequence", (1 << 64) - 1),
        ("window_start_ms", 1 << 53),
    ],
)
def test_window_that_names_no_time_or_place_is_refused(field: str, value: str | int) -> None:
    assert decode_window(window_of(columns_of(), epoch_ms=(1 << 53) - 1)).epoch_ms == (1 << 53) - 1
    assert error_of(decode_window, window_of(columns_of(), **{field: value})).field == field


@pytest.mark.parametrize("numbers", [(1, 1), (2, 1)])
def test_window_whose_segment_numbers_do_not_rise_cannot_be_made(numbers: tuple[int, int]) -> None:
    with pytest.raises(ContractError, match="segments"):
        WindowSummary("g", 1, 1, 0, 10_000, tuple(map(SegmentSummary, numbers)))


def deflate(plain: bytes) -> bytes:
    compressor = zlib.compressobj(level=9, wbits=-15)
    return compressor.compress(plain) + compressor.flush()


@pytest.mark.parametrize(
    "columns",
    [b"\xff\xff\xff", b"", deflate(columns_of().SerializeToString())[:-3], zlib.compress(b"\x08\x01")],
)
def test_columns_that_cannot_be_inflated_are_refused(columns: bytes) -> None:
    assert error_of(decode_window, window_of(columns, columns_deflated=True)).field == "columns"


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05\x01", b"\x00"])
def test_columns_that_are_none_are_refused_plain_and_deflated(body: bytes) -> None:
    assert error_of(decode_window, window_of(body)).field == "columns"
    assert error_of(decode_window, window_of(deflate(body), columns_deflated=True)).field == "columns"


def test_columns_may_inflate_to_the_limit_and_not_beyond() -> None:
    body = columns_of().SerializeToString()
    unknown_field = b"\xc2\x0c"  # number 200, which is passed over; its length takes three more bytes
    filling = MAX_COLUMNS_BYTES - len(body) - len(unknown_field) - 3
    length = bytes([filling & 0x7F | 0x80, filling >> 7 & 0x7F | 0x80, filling >> 14])
    full = body + unknown_field + length + bytes(filling)
    assert len(full) == MAX_COLUMNS_BYTES

    assert readable(decode_window, window_of(deflate(full), columns_deflated=True))
    assert error_of(decode_window, window_of(deflate(full + b"\0"), columns_deflated=True)).field == "columns"


@pytest.mark.parametrize(
    ("decode", "payload"),
    [
        (decode_window, window_of(deflate(bytes(64 << 20)), columns_deflated=True)),
        (
            decode_window,  # bins by the million, told of in a few kilobytes
            window_of(
                columns_of(
                    segment_count=MAX_SEGMENTS,
                    sketch_error_permille=1,
                    sketch_first_bin=[],
                    sketch_bin_count=[3900] * MAX_SEGMENTS,
                    sensors_reporting=[],
                )
            ),
        ),
        (decode_ack, pb.Ack(schema=1, run_first=[1], run_length=[(1 << 64) - 1]).SerializeToString()),
        (decode_ack, pb.Ack(schema=1, run_first=[1] * 3, run_length=[MAX_ACK_RUN] * 3).SerializeToString()),
        (decode_event, b"[" * 120_000),
        (decode_event, b'{"schema":' * 20_000),
        (decode_event, b'{"schema":' + b"9" * 120_000 + b"}"),
    ],
    ids=["deflated zeros", "bins", "long run", "long runs", "lists", "objects", "digits"],
)
def test_bomb_is_refused_and_fills_no_memory(decode: Decoder, payload: bytes) -> None:
    readable(decode, payload)  # builds what is built once
    tracemalloc.start()
    try:
        assert not readable(decode, payload)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 4 << 20


# --- Acks and frames ---


def test_ack_may_name_as_many_as_the_limit() -> None:
    ack = pb.Ack(schema=1, run_first=[1, 1_000_000], run_length=[MAX_ACK_RUN - 1, 1])
    assert len(decode_ack(ack.SerializeToString()).stored) == MAX_ACK_RUN

    ack.run_length[1] = 2
    assert error_of(decode_ack, ack.SerializeToString()).field == "run_length"


@pytest.mark.parametrize(
    ("field", "ack"),
    [
        ("run_length", pb.Ack(schema=1, run_first=[1])),
        ("run_length", pb.Ack(schema=1, run_length=[1])),
        ("refused_reason", pb.Ack(schema=1, refused_sequence=[1])),
        ("refused_reason", pb.Ack(schema=1, refused_reason=["why"])),
    ],
)
def test_ack_with_columns_of_unequal_length_is_refused(field: str, ack: pb.Ack) -> None:
    assert error_of(decode_ack, ack.SerializeToString()).field == field


@pytest.mark.parametrize("field", ["sensor_number", "offset_ms", "vehicle_count", "speed_dkmh", "occupancy_permille"])
@pytest.mark.parametrize("change", [b"\0", b"\0\0", b"\0\0\0\0"])
def test_frame_with_columns_of_unequal_length_is_refused(field: str, change: bytes) -> None:
    frame = pb.ReadingFrame.FromString(FRAME)
    for changed in (getattr(frame, field) + change, getattr(frame, field)[: -len(change)]):
        message = pb.ReadingFrame.FromString(FRAME)
        setattr(message, field, changed)
        error_of(decode_frame, message.SerializeToString())


def test_frame_from_beyond_all_time_is_refused() -> None:
    message = pb.ReadingFrame.FromString(FRAME)
    message.base_ms = (1 << 64) - 1

    assert error_of(decode_frame, message.SerializeToString()).field == "base_ms"
    with pytest.raises(ContractError, match="base_ms"):
        ReadingFrame("s", -1, b"", b"", b"", b"", b"")
