"""The command line: `python -m cloud.redrive --help`."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cloud.deployment import CloudError, find
from cloud.redrive.post import Post, Queue, Waiting

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Messages that wait for a person: look at them, send them on again, or drop them. "
    "docs/operations/runbook.md says when. Nothing is stored or announced twice by sending it again.",
)
console = Console(highlight=False)
Stage = Annotated[str, typer.Option(help="Which deployment, as in the CDK context.")]
Which = Annotated[
    Queue,
    typer.Argument(
        help="parked: refused for good by a function; undelivered: given up by a rule, a mapping or an invocation; "
        "untold: events that somebody was not told."
    ),
]
About = Annotated[str, typer.Option(help="Only messages whose description, gateway or reason holds this text.")]


@app.command("list")
def list_(
    queue: Which,
    stage: Stage = "dev",
    about: About = "",
    save: Annotated[Path | None, typer.Option(help="Keep the messages' bodies in this folder, one file each.")] = None,
) -> None:
    """Show what waits and why, and leave it there."""
    table = Table("since", "what", "gateway", "reason", box=None)

    def show(_post: Post, waiting: Waiting) -> bool:
        since = datetime.fromtimestamp(waiting.sent_ms / 1000, UTC).isoformat(timespec="seconds")
        letter = waiting.letter
        table.add_row(*(Text(cell) for cell in (since, letter.what, letter.gateway or "-", letter.reason)))
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
            (save / f"{waiting.message_id}.json").write_text(waiting.body, encoding="utf-8")
        return False

    with _in_words():
        _each(stage, queue, about, show)
    if table.row_count:
        console.print(table)
    console.print(f"{table.row_count} message(s)")


@app.command()
def send(queue: Which, stage: Stage = "dev", about: About = "") -> None:
    """Send on what waits, and take it off the queue once it is sent.

    Exit code 1 if anything could not be sent; that stays in the queue.
    """
    failed = 0

    def send_on(post: Post, waiting: Waiting) -> bool:
        nonlocal failed
        try:
            post.send(waiting.letter)
        except CloudError as error:
            failed += 1
            _complain(f"{waiting.letter.what}: {error}")
            return False
        post.delete(queue, waiting)
        return True

    with _in_words():
        sent = _each(stage, queue, about, send_on)
    console.print(f"{sent} sent, {failed} could not be")
    if failed:
        raise typer.Exit(1)


@app.command()
def drop(
    queue: Which,
    about: Annotated[
        str,
        typer.Option(help="Only messages whose description, gateway or reason holds this text; '' means all."),
    ],
    stage: Stage = "dev",
) -> None:
    """Take messages off the queue for good."""

    def delete(post: Post, waiting: Waiting) -> bool:
        post.delete(queue, waiting)
        return True

    with _in_words():
        dropped = _each(stage, queue, about, delete)
    console.print(f"{dropped} dropped")


def _each(stage: str, queue: Queue, about: str, act: Callable[[Post, Waiting], bool]) -> int:
    """Do `act` with each message that is asked for; put back those it leaves. The number of the others."""
    post = Post(find(stage))
    done, left = 0, []
    try:
        for waiting in post.take(queue, int(1000 * time.time())):
            letter = waiting.letter
            text = f"{letter.what} {letter.gateway} {letter.reason}".casefold()
            if about.casefold() in text and act(post, waiting):
                done += 1
            else:
                left.append(waiting)
    finally:
        for waiting in left:
            post.put_back(queue, waiting)
    return done


@contextmanager
def _in_words() -> Iterator[None]:
    """End with one sentence and exit code 2 where the cloud cannot be asked."""
    try:
        yield
    except CloudError as error:
        _complain(str(error))
        raise typer.Exit(2) from error


def _complain(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


if __name__ == "__main__":
    sys.exit(app())
