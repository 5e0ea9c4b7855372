"""The tutorial works: every command of the page, with the sizes that it gives.

The first section's run is compared in the third; the others need nothing of each other. Each mostly waits for time to
pass, so they are walked through side by side.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from simulator.local_cloud.assembly import ensure_assembly
from simulator.local_cloud.local_cloud import LocalCloudSettings

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
SECTIONS: Final = dict(re.findall(r"^## \d\. (.*?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE))
WALKS: Final = (("A small city", "What it saves, and what it costs"), ("A bad day",), ("A playground",))
TIMEOUT_S: Final = 420

pytestmark = [
    pytest.mark.local_cloud,
    pytest.mark.slow,
    pytest.mark.timeout(TIMEOUT_S + 60),
    pytest.mark.skipif(not LocalCloudSettings().python.exists(), reason="no .venv-cloud (run: make test)"),
]


def script(sections: Sequence[str], folder: Path) -> str:
    """The sections' commands as one script that ends at the first one that fails, and writes into the folder."""
    blocks = [block for section in sections for block in re.findall(r"```sh\n(.*?)```", SECTIONS[section], re.DOTALL)]
    text = "".join(blocks)
    return "set -e\n" + text.replace("out/", f"{folder}/").replace(".venv/bin/python", sys.executable)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.fixture(scope="module")
def told(folder: Path) -> Iterator[list[tuple[int, str]]]:
    """Exit code and output of each walk; each has a playground of its own."""
    ensure_assembly()  # or each would synthesise into the same folder
    environments = [
        {**os.environ, "COLUMNS": "160", "ROADSIDE_PLAYGROUND": str(folder / f"playground-{number}")}
        for number in range(len(WALKS))
    ]
    processes = [
        subprocess.Popen(
            ["bash", "-c", script(walk, folder)],
            cwd=REPOSITORY,
            env=environment,
            stdout=(folder / f"{number}.log").open("w"),
            stderr=subprocess.STDOUT,
        )
        for number, (walk, environment) in enumerate(zip(WALKS, environments, strict=True))
    ]
    try:
        codes = [process.wait(TIMEOUT_S) for process in processes]
        yield [(code, (folder / f"{number}.log").read_text()) for number, code in enumerate(codes)]
    finally:
        for process, environment in zip(processes, environments, strict=True):
            if process.poll() is None:
                process.kill()
                process.wait()
            down = [sys.executable, "-m", "simulator", "local", "down"]
            subprocess.run(down, cwd=REPOSITORY, env=environment, capture_output=True, check=False)


def test_every_section_is_walked_through() -> None:
    assert sorted(section for walk in WALKS for section in walk) == sorted(SECTIONS)


@pytest.mark.parametrize("number", range(len(WALKS)), ids=[walk[0] for walk in WALKS])
def test_every_command_works(told: list[tuple[int, str]], number: int) -> None:
    code, output = told[number]

    assert code == 0, output


def test_a_window_altered_by_hand_in_dynamodb_is_found_and_named(told: list[tuple[int, str]]) -> None:
    [output] = [output for _, output in told if "altered " in output]
    altered = re.search(r"^altered (gw-\d+) (\d+)#", output, flags=re.MULTILINE)
    assert altered is not None, output
    gateway, start_ms = altered.groups()
    verdict = output[altered.end() :]
    assert f"{gateway}, window {start_ms} " in verdict
    assert re.search(rf"{gateway}-seg\d+ +pace_sum_ms_per_km +\d+ +\d+", verdict), verdict
    assert "NOT OK" in verdict
    assert "exit code 1" in verdict


def test_the_page_of_the_bad_day_is_there(told: list[tuple[int, str]], folder: Path) -> None:
    assert told
    assert (folder / "bad-day" / "report.html").stat().st_size > 10_000


def test_nothing_of_the_tutorial_is_left(told: list[tuple[int, str]], folder: Path) -> None:
    assert told
    assert list(folder.glob("playground-*")) == []
