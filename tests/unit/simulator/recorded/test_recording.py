"""Recordings: what a folder must hold, and what is said of one that does not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.recorded.recording import RecordedReading, Recording, RecordingError, iso
from tests.unit.simulator.recordings import (
    READING_HEADER,
    SENSOR_HEADER,
    SENSORS,
    START_MS,
    random_rows,
    write_csv,
    write_recording,
)

ROW = ["E00_0", "2024-05-14T05:30:00Z", "2", "100.5", "99.0", "12.5"]


def only_reading(tmp_path: Path, row: list[str], header: list[str] | None = None) -> RecordedReading:
    [reading] = Recording(write_recording(tmp_path, [row], header=header), 100.0).readings()
    return reading


def test_row_is_taken_as_it_stands_and_the_harmonic_speed_is_preferred(tmp_path: Path) -> None:
    assert only_reading(tmp_path, ROW) == RecordedReading("E00_0", START_MS, 2.0, 99.0, 0.125)


def test_recording_with_average_speeds_only_gives_those(tmp_path: Path) -> None:
    header = [name for name in READING_HEADER if name != "harmonic_speed_kmh"]
    assert only_reading(tmp_path, [*ROW[:4], ROW[5]], header).speed_kmh == 100.5


@pytest.mark.parametrize("header_order", [READING_HEADER, READING_HEADER[::-1], ["extra", *READING_HEADER]])
def test_columns_may_come_in_any_order(tmp_path: Path, header_order: list[str]) -> None:
    cells = dict(zip(READING_HEADER, ROW, strict=True))
    row = [cells.get(name, "?") for name in header_order]
    assert only_reading(tmp_path, row, header_order) == RecordedReading("E00_0", START_MS, 2.0, 99.0, 0.125)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2024-05-14T05:30:00Z", START_MS),
        ("2024-05-14T05:30:00", START_MS),  # without an offset it is UTC
        ("2024-05-14 07:30:00.250+02:00", START_MS + 250),
        ("half past five", "half past five"),
        ("", ""),
    ],
)
def test_timestamps(tmp_path: Path, text: str, milliseconds: int | str) -> None:
    assert only_reading(tmp_path, [ROW[0], text, *ROW[2:]]).timestamp_ms == milliseconds


def test_empty_cells_are_none_text_stays_text_and_short_rows_lack_the_rest(tmp_path: Path) -> None:
    assert only_reading(tmp_path, [*ROW[:3], "", "", "full"]) == RecordedReading("E00_0", START_MS, 2.0, None, "full")
    assert only_reading(tmp_path, ["E00_0"]) == RecordedReading("E00_0", "", None, None, None)


def test_roads_make_gateways_and_freeways_take_the_stated_free_flow(tmp_path: Path) -> None:
    write_recording(tmp_path, [ROW])
    ramp = ["R_0", "R", "0", "ramp", "EB_ramp", "60"]
    write_csv(tmp_path / "sensors.csv", SENSOR_HEADER, [*SENSORS, ramp])
    gateways = Recording(tmp_path, 95.0).gateways
    told = {
        gateway.gateway_id: [(s.id, s.number, s.road_class, s.free_flow_kmh, s.lanes) for s in gateway.segments]
        for gateway in gateways
    }
    assert told == {
        "EB": [("E00", 0, "freeway", 95.0, 3), ("E01", 1, "freeway", 95.0, 3)],
        "streets": [("S0", 2, "arterial", 50.0, 1), ("R", 3, "ramp", 60.0, 1)],
    }
    assert [(s.first_sensor_number, len(s.sensors)) for g in gateways for s in g.segments] == [
        (0, 3),
        (3, 3),
        (6, 1),
        (7, 1),
    ]


def test_segments_line_up_along_their_road_by_order_whatever_their_place_in_the_file(tmp_path: Path) -> None:
    write_recording(tmp_path, [ROW])
    places = [
        ("B", "EB", "10"),
        ("A", "EB", "2"),
        ("C", "EB", "11"),
        ("R", "EB", "-1"),
        ("S", "WB", "3"),
        ("T", "WB", ""),
    ]
    rows = [[f"{edge}_0", edge, "0", "freeway", road, "104.6", order] for edge, road, order in places]
    write_csv(tmp_path / "sensors.csv", SENSOR_HEADER, rows)
    told = {s.id: (s.number, s.downstream) for g in Recording(tmp_path, 95.0).gateways for s in g.segments}
    assert told == {"A": (1, 0), "B": (0, 2), "C": (2, None), "R": (3, None), "S": (4, None), "T": (5, None)}


def test_a_lane_that_the_numbers_leave_out_is_a_lane_without_a_sensor(tmp_path: Path) -> None:
    write_recording(tmp_path, [ROW])
    rows = [[f"E_{lane}", "E", lane, "freeway", "EB", "104.6"] for lane in ("1", "3", "2")]
    write_csv(tmp_path / "sensors.csv", SENSOR_HEADER, rows)
    [segment] = Recording(tmp_path, 95.0).gateways[0].segments
    assert (segment.lanes, len(segment.sensors)) == (4, 3)


@pytest.mark.parametrize("lane", ["", "-1", "left", "1.5"])
def test_lane_that_is_no_number_from_0_is_named(tmp_path: Path, lane: str) -> None:
    write_recording(tmp_path, [ROW])
    write_csv(tmp_path / "sensors.csv", SENSOR_HEADER, [["E_0", "E", lane, "freeway", "EB", "104.6"]])
    with pytest.raises(RecordingError, match=f"sensors\\.csv: lane = '{lane}' of E_0"):
        Recording(tmp_path, 95.0)


def test_order_that_is_no_number_is_named(tmp_path: Path) -> None:
    write_recording(tmp_path, [ROW])
    write_csv(tmp_path / "sensors.csv", SENSOR_HEADER, [[*row[:-1], "third"] for row in SENSORS])
    with pytest.raises(RecordingError, match=r"sensors\.csv: order = 'third' of E00"):
        Recording(tmp_path, 95.0)


@pytest.mark.parametrize("interval_s", [1, 10, 60])
def test_interval_is_the_most_common_step_between_a_sensors_rows(tmp_path: Path, interval_s: int) -> None:
    rows = random_rows(20, interval_s)
    del rows[7:21]  # a gap
    recording = Recording(write_recording(tmp_path, rows[::-1]), 100.0)
    assert recording.interval_ms() == 1000 * interval_s


def test_files_are_read_in_the_order_of_their_names_compressed_or_not(tmp_path: Path) -> None:
    write_recording(tmp_path, [["E00_1", *ROW[1:]]], name="readings_2.csv.gz")
    write_recording(tmp_path, [["E00_0", *ROW[1:]]], name="readings_1.csv")
    (tmp_path / "readings_3.csv.bak").write_text("not ours")
    assert [reading.sensor_id for reading in Recording(tmp_path, 100.0).readings()] == ["E00_0", "E00_1"]


def _no_folder(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _no_readings(folder: Path) -> None:
    (folder / "readings_10s.csv").unlink()


def _no_occupancy(folder: Path) -> None:
    write_csv(folder / "readings_10s.csv", READING_HEADER[:-1], [ROW[:-1]])


def _no_speed(folder: Path) -> None:
    write_csv(folder / "readings_10s.csv", ["sensor_id", "timestamp", "vehicle_count", "occupancy_pct"], [])


def _no_header(folder: Path) -> None:
    (folder / "readings_10s.csv").write_text("")


def _no_road(folder: Path) -> None:
    write_csv(folder / "sensors.csv", [*SENSOR_HEADER[:4], "speed_limit_kmh"], [])


def _no_sensor(folder: Path) -> None:
    write_csv(folder / "sensors.csv", SENSOR_HEADER, [])


def _lane_class(folder: Path) -> None:
    write_csv(folder / "sensors.csv", SENSOR_HEADER, [["a_0", "a", "0", "motorway", "EB", "100"]])


def _limit(folder: Path) -> None:
    write_csv(folder / "sensors.csv", SENSOR_HEADER, [["a_0", "a", "0", "arterial", "x", "fast"]])


def _no_limit(folder: Path) -> None:
    write_csv(folder / "sensors.csv", SENSOR_HEADER, [["a_0", "a", "0", "arterial", "x", "0"]])


def _twice(folder: Path) -> None:
    write_csv(folder / "sensors.csv", SENSOR_HEADER, [*SENSORS, SENSORS[0]])


def _nameless(folder: Path) -> None:
    write_csv(folder / "sensors.csv", SENSOR_HEADER, [["", *SENSORS[0][1:]]])


def _sensors_are_no_text(folder: Path) -> None:
    (folder / "sensors.csv").write_bytes(b"\xff\xfe\x00" * 9)


def _cut(folder: Path) -> None:
    whole = gzip.compress("\n".join(",".join(row) for row in [READING_HEADER, *random_rows()]).encode())
    (folder / "readings_10s.csv").unlink()
    (folder / "readings_10s.csv.gz").write_bytes(whole[: len(whole) // 2])


def _flipped(folder: Path) -> None:
    _cut(folder)
    path = folder / "readings_10s.csv.gz"
    path.write_bytes(path.read_bytes()[:10] + b"\xff" * 1000)  # the header, then no block that deflate knows


def _no_gzip(folder: Path) -> None:
    (folder / "readings_10s.csv").rename(folder / "readings_10s.csv.gz")


def _no_text(folder: Path) -> None:
    with (folder / "readings_10s.csv").open("ab") as stream:
        stream.write(b"E00_0,2024\xff\xfe\n")


def _one_instant(folder: Path) -> None:
    write_csv(folder / "readings_10s.csv", READING_HEADER, random_rows(1))


FAULTS = [
    (_no_folder, r"sensors\.csv: no such file"),
    (_no_readings, r"no readings\*\.csv"),
    (_no_occupancy, r"readings_10s\.csv: missing column\(s\) occupancy_pct"),
    (_no_speed, r"readings_10s\.csv: missing a column harmonic_speed_kmh or average_speed_kmh"),
    (_no_header, r"readings_10s\.csv: missing column\(s\) sensor_id, timestamp"),
    (_no_road, r"sensors\.csv: missing column\(s\) road$"),
    (_no_sensor, r"sensors\.csv: holds no sensor"),
    (_lane_class, r"sensors\.csv: road_class = 'motorway' of a_0: use freeway, ramp, arterial"),
    (_limit, r"sensors\.csv: speed_limit_kmh = 'fast' of a"),
    (_no_limit, r"sensors\.csv: speed_limit_kmh = '0' of a: give km/h, above 0 and at most 200"),
    (_twice, r"sensors\.csv: sensor_id = 'E00_0' stands there twice"),
    (_nameless, r"sensors\.csv: sensor_id = '' of edge_id = 'E00': give both a name"),
    (_sensors_are_no_text, r"sensors\.csv: damaged"),
    (_cut, r"readings_10s\.csv\.gz: damaged after line \d+"),
    (_flipped, r"readings_10s\.csv\.gz: damaged after line \d+"),
    (_no_gzip, r"readings_10s\.csv\.gz: damaged after line 0"),
    (_no_text, r"readings_10s\.csv: damaged after line \d+"),
    (_one_instant, r"no sensor has two readings, so their interval is unknown"),
]


def read_all(folder: Path) -> None:
    recording = Recording(folder, 100.0)
    recording.interval_ms()
    list(recording.readings())


@pytest.mark.parametrize(("fault", "words"), FAULTS, ids=[fault.__name__.strip("_") for fault, _ in FAULTS])
def test_unusable_recording_is_named_with_its_file(tmp_path: Path, fault: Callable[[Path], None], words: str) -> None:
    folder = write_recording(tmp_path / "recording", random_rows())
    fault(folder)
    with pytest.raises(RecordingError, match=words) as raised:
        read_all(folder)
    assert "\n" not in str(raised.value)


def test_instants_are_written_in_utc_with_milliseconds_only_where_there_are_any() -> None:
    assert iso(START_MS) == "2024-05-14T05:30:00Z"
    assert iso(START_MS + 7) == "2024-05-14T05:30:00.007Z"
