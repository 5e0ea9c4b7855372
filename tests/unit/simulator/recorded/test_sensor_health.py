"""Faults put into a recording are told apart from healthy sensors, by the command and by a replay."""

from pathlib import Path
from random import Random

import pytest
from rich.console import Console
from typer.testing import CliRunner

from roadside.traffic.errors import SensorError
from simulator.__main__ import app
from simulator.recorded.recording import Recording
from simulator.recorded.sensor_health import SensorTrial, print_verdicts, try_all
from simulator.recorded.spoiled_recording import SpoiledRecording
from simulator.verification.alerts import declared_exclusions
from simulator.verification.oracle import Exclusion
from tests.unit.simulator.recordings import SENSORS, START_MS, iso, read_csv, write_recording

MINUTES = 55


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty-five minutes of free traffic, with a reading every 30 s; what passes one station passes the next."""
    random = Random(1)  # noqa: S311
    rows = []
    for step in range(2 * MINUTES):
        lanes = {str(lane): random.randint(4, 12) for lane in range(3)}
        for sensor, _, lane, *_ in SENSORS:
            count, speed = lanes[lane], random.uniform(85, 110)
            occupancy = 100 * count * 6.6 / (speed / 3.6 * 30)
            cells = [str(count), f"{speed:.1f}", f"{speed:.1f}", f"{occupancy:.1f}"]
            rows.append([sensor, iso(START_MS + 30_000 * step), *cells])
    return write_recording(tmp_path_factory.mktemp("recording"), rows)


@pytest.fixture(scope="module")
def trial(folder: Path) -> SensorTrial:
    return SensorTrial(Recording(folder, 100.0), window_s=30)


@pytest.mark.parametrize("fault", ["silent", "dead", "stuck_on", "constant", "chatter", "occupancy_scale"])
def test_fault_is_caught_by_name_and_nobody_else_is_flagged(trial: SensorTrial, fault: str) -> None:
    parameter = 90.0 if fault == "chatter" else 3.0
    verdict = trial.judge(fault, ["E00_1"], after_min=5, parameter=parameter, seed=1)

    assert (verdict.caught, verdict.named, verdict.healthy_flagged) == (("E00_1",), 1, ())
    assert verdict.median_minutes is not None
    assert 0 < verdict.median_minutes <= MINUTES


def test_healthy_recording_flags_nobody_and_stays_as_it_is_between_trials(trial: SensorTrial) -> None:
    trial.judge("dead", ["E00_1"], after_min=0, parameter=0, seed=1)

    verdict = trial.judge("none", (), after_min=0, parameter=0, seed=1)
    assert (verdict.caught, verdict.healthy_flagged) == ((), ())


def test_table_tells_what_was_missed_and_says_so_in_the_result(trial: SensorTrial) -> None:
    console = Console(record=True, width=200)
    verdicts = [v for v in try_all(trial, "freeway", 1, after_min=0, seed=3) if v.fault in ("dead", "undercount")]

    assert not print_verdicts(verdicts, console)  # an undercount takes longer than the recording
    lines = console.export_text().splitlines()
    assert lines[1].split()[:3] == ["dead", "1/1", "1"]
    assert lines[2].split()[:2] == ["undercount", "0/1"]
    assert verdicts[1].injected[0] in lines[2]


def test_command_refuses_a_class_of_road_that_is_not_there(folder: Path) -> None:
    result = CliRunner().invoke(app, ["health", str(folder), "--road-class", "ramp"])

    assert result.exit_code == 2
    assert "the recording has no such sensor" in result.output


def test_replay_of_a_spoiled_recording_declares_exactly_the_sensors_that_lie(folder: Path, tmp_path: Path) -> None:
    lying = ["--sensor-fault", "stuck_on", "--faulty", "2", "--seed", "4"]
    result = CliRunner().invoke(
        app, ["replay", str(folder), "--out", str(tmp_path), "--profile", "none", "--window-s", "30", *lying]
    )
    assert result.exit_code == 0, result.output

    faults = read_csv(tmp_path / "sensor_faults.csv")
    recording = SpoiledRecording(folder, 100.0, fault="stuck_on", faulty=2, seed=4)
    assert sorted(row["sensor_id"] for row in faults) == sorted(recording.faulty)
    assert {row["fault"] for row in faults} == {"stuck_on"}
    assert {row["left_out_until"] for row in faults} == {""}


def test_spoiled_recording_has_all_other_rows_as_they_were(folder: Path) -> None:
    recording = SpoiledRecording(folder, 100.0, fault="silent", faulty=2, seed=4)

    kept = [reading for reading in Recording(folder, 100.0).readings() if reading.sensor_id not in recording.faulty]
    assert list(recording.readings()) == kept
    with pytest.raises(SensorError, match="tired"):
        SpoiledRecording(folder, 100.0, fault="tired", faulty=2, seed=4)


def test_exclusions_follow_from_the_events() -> None:
    def event(kind: str, sensor: int, started_ms: int, effective_ms: int) -> dict[str, object]:
        return {"kind": kind, "sensor_number": sensor, "started_ms": started_ms, "effective_ms": effective_ms}

    events = [
        event("SensorRecovered", 7, 100, 300),
        event("SensorFault", 7, 100, 100),
        event("SensorFault", 7, 500, 500),
        event("SensorFault", 8, 100, 110),
        {"kind": "CongestionStarted", "segment_number": 1},
    ]
    assert declared_exclusions(events) == [Exclusion(7, 100, 300), Exclusion(7, 500), Exclusion(8, 110)]
