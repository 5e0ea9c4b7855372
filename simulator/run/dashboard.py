"""A run as it goes, on the terminal: one picture that is drawn anew every second, or plain lines where there is none.

It keeps no books: what it shows are the recorder's samples (series.py) and what it is told of backlog and faults.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.run.series import Sample

HISTORY_S: Final = 60  # of the sparkline
LEAST_S: Final = 0.9  # between two pictures
LINE_EVERY_S: Final = 9.9  # in a log
WORST: Final = 3
_BARS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class View:
    """A run at one instant.

    Parameters
    ----------
    now : the recorder's sample
    duration_s : seconds of readings that are asked for
    latency_s : median and 95th percentile from a window's end to its acknowledgement; None before the first
    backlog : windows that are due and not acknowledged, by gateway
    faults : what is going wrong on purpose
    """

    now: Sample
    duration_s: float
    latency_s: tuple[float, float] | None = None
    backlog: Sequence[tuple[str, int]] = ()
    faults: Sequence[str] = ()


class Dashboard:
    """Shows views, one a second of the machine at most. A context manager; what is told stands above the picture."""

    def __init__(self, console: Console, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock_s = clock_s
        self._shown_s = self._line_s = -math.inf
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._before: Sample | None = None
        self._readings_per_s: deque[float] = deque(maxlen=HISTORY_S)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, line: str) -> None:
        """Say something that stays on the terminal."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, view: View) -> None:
        """Show the run as it stands now, unless it was shown a moment ago. Rates are by the machine's time."""
        now, before, at_s = view.now, self._before, self._clock_s()
        if before is not None and at_s - self._shown_s < LEAST_S and now.at_s != view.duration_s:
            return
        passed_s = at_s - self._shown_s if before else now.at_s
        self._before, self._shown_s = now, at_s
        self._readings_per_s.append((now.readings - (before.readings if before else 0)) / passed_s)
        messages_per_s = (now.messages - (before.messages if before else 0)) / passed_s
        cpu_cores = (now.cpu_s - (before.cpu_s if before else 0.0)) / passed_s
        if self._live is not None:
            self._live.update(picture(view, self._readings_per_s, messages_per_s, cpu_cores), refresh=True)
        elif at_s - self._line_s >= LINE_EVERY_S or now.at_s == view.duration_s:
            self._line_s = at_s
            self.tell(line(view, self._readings_per_s[-1]))


def picture(view: View, readings_per_s: Sequence[float], messages_per_s: float, cpu_cores: float) -> RenderableType:
    """The run as a terminal shows it."""
    now = view.now
    progress = Table.grid(padding=(0, 2))
    progress.add_row(
        ProgressBar(total=view.duration_s, completed=now.at_s, width=40),
        Text(f"{now.at_s:,.0f} of {view.duration_s:,.0f} s"),
    )
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="cyan")
    rows.add_column(justify="right")
    rows.add_column()
    rows.add_row("readings", f"{now.readings:,}", f"{readings_per_s[-1]:,.0f}/s  {sparkline(readings_per_s)}")
    rows.add_row("messages", f"{now.messages:,}", f"{messages_per_s:,.0f}/s")
    rows.add_row("windows stored", f"{now.windows_stored:,}", f"of {now.windows_due:,} due{_latency(view)}")
    rows.add_row("alerts", f"{now.events:,}")
    rows.add_row("backlog", f"{now.windows_waiting:,}", escape(_worst(view.backlog)))
    rows.add_row("processor, memory", f"{cpu_cores:.2f}", f"cores, {now.memory_bytes / 1e6:,.0f} MB")
    rows.add_row("faults now", f"{len(view.faults)}", escape(", ".join(view.faults)))
    return Group(progress, rows)


def line(view: View, readings_per_s: float) -> str:
    """The run as a line of a log tells it."""
    now = view.now
    faults = f"; now {', '.join(view.faults)}" if view.faults else ""
    return (
        f"{now.at_s:6.0f} s of {view.duration_s:,.0f}: {now.readings:,} readings ({readings_per_s:,.0f}/s), "
        f"{now.messages:,} messages, {now.windows_stored:,} of {now.windows_due:,} windows stored{_latency(view)}, "
        f"{now.events:,} alerts{faults}"
    )


def _latency(view: View) -> str:
    return "" if view.latency_s is None else f", p50 {view.latency_s[0]:.1f} s, p95 {view.latency_s[1]:.1f} s"


def sparkline(values: Sequence[float]) -> str:
    """Values as bars of a line of text, from nothing to the highest of them."""
    most = max(values, default=0.0)
    return "".join(_BARS[round(value / most * (len(_BARS) - 1)) if most > 0 else 0] for value in values)


def _worst(backlog: Sequence[tuple[str, int]]) -> str:
    behind = sorted((entry for entry in backlog if entry[1]), key=lambda entry: -entry[1])
    return ", ".join(f"{gateway} {count}" for gateway, count in behind[:WORST])
