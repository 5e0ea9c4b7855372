"""The course of a run in which every sensor published each of its readings: from its report's `seconds`. Pure."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.report.drawing import COLOURS, Line, Times, chart
from simulator.report.run_folder import Column

NO_WINDOWS = '<p class="empty">Every reading was sent by itself, so there are no windows to draw this from.</p>'


def is_raw(report: Mapping[str, Any]) -> bool:
    return report.get("mode") == "raw"


def _columns(report: Mapping[str, Any]) -> tuple[Column, dict[str, Column]]:
    seconds = report.get("seconds") or []
    names = seconds[0].keys() if seconds else ()
    columns = {name: np.array([second[name] for second in seconds], dtype=np.float64) for name in names}
    return np.arange(1, len(seconds) + 1, dtype=np.float64), columns


def times(report: Mapping[str, Any]) -> Times:
    return Times(float(len(report.get("seconds") or [])))


def lags(report: Mapping[str, Any]) -> str:
    """How far each station of the way was behind."""
    at_s, columns = _columns(report)
    stations = (("client_lag_s", "the sensors"), ("broker_lag_s", "the broker"), ("table_lag_s", "the table"))
    lines = [
        Line(name, at_s, columns[key], colour, dashes=dashes)
        for (key, name), colour, dashes in zip(stations, COLOURS, ("", "7 3", "2 3"), strict=False)
        if key in columns
    ]
    return chart("Seconds by which sensors, broker and table were behind", "seconds", times(report), lines)


def published(report: Mapping[str, Any]) -> str:
    """How many readings were published and acknowledged in each second."""
    at_s, columns = _columns(report)
    lines = [
        Line(name, at_s, np.diff(columns[name], prepend=0.0), colour, dashes=dashes)
        for name, colour, dashes in (("published", COLOURS[0], ""), ("acknowledged", COLOURS[1], "7 3"))
        if name in columns
    ]
    return chart("Readings published and acknowledged per second", "per second", times(report), lines)


def cores(report: Mapping[str, Any]) -> str:
    """How busy the local cloud and the simulator were."""
    at_s, columns = _columns(report)
    lines = [
        Line(name, at_s, columns[key], colour, dashes=dashes)
        for key, name, colour, dashes in (
            ("cloud_cores", "local cloud", COLOURS[2], ""),
            ("client_cores", "simulator", COLOURS[3], "7 3"),
        )
        if key in columns
    ]
    return chart("Cores that the local cloud and the simulator used", "cores", times(report), lines)
