"""The configuration reference says what the code does, and describes every key."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from components import build, reference


class Part(msgspec.Struct, rename="camel"):
    """What a whole holds.

    Parameters
    ----------
    ratio : a number
    """

    ratio: Annotated[float, Meta(gt=0, le=1)]


class Base(msgspec.Struct, kw_only=True, rename="camel"):
    """What every whole has.

    Parameters
    ----------
    name : called so
    """

    name: Annotated[str, Meta(min_length=1, pattern="^a|b$")]


class Whole(Base, kw_only=True, rename="camel"):
    """A whole.

    Parameters
    ----------
    first_ms, last_ms : bounds, told in more than
        one line
    kind : one of two
    parts : what it is made of
    numbers : by name
    part : one, or none
    """

    first_ms: Annotated[int, Meta(ge=1)] = 7
    last_ms: Annotated[int, Meta(ge=1)] = 7
    kind: Literal["a", "b"] = "a"
    parts: Annotated[list[Part], Meta(max_length=3)] = []
    numbers: dict[str, Annotated[int, Meta(lt=9)]] = {}
    part: Part | None = None


def test_page_holds_what_the_code_says() -> None:
    page = reference.PAGE.read_text("utf-8")
    _, begin, rest = page.partition(reference.BEGIN)
    generated, end, _ = rest.partition(reference.END)
    assert begin
    assert end
    assert generated == f"\n{reference.reference()}\n", "run: .venv/bin/python components/reference.py"


def test_every_component_is_in_it() -> None:
    assert list(reference.MODELS) == [folder for folder in build.LAYERS if folder != build.SUITE]


def test_a_model_becomes_tables_of_keys_ranges_and_meanings() -> None:
    assert "\n".join(reference.component("a.b.C", Whole, {})) == (
        "### `a.b.C`\n"
        "\n"
        "| key | default | range | meaning |\n"
        "|---|---|---|---|\n"
        "| `name` | required | text, at least 1 characters, matching `^a\\|b$` | called so |\n"
        "| `firstMs`, `lastMs` | `7` | integer, at least 1 | bounds, told in more than one line |\n"
        '| `kind` | `"a"` | `a`, `b` | one of two |\n'
        "| `parts` | `[]` | list of objects, at most 3 of them | what it is made of |\n"
        "| `numbers` | `{}` | object, text to integer, below 9 | by name |\n"
        "| `part` | absent | object | one, or none |\n"
        "\n"
        "#### `parts[]`\n"
        "\n"
        "What a whole holds.\n"
        "\n"
        "| key | default | range | meaning |\n"
        "|---|---|---|---|\n"
        "| `ratio` | required | number, above 0, at most 1 | a number |\n"
        "\n"
        "`part` is as in `a.b.C`.\n"
    )


def test_key_without_a_meaning_and_meaning_without_a_key_are_refused() -> None:
    class Silent(msgspec.Struct):
        """Nothing."""

        key: int = 0

    class Chatty(msgspec.Struct):
        """Too much.

        Parameters
        ----------
        key : there
        other : not there
        """

        key: int = 0

    with pytest.raises(reference.ReferenceError, match=r"Silent\.key: tell its meaning under Parameters"):
        list(reference.component("a.b.C", Silent, {}))
    with pytest.raises(reference.ReferenceError, match="Chatty has no other, which its docstring describes"):
        list(reference.component("a.b.C", Chatty, {}))
