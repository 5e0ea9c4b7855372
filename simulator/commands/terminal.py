"""What every command says on the terminal, and how it ends when it cannot go on."""

import typer
from rich.console import Console
from rich.markup import escape

console = Console()


def failure(error: Exception) -> typer.Exit:
    """Print the error as one sentence; raise what is returned: exit code 2."""
    console.print(f"[red]{type(error).__name__}[/red]: {escape(str(error))}", highlight=False)
    return typer.Exit(2)
