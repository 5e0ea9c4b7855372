from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class WindowSummary(_message.Message):
    __slots__ = ("schema", "gateway", "epoch_ms", "sequence", "window_start_ms", "window_ms", "revision", "backfill", "columns", "columns_deflated")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    EPOCH_MS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_MS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_DEFLATED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    gateway: str
    epoch_ms: int
    sequence: int
    window_start_ms: int
    window_ms: int
    revision: int
    backfill: bool
    columns: bytes
    columns_deflated: bool
    def __init__(self, schema: _Optional[int] = ..., gateway: _Optional[str] = ..., epoch_ms: _Optional[int] = ..., sequence: _Optional[int] = ..., window_start_ms: _Optional[int] = ..., window_ms: _Optional[int] = ..., revision: _Optional[int] = ..., backfill: bool = ..., columns: _Optional[bytes] = ..., columns_deflated: bool = ...) -> None: ...

class SegmentColumns(_message.Message):
    __slots__ = ("segment_count", "first_segment_number", "segment_number_gap", "sketch_error_permille", "sketch_first_bin", "sketch_bin_count", "sketch_bins", "vehicles_without_speed", "clipped_vehicles", "speed_sum_residual", "pace_sum_residual", "speed_square_sum_residual", "speed_min_residual", "speed_max_residual", "occupied_ms", "reading_interval_ms", "sensors_reporting", "readings_accepted_residual", "observed_residual_ms", "congestion_level_plus_one", "congestion_state", "readings_duplicate", "readings_late", "readings_rejected", "sensors_excluded", "lane_count", "lane_vehicles_plus_one")
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEGMENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_NUMBER_GAP_FIELD_NUMBER: _ClassVar[int]
    SKETCH_ERROR_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    SKETCH_FIRST_BIN_FIELD_NUMBER: _ClassVar[int]
    SKETCH_BIN_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKETCH_BINS_FIELD_NUMBER: _ClassVar[int]
    VEHICLES_WITHOUT_SPEED_FIELD_NUMBER: _ClassVar[int]
    CLIPPED_VEHICLES_FIELD_NUMBER: _ClassVar[int]
    SPEED_SUM_RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    PACE_SUM_RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    SPEED_SQUARE_SUM_RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    SPEED_MIN_RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    SPEED_MAX_RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    OCCUPIED_MS_FIELD_NUMBER: _ClassVar[int]
    READING_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    SENSORS_REPORTING_FIELD_NUMBER: _ClassVar[int]
    READINGS_ACCEPTED_RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_RESIDUAL_MS_FIELD_NUMBER: _ClassVar[int]
    CONGESTION_LEVEL_PLUS_ONE_FIELD_NUMBER: _ClassVar[int]
    CONGESTION_STATE_FIELD_NUMBER: _ClassVar[int]
    READINGS_DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    READINGS_LATE_FIELD_NUMBER: _ClassVar[int]
    READINGS_REJECTED_FIELD_NUMBER: _ClassVar[int]
    SENSORS_EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    LANE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LANE_VEHICLES_PLUS_ONE_FIELD_NUMBER: _ClassVar[int]
    segment_count: int
    first_segment_number: int
    segment_number_gap: _containers.RepeatedScalarFieldContainer[int]
    sketch_error_permille: int
    sketch_first_bin: _containers.RepeatedScalarFieldContainer[int]
    sketch_bin_count: _containers.RepeatedScalarFieldContainer[int]
    sketch_bins: bytes
    vehicles_without_speed: _containers.RepeatedScalarFieldContainer[int]
    clipped_vehicles: _containers.RepeatedScalarFieldContainer[int]
    speed_sum_residual: _containers.RepeatedScalarFieldContainer[int]
    pace_sum_residual: _containers.RepeatedScalarFieldContainer[int]
    speed_square_sum_residual: _containers.RepeatedScalarFieldContainer[int]
    speed_min_residual: _containers.RepeatedScalarFieldContainer[int]
    speed_max_residual: _containers.RepeatedScalarFieldContainer[int]
    occupied_ms: _containers.RepeatedScalarFieldContainer[int]
    reading_interval_ms: int
    sensors_reporting: _containers.RepeatedScalarFieldContainer[int]
    readings_accepted_residual: _containers.RepeatedScalarFieldContainer[int]
    observed_residual_ms: _containers.RepeatedScalarFieldContainer[int]
    congestion_level_plus_one: _containers.RepeatedScalarFieldContainer[int]
    congestion_state: _containers.RepeatedScalarFieldContainer[int]
    readings_duplicate: _containers.RepeatedScalarFieldContainer[int]
    readings_late: _containers.RepeatedScalarFieldContainer[int]
    readings_rejected: _containers.RepeatedScalarFieldContainer[int]
    sensors_excluded: _containers.RepeatedScalarFieldContainer[int]
    lane_count: _containers.RepeatedScalarFieldContainer[int]
    lane_vehicles_plus_one: bytes
    def __init__(self, segment_count: _Optional[int] = ..., first_segment_number: _Optional[int] = ..., segment_number_gap: _Optional[_Iterable[int]] = ..., sketch_error_permille: _Optional[int] = ..., sketch_first_bin: _Optional[_Iterable[int]] = ..., sketch_bin_count: _Optional[_Iterable[int]] = ..., sketch_bins: _Optional[bytes] = ..., vehicles_without_speed: _Optional[_Iterable[int]] = ..., clipped_vehicles: _Optional[_Iterable[int]] = ..., speed_sum_residual: _Optional[_Iterable[int]] = ..., pace_sum_residual: _Optional[_Iterable[int]] = ..., speed_square_sum_residual: _Optional[_Iterable[int]] = ..., speed_min_residual: _Optional[_Iterable[int]] = ..., speed_max_residual: _Optional[_Iterable[int]] = ..., occupied_ms: _Optional[_Iterable[int]] = ..., reading_interval_ms: _Optional[int] = ..., sensors_reporting: _Optional[_Iterable[int]] = ..., readings_accepted_residual: _Optional[_Iterable[int]] = ..., observed_residual_ms: _Optional[_Iterable[int]] = ..., congestion_level_plus_one: _Optional[_Iterable[int]] = ..., congestion_state: _Optional[_Iterable[int]] = ..., readings_duplicate: _Optional[_Iterable[int]] = ..., readings_late: _Optional[_Iterable[int]] = ..., readings_rejected: _Optional[_Iterable[int]] = ..., sensors_excluded: _Optional[_Iterable[int]] = ..., lane_count: _Optional[_Iterable[int]] = ..., lane_vehicles_plus_one: _Optional[bytes] = ...) -> None: ...

class SensorSummary(_message.Message):
    __slots__ = ("schema", "gateway", "epoch_ms", "sequence", "interval_start_ms", "interval_ms", "part", "part_count", "columns", "columns_deflated")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    EPOCH_MS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_START_MS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PART_COUNT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_DEFLATED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    gateway: str
    epoch_ms: int
    sequence: int
    interval_start_ms: int
    interval_ms: int
    part: int
    part_count: int
    columns: bytes
    columns_deflated: bool
    def __init__(self, schema: _Optional[int] = ..., gateway: _Optional[str] = ..., epoch_ms: _Optional[int] = ..., sequence: _Optional[int] = ..., interval_start_ms: _Optional[int] = ..., interval_ms: _Optional[int] = ..., part: _Optional[int] = ..., part_count: _Optional[int] = ..., columns: _Optional[bytes] = ..., columns_deflated: bool = ...) -> None: ...

class SensorColumns(_message.Message):
    __slots__ = ("sensor_count", "first_sensor_number", "sensor_number_gap", "reading_interval_ms", "readings_accepted_residual", "observed_residual_ms", "vehicle_count", "vehicles_without_speed", "pace_sum", "occupied_ms", "fault")
    SENSOR_COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_SENSOR_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SENSOR_NUMBER_GAP_FIELD_NUMBER: _ClassVar[int]
    READING_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    READINGS_ACCEPTED_RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_RESIDUAL_MS_FIELD_NUMBER: _ClassVar[int]
    VEHICLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    VEHICLES_WITHOUT_SPEED_FIELD_NUMBER: _ClassVar[int]
    PACE_SUM_FIELD_NUMBER: _ClassVar[int]
    OCCUPIED_MS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    sensor_count: int
    first_sensor_number: int
    sensor_number_gap: _containers.RepeatedScalarFieldContainer[int]
    reading_interval_ms: int
    readings_accepted_residual: _containers.RepeatedScalarFieldContainer[int]
    observed_residual_ms: _containers.RepeatedScalarFieldContainer[int]
    vehicle_count: _containers.RepeatedScalarFieldContainer[int]
    vehicles_without_speed: _containers.RepeatedScalarFieldContainer[int]
    pace_sum: _containers.RepeatedScalarFieldContainer[int]
    occupied_ms: _containers.RepeatedScalarFieldContainer[int]
    fault: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, sensor_count: _Optional[int] = ..., first_sensor_number: _Optional[int] = ..., sensor_number_gap: _Optional[_Iterable[int]] = ..., reading_interval_ms: _Optional[int] = ..., readings_accepted_residual: _Optional[_Iterable[int]] = ..., observed_residual_ms: _Optional[_Iterable[int]] = ..., vehicle_count: _Optional[_Iterable[int]] = ..., vehicles_without_speed: _Optional[_Iterable[int]] = ..., pace_sum: _Optional[_Iterable[int]] = ..., occupied_ms: _Optional[_Iterable[int]] = ..., fault: _Optional[_Iterable[int]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("schema", "epoch_ms", "run_first", "run_length", "refused_sequence", "refused_reason", "gathered")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    EPOCH_MS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIRST_FIELD_NUMBER: _ClassVar[int]
    RUN_LENGTH_FIELD_NUMBER: _ClassVar[int]
    REFUSED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_REASON_FIELD_NUMBER: _ClassVar[int]
    GATHERED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    epoch_ms: int
    run_first: _containers.RepeatedScalarFieldContainer[int]
    run_length: _containers.RepeatedScalarFieldContainer[int]
    refused_sequence: _containers.RepeatedScalarFieldContainer[int]
    refused_reason: _containers.RepeatedScalarFieldContainer[str]
    gathered: bool
    def __init__(self, schema: _Optional[int] = ..., epoch_ms: _Optional[int] = ..., run_first: _Optional[_Iterable[int]] = ..., run_length: _Optional[_Iterable[int]] = ..., refused_sequence: _Optional[_Iterable[int]] = ..., refused_reason: _Optional[_Iterable[str]] = ..., gathered: bool = ...) -> None: ...

class ReadingFrame(_message.Message):
    __slots__ = ("schema", "source", "base_ms", "sensor_number", "offset_ms", "vehicle_count", "speed_dkmh", "occupancy_permille")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BASE_MS_FIELD_NUMBER: _ClassVar[int]
    SENSOR_NUMBER_FIELD_NUMBER: _ClassVar[int]
    OFFSET_MS_FIELD_NUMBER: _ClassVar[int]
    VEHICLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SPEED_DKMH_FIELD_NUMBER: _ClassVar[int]
    OCCUPANCY_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    schema: int
    source: str
    base_ms: int
    sensor_number: bytes
    offset_ms: bytes
    vehicle_count: bytes
    speed_dkmh: bytes
    occupancy_permille: bytes
    def __init__(self, schema: _Optional[int] = ..., source: _Optional[str] = ..., base_ms: _Optional[int] = ..., sensor_number: _Optional[bytes] = ..., offset_ms: _Optional[bytes] = ..., vehicle_count: _Optional[bytes] = ..., speed_dkmh: _Optional[bytes] = ..., occupancy_permille: _Optional[bytes] = ...) -> None: ...
