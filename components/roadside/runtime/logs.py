"""Logs as one JSON object a line on stdout, from where the nucleus collects them. Repeats are held back and counted,
so that an outage of days does not fill the disk with one sentence.

Fields: `time` (ISO 8601, UTC), `level`, `component`, `logger`, `message`, what `extra=` holds, and `suppressed`, the
number of equal messages held back since the last one shown.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TextIO

REPEAT_S: Final = 60.0
MAX_KNOWN_MESSAGES: Final = 500
MAX_VARIANTS: Final = 5

_STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(component: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logging of this process to `stream` (stdout), at `level` and above.

    Raises
    ------
    ValueError
        A level that logging does not know.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(component))
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.setLevel(level)
    root.handlers[:] = [handler]


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; a value that JSON does not know is shown by its repr."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "component": self._component,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=repr)


class RepeatFilter(logging.Filter):
    """Lets a message of the same place and text pass once in `repeat_s`; arguments do not make it another one.

    Other extra fields do, up to MAX_VARIANTS of them in `repeat_s`: a second change of the configuration shows, and a
    thousand refused messages do not.
    """

    def __init__(self, repeat_s: float = REPEAT_S, steady_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._repeat_s = repeat_s
        self._steady_s = steady_s
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int, str], _Shown] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key = (record.name, record.levelno, str(record.msg))
        variant = repr([(name, value) for name, value in vars(record).items() if name not in _STANDARD_FIELDS])
        now_s = self._steady_s()
        with self._lock:
            shown = self._known.get(key) or _Shown()
            shown.at_s = {each: at_s for each, at_s in shown.at_s.items() if now_s - at_s < self._repeat_s}
            if variant in shown.at_s or len(shown.at_s) >= MAX_VARIANTS:
                shown.held_back += 1
                return False
            shown.at_s[variant] = now_s
            held_back, shown.held_back = shown.held_back, 0
            self._known.pop(key, None)  # to the end: the first is the one shown longest ago
            self._known[key] = shown
            if len(self._known) > MAX_KNOWN_MESSAGES:
                del self._known[next(iter(self._known))]
        if held_back:
            record.suppressed = held_back
        return True


@dataclass(slots=True)
class _Shown:
    """When each variant of a text was last shown, and how many were held back since."""

    at_s: dict[str, float] = field(default_factory=dict)
    held_back: int = 0
