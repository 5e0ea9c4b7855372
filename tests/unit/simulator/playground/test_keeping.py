"""A cloud that is kept tells how to ask it, and leaves in order when it is told to."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from simulator.playground.keeping import QUESTIONS, PlaygroundError, explain, register, the_one, until_told_to_end

ENVIRONMENT = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/" + "a" * 100, "PATH": "/nowhere"}
CLOUD: Any = SimpleNamespace(environment=lambda: ENVIRONMENT, mqtt_host="127.0.0.1", mqtt_port=8883)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADSIDE_PLAYGROUND", str(tmp_path / "state"))


def test_lines_to_paste_stay_whole_and_name_nothing_but_the_account(tmp_path: Path) -> None:
    told = io.StringIO()

    explain(register(CLOUD, "a run", tmp_path, is_run=True), Console(file=told, width=80))

    lines = [line.strip() for line in told.getvalue().splitlines()]
    assert f"export AWS_ENDPOINT_URL={ENVIRONMENT['AWS_ENDPOINT_URL']}" in lines
    assert not any("PATH" in line for line in lines)
    assert [line for line in lines if "cloud.query" in line] == [
        f".venv/bin/python -m cloud.query {question}" for question in QUESTIONS
    ]
    assert f".venv/bin/python -m simulator verify {tmp_path}" in lines


def test_there_is_one_at_a_time(tmp_path: Path) -> None:
    register(CLOUD, "600 sensors", tmp_path, is_run=False)

    with pytest.raises(PlaygroundError, match=f"runs already, 600 sensors, process {os.getpid()}: ask it"):
        register(CLOUD, "another", tmp_path, is_run=False)
    assert the_one().what == "600 sensors"


def test_one_that_was_killed_is_told_apart_from_none(tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match="no local cloud runs: start one by"):
        the_one()
    register(CLOUD, "600 sensors", tmp_path, is_run=False)
    state = tmp_path / "state" / "state.json"
    state.write_text(state.read_text().replace('"born": "', '"born": "another boot/'))

    with pytest.raises(PlaygroundError, match=r"process \d+ \(600 sensors\) has ended without a word"):
        the_one()
    register(CLOUD, "another", tmp_path, is_run=False)  # nothing in its way


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_told_to_end_leaves_in_order_and_only_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    left = []
    with until_told_to_end():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)  # impatience does not disturb the order
            left.append("in order")

    assert left == ["in order"]
    assert signal.getsignal(number) is before
