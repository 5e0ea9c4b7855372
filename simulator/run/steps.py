"""What a person sees of a run's steps before and after the readings."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    """Say what is going on and how long it took."""
    began_s = time.monotonic()
    with console.status(what):
        yield
    console.print(f"[green]done[/green] {what} ({time.monotonic() - began_s:.1f} s)", highlight=False)
