"""The README's commands are real: each is run, or, where another suite runs it, at least understood by its program."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
SIMULATOR = ".venv/bin/python -m simulator "


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_readme_has_the_two_commands_that_do_everything() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_knows_the_word(command: str) -> None:
    finished = _run([*shlex.split(command), "--dry-run"])

    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith(SIMULATOR)])
def test_simulator_understands_the_command(command: str, tmp_path: Path) -> None:
    """`run` is run by tests/e2e with fewer sensors; `replay` takes a second and is run here as it stands."""
    words = shlex.split(command.removeprefix(SIMULATOR))
    if words[0] == "replay":
        words[words.index("--out") + 1] = str(tmp_path)
        finished = _run([sys.executable, "-m", "simulator", *words])
        written = sorted(path.name for path in tmp_path.iterdir())
        assert written == ["confirmations.csv", "events.csv", "sensor_faults.csv", "states.csv", "windows.csv"]
    else:
        finished = _run([sys.executable, "-m", "simulator", *words, "--help"])

    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    """`gdk` is run by tests/conformance/test_gdk.py where it is installed."""
    known = ("make ", SIMULATOR, "gdk component build")

    assert [command for command in COMMANDS if not command.startswith(known)] == []


def test_folders_and_pages_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((docs/[^)]+)\)", text)
    folders = re.findall(r"^\| `([a-z/_]+)` \|", text, flags=re.MULTILINE)

    assert [name for name in (*links, *folders) if not (ROOT / name).exists()] == []
