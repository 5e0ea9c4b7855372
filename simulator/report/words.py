"""Numbers and instants as people read them. Pure."""

import html
from collections.abc import Iterable
from typing import Any, Final

NOTHING: Final = "-"


def escape(text: object) -> str:
    return html.escape(str(text))


def count(value: Any) -> str:
    return NOTHING if value is None else f"{value:,}"


def number(value: float | None, unit: str = "", decimals: int = 1) -> str:
    """With as many decimals as matter; a no-break space before the unit."""
    if value is None:
        return NOTHING
    text = f"{value:,.{0 if abs(value) >= 100 else decimals}f}"
    return f"{text}\N{NO-BREAK SPACE}{unit}" if unit else text


def size(size_bytes: float | None) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    if size_bytes is None:
        return NOTHING
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size_bytes) < 1000:
            return number(size_bytes, unit, 0 if unit == "bytes" else 1)
        size_bytes /= 1000
    return number(size_bytes, "TB")


def usd(value: float) -> str:
    return f"${value:,.0f}" if value >= 10 else f"${value:,.2f}"


def share(part: float, whole: float) -> str:
    """Per cent, never rounded to all or to nothing where it is neither."""
    if not whole:
        return NOTHING
    percent = 100 * part / whole
    if 0 < percent < 0.001:
        return "< 0.001\N{NO-BREAK SPACE}%"
    if 99.999 < percent < 100:
        return "> 99.999\N{NO-BREAK SPACE}%"
    decimals = 0 if percent in (0, 100) else 1 if 1 <= percent <= 99 else 3
    return f"{percent:.{decimals}f}\N{NO-BREAK SPACE}%"


def clock(at_s: float) -> str:
    """An instant of a run: minutes and seconds, and hours where there are some."""
    minutes, seconds = divmod(round(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def duration(length_s: float | None) -> str:
    if length_s is None:
        return NOTHING
    if length_s < 120:
        return number(length_s, "s", 0 if length_s == int(length_s) else 1)
    if length_s < 7200:
        return number(length_s / 60, "min")
    return number(length_s / 3600, "h")


def plural(value: int, one: str, many: str = "") -> str:
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def listed(parts: Iterable[str]) -> str:
    """As in a sentence: a, b and c."""
    *others, last = list(parts)
    return f"{', '.join(others)} and {last}" if others else last


def kind(name: str) -> str:
    """A kind of fault or of event as words: `kill-gateway`, `CongestionStarted`."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return spaced.replace("-", " ").replace("_", " ").strip()
