"""`--window-s`: lengths of a window that a gateway can be configured with."""

from typing import Any

import typer

HELP = "Length of a window in seconds; divides an hour, so that windows of all gateways begin together."


def window_option(help_text: str = HELP, *, max_s: int = 3600, rich_help_panel: str | None = None) -> Any:
    """The option, with its bounds and its check."""
    return typer.Option(min=1, max=max_s, callback=_divides_an_hour, help=help_text, rich_help_panel=rich_help_panel)


def shortest_window_s(interval_ms: int) -> int:
    """The shortest window of at least ten seconds that holds a reading."""
    return next(s for s in range(10, 3601) if 3600 % s == 0 and (1000 * s >= interval_ms or s == 3600))


def _divides_an_hour(window_s: int | None) -> int | None:
    if window_s is not None and 3600 % window_s:
        near = sorted((s for s in range(1, 3601) if 3600 % s == 0), key=lambda s: abs(s - window_s))[:2]
        raise typer.BadParameter(f"{window_s} does not divide an hour; give {near[0]} or {near[1]}")
    return window_s
