"""A run's record survives the way through its file, and says what is wrong with a file that is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roadside.runtime.settings import load_settings
from simulator.city.scenario import Scenario
from simulator.faults.delivery import Readings
from simulator.verification.archive import ArchiveError
from simulator.verification.oracle import Exclusion
from simulator.verification.record import RunRecord, read_record, write_record

READINGS = Readings(*(np.arange(3, dtype=np.int64) + place for place in range(5)))
RECORD = RunRecord(
    sensors=600,
    gateways=4,
    seed=3,
    window_s=10,
    sensor_summary_s=30,
    lateness_ms=2000,
    start_ms=1_764_115_200_000,
    duration_s=30,
    uncertain=frozenset({"gw-001", "gw-000"}),
    at_risk={"gw-000": [READINGS]},
    exclusions=(Exclusion(7, 1000), Exclusion(8, 1000, 2000)),
    options={"out": Path("out"), "chaos": frozenset({"b", "a"}), "scenario": Scenario(name="snow")},
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_record(RECORD, tmp_path)

    read = read_record(tmp_path)

    for name in ("sensors", "seed", "start_ms", "uncertain", "exclusions"):
        assert getattr(read, name) == getattr(RECORD, name)
    [part] = read.at_risk["gw-000"]
    assert part.occupancy_permille.tolist() == [4, 5, 6]
    assert load_settings(Scenario, read.options["scenario"]) == Scenario(name="snow")
    assert {**read.options, "scenario": None} == {"out": "out", "chaos": ["a", "b"], "scenario": None}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "run.json: no such file; give the folder of a run"),
        ("{", "cannot be read"),
        ("[]", "is not of format 1"),
        ('{"format": 1, "sensors": 4}', "is damaged .KeyError: 'gateways'"),
    ],
)
def test_a_folder_that_is_none_of_a_run_is_named(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)

    with pytest.raises(ArchiveError, match=words):
        read_record(tmp_path)
