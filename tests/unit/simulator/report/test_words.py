"""Numbers as people read them."""

import pytest

from simulator.report import words

SPACE = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0"),
        (10, 10, "100"),
        (1, 2, "50.0"),
        (999_999_999, 1_000_000_000, "> 99.999"),
        (1, 1_000_000_000, "< 0.001"),
        (5, 1000, "0.500"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part: int, whole: int, text: str) -> None:
    assert words.share(part, whole) == f"{text}{SPACE}%"


def test_sizes_take_the_unit_that_fits() -> None:
    assert [words.size(n) for n in (12, 63_546, 440_132_944)] == [
        f"12{SPACE}bytes",
        f"63.5{SPACE}kB",
        f"440{SPACE}MB",
    ]


@pytest.mark.parametrize(("at_s", "text"), [(0, "0:00"), (65.4, "1:05"), (3_725, "1:02:05")])
def test_instants_have_hours_where_there_are_some(at_s: float, text: str) -> None:
    assert words.clock(at_s) == text


def test_lists_and_kinds_read_as_words() -> None:
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.kind("CongestionStarted") == "congestion started"
    assert words.kind("kill-gateway") == "kill gateway"
