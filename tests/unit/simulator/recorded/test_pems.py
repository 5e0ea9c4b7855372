"""Files of PeMS as they are fetched: per-lane cells, mph, local times, what is missing and what was imputed."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from simulator.recorded.formats import Format
from simulator.recorded.recording import RecordedReading, Recording, RecordingError, format_of

HEAD = ["ID", "Fwy", "Dir", "District", "State_PM", "Abs_PM", "Type", "Lanes", "Name"]
STATIONS = [
    ["401", "80", "E", "4", "R1", "30.5", "ML", "2", 'Named "so'],  # quotes are letters where tabs divide
    ["402", "80", "E", "4", "R2", "29.9", "ML", "3", ""],
    ["403", "80", "W", "4", "R2", "29.9", "ML", "1", ""],
    ["404", "80", "W", "4", "R1", "30.5", "ML", "1", ""],
    ["405", "80", "E", "4", "R1", "30.2", "HV", "1", ""],
    ["406", "80", "E", "4", "R1", "", "OR", "1", ""],
    ["407", "12", "N", "4", "R1", "3.1", "CH", "1", ""],
    ["999", "5", "N", "7", "R1", "1", "ML", "4", "elsewhere, not in the readings"],
]
EIGHT_AM_MS = 1_715_698_800_000  # 2024-05-14T15:00:00Z, 08:00 in Los Angeles


def five_min(station: str, *lanes: str, time: str = "05/14/2024 08:00:00") -> str:
    return ",".join([time, station, "4", "80", "E", "ML", ".4", "20", "100", "100", ".05", "60", *lanes])


def write(folder: Path, rows: Sequence[str], *, kind: str = "5min", head: Sequence[str] = HEAD) -> Path:
    meta = "\n".join("\t".join(row) for row in [head, *STATIONS]) + "\n"
    (folder / "d04_text_meta_2024_05_14.txt").write_text(meta)
    (folder / f"d04_text_station_{kind}_2024_05_14.txt").write_text("\n".join(rows) + "\n")
    return folder


def read(folder: Path, rows: Sequence[str], kind: str = "5min") -> tuple[list[RecordedReading], dict[str, int]]:
    recording = Recording(write(folder, rows, kind=kind), 100.0)
    return list(recording.readings()), dict(recording.rejected)


def test_five_minutes_of_a_station_are_a_reading_of_each_lane(tmp_path: Path) -> None:
    readings, rejected = read(tmp_path, [five_min("401", "10,120,.0812,60.0,1", "10,90,.06,70,1", ",,,,")])
    assert readings == [
        RecordedReading("401-1", EIGHT_AM_MS, 120.0, 96.6, 0.0812),
        RecordedReading("401-2", EIGHT_AM_MS, 90.0, 112.7, 0.06),
    ]
    assert rejected == {}


def test_thirty_seconds_have_flow_occupancy_and_speed_of_each_lane(tmp_path: Path) -> None:
    readings, _ = read(tmp_path, ["05/14/2024 08:00:00,401,9,.11,50,,.02,"], "raw")
    assert readings == [
        RecordedReading("401-1", EIGHT_AM_MS, 9.0, 80.5, 0.11),
        RecordedReading("401-2", EIGHT_AM_MS, None, None, 0.02),
    ]


def test_a_lane_without_vehicles_has_no_speed_whatever_pems_says(tmp_path: Path) -> None:
    [reading], _ = read(tmp_path, [five_min("403", "10,0,0,65.2,1")])
    assert reading == RecordedReading("403-1", EIGHT_AM_MS, 0.0, None, 0.0)


def test_values_that_are_no_numbers_stay_text_for_the_gateway_to_refuse(tmp_path: Path) -> None:
    [reading], _ = read(tmp_path, [five_min("403", "10,many,0,fast,1")])
    assert (reading.vehicle_count, reading.speed_kmh) == ("many", "fast")


def test_what_is_no_reading_is_counted_with_its_reason(tmp_path: Path) -> None:
    good = five_min("403", "10,5,.01,60,1")
    readings, rejected = read(
        tmp_path,
        [
            good,
            five_min("403", "0,5,.01,60,0"),
            five_min("402", "10,5,.01,60,1", "10,5,.01,60,1"),
            five_min("777", "10,5,.01,60,1"),
            five_min("403", "10,5,.01,60,1", time="14.05.2024"),
            "05/14/2024 08:00:00,403,4",
            good,
        ],
    )
    assert [reading.sensor_id for reading in readings] == ["403-1", "402-1", "402-2", "403-1"]
    assert rejected == {
        "imputed, not observed": 1,
        "a lane without cells": 1,
        "a station without metadata": 1,
        "no time as 01/31/2024 08:00:00": 1,
        "too few cells": 1,
    }


def test_times_are_those_of_los_angeles_summer_and_winter(tmp_path: Path) -> None:
    rows = [five_min("403", "10,5,.01,60,1", time=f"{day}/2024 00:00:00") for day in ("01/15", "07/15")]
    winter, summer = (reading.timestamp_ms for reading in read(tmp_path, rows)[0])
    assert (winter, summer) == (1_705_305_600_000, 1_721_026_800_000)


def test_stations_line_up_along_their_carriageway_in_driving_direction(tmp_path: Path) -> None:
    """Postmiles grow northwards and eastwards; a carpool lane is a road of its own, a ramp is on none."""
    lane = "10,5,.01,60,1"
    recording = Recording(write(tmp_path, [five_min(row[0], lane) for row in STATIONS[:-1]]), 100.0)
    assert recording.roads == {"80-E": ("402", "401"), "80-E-HV": ("405",), "80-W": ("404", "403")}
    streets = {s.id: (s.road_class, s.free_flow_kmh) for g in recording.gateways for s in g.segments}
    assert streets["406"] == ("ramp", 60.0)
    assert streets["407"] == ("arterial", 80.0)
    assert streets["401"] == ("freeway", 100.0)
    assert "999" not in streets
    lanes = {s.id: (s.lanes, list(s.sensors)) for g in recording.gateways for s in g.segments}
    assert lanes["402"] == (3, ["402-1", "402-2", "402-3"])


def test_files_may_be_csv_with_metadata_in_commas(tmp_path: Path) -> None:
    (tmp_path / "station_meta.csv").write_text("\n".join(",".join(row).replace('"', "") for row in [HEAD, *STATIONS]))
    (tmp_path / "station_5min.csv").write_text(five_min("403", "10,5,.01,60,1") + "\n")
    assert [reading.sensor_id for reading in Recording(tmp_path, 100.0).readings()] == ["403-1"]


def test_a_gzip_is_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    rows = [five_min("403", "10,5,.01,60,1")] * 2000
    plain = tmp_path / "d04_text_station_5min_2024_05_14.txt"
    write(tmp_path, rows)
    whole = gzip.compress(plain.read_bytes())
    plain.unlink()
    packed = tmp_path / "d04_text_station_5min_2024_05_14.txt.gz"
    packed.write_bytes(whole)
    assert len(list(Recording(tmp_path, 100.0).readings())) == 2000
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match=r"5min_2024_05_14\.txt\.gz: damaged after line \d+ .*; fetch it again"):
        Recording(tmp_path, 100.0)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (6, "XX", "Type = 'XX' of station 401: use ML, HV"),
        (7, "two", "Lanes = 'two' of station 401: give a whole number"),
        (5, "far", "Abs_PM = 'far' of station 401: give miles, or nothing"),
    ],
)
def test_metadata_without_sense_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: int, value: str, words: str
) -> None:
    wrong = [*STATIONS[0][:column], value, *STATIONS[0][column + 1 :]]
    monkeypatch.setitem(globals(), "STATIONS", [wrong])
    with pytest.raises(RecordingError, match=words):
        Recording(write(tmp_path, [five_min("401", "10,5,.01,60,1")]), 100.0)


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    row = five_min("401", "10,5,.01,60,1")
    with pytest.raises(RecordingError, match=r"missing column\(s\) Abs_PM; is it a file of Station Metadata\?"):
        Recording(write(tmp_path, [row], head=[name.replace("Abs_PM", "PM") for name in HEAD]), 100.0)
    write(tmp_path, [five_min("888", "10,5,.01,60,1")])
    with pytest.raises(RecordingError, match=r"knows none of the stations in d04_text_station_5min_2024_05_14\.txt"):
        Recording(tmp_path, 100.0)
    (tmp_path / "d04_text_meta_2024_05_14.txt").unlink()
    with pytest.raises(RecordingError, match=r"no \*meta\*\.txt\[\.gz\]"):
        Recording(tmp_path, 100.0)
    with pytest.raises(RecordingError, match=r"no \*station_raw\*\.txt\[\.gz\]"):
        Recording(tmp_path, 100.0, file_format=Format.PEMS_RAW)


def test_formats_are_told_by_names_of_files_and_two_in_one_folder_by_nobody(tmp_path: Path) -> None:
    assert format_of(tmp_path) is Format.LOOPS
    write(tmp_path, [five_min("401", "10,5,.01,60,1")])
    assert format_of(tmp_path) is Format.PEMS_5MIN
    write(tmp_path, ["05/14/2024 08:00:00,401,9,.11,50,,.02,"], kind="raw")
    with pytest.raises(RecordingError, match="holds pems-5min and pems-raw; say which with --format"):
        Recording(tmp_path, 100.0)
    assert Recording(tmp_path, 100.0, file_format=Format.PEMS_RAW).file_format is Format.PEMS_RAW
