"""The command line: help that teaches, and one clear sentence with an exit code for what cannot be."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from simulator.__main__ import app
from simulator.local_cloud.local_cloud import LocalCloudSettings
from simulator.run import local_target as target_module
from tests.unit.simulator.recordings import random_rows, write_recording

COULD_NOT = 2


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def sentence(result: Result) -> str:
    """The one line in which a command says why it could not; a traceback is no sentence."""
    assert result.exit_code == COULD_NOT, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_commands_are_listed_with_what_they_do() -> None:
    output = invoke("--help").output
    for command, words in {
        "run": "verify every window",
        "replay": "recorded readings",
        "local": "lasting playground",
    }.items():
        assert re.search(rf"{command} +\S.*{words}", output, re.IGNORECASE), output


def test_help_of_run_names_every_flag_with_its_default_and_the_exit_codes() -> None:
    output = " ".join(invoke("run", "--help").output.split())
    for flag in (
        "--sensors",
        "--gateways",
        "--gateways-real",
        "--duration",
        "--window-s",
        "--seed",
        "--profile",
        "--chaos",
        "--faults",
        "--break-window",
        "--auth",
        "--no-auth",
        "--out",
        "--keep",
    ):
        assert flag in output
    for words in (
        "50000",
        "gateway-crash",
        "cloud-outage",
        "all",
        "classic",
        "lite",
        "missing",
        "wrong",
        "Exit code 0",
        "1 if",
        "2 if",
    ):
        assert words in output


def test_help_of_replay_says_what_a_folder_holds_and_what_comes_of_it() -> None:
    output = " ".join(invoke("replay", "--help").output.split())
    for words in ("sensors.csv", "readings*.csv[.gz]", "windows.csv, states.csv", "--window-s", "--format", "ngsi-ld"):
        assert words in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--sensor", "3"], "No such option: --sensor"),
        (["run", "--sensors", "many"], "Invalid value for '--sensors': Input should be a valid integer"),
        (["run", "--sensors", "0"], "Invalid value for '--sensors': Input should be greater than or equal to 1"),
        (["run", "--window-s", "3601"], "Invalid value for '--window-s': Input should be less than or equal to 3600"),
        (["run", "--window-s", "7"], "7 does not divide an hour; give 6 or 8"),
        (["evaluate", "--window-s", "7"], "7 does not divide an hour; give 6 or 8"),
        (["replay", "simulator/examples/morning", "--window-s", "7"], "7 does not divide an hour; give 6 or 8"),
        (["run", "--profile", "heavy"], "'heavy' is not one of 'classic', 'lite'"),
        (["run", "--chaos", "monkey"], "'monkey' is not one of 'none', 'all', 'loss'"),
        (["replay"], "Missing argument 'folder'"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_wrong_flag_is_named(arguments: list[str], words: str) -> None:
    assert words in sentence(invoke(*arguments))


def test_impossible_city_is_refused_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_module, "ensure_assembly", lambda: pytest.fail("synthesised for a city that cannot be"))
    result = invoke("run", "--sensors", "3", "--gateways", "4", "--out", str(tmp_path))
    assert "CityError: --sensors 3: give at least one sensor to each of the 4 gateways" in sentence(result)


def test_nothing_to_kill_is_said_at_once(tmp_path: Path) -> None:
    result = invoke("run", "--chaos", "disorder", "--chaos", "ipc-drop", "--gateways-real", "0", "--out", str(tmp_path))
    assert "--chaos: ipc-drop needs a real gateway: give --gateways-real 1 or more" in sentence(result)


def test_missing_environment_of_the_local_cloud_says_what_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "[no]" / "python"  # brackets would be markup to the terminal
    monkeypatch.setattr(target_module, "ensure_assembly", lambda: tmp_path)
    monkeypatch.setattr(target_module, "LocalCloudSettings", partial(LocalCloudSettings, python=nowhere))
    result = invoke("run", "--sensors", "8", "--gateways", "1", "--out", str(tmp_path / "out"))
    said = sentence(result)
    assert "StartError: the local cloud has no interpreter at" in said
    assert "[no]" in said
    assert "run: make test" in said
    assert not (tmp_path / "out" / "report.json").exists()


def test_folder_without_a_recording_is_named(tmp_path: Path) -> None:
    result = invoke("replay", str(tmp_path / "[nowhere]"), "--out", str(tmp_path / "out"))
    said = sentence(result).replace(" ", "")
    assert f"RecordingError:{tmp_path}/[nowhere]/sensors.csv:nosuchfile" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("pems-5min", "pems-5min: left out 2 imputed, not observed 80-E: 358 readings accepted"),
        ("pems-raw", "80-E: 896 readings accepted"),
        ("ngsi-ld", "streets: 120 readings accepted"),
    ],
)
def test_example_recordings_of_every_format_are_replayed(tmp_path: Path, folder: str, words: str) -> None:
    result = invoke("replay", f"simulator/examples/{folder}", "--out", str(tmp_path), "--profile", "none")
    assert result.exit_code == 0, result.output
    assert words in " ".join(result.output.split())
    assert ",congestion," in (tmp_path / "events.csv").read_text()


def test_out_that_is_a_file_is_named(tmp_path: Path) -> None:
    write_recording(tmp_path, random_rows(3))
    result = invoke("replay", str(tmp_path), "--out", str(tmp_path / "sensors.csv"))
    assert "FileExistsError" in sentence(result)


def test_replay_tells_what_became_of_the_rows(tmp_path: Path) -> None:
    rows = random_rows(12)
    write_recording(tmp_path, [*rows, ["E00_0", rows[-1][1], "many", "", "", ""]])
    result = invoke("replay", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert (
        "EB: 72 readings accepted, 0 repeated, 0 late, rejected none, unreadable {'reading: wrong fields': 1}" in said
    )
    assert "streets: 12 readings accepted, 0 repeated, 0 late, rejected none, unreadable none" in said
    assert "24 gateway-windows and 2 events in 28 messages" in said
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"windows.csv", "states.csv", "events.csv", "confirmations.csv", "sensor_faults.csv"}


@pytest.mark.parametrize("speed", ["0", "0.5", "fast", "inf", "nan"])
def test_a_speed_that_is_none_is_refused_with_what_would_be_one(tmp_path: Path, speed: str) -> None:
    result = invoke("run", "--target", "memory", "--speed", speed, "--out", str(tmp_path))
    assert "is no speed: give a number of at least 1, or max" in " ".join(result.output.replace("│", " ").split())
    assert result.exit_code == COULD_NOT


def test_real_processes_have_the_machines_time_and_are_refused_at_another(tmp_path: Path) -> None:
    result = invoke("run", "--speed", "max", "--gateways-real", "1", "--out", str(tmp_path))
    assert "--gateways-real needs --speed 1" in sentence(result)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--gateways-real", "1"], "--gateways-real"),
        (["--break-window", "lake"], "--break-window lake"),
        (["--keep"], "--keep"),
    ],
)
def test_what_needs_a_cloud_is_refused_without_one(tmp_path: Path, flags: list[str], named: str) -> None:
    result = invoke("run", "--target", "memory", *flags, "--out", str(tmp_path))
    assert f"{named} needs a cloud: leave it out, or leave out --target memory" in sentence(result)


def test_compare_says_which_folder_holds_no_run(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    said = sentence(invoke("compare", "--edge", nowhere, "--raw", nowhere, "--out", str(tmp_path / "out")))
    assert "nowhere/run.json: no such file; give the folder of a run" in said
