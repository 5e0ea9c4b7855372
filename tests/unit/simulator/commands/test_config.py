"""A command's flags as a TOML file: the flag's own rules, the command line's precedence, all mistakes at once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner, Result

from simulator.__main__ import app as simulator
from simulator.commands.config import from_file

EXAMPLE = Path("simulator/examples/run.toml")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def _even(pace: str) -> str:
    if pace != "max" and float(pace) % 2:
        raise typer.BadParameter(f"{pace} is odd; give an even number, or max")
    return pace


def make_app(seen: dict[str, Any]) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def paint(
        config: Annotated[Path | None, typer.Option(is_eager=True, callback=from_file)] = None,
        coats: Annotated[int, typer.Option(min=1, max=3)] = 1,
        most_usd: Annotated[float | None, typer.Option(min=0)] = None,
        colour: Annotated[list[Colour] | None, typer.Option()] = None,
        first: Colour = Colour.RED,
        gloss: bool = True,
        out: Path = Path("out"),
        pace: Annotated[str, typer.Option(callback=_even)] = "2",
    ) -> None:
        seen.update(coats=coats, most_usd=most_usd, colour=colour, first=first, gloss=gloss, out=out, pace=pace)

    return app


def paint(tmp_path: Path, toml: str, *arguments: str) -> tuple[Result, dict[str, Any]]:
    seen: dict[str, Any] = {}
    path = tmp_path / "c.toml"
    path.write_text(toml)
    result = CliRunner().invoke(
        make_app(seen), ["--config", str(path), *arguments], env={"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}
    )
    return result, seen


def test_file_sets_flags_of_every_kind(tmp_path: Path) -> None:
    toml = 'coats = 3\nmost-usd = 2\ncolour = ["red", "blue"]\nfirst = "blue"\ngloss = false\nout = "x/y"\npace = 4\n'
    result, seen = paint(tmp_path, toml)
    assert result.exit_code == 0, result.output
    assert seen == {
        "coats": 3,
        "most_usd": 2.0,
        "colour": [Colour.RED, Colour.BLUE],
        "first": Colour.BLUE,
        "gloss": False,
        "out": Path("x/y"),
        "pace": "4",
    }


def test_command_line_wins_and_what_neither_says_has_its_default(tmp_path: Path) -> None:
    result, seen = paint(tmp_path, 'coats = 3\ngloss = false\ncolour = ["red"]', "--coats", "2", "--colour", "blue")
    assert result.exit_code == 0, result.output
    assert (seen["coats"], seen["gloss"], seen["colour"], seen["most_usd"]) == (2, False, [Colour.BLUE], None)


def test_every_mistake_is_named_at_once_with_file_key_value_and_remedy(tmp_path: Path) -> None:
    toml = "coats = 4\nmost-usd = true\ncolour = \"red\"\nfirst = 'green'\ngloss = 1\nout = 3\nglos = true\n"
    toml += "most_usd = 1\npace = '3'\n"
    result, seen = paint(tmp_path, toml)
    said = " ".join(result.output.replace("│", " ").split())
    assert (result.exit_code, seen) == (2, {})
    for words in (
        "c.toml: coats = 4: give an integer from 1 to 3",
        "c.toml: most-usd = true: give a number of at least 0",
        'c.toml: colour = "red": give a list of any of "red", "blue"',
        'c.toml: first = "green": give one of "red", "blue"',
        "c.toml: gloss = 1: give true or false",
        "c.toml: out = 3: give a string",
        "c.toml: glos = true: there is no such key; did you mean gloss?",
        'c.toml: pace = "3": 3 is odd; give an even number, or max',
        "c.toml: most_usd = 1: there is no such key; did you mean most-usd?",
    ):
        assert words in said


@pytest.mark.parametrize("toml", ['coats = "2"', "coats = 2.0", "coats = true", "config = 'c.toml'", "help = true"])
def test_toml_types_are_taken_at_their_word(tmp_path: Path, toml: str) -> None:
    result, _ = paint(tmp_path, toml)
    assert result.exit_code == 2


def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    result, _ = paint(tmp_path, "coats = 1\ncoats = \n")
    assert result.exit_code == 2
    assert "is no TOML" in result.output
    assert "line 2" in result.output


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(make_app({}), ["--config", str(tmp_path / "none.toml")], env={"COLUMNS": "400"})
    assert result.exit_code == 2
    assert "none.toml cannot be read: No such file or directory" in " ".join(result.output.split())


def test_example_is_a_configuration_of_run(tmp_path: Path) -> None:
    """Too few sensors for the file's gateways: so the file was read, accepted, and overruled by the command line."""
    result = CliRunner().invoke(
        simulator, ["run", "--config", str(EXAMPLE), "--sensors", "3", "--out", str(tmp_path)], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 2
    assert "CityError: --sensors 3: give at least one sensor to each of the 8 gateways" in result.output
