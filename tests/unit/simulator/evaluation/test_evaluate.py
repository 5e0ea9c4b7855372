"""`evaluate`: the same bytes from however many workers, and one clear sentence for what cannot be judged."""

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from simulator.__main__ import app
from simulator.evaluation.judging import Case
from simulator.evaluation.results import groups, missed_bars
from simulator.evaluation.scoring import Score
from simulator.evaluation.seeds import SeedError, seeds_of

SUMO_MORNING = Path(__file__).resolve().parents[4] / "simulator" / "examples" / "sumo-morning"
SMALL = ("--hours", "0.5", "--window-s", "60", "--stations-per-gateway", "20")


def evaluate(*words: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", *words], terminal_width=200, env={"COLUMNS": "200"})


def test_results_are_the_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    for workers in ("1", "2"):
        finished = evaluate("--seed-list", "5,2", *SMALL, "--workers", workers, "--out", str(tmp_path / workers))
        assert finished.exit_code == 0, finished.output
    one, two = (tmp_path / workers for workers in ("1", "2"))

    assert (one / "evaluation.json").read_bytes() == (two / "evaluation.json").read_bytes()
    assert (one / "evaluation.svg").read_bytes() == (two / "evaluation.svg").read_bytes()
    written: dict[str, Any] = json.loads((one / "evaluation.json").read_text())
    cases = written["simulated"]["cases"]
    assert [case["name"] for case in cases] == ["seed 5", "seed 2"]
    assert written["simulated"]["pooled"]["station_minutes"] == sum(case["station_minutes"] for case in cases) == 2400
    drawn = ET.fromstring((one / "evaluation.svg").read_text())  # noqa: S314 - ours
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"


def test_a_recording_is_judged_and_a_bar_that_is_missed_is_told(tmp_path: Path) -> None:
    words = ("--window-s", "30", "--max-false-alerts", "0", "--min-f1", "0.99", "--out", str(tmp_path))
    finished = evaluate("--recording", str(SUMO_MORNING), *words)
    (case,) = json.loads((tmp_path / "evaluation.json").read_text())["recorded"]["cases"]

    assert finished.exit_code == 1, finished.output
    assert "bar missed: recorded: f1 = 0.9" in finished.output
    assert "bar missed: recorded: false" not in finished.output
    assert (case["incidents"], case["detected"], case["false_alerts"]) == (2, 2, 0)
    assert case["station_hours"] == 20.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed-list", "3,x"], "--seed-list 3,x: 'x' is no seed"),
        (["--seeds", "0"], "nothing to judge"),
        (["--recording", "nowhere"], "nowhere/sensors.csv: no such file"),
        (["--seed-list", "3", "--workers", "0"], "Invalid value for '--workers'"),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    refused = evaluate(*words, "--out", str(tmp_path / "out"))

    assert refused.exit_code == 2
    assert said in refused.output
    assert not (tmp_path / "out" / "evaluation.json").exists()


def test_seeds_are_listed_as_people_write_them() -> None:
    assert seeds_of(None, 3) == [1, 2, 3]
    assert seeds_of("3, 7,20-22", 20) == [3, 7, 20, 21, 22]
    for wrong in ("", "3-", "5-3", "1-3,2"):
        with pytest.raises(SeedError, match="--seed-list"):
            seeds_of(wrong, 20)


def test_bars_are_told_by_kind_and_what_cannot_be_told_misses() -> None:
    day = Score(station_hours=100, incidents=10, detected=9, false_alerts=2, right=8, wrong=1, missed=1)
    found = groups([Case(1), Case(Path("monday"))], [day, Score(station_hours=10)])

    assert missed_bars(found[:1], 0.9, 0.02, 0.88) == []
    assert missed_bars(found[:1], 0.91, 0.01, None) == [
        "simulated: detection_rate = 0.9000, wanted at least 0.91",
        "simulated: false_alerts_per_station_hour = 0.0200, wanted at most 0.01",
    ]
    assert missed_bars(found[1:], None, 0.02, 0.5) == ["recorded: f1 = -, wanted at least 0.5"]


def test_workers_are_never_more_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.evaluation import parallel

    started: list[int] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", lambda workers, **_: started.append(workers))
    monkeypatch.setattr(parallel, "judge", lambda *_: Score())

    assert parallel.judge_all([Case(1), Case(2)], None, 8, lambda *_: None) == [Score(), Score()]  # type: ignore[arg-type]
    assert started == []
