"""What a person sees of a run's steps before and after the readings."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from rich.console import Console


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
    numbers = count(1)
    with console.status(what) as status:
        yield lambda: status.update(f"{what}: {next(numbers):,} of {total:,}")
    _done(console, what, began_s)


def _done(console: Console, what: str, began_s: float) -> None:
    console.print(f"[green]done[/green] {what} ({time.monotonic() - began_s:.1f} s)", highlight=False)
