"""A component whose zip brings its packages installs on this machine without any index, and starts.

The packages themselves come from the package index first, as on the machine that builds.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components import build, wheels

FOLDER = "sensor_ingest"  # the smallest set of packages


@pytest.mark.timeout(300)
def test_component_with_packed_wheels_installs_offline_and_starts(tmp_path: Path) -> None:
    house = tmp_path / "house"
    try:
        wheels.fetch(house, [FOLDER], platform.machine(), sys.version_info[:2])
    except wheels.WheelsError as error:
        pytest.skip(f"no package index is within reach of this machine: {error}")
    (local,) = build.build_local([FOLDER], tmp_path / "out", wheels=house)
    recipe = yaml.safe_load(local.recipe.read_text())
    install = recipe["Manifests"][0]["Lifecycle"]["install"]["Script"]
    install = install.replace("{artifacts:decompressedPath}", str(local.unarchived))
    install = install.replace("{work:path}", str(tmp_path / "work"))
    closed = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    closed["PIP_NO_COMPILE"] = "1"  # for the test's time
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"} | closed
    installed = subprocess.run(["sh", "-c", install], env=environment, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    started = subprocess.run(
        [tmp_path / "work" / "venv" / "bin" / "python3", "-m", FOLDER, "--help"],
        env={"PYTHONPATH": str(local.unarchived / FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    assert "--state-dir" in started.stdout
