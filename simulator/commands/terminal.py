"""What every command says on the terminal, and how it ends when it cannot go on."""

import errno

import typer
from rich.console import Console
from rich.markup import escape

console = Console()


class DiskFullError(Exception):
    """A disk has filled, or a quota of it."""


def failure(error: Exception) -> typer.Exit:
    """Print the error as one sentence; raise what is returned: exit code 2."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        error = DiskFullError(
            f"no room left to write {error.filename or 'a file'}: make room on that disk and begin again"
        )
    # A path that a line break has torn can be neither clicked nor pasted.
    console.print(f"[red]{type(error).__name__}[/red]: {escape(str(error))}", highlight=False, soft_wrap=True)
    return typer.Exit(2)
