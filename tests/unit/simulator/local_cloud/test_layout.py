"""The launcher starts in an interpreter that has none of the project's packages."""

from __future__ import annotations

import re
import subprocess
import sys

from simulator.local_cloud import guard
from simulator.local_cloud.local_cloud import REPOSITORY

HERE = REPOSITORY / "simulator" / "local_cloud"


def test_launcher_imports_with_the_standard_library_alone_and_knows_every_shim() -> None:
    program = (
        "import sys; sys.path.insert(0, '.'); import simulator.local_cloud.launcher as launcher; "
        "print(*sorted(shim.__name__.rpartition('.')[2] for shim in launcher.SHIMS))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shims = [path.stem for path in (HERE / "shims").glob("*.py") if "\ndef install(" in path.read_text()]
    assert done.stdout.split() == sorted(shims)


def test_pin_of_the_guard_is_the_pin_of_the_lock() -> None:
    lock = (HERE / "requirements.lock").read_text()
    assert re.findall(r"^ministack==(\S+)", lock, re.MULTILINE) == [guard.PINNED_VERSION]
    assert f"ministack=={guard.PINNED_VERSION}" in (HERE / "requirements.in").read_text()


def test_lock_names_no_host_and_hashes_every_package() -> None:
    lock = (HERE / "requirements.lock").read_text()
    assert "://" not in lock
    packages = re.findall(r"^[a-z0-9-]+==\S+ \\\n +--hash=sha256:", lock, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z0-9-]+==", lock, re.MULTILINE))
