"""Just enough SVG to draw charts with, and scales with round steps. Pure."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

INK, MUTED, GRID = "#1b1f24", "#59636e", "#e4e7eb"


class Svg:
    """A drawing that grows mark by mark; `render` gives its text."""

    def __init__(self, width: float, height: float, label: str) -> None:
        self.width, self.height = width, height
        self._label = label
        self._marks: list[str] = []

    def render(self) -> str:
        size = f'viewBox="0 0 {self.width:g} {self.height:g}"'
        return f'<svg {size} role="img" aria-label="{html.escape(self._label)}">{"".join(self._marks)}</svg>'

    def document(self) -> str:
        """The drawing as a file of its own, on white."""
        size = f'width="{self.width:g}" height="{self.height:g}" viewBox="0 0 {self.width:g} {self.height:g}"'
        style = 'style="background:#fff;font-family:system-ui,sans-serif;font-size:12px"'
        label = html.escape(self._label)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style} role="img" aria-label="{label}">'
            f"{''.join(self._marks)}</svg>\n"
        )

    def rect(self, x: float, y: float, width: float, height: float, fill: str, tip: str = "") -> None:
        box = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"'
        self._mark("rect", f'{box} rx="1.5" fill="{fill}"', tip)

    def circle(self, x: float, y: float, radius: float, fill: str, tip: str = "") -> None:
        self._mark("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" fill-opacity="0.85"', tip)

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = GRID) -> None:
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self._marks.append(f'<line {ends} stroke="{stroke}"/>')

    def path(self, points: Sequence[tuple[float, float]], stroke: str, width: float = 2) -> None:
        way = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        style = f'stroke="{stroke}" stroke-width="{width:g}" stroke-linejoin="round" stroke-linecap="round"'
        self._marks.append(f'<path d="{way}" fill="none" {style}/>')

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", fill: str = MUTED, turn: int = 0) -> None:
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}"{turned}'
        self._marks.append(f"<text {place}>{html.escape(text)}</text>")

    def _mark(self, tag: str, attributes: str, tip: str) -> None:
        if tip:
            self._marks.append(f"<{tag} {attributes}><title>{html.escape(tip)}</title></{tag}>")
        else:
            self._marks.append(f"<{tag} {attributes}/>")


@dataclass(frozen=True, slots=True)
class Scale:
    """From 0 to at least `highest` in round steps, onto pixels from `start` to `end`.

    Attributes
    ----------
    ticks : where an axis has its lines
    """

    ticks: tuple[float, ...]
    start: float
    end: float

    @classmethod
    def to(cls, highest: float, start: float, end: float, steps: int = 4) -> "Scale":
        """The scale of an axis with about so many steps."""
        raw = (highest if highest > 0 else 1.0) / steps
        magnitude = 10.0 ** math.floor(math.log10(raw))
        step = next(round_ * magnitude for round_ in (1, 2, 2.5, 5, 10) if raw <= round_ * magnitude * (1 + 1e-9))
        count = max(1, math.ceil(highest / step - 1e-9))
        return cls(tuple(step * index for index in range(count + 1)), start, end)

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * value / self.ticks[-1]


@dataclass(frozen=True, slots=True)
class LogScale:
    """From `low` to `high`, both above 0, onto pixels from `start` to `end`: ten times as much is always as far."""

    low: float
    high: float
    start: float
    end: float

    @property
    def ticks(self) -> tuple[float, ...]:
        """Powers of ten on the scale."""
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return tuple(10.0**power for power in range(first, last + 1))

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * math.log(value / self.low) / math.log(self.high / self.low)


def mixed(colours: Sequence[str], share: float) -> str:
    """The colour at `share`, 0 to 1, of a way over all `colours`."""
    place = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    index = min(int(place), len(colours) - 2)
    one, other = (_channels(colour) for colour in colours[index : index + 2])
    return "#" + "".join(f"{round(a + (b - a) * (place - index)):02x}" for a, b in zip(one, other, strict=True))


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
