"""What a city costs while it grows, from 5,000 to 50 million sensors, as a picture: two logarithmic axes. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cloud.capacity.bill import fairer_first_design_bill, first_design_bill, split_bill
from cloud.capacity.city import City, Operation
from cloud.capacity.prices import Prices
from cloud.capacity.split import first_to_break, grown, split
from cloud.dashboard.svg import INK, MUTED, LogScale, Svg

SENSORS: Final = tuple(round(5000 * 10 ** (step / 4)) for step in range(17))  # to 50 million
_LINES: Final = (
    ("Roadside", "ours_usd", "#1a7f37"),
    ("every reading by itself", "first_usd", "#cf222e"),
    ("the same, fairer", "fairer_usd", "#bc4c00"),
)
_WIDTH, _HEIGHT = 960, 470
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 190, 50, 46
_BREAK: Final = "#8250df"


@dataclass(frozen=True, slots=True)
class Point:
    """A city of that size: its parts, and US dollars a month."""

    sensors: int
    parts: int
    ours_usd: float
    first_usd: float
    fairer_usd: float


def curve(
    city: City, operation: Operation, regions: Sequence[Prices], fill: float, *, raised: bool
) -> tuple[Point, ...]:
    """Cities like that one, of other sizes."""
    found = []
    for sensors in SENSORS:
        like = grown(city, sensors)
        made = split(like, operation, fill, raised=raised, regions=len(regions))
        found.append(
            Point(
                sensors,
                made.parts,
                split_bill(made, operation, regions).usd,
                first_design_bill(like, regions[0]).usd,
                fairer_first_design_bill(like, regions[0]).usd,
            )
        )
    return tuple(found)


def draw(points: Sequence[Point], breaks: Mapping[str, int | None], marked: Point) -> str:
    """The text of an SVG file. `marked` is the city of the plan; `breaks` are marked where they lie on the axis."""
    first, last = points[0].sensors, points[-1].sensors
    shown = [(name, sensors) for name, sensors in first_to_break(breaks) if first <= sensors <= last]
    drawing = Svg(_WIDTH, _HEIGHT + 20 * len(shown) + 24, "What a city costs a month while it grows")
    x = LogScale(first, last, _LEFT, _WIDTH - _RIGHT)
    prices = [getattr(point, field) for point in points for _, field, _ in _LINES]
    y = LogScale(10 ** math.floor(math.log10(min(prices))), max(prices), _HEIGHT - _BOTTOM, _TOP)
    drawing.text(_LEFT, 24, "US dollars a month by number of sensors, both logarithmic", fill=INK)
    for tick in (first, *x.ticks, last):
        drawing.line(x(tick), _TOP, x(tick), _HEIGHT - _BOTTOM)
        drawing.text(x(tick), _HEIGHT - _BOTTOM + 18, short(tick), anchor="middle")
    for tick in y.ticks:
        drawing.line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick))
        drawing.text(_LEFT - 8, y(tick) + 4, f"${short(tick)}", anchor="end")
    for number, (name, sensors) in enumerate(shown, start=1):
        drawing.line(x(sensors), _TOP, x(sensors), _HEIGHT - _BOTTOM, _BREAK)
        # Marks that lie close together stand below each other.
        above = 14 * (len(shown) - number)
        drawing.text(x(sensors) - 4, _HEIGHT - _BOTTOM - 8 - above, str(number), anchor="end", fill=_BREAK)
        drawing.text(_LEFT, _HEIGHT + 20 * number, f"{number}  {name}: breaks at {sensors:,} sensors", fill=_BREAK)
    for label, field, colour in _LINES:
        drawing.path([(x(point.sensors), y(getattr(point, field))) for point in points], colour, width=2.5)
        for point in points:
            usd = getattr(point, field)
            parts = f" in {point.parts} parts" if field == "ours_usd" and point.parts > 1 else ""
            drawing.circle(
                x(point.sensors), y(usd), 3, colour, f"{label}: {point.sensors:,} sensors{parts}, ${usd:,.0f} a month"
            )
        usd = getattr(points[-1], field)
        drawing.text(_WIDTH - _RIGHT + 8, y(usd) + 4, f"{label}, ${short(usd)}", fill=colour)
    if first <= marked.sensors <= last:
        drawing.circle(x(marked.sensors), y(marked.ours_usd), 6, _LINES[0][2])
        drawing.circle(_LEFT + 6, 37, 6, _LINES[0][2])
        parts = f" in {marked.parts} parts" if marked.parts > 1 else ""
        words = f"this plan: {marked.sensors:,} sensors{parts}, ${marked.ours_usd:,.0f} a month"
        drawing.text(_LEFT + 18, 41, words, fill=INK)
    drawing.text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "sensors", anchor="middle", fill=MUTED)
    return drawing.document()


def short(value: float) -> str:
    """A number of few letters: 50M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
