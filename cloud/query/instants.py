"""Instants as people write them. Pure."""

import re
from datetime import UTC, datetime
from typing import Final

from cloud.query.errors import InstantError

HOW: Final = "2026-11-25T20:00, a span that has passed since (90s, 15m, 24h, 7d), epoch milliseconds, or now; UTC"
_UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def instant_ms(text: str, now_ms: int) -> int:
    """The instant that `text` names, in the forms of HOW.

    Raises
    ------
    InstantError
    """
    if text == "now":
        return now_ms
    if span := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return now_ms - int(span[1]) * _UNITS_MS[span[2]]
    if re.fullmatch(r"\d{12,14}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InstantError(f"{text!r} is no instant; write {HOW}") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def written(instant: int | None) -> str:
    """The instant for people, in UTC to the second; empty where there is none."""
    if instant is None:
        return ""
    return f"{datetime.fromtimestamp(instant / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def age(instant: int | None, now_ms: int) -> str:
    """How long ago it was, in the largest unit that leaves two digits or fewer where it can."""
    if instant is None:
        return "never"
    passed_s = max(0, now_ms - instant) // 1000
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if passed_s >= 2 * length_s:
            return f"{passed_s // length_s} {unit}"
    return f"{passed_s} s"
