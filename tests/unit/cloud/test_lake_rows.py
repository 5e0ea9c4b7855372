"""Rows of the lake as the processor makes them: the columns of the tables, and records that waste little."""

import json
from dataclasses import replace

from cloud import lake_tables
from cloud.functions.processor.lake_rows import Packed, pack, sensor_rows, window_rows
from cloud.functions.processor.logic import SensorsRecord, WindowRecord, read_record
from cloud.lake_tables import LakeTable
from roadside.contract.codec import encode_window
from roadside.contract.sensors import encode_sensors
from roadside.contract.summary import WindowSummary
from tests.unit.cloud.messages import EPOCH_MS, START_MS, make_sensors, make_window, wrap


def window_record(window: WindowSummary) -> WindowRecord:
    record = read_record(json.dumps(wrap(encode_window(window), window.gateway)).encode())
    assert isinstance(record, WindowRecord)
    return record


def named(table: LakeTable, row: str) -> dict[str, object]:
    """The row by the table's column names, as Firehose maps them."""
    names = {column.json_key: column.name for column in table.columns}
    return {names[key]: value for key, value in json.loads(row).items()}


def test_a_windows_row_has_every_column_of_its_table() -> None:
    row = named(lake_tables.SEGMENT_WINDOWS, next(window_rows(window_record(make_window(7, revision=2)))))
    assert row == {
        "gateway": "gw-0001",
        "epoch_ms": EPOCH_MS,
        "sequence": 7,
        "window_start_ms": START_MS + 70_000,
        "window_ms": 10_000,
        "revision": 2,
        "backfill": False,
        "received_ms": START_MS + 60_000,
        "segment": 100,
        "vehicle_count": 3,
        "vehicles_without_speed": 0,
        "clipped_vehicles": 0,
        "speed_sum_dkmh": 2400,
        "pace_sum_ms_per_km": 135_000,
        "speed_square_sum": 1_920_000,
        "speed_min_dkmh": 800,
        "speed_max_dkmh": 800,
        "occupied_ms": 5_000,
        "observed_ms": 100_000,
        "readings_accepted": 100,
        "readings_duplicate": 0,
        "readings_late": 0,
        "readings_rejected": 0,
        "congestion_level": 10,
        "congestion_state": "free",
        "sensors_reporting": 10,
        "sensors_excluded": 0,
        "sketch_error_permille": 10,
        "sketch_first_bin": 200,
        "sketch_counts": [3],
    }
    assert set(row) == {column.name for column in lake_tables.SEGMENT_WINDOWS.columns}


def test_a_window_has_a_row_for_each_segment_and_nulls_where_nothing_is_known() -> None:
    rows = [
        named(lake_tables.SEGMENT_WINDOWS, row)
        for row in window_rows(window_record(make_window(vehicles=0, level=None)))
    ]
    assert [row["segment"] for row in rows] == [100, 101]
    assert (rows[0]["speed_min_dkmh"], rows[0]["congestion_level"], rows[0]["sketch_counts"]) == (None, None, [])


def test_a_sensors_row_has_every_column_of_its_table_but_for_a_fault_that_it_has_not() -> None:
    record = read_record(json.dumps(wrap(encode_sensors(make_sensors(4)), kind="sensors")).encode())
    assert isinstance(record, SensorsRecord)
    rows = [named(lake_tables.SENSOR_INTERVALS, row) for row in sensor_rows(record)]
    assert [row["sensor"] for row in rows] == [900, 901, 905]
    assert rows[0] == {
        "gateway": "gw-0001",
        "epoch_ms": EPOCH_MS,
        "sequence": 4,
        "interval_start_ms": START_MS,
        "interval_ms": 300_000,
        "received_ms": START_MS + 60_000,
        "sensor": 900,
        "readings_accepted": 300,
        "vehicle_count": 40,
        "vehicles_without_speed": 2,
        "pace_sum_ms_per_km": 38 * 45_000,
        "occupied_ms": 9_500,
        "observed_ms": 300_000,
    }
    assert rows[2]["fault"] == "stuck_on"
    assert set(rows[2]) == {column.name for column in lake_tables.SENSOR_INTERVALS.columns}


def test_rows_of_a_batch_fill_few_records_none_of_which_is_too_large() -> None:
    windows = [window_record(make_window(n, segments=25)) for n in range(200)]
    rows = [(str(n), row) for n, window in enumerate(windows) for row in window_rows(window)]
    records = pack(rows)
    assert sum(len(record.rows) for record in records) == 200 * 25
    assert all(len(record.data) < 500_000 for record in records)
    billed = sum(-(-len(record.data) // 5000) * 5000 for record in records)
    assert billed < 1.02 * sum(len(row) + 1 for _, row in rows)
    assert {number for record in records for number in record.numbers} == {str(n) for n in range(200)}


def test_a_window_that_fills_a_record_is_split_between_rows() -> None:
    (row, *_) = window_rows(window_record(make_window()))
    records = pack([("1", row)] * 5, max_bytes=2 * len(row) + 2)
    assert [len(record.rows) for record in records] == [2, 2, 1]
    assert all(record.numbers == {"1"} for record in records)
    assert pack([]) == []


def test_a_packed_record_is_one_document_a_line() -> None:
    assert Packed(rows=['{"a":1}', '{"a":2}']).data == b'{"a":1}\n{"a":2}'


def test_a_row_is_small() -> None:
    window = make_window(segments=1)
    wide = replace(window.segments[0].sketch, first_bin=150, counts=(1,) * 60)
    segment = replace(window.segments[0], sketch=wide, pace_sum_ms_per_km=60 * 45_000, speed_max_dkmh=810)
    row = next(window_rows(WindowRecord(window_record(window).envelope, replace(window, segments=(segment,)), ())))
    assert len(row) < 450
