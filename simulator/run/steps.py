"""What a person sees of a run's steps before and after the readings."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    """Say what is going on and how long it took."""
    began_s = time.monotonic()
    with console.status(what):
        yield
    _done(console, what, began_s)


@contextmanager
def counted_step(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    """The same of something that is done `total` times; what this gives is called after each."""
    began_s = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
    _done(console, what, began_s)


def _done(console: Console, what: str, began_s: float) -> None:
    console.print(f"[green]done[/green] {what} ({time.monotonic() - began_s:.1f} s)", highlight=False)
