"""The guard names every difference between the installed package and what the shims expect."""

from __future__ import annotations

import importlib.metadata

import pytest

from simulator.local_cloud import guard
from simulator.local_cloud.guard import GuardError, Hook

PYTEST = importlib.metadata.version("pytest")


def check(*hooks: Hook, version: str = PYTEST) -> None:
    guard.check(hooks, package="pytest", version=version)


def test_fitting_hooks_pass() -> None:
    check(
        Hook("textwrap", "dedent", "(text)"),
        Hook("textwrap", "TextWrapper.fill", "(self, text)"),
        Hook("textwrap", "TextWrapper"),
        Hook("math", "pi"),
    )


def test_changed_signature_is_refused() -> None:
    with pytest.raises(GuardError, match=r"textwrap.dedent is \(text\), expected \(text, width\)"):
        check(Hook("textwrap", "dedent", "(text, width)"))


def test_function_that_became_a_value_is_refused() -> None:
    with pytest.raises(GuardError, match=r"math.pi is .*float.*, expected \(\)"):
        check(Hook("math", "pi", "()"))


@pytest.mark.parametrize("name", ["gone", "TextWrapper.gone"])
def test_missing_name_is_refused(name: str) -> None:
    with pytest.raises(GuardError, match=f"textwrap.{name} is gone"):
        check(Hook("textwrap", name))


def test_missing_module_is_refused() -> None:
    with pytest.raises(GuardError, match="no_such_module cannot be imported"):
        check(Hook("no_such_module", "name"))


def test_other_version_is_refused() -> None:
    with pytest.raises(GuardError, match=f"pytest is {PYTEST}, expected 0.1"):
        check(version="0.1")


def test_missing_package_is_refused_without_a_word_about_hooks() -> None:
    with pytest.raises(GuardError) as caught:
        guard.check([Hook("no_such_module", "name")], package="no-such-package", version="1")
    assert caught.value.differences == ("no-such-package is not installed, expected 1",)


def test_all_differences_are_named_at_once() -> None:
    with pytest.raises(GuardError) as caught:
        check(Hook("textwrap", "gone"), Hook("textwrap", "dedent", "()"), version="0.1")
    assert len(caught.value.differences) == 3
