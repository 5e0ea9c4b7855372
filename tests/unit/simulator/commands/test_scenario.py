"""`run --scenario` and `--start-time-of-day`: refused before anything starts, with what to do."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.__main__ import app
from simulator.commands.scenario import chosen_scenario

SNOW = Path(__file__).parents[4] / "simulator/examples/scenarios/snowy-evening.toml"


def refused(tmp_path: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["run", "--out", str(tmp_path / "out"), *arguments], env={"COLUMNS": "400"})
    assert result.exit_code == 2, result.output
    assert not (tmp_path / "out").exists()
    return result.output


def test_a_time_that_is_given_wins_over_the_scenarios() -> None:
    assert chosen_scenario(SNOW, None).start_time_of_day.isoformat() == "17:20:00"
    assert chosen_scenario(SNOW, "06:30").start_time_of_day.isoformat() == "06:30:00"
    assert chosen_scenario(None, None).start_time_of_day.isoformat() == "07:54:00"


@pytest.mark.parametrize("time", ["25:00", "noon", ""])
def test_a_time_of_day_that_is_none_is_refused(tmp_path: Path, time: str) -> None:
    assert f"'{time}' is no time of day; give 00:00 to 23:59" in refused(tmp_path, "--start-time-of-day", time)


def test_a_wrong_scenario_is_refused_with_all_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('demand = "feast"\nspeed = 3\n')
    said = refused(tmp_path, "--scenario", str(file))
    assert "demand = 'feast'" in said
    assert "speed = 3: unknown key" in said


def test_a_scenario_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "nowhere.toml" in refused(tmp_path, "--scenario", str(tmp_path / "nowhere.toml"))
