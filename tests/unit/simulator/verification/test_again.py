"""What keeps a run from being judged again is said in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud import playground
from cloud.playground import Playground, born
from simulator.__main__ import app
from simulator.verification.record import RunRecord, write_record


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that kept no archive; and nobody names an account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ROADSIDE_PLAYGROUND", str(tmp_path / "playground"))
    folder = tmp_path / "out"
    folder.mkdir()
    write_record(RunRecord(40, 2, 1, 10, 30, 2000, 1_764_115_200_000, 20), folder)
    return folder


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["verify", *arguments], env={"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.output.split())


def keep(run: Path | None) -> None:
    reached = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
    reached["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    what = "40 sensors" if run is None else f"the run in {run}"
    kept = None if run is None else str(run.absolute())
    playground.tell(Playground(os.getpid(), born(os.getpid()) or "", what, 0, kept, "", reached, ""))


def test_a_folder_that_is_none_of_a_run(tmp_path: Path) -> None:
    assert "run.json: no such file; give the folder of a run (its --out)" in refused(str(tmp_path))


def test_no_cloud_that_runs(run_folder: Path) -> None:
    assert f"no cloud runs that could be compared with the run in {run_folder}: run again with --keep" in refused(
        str(run_folder)
    )


@pytest.mark.parametrize("other", [None, Path("another")])
def test_a_cloud_of_something_else(run_folder: Path, other: Path | None) -> None:
    keep(other)

    said = refused(str(run_folder))

    assert "the local cloud that runs is of " in said
    assert f"not of the run in {run_folder}: end it (`local down`) and run again with --keep" in said


def test_a_cloud_that_answers_no_more(run_folder: Path) -> None:
    keep(run_folder)

    assert "Could not connect to the endpoint URL" in refused()  # the folder is that of the cloud that is kept
