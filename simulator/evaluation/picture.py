"""An evaluation as a picture: a dot for each case, a line and a band for all together. Pure."""

from collections.abc import Sequence
from typing import Final

from cloud.dashboard.svg import INK, Scale, Svg
from simulator.evaluation.results import Figure, Group, figures

_WIDTH, _PANEL_WIDTH, _PANEL_HEIGHT, _HEAD = 1000, 460, 250, 56
_LEFT, _TOP, _BOTTOM = 48, 34, 30
_DOTS: Final = {"simulated": "#1f6feb", "recorded": "#bc4c00"}
_BANDS: Final = {"simulated": "#dbe9fd", "recorded": "#fbe3d3"}
_WHISKER: Final = "#a3b1bf"
_PANELS: Final = (
    ("detection_rate", "detection rate (%)", 100.0, 100.0, ".0f"),
    ("false_alerts_per_station_hour", "false alerts per station-hour", 1.0, 0.0, ".3f"),
    ("median_time_to_detect_s", "median time to detect (s)", 1.0, 0.0, ".0f"),
    ("f1", "congestion, F1", 1.0, 1.0, ".2f"),
)
"""Figure, title, factor, least top of the axis, form of a value."""


def draw(groups: Sequence[Group]) -> str:
    """The picture as the text of an SVG file."""
    cases = sum(len(group.cases) for group in groups)
    drawing = Svg(_WIDTH, _HEAD + 2 * _PANEL_HEIGHT, f"Detection quality of {cases} cases")
    drawing.text(16, 24, f"Detection quality, {cases} cases", fill=INK)
    x = 16.0  # of the legend
    for group in groups:
        drawing.circle(x + 5, 40, 4, _DOTS[group.kind])
        words = f"{len(group.cases)} {group.kind}; line and band: all together, 95 % interval"
        drawing.text(x + 16, 44, words)
        x += 30 + 6.2 * len(words)
    pooled = [group.figures for group in groups]
    for place, (name, title, factor, least_top, form) in enumerate(_PANELS):
        left, top = 10 + (place % 2) * (_PANEL_WIDTH + 30), _HEAD + (place // 2) * _PANEL_HEIGHT
        each = [[_scaled(figures(score)[name], factor) for score in group.scores] for group in groups]
        together = [_scaled(own[name], factor) for own in pooled]
        panel = _Panel(drawing, left, top, cases, _highest([*together, *(f for own in each for f in own)], least_top))
        panel.frame(title, form)
        first = 0
        for group, own, all_of_it in zip(groups, each, together, strict=True):
            panel.band(group.kind, all_of_it, first, len(own), form)
            for index, (case, figure) in enumerate(zip(group.cases, own, strict=True)):
                panel.dot(group.kind, case.name, figure, first + index, form)
            first += len(own)
    return drawing.document()


class _Panel:
    """One figure: cases from left to right, its values upwards."""

    def __init__(self, drawing: Svg, left: float, top: float, cases: int, highest: float) -> None:
        self._drawing, self._left, self._top = drawing, left + _LEFT, top + _TOP
        self._right, self._low = left + _PANEL_WIDTH, top + _PANEL_HEIGHT - _BOTTOM
        self._step = (self._right - self._left) / max(cases, 1)
        self._y = Scale.to(highest, self._low, self._top)

    def frame(self, title: str, form: str) -> None:
        self._drawing.text(self._left, self._top - 12, title, fill=INK)
        for tick in self._y.ticks:
            self._drawing.line(self._left, self._y(tick), self._right, self._y(tick))
            self._drawing.text(self._left - 6, self._y(tick) + 4, format(tick, form), anchor="end")

    def band(self, kind: str, figure: Figure, first: int, count: int, form: str) -> None:
        """All of a kind together, behind its dots."""
        start, width = self._left + first * self._step, count * self._step
        if figure.interval is not None:
            low, high = figure.interval
            tip = f"{kind}: 95 % interval {low:{form}} to {high:{form}}"
            self._drawing.rect(start, self._y(high), width, self._y(low) - self._y(high), _BANDS[kind], tip)
        if figure.value is not None:
            y = self._y(figure.value)
            self._drawing.line(start, y, start + width, y, _DOTS[kind])
            self._drawing.text(start + width - 4, y - 5, f"{figure.value:{form}}", anchor="end", fill=_DOTS[kind])

    def dot(self, kind: str, name: str, figure: Figure, place: int, form: str) -> None:
        x = self._left + (place + 0.5) * self._step
        self._drawing.text(x, self._low + 16, name.removeprefix("seed "), anchor="middle")
        if figure.value is None:
            return
        tip = f"{name}: {figure.value:{form}}"
        if figure.interval is not None:
            low, high = figure.interval
            self._drawing.line(x, self._y(low), x, self._y(min(high, self._y.ticks[-1])), _WHISKER)
            tip += f" ({low:{form}} to {high:{form}})"
        self._drawing.circle(x, self._y(figure.value), 4, _DOTS[kind], tip)


def _scaled(figure: Figure, factor: float) -> Figure:
    value, interval = figure.value, figure.interval
    return Figure(
        None if value is None else factor * value,
        None if interval is None else (factor * interval[0], factor * interval[1]),
    )


def _highest(found: Sequence[Figure], least: float) -> float:
    return max([least, *(figure.value for figure in found if figure.value is not None)])
