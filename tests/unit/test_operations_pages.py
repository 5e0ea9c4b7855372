"""The pages for operators say what there is: settings, queries, commands, and links that lead somewhere."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cloud.config import Config
from cloud.log_queries import LOG_QUERIES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.glob("operations/*.md")}
CLOUD = PAGES["operations/cloud.md"]
OUR_COMMAND = re.compile(r"python -m (cloud\.\w+) ([^`\n]+)")


def section(page: str, title: str) -> str:
    """The page's text under the heading, up to the next of its kind."""
    return re.split(r"^## ", page.split(f"## {title}\n")[1], flags=re.MULTILINE)[0]


def rows(text: str) -> set[str]:
    """The names in the first column of the text's tables."""
    return {
        name for row in re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }


def test_every_setting_is_explained() -> None:
    assert rows(section(CLOUD, "Settings")) == set(Config.__dataclass_fields__)


def test_every_log_query_is_explained() -> None:
    assert rows(section(CLOUD, "Logs, metrics, traces")) == {query.name for query in LOG_QUERIES}


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', page))


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_a_page_and_to_a_heading_of_it(name: str) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[name]):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        page = (DOCS / name).parent / path if path else DOCS / name
        if not page.exists() or (anchor and anchor not in anchors(page.read_text(encoding="utf-8"))):
            broken.append(target)

    assert broken == []


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES.values():
        yield from OUR_COMMAND.findall(page)


@pytest.mark.parametrize(("module", "words"), sorted(set(commands())))
def test_our_commands_are_understood(module: str, words: str) -> None:
    """As typed in the page, they parse; what they do is tested elsewhere."""
    is_package = importlib.import_module(module).__spec__.submodule_search_locations is not None
    program: Any = importlib.import_module(f"{module}.__main__" if is_package else module)
    group: Any = typer.main.get_command(program.app)
    name, *arguments = shlex.split(words)
    command = group.commands.get(name)
    assert command is not None, f"{module} has no command {name}"

    command.make_context(name, arguments)
