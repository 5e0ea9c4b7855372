"""The configuration tree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.local_nucleus.configuration import (
    Change,
    ComponentConfiguration,
    KeyNotFoundError,
    StaleUpdateError,
    integers_as_floats,
)

keys = st.sampled_from("abcd")
leaves = st.integers(-3, 3) | st.booleans() | st.none() | st.lists(st.integers(0, 2), max_size=2)
trees = st.recursive(
    st.dictionaries(keys, leaves, min_size=1, max_size=3),
    lambda inner: st.dictionaries(keys, leaves | inner, min_size=1, max_size=3),
    max_leaves=6,
)


def tree(values: dict[str, Any], *, case_sensitive: bool = True) -> ComponentConfiguration:
    configuration = ComponentConfiguration(case_sensitive=case_sensitive)
    configuration.add_defaults(values, 1_000)
    return configuration


def merged(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {key: merged(old.get(key), new[key]) if key in new else old[key] for key in old | new}


@given(trees, trees)
def test_a_merge_is_a_deep_update(old: dict[str, Any], new: dict[str, Any]) -> None:
    configuration = tree(old)
    configuration.merge((), new, 2_000)
    assert configuration.get(()) == merged(old, new)


@given(trees, trees)
def test_merging_twice_changes_nothing_more(old: dict[str, Any], new: dict[str, Any]) -> None:
    configuration = tree(old)
    configuration.merge((), new, 2_000)
    assert configuration.merge((), new, 3_000) == []


def test_changes_name_the_leaves_and_lists_are_leaves() -> None:
    configuration = tree({"a": {"b": 1, "c": [1, 2]}, "d": True})
    changes = configuration.merge((), {"a": {"b": 1, "c": [1], "new": {"x": 0}}, "d": 1}, 2_000)
    assert changes == [
        Change(("a", "c"), is_new=False),
        Change(("a", "new", "x"), is_new=True),
        Change(("d",), is_new=False),
    ]


def test_an_upgrade_keeps_values_and_adds_keys() -> None:
    configuration = tree({"a": {"b": 1}})
    assert configuration.add_defaults({"a": {"b": 2, "c": 3}}, 2_000) == [Change(("a", "c"), is_new=True)]
    assert configuration.get(()) == {"a": {"b": 1, "c": 3}}


def test_an_older_timestamp_changes_nothing_at_all() -> None:
    configuration = tree({"a": 1})
    with pytest.raises(StaleUpdateError):
        configuration.merge((), {"a": 2, "b": 3}, 999)
    assert configuration.get(()) == {"a": 1}
    assert configuration.merge((), {"a": 2, "b": 3}, 999, skip_stale=True) == [Change(("b",), is_new=True)]


def test_a_merge_happens_at_its_path() -> None:
    configuration = tree({"a": {"b": {"c": 1}}})
    configuration.merge(("a", "b"), {"d": 2}, 2_000)
    assert configuration.get(("a",)) == {"b": {"c": 1, "d": 2}}


@pytest.mark.parametrize("path", [("x",), ("a", "x"), ("a", "b", "c")])
def test_a_missing_path_is_said(path: tuple[str, ...]) -> None:
    with pytest.raises(KeyNotFoundError):
        tree({"a": {"b": 1}}).get(path)


def test_without_case_the_first_spelling_stays() -> None:
    configuration = tree({"Output": {"Topic": "x"}}, case_sensitive=False)
    configuration.merge(("output",), {"TOPIC": "y"}, 2_000)
    assert configuration.get(()) == {"Output": {"Topic": "y"}}
    assert configuration.get(("OUTPUT", "topic")) == "y"


def test_what_is_read_is_a_copy() -> None:
    configuration = tree({"a": [1]})
    configuration.get(("a",)).append(2)
    assert configuration.get(("a",)) == [1]


def test_integers_become_floats_and_booleans_do_not() -> None:
    converted = integers_as_floats({"a": [1, True, "1"], "b": 0.5})
    assert converted == {"a": [1.0, True, "1"], "b": 0.5}
    assert [type(item) for item in converted["a"]] == [float, bool, str]
