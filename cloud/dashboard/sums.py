"""Sums up a query's rows for a visual, as QuickSight does: sums add, a ratio is sum over sum. Pure."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cloud.insights.queries import Column, Kind, Query

Row = dict[str, Any]
Value = float | None


def total(query: Query, rows: Iterable[Row], name: str) -> Value:
    """The measure over all of `rows`; None where none of them tells it."""
    column = query.column(name)
    if column.kind is Kind.RATIO:
        return _ratio(query, list(rows), column)
    told = [float(row[name]) for row in rows if row[name] is not None]
    if not told:
        return None
    return sum(told) if column.kind is Kind.SUM else max(told)


def _ratio(query: Query, rows: list[Row], ratio: Column) -> Value:
    assert ratio.parts is not None  # noqa: S101 - a ratio is parsed with its parts
    above, below = (total(query, rows, part) for part in ratio.parts)
    return above / below if above is not None and below else None


def grouped(rows: Iterable[Row], *keys: str | Callable[[Row], Any]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by their keys, columns or functions of a row, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row[each] if isinstance(each, str) else each(row) for each in keys)
        groups.setdefault(key, []).append(row)
    return groups


def truncated(instant: dt.datetime, grain: str) -> dt.datetime:
    """The start of its day or minute."""
    minute = instant.replace(second=0, microsecond=0)
    return minute.replace(hour=0, minute=0) if grain == "day" else minute


def by_time(time: str, grain: str) -> Callable[[Row], dt.datetime]:
    """A key for `grouped`: the row's time, to the grain."""

    def key(row: Row) -> dt.datetime:
        instant: dt.datetime = row[time]
        return truncated(instant, grain)

    return key


def whole_days(rows: Sequence[Row], time: str) -> list[Row]:
    """Rows by the hour without those of a first or newest day of which hours are missing, unless that leaves none."""
    days = grouped(rows, by_time(time, "day"))
    partial = {
        day
        for (day,), group in days.items()
        if (day == min(days)[0] and min(row[time] for row in group) >= day + dt.timedelta(hours=1))
        or (day == max(days)[0] and max(row[time] for row in group) < day + dt.timedelta(hours=23))
    }
    whole = [row for row in rows if truncated(row[time], "day") not in partial]
    return whole or list(rows)
