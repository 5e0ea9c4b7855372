"""Messages as bytes, and back. decode(encode(message)) is the message, to the last integer.

The size of a window's message is what a city pays for, so each column holds the difference from a prediction that
both ends can make (see the comments in messages.proto). The strongest predictor is the speed sketch: it tells the
sums of speeds, paces and squares to about a thousandth, and the residuals fit in one or two bytes.
Cost, 25 segments with 250 sensors and 10 s: about 0.8 KB and 0.3 ms.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from operator import mul
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError as ProtobufError

from roadside.contract import messages_pb2 as pb
from roadside.contract import sketch_bins
from roadside.contract.errors import ContractError, DecodeError
from roadside.contract.summary import (
    MAX_INTEGER,
    MAX_UINT32,
    SCHEMA,
    Ack,
    CongestionState,
    ReadingFrame,
    SegmentSummary,
    SpeedSketch,
    WindowSummary,
)
from roadside.contract.wire import deflate, fill_columns, inflate, parse, rows

MAX_SEGMENTS: Final = 4096
MAX_ACK_RUN: Final = 100_000

_LEAST_PACE: Final = sketch_bins.pace_ms_per_km(sketch_bins.MAX_SPEED_DKMH)
_GREATEST_PACE: Final = sketch_bins.pace_ms_per_km(0)


def encode_window(window: WindowSummary) -> bytes:
    """The window as a `WindowSummary` message."""
    columns, is_deflated = deflate(_encode_columns(window).SerializeToString())
    return pb.WindowSummary(
        schema=SCHEMA,
        gateway=window.gateway,
        epoch_ms=window.epoch_ms,
        sequence=window.sequence,
        window_start_ms=window.window_start_ms,
        window_ms=window.window_ms,
        revision=window.revision,
        backfill=window.backfill,
        columns=columns,
        columns_deflated=is_deflated,
    ).SerializeToString()


def decode_window(payload: bytes) -> WindowSummary:
    """The window in `payload`.

    Raises
    ------
    DecodeError
        Bytes that are no such message, or values no gateway could have sent.
    UnsupportedSchemaError
        A layout of the future.
    """
    message = parse(pb.WindowSummary(), payload, "window")
    inflated = inflate(message.columns) if message.columns_deflated else message.columns
    columns = pb.SegmentColumns()
    try:
        columns.ParseFromString(inflated)
        return WindowSummary(
            gateway=message.gateway,
            epoch_ms=message.epoch_ms,
            sequence=message.sequence,
            window_start_ms=message.window_start_ms,
            window_ms=message.window_ms,
            segments=tuple(_decode_segments(columns, message.window_ms)),
            revision=message.revision,
            backfill=message.backfill,
            reading_interval_ms=columns.reading_interval_ms,
            sketch_error_permille=columns.sketch_error_permille,
        )
    except ProtobufError as error:
        raise DecodeError("columns", inflated[:40], f"are no SegmentColumns ({error})") from error
    except DecodeError:
        raise
    except ContractError as error:
        raise DecodeError(error.field, error.value, error.reason) from error


def _encode_columns(window: WindowSummary) -> pb.SegmentColumns:
    segments = window.segments
    columns = pb.SegmentColumns(
        segment_count=len(segments),
        first_segment_number=segments[0].number if segments else 0,
        sketch_error_permille=window.sketch_error_permille,
        sketch_bins=b"".join(_varints(segment.sketch.counts) for segment in segments),
        reading_interval_ms=window.reading_interval_ms,
        lane_vehicles_plus_one=b"".join(
            _varints([0 if vehicles is None else vehicles + 1 for vehicles in segment.lane_vehicles])
            for segment in segments
            if segment.lane_vehicles
        ),
    )
    predictions = [_Prediction(segment.sketch, window.sketch_error_permille) for segment in segments]
    per_sensor = window.window_ms // window.reading_interval_ms
    values: dict[str, Iterable[int]] = {
        "segment_number_gap": [0, *(second.number - first.number - 1 for first, second in pairwise(segments))],
        "sketch_first_bin": [s.sketch.first_bin for s in segments],
        "sketch_bin_count": [len(s.sketch.counts) for s in segments],
        "vehicles_without_speed": [s.vehicles_without_speed for s in segments],
        "clipped_vehicles": [s.clipped_vehicles for s in segments],
        "speed_sum_residual": [s.speed_sum_dkmh - p.speed_sum for s, p in zip(segments, predictions, strict=True)],
        "pace_sum_residual": [s.pace_sum_ms_per_km - p.pace_sum for s, p in zip(segments, predictions, strict=True)],
        "speed_square_sum_residual": [
            s.speed_square_sum - p.square_sum for s, p in zip(segments, predictions, strict=True)
        ],
        "speed_min_residual": [
            0 if s.speed_min_dkmh is None else p.speed_min - s.speed_min_dkmh
            for s, p in zip(segments, predictions, strict=True)
        ],
        "speed_max_residual": [
            0 if s.speed_max_dkmh is None else s.speed_max_dkmh - p.speed_max
            for s, p in zip(segments, predictions, strict=True)
        ],
        "occupied_ms": [s.occupied_ms for s in segments],
        "sensors_reporting": [s.sensors_reporting for s in segments],
        "readings_accepted_residual": [s.readings_accepted - s.sensors_reporting * per_sensor for s in segments],
        "observed_residual_ms": [s.observed_ms - s.readings_accepted * window.reading_interval_ms for s in segments],
        "congestion_level_plus_one": [0 if s.congestion_level is None else s.congestion_level + 1 for s in segments],
        "congestion_state": [int(s.congestion_state) for s in segments],
        "readings_duplicate": [s.readings_duplicate for s in segments],
        "readings_late": [s.readings_late for s in segments],
        "readings_rejected": [s.readings_rejected for s in segments],
        "sensors_excluded": [s.sensors_excluded for s in segments],
        "lane_count": [len(s.lane_vehicles) for s in segments],
    }
    fill_columns(columns, values)
    return columns


def _decode_segments(columns: pb.SegmentColumns, window_ms: int) -> Iterator[SegmentSummary]:
    if columns.segment_count > MAX_SEGMENTS:
        raise DecodeError("segment_count", columns.segment_count, f"must be at most {MAX_SEGMENTS}")
    if columns.reading_interval_ms == 0:
        raise DecodeError("reading_interval_ms", 0, "must be positive")
    bins = _decode_varints(columns.sketch_bins, "sketch_bins")
    lanes = _decode_varints(columns.lane_vehicles_plus_one, "lane_vehicles_plus_one")
    last_bin = len(sketch_bins.bin_speeds_dkmh(columns.sketch_error_permille)) - 1
    per_sensor = window_ms // columns.reading_interval_ms
    number = columns.first_segment_number - 1
    for row in rows(columns, columns.segment_count, _Row):
        number += 1 + row.segment_number_gap
        first_bin, bin_count = row.sketch_first_bin, row.sketch_bin_count
        if first_bin + bin_count > last_bin + 1:
            raise DecodeError("sketch_bin_count", bin_count, f"reaches past the last bin, {last_bin}")
        sketch = SpeedSketch(first_bin, tuple(islice(bins, bin_count)))
        if len(sketch.counts) != bin_count:
            raise DecodeError("sketch_bin_count", bin_count, f"reaches past the end of sketch_bins in segment {number}")
        prediction = _Prediction(sketch, columns.sketch_error_permille)
        sensors = row.sensors_reporting
        accepted = row.readings_accepted_residual + sensors * per_sensor
        level = row.congestion_level_plus_one
        segment = SegmentSummary(
            number=number,
            sketch=sketch,
            vehicles_without_speed=row.vehicles_without_speed,
            clipped_vehicles=row.clipped_vehicles,
            speed_sum_dkmh=prediction.speed_sum + row.speed_sum_residual,
            pace_sum_ms_per_km=prediction.pace_sum + row.pace_sum_residual,
            speed_square_sum=prediction.square_sum + row.speed_square_sum_residual,
            speed_min_dkmh=prediction.speed_min - row.speed_min_residual if sketch.counts else None,
            speed_max_dkmh=prediction.speed_max + row.speed_max_residual if sketch.counts else None,
            occupied_ms=row.occupied_ms,
            observed_ms=row.observed_residual_ms + accepted * columns.reading_interval_ms,
            congestion_level=level - 1 if level else None,
            congestion_state=_state(row.congestion_state),
            sensors_reporting=sensors,
            readings_accepted=accepted,
            readings_duplicate=row.readings_duplicate,
            readings_late=row.readings_late,
            readings_rejected=row.readings_rejected,
            sensors_excluded=row.sensors_excluded,
            lane_vehicles=tuple(told - 1 if told else None for told in islice(lanes, row.lane_count)),
        )
        if len(segment.lane_vehicles) != row.lane_count:
            raise DecodeError(
                "lane_count", row.lane_count, f"reaches past the end of lane_vehicles_plus_one in segment {number}"
            )
        _refuse_impossible(segment)
        yield segment
    if next(bins, None) is not None:
        raise DecodeError("sketch_bins", columns.sketch_bins[-40:], "hold more counts than sketch_bin_count tells of")
    if next(lanes, None) is not None:
        told = columns.lane_vehicles_plus_one[-40:]
        raise DecodeError("lane_vehicles_plus_one", told, "hold more counts than lane_count tells of")


def _refuse_impossible(segment: SegmentSummary) -> None:
    """Raise DecodeError for values that no traffic can have made, so that what is derived from the rest makes sense."""
    counts, vehicles = segment.sketch.counts, segment.sketch.vehicle_count
    if counts and not (counts[0] and counts[-1]):
        raise DecodeError("sketch_bins", counts, f"must begin and end with an occupied bin in segment {segment.number}")
    for field, least, value, most in (
        ("number", 0, segment.number, MAX_UINT32),
        ("clipped_vehicles", 0, segment.clipped_vehicles, vehicles),
        ("speed_sum_dkmh", 0, segment.speed_sum_dkmh, vehicles * sketch_bins.MAX_SPEED_DKMH),
        ("pace_sum_ms_per_km", vehicles * _LEAST_PACE, segment.pace_sum_ms_per_km, vehicles * _GREATEST_PACE),
        ("speed_square_sum", 0, segment.speed_square_sum, vehicles * sketch_bins.MAX_SPEED_DKMH**2),
        ("speed_max_dkmh", 0, segment.speed_max_dkmh or 0, sketch_bins.MAX_SPEED_DKMH),
        ("speed_min_dkmh", 0, segment.speed_min_dkmh or 0, segment.speed_max_dkmh or 0),
        ("observed_ms", 0, segment.observed_ms, MAX_INTEGER),
        ("occupied_ms", 0, segment.occupied_ms, segment.observed_ms),
        ("congestion_level", 0, segment.congestion_level or 0, 100),
        ("readings_accepted", 0, segment.readings_accepted, MAX_INTEGER),
    ):
        if not least <= value <= most:
            raise DecodeError(field, value, f"must be {least} to {most} in segment {segment.number}")


class _Prediction:
    """What the sketch alone says of the sums and extremes, in whole numbers."""

    __slots__ = ("pace_sum", "speed_max", "speed_min", "speed_sum", "square_sum")

    def __init__(self, sketch: SpeedSketch, error_permille: int) -> None:
        first, last = sketch.first_bin, sketch.first_bin + len(sketch.counts)
        speeds = sketch_bins.whole_bin_speeds_dkmh(error_permille)[first:last]
        paces = sketch_bins.whole_bin_paces_ms_per_km(error_permille)[first:last]
        moments = tuple(map(mul, sketch.counts, speeds))
        self.speed_sum = sum(moments)
        self.pace_sum = sum(map(mul, sketch.counts, paces))
        self.square_sum = sum(map(mul, moments, speeds))
        self.speed_min = speeds[0] if speeds else 0
        self.speed_max = speeds[-1] if speeds else 0


class _Row(NamedTuple):
    """One segment's values in the columns."""

    segment_number_gap: int
    sketch_first_bin: int
    sketch_bin_count: int
    vehicles_without_speed: int
    clipped_vehicles: int
    speed_sum_residual: int
    pace_sum_residual: int
    speed_square_sum_residual: int
    speed_min_residual: int
    speed_max_residual: int
    occupied_ms: int
    sensors_reporting: int
    readings_accepted_residual: int
    observed_residual_ms: int
    congestion_level_plus_one: int
    congestion_state: int
    readings_duplicate: int
    readings_late: int
    readings_rejected: int
    sensors_excluded: int
    lane_count: int


def _state(value: int) -> CongestionState:
    try:
        return CongestionState(value)
    except ValueError as error:
        raise DecodeError("congestion_state", value, "must be 0, 1 or 2") from error


def _varints(values: Sequence[int]) -> bytes:
    if max(values, default=0) < 0x80:  # as nearly all counts are
        return bytes(values)
    encoded = bytearray()
    for value in values:
        rest = value
        while rest > 0x7F:
            encoded.append(rest & 0x7F | 0x80)
            rest >>= 7
        encoded.append(rest)
    return bytes(encoded)


def _decode_varints(encoded: bytes, field: str) -> Iterator[int]:
    if encoded.isascii():  # no byte says that the next one goes on with its count
        yield from encoded
        return
    value = shift = 0
    for byte in encoded:
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > 42:
            raise DecodeError(field, encoded[:40], "hold a count over 2^42")
        if byte < 0x80:
            yield value
            value = shift = 0
    if shift:
        raise DecodeError(field, encoded[-40:], "end within a count")


def encode_ack(ack: Ack) -> bytes:
    """The acknowledgement as an `Ack` message; neighbouring sequences travel as one run."""
    message = pb.Ack(schema=SCHEMA, epoch_ms=ack.epoch_ms, gathered=ack.gathered)
    for sequence in sorted(set(ack.stored)):
        if message.run_first and message.run_first[-1] + message.run_length[-1] == sequence:
            message.run_length[-1] += 1
        else:
            message.run_first.append(sequence)
            message.run_length.append(1)
    for sequence, reason in ack.refused:
        message.refused_sequence.append(sequence)
        message.refused_reason.append(reason)
    return message.SerializeToString()


def decode_ack(payload: bytes) -> Ack:
    """The acknowledgement in `payload`. Raises DecodeError or UnsupportedSchemaError."""
    message = parse(pb.Ack(), payload, "ack")
    if len(message.run_first) != len(message.run_length):
        raise DecodeError("run_length", f"{len(message.run_length)} values", f"must be {len(message.run_first)}")
    if len(message.refused_sequence) != len(message.refused_reason):
        raise DecodeError(
            "refused_reason", f"{len(message.refused_reason)} values", f"must be {len(message.refused_sequence)}"
        )
    if sum(message.run_length) > MAX_ACK_RUN:
        raise DecodeError("run_length", sum(message.run_length), f"must add up to at most {MAX_ACK_RUN}")
    runs = zip(message.run_first, message.run_length, strict=True)
    return Ack(
        epoch_ms=message.epoch_ms,
        stored=tuple(first + i for first, length in runs for i in range(length)),
        refused=tuple(zip(message.refused_sequence, message.refused_reason, strict=True)),
        gathered=message.gathered,
    )


def encode_frame(frame: ReadingFrame) -> bytes:
    """The frame as a `ReadingFrame` message."""
    return pb.ReadingFrame(
        schema=SCHEMA,
        source=frame.source,
        base_ms=frame.base_ms,
        sensor_number=frame.sensor_number,
        offset_ms=frame.offset_ms,
        vehicle_count=frame.vehicle_count,
        speed_dkmh=frame.speed_dkmh,
        occupancy_permille=frame.occupancy_permille,
    ).SerializeToString()


def decode_frame(payload: bytes) -> ReadingFrame:
    """The frame in `payload`. Raises DecodeError or UnsupportedSchemaError."""
    message = parse(pb.ReadingFrame(), payload, "frame")
    try:
        return ReadingFrame(
            source=message.source,
            base_ms=message.base_ms,
            sensor_number=message.sensor_number,
            offset_ms=message.offset_ms,
            vehicle_count=message.vehicle_count,
            speed_dkmh=message.speed_dkmh,
            occupancy_permille=message.occupancy_permille,
        )
    except ContractError as error:
        raise DecodeError(error.field, error.value, error.reason) from error
