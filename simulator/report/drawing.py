"""Charts over the time of a run as SVG, in colours that follow the reader's light or dark. Pure.

Drawn for half of the page's width: there, and on a telephone, letters keep a size that can be read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cloud.dashboard.svg import Scale, Svg
from simulator.report import words

WIDTH: Final = 480.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 12.0, 8.0, 40.0
INK, MUTED, LINE, SHADE = "var(--ink)", "var(--muted)", "var(--line)", "var(--shade)"
# Told apart by every common kind of colour vision (Okabe and Ito), and drawn in different ways besides.
COLOURS: Final = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)")
MAX_POINTS: Final = 240  # of a line; more are averaged
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)

Column = npt.NDArray[np.float64]


class Drawing(Svg):
    """SVG in the page's own colours."""

    def say(self, x: float, y: float, text: str, *, anchor: str = "start", turn: int = 0, strong: bool = False) -> None:
        self.text(x, y, text, anchor=anchor, fill=INK if strong else MUTED, turn=turn)

    def rule(self, x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> None:
        dashes = ' stroke-dasharray="3 3"' if dashed else ""
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self._marks.append(f'<line {ends} stroke="{MUTED if dashed else LINE}"{dashes}/>')

    def dashed_path(self, points: Sequence[tuple[float, float]], stroke: str, dashes: str) -> None:
        way = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._marks.append(
            f'<path d="M{way}" fill="none" stroke="{stroke}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )

    def area(self, points: Sequence[tuple[float, float]], base_y: float, fill: str) -> None:
        way = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._marks.append(
            f'<path d="M{points[0][0]:.1f},{base_y:.1f}L{way}L{points[-1][0]:.1f},{base_y:.1f}Z" '
            f'fill="{fill}" fill-opacity="0.28"/>'
        )


@dataclass(frozen=True, slots=True)
class Times:
    """Places seconds of the run along the width of a chart; `readings_end_s` is when the sensors fell silent."""

    until_s: float
    readings_end_s: float | None = None

    def __call__(self, at_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at_s / max(self.until_s, 1e-9), 0.0), 1.0)

    @property
    def ticks(self) -> list[int]:
        step = next((each for each in _STEPS_S if self.until_s / each <= 7), _STEPS_S[-1])
        return list(range(0, int(self.until_s) + 1, step))

    def axis(self, drawing: Drawing, y: float) -> None:
        """The axis with its name below, and a dashed line up where the readings end."""
        drawing.rule(LEFT, y, WIDTH - RIGHT, y)
        for tick in self.ticks:
            drawing.rule(self(tick), y, self(tick), y + 4)
            drawing.say(self(tick), y + 17, words.clock(tick), anchor="middle")
        drawing.say((LEFT + WIDTH - RIGHT) / 2, y + 33, "time since the start of the run (min:s)", anchor="middle")
        if self.readings_end_s is not None and self.readings_end_s < self.until_s:
            drawing.rule(self(self.readings_end_s), TOP, self(self.readings_end_s), y, dashed=True)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line of a chart. `dashed` and `dotted` tell lines apart where colours do not."""

    name: str
    at_s: Column
    values: Column
    colour: str
    filled: bool = False
    dashes: str = ""


def chart(label: str, unit: str, times: Times, lines: Sequence[Line], height: float = 190.0) -> str:
    """Lines from zero upwards over the time of the run; in the legend above each has its name."""
    drawing = Drawing(WIDTH, height, label)
    bottom = height - BOTTOM
    highest = max((float(np.nanmax(line.values)) for line in lines if len(line.values)), default=0.0)
    scale = Scale.to(highest, bottom, TOP + 6, steps=4 if height > 160 else 2)
    value_axis(drawing, scale, unit, TOP, bottom)
    times.axis(drawing, bottom)
    for line in lines:
        at_s, values = thinned(line.at_s, line.values)
        points = [(times(x), scale(y)) for x, y in zip(at_s.tolist(), values.tolist(), strict=True) if math.isfinite(y)]
        if not points:
            continue
        if line.filled:
            drawing.area(points, bottom, line.colour)
        drawing.dashed_path(points, line.colour, line.dashes) if line.dashes else drawing.path(points, line.colour)
        if len(points) <= 40:
            for x, (px, py) in zip(at_s[np.isfinite(values)].tolist(), points, strict=True):
                drawing.circle(px, py, 2.5, line.colour, f"{words.clock(x)} {line.name}")
    return legend([(line.name, line.colour, line.dashes) for line in lines]) + drawing.render()


def value_axis(drawing: Drawing, scale: Scale, unit: str, top: float, bottom: float) -> None:
    for tick in scale.ticks:
        drawing.rule(LEFT, scale(tick), WIDTH - RIGHT, scale(tick))
        drawing.say(LEFT - 6, scale(tick) + 4, short(tick), anchor="end")
    drawing.say(11, (top + bottom) / 2, unit, anchor="middle", turn=-90)


def short(value: float) -> str:
    """A round number at an axis: 20k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def thinned(at_s: Column, values: Column) -> tuple[Column, Column]:
    """At most `MAX_POINTS`, each the mean of equally many neighbours."""
    group = -(-len(at_s) // MAX_POINTS)
    if group <= 1:
        return at_s, values
    firsts = np.arange(0, len(at_s), group)
    counts = np.diff(np.append(firsts, len(at_s)))
    return np.add.reduceat(at_s, firsts) / counts, np.add.reduceat(values, firsts) / counts


def legend(entries: Sequence[tuple[str, str, str]]) -> str:
    """Names of lines with a stroke of each; none for a single line, which the title names."""
    if len(entries) < 2:
        return ""
    keys = "".join(
        f'<span><svg width="26" height="10" aria-hidden="true"><path d="M1,5H25" stroke="{colour}" stroke-width="3" '
        f'stroke-dasharray="{dashes}"/></svg>{words.escape(name)}</span>'
        for name, colour, dashes in entries
    )
    return f'<p class="legend">{keys}</p>'
