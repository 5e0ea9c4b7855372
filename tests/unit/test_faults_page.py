"""The page of faults names tests that exist, and the chaos that there is."""

import re
from pathlib import Path

from simulator.faults.schedule import Chaos

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", PAGE))
    assert len(named) > 5
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


def test_every_kind_of_chaos_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z][a-z-]*)` \|", PAGE, re.MULTILINE))
    assert explained == set(Chaos) - {Chaos.NONE}
