"""The board's queries on the deployed stack: Athena's workgroup, the tables in Glue, whatever rows there are."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from cloud.dashboard.__main__ import app
from cloud.insights import board, queries
from tests.integration.local_cloud.conftest import Platform


def test_athena_answers_every_query_of_the_board(platform: Platform, tmp_path: Path) -> None:
    out = tmp_path / "dashboard.html"
    environment = platform.cloud.environment({})

    ran = CliRunner().invoke(app, ["--out", str(out)], env=environment)

    assert ran.exit_code == 0, ran.output
    assert f"rows of {len(queries.load_all())} queries" in ran.output
    assert out.read_text().count("<section") == sum(1 for sheet in board.SHEETS for _ in sheet.visuals())


def test_a_stage_that_is_not_deployed_is_told_in_one_sentence(platform: Platform, tmp_path: Path) -> None:
    out = tmp_path / "dashboard.html"

    ran = CliRunner().invoke(app, ["--stage", "elsewhere", "--out", str(out)], env=platform.cloud.environment({}))

    assert ran.exit_code == 1
    assert "stack roadside-elsewhere is not deployed" in ran.output
    assert not out.exists()
