"""The page of faults names tests that exist, and every kind of fault with the numbers that it takes."""

import re
from pathlib import Path

from simulator.faults.kinds import RULES, Kind

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", PAGE))
    assert len(named) > 5
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


def test_every_kind_of_fault_is_explained_with_its_numbers() -> None:
    explained = dict(re.findall(r"^\| `([a-z][a-z-]*)` \|[^|]*\|([^|]*)\|", PAGE, re.MULTILINE))
    assert explained.keys() == set(Kind)
    for kind, numbers in explained.items():
        assert set(re.findall(r"`(\w+)`", numbers)) == set(RULES[Kind(kind)].numbers), kind
