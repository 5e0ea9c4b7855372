"""What all suites share."""

import os
import tempfile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# Machines differ in speed: a test fails for what it finds, never for how long an example took. Without a change it
# finds the same each time, so that whoever sees a failure has made it; the profile `search` looks elsewhere each time.
settings.register_profile(
    "roadside", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("search", settings.get_profile("roadside"), derandomize=False)
settings.load_profile("roadside")

# The playground of whoever develops here is not the tests'.
os.environ["ROADSIDE_PLAYGROUND"] = str(Path(tempfile.gettempdir()) / f"roadside-no-playground-{os.getpid()}")

# Folders whose tests share something that is dear to make, the dearest first: a local cloud, whole runs, templates.
SHARING: Final = ("integration/local_cloud", "e2e", "infrastructure/cloud")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together on one worker what shares a fixture, and begin with what takes longest.

    A file's tests stay together, and so do the files of a folder that shares something.
    """
    tests = Path(__file__).parent
    groups = [_group(item.path.relative_to(tests)) for item in items]
    for item, group in zip(items, groups, strict=True):
        item.add_marker(pytest.mark.xdist_group(group))
    rank = {folder: place for place, folder in enumerate(SHARING)}
    order = sorted(range(len(items)), key=lambda index: rank.get(groups[index], len(SHARING)))
    items[:] = [items[index] for index in order]


def _group(path: Path) -> str:
    for folder in SHARING:
        if path.is_relative_to(folder):
            return folder
    return path.as_posix()
