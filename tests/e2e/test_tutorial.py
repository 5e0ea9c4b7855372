"""The tutorial works: every command of the page, with the sizes that it gives.

Its sections need nothing of each other, and each mostly waits for time to pass, so they are walked through side by
side.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from simulator.local_cloud.assembly import ensure_assembly
from simulator.local_cloud.local_cloud import LocalCloudSettings

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
SECTIONS: Final = dict(re.findall(r"^## \d\. (.*?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE))
TIMEOUT_S: Final = 300

pytestmark = [
    pytest.mark.local_cloud,
    pytest.mark.slow,
    pytest.mark.skipif(not LocalCloudSettings().python.exists(), reason="no .venv-cloud (run: make test)"),
]


def script(section: str, folder: Path) -> str:
    """The section's commands as one script that ends at the first one that fails, and writes into the folder."""
    text = "".join(re.findall(r"```sh\n(.*?)```", SECTIONS[section], flags=re.DOTALL))
    text = text.replace("out/", f"{folder}/").replace(".venv/bin/python", sys.executable)
    return "set -e\n" + re.sub(r"^(make demo .*)$", rf'\1 ARGS="--out {folder}/demo"', text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.fixture(scope="module")
def told(folder: Path) -> Iterator[dict[str, tuple[int, str]]]:
    """Exit code and output of each section; each has a playground of its own."""
    ensure_assembly()  # or each would synthesise into the same folder
    environments = {
        section: {**os.environ, "COLUMNS": "160", "ROADSIDE_PLAYGROUND": str(folder / f"playground-{number}")}
        for number, section in enumerate(SECTIONS)
    }
    processes = {
        section: subprocess.Popen(
            ["bash", "-c", script(section, folder)],
            cwd=REPOSITORY,
            env=environment,
            stdout=(folder / f"{number}.log").open("w"),
            stderr=subprocess.STDOUT,
        )
        for number, (section, environment) in enumerate(environments.items())
    }
    try:
        codes = {section: process.wait(TIMEOUT_S) for section, process in processes.items()}
        logs = (folder / f"{number}.log" for number in range(len(processes)))
        yield {section: (code, log.read_text()) for (section, code), log in zip(codes.items(), logs, strict=True)}
    finally:
        for section, process in processes.items():
            if process.poll() is None:
                process.kill()
                process.wait()
            down = [sys.executable, "-m", "simulator", "local", "down"]
            subprocess.run(down, cwd=REPOSITORY, env=environments[section], capture_output=True, check=False)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_command_of_a_section_works(told: dict[str, tuple[int, str]], section: str) -> None:
    code, output = told[section]

    assert code == 0, output


def test_a_window_altered_by_hand_in_dynamodb_is_found_and_named(told: dict[str, tuple[int, str]]) -> None:
    [output] = [output for _, output in told.values() if "altered " in output]
    altered = re.search(r"^altered (gw-\d+) (\d+)#", output, flags=re.MULTILINE)
    assert altered is not None, output
    gateway, start_ms = altered.groups()
    verdict = output[altered.end() :]
    assert f"{gateway}, window {start_ms} " in verdict
    assert re.search(rf"{gateway}-seg\d+ +pace_sum_ms_per_km +\d+ +\d+", verdict), verdict
    assert "NOT OK" in verdict
    assert "exit code 1" in verdict


def test_the_page_of_the_bad_day_is_there(told: dict[str, tuple[int, str]], folder: Path) -> None:
    assert told
    assert (folder / "bad-day" / "report.html").stat().st_size > 10_000


def test_nothing_of_the_tutorial_is_left(told: dict[str, tuple[int, str]], folder: Path) -> None:
    assert told
    assert list(folder.glob("playground-*")) == []
