"""The contract is imported at every cold start and by every component, so it brings little with it."""

import os
import subprocess
import sys
from pathlib import Path

COMPONENTS = Path(__file__).parents[4] / "components"
LISTING = """
import sys
before = set(sys.modules)
import roadside.contract.codec, roadside.contract.events, roadside.contract.heartbeat, roadside.contract.topics
print(*sorted(set(sys.modules) - before))
"""


def test_contract_brings_nothing_but_protobuf_and_a_light_part_of_the_standard_library() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", LISTING],
        env={**os.environ, "PYTHONPATH": str(COMPONENTS)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()

    packages = {module.partition(".")[0] for module in listed}
    assert "roadside.contract.codec" in listed
    assert packages - set(sys.stdlib_module_names) == {"roadside", "google"}
    assert {module for module in listed if module.startswith("roadside.")} <= {
        "roadside.contract",
        *(f"roadside.contract.{path.stem}" for path in (COMPONENTS / "roadside" / "contract").glob("*.py")),
    }
    # Any of these takes longer than the contract itself.
    assert not packages & {"asyncio", "email", "http", "logging", "multiprocessing", "socket", "sqlite3", "unittest"}
