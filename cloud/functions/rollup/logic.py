"""Which hours to roll up, and what an hour and a day are. Pure: reads windows that it is handed, gives objects.

Equal input gives equal bytes under equal keys: a rollup that runs again replaces what it wrote.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from cloud.functions.rollup.sums import Row, Sums
from cloud.functions.shared.hours import HOUR_MS, is_due
from roadside.contract.summary import WindowSummary

DAY_MS: Final = 24 * HOUR_MS
HOURLY_PREFIX: Final = "hourly/"
DAILY_PREFIX: Final = "daily/"


class RequestError(ValueError):
    """An invocation by hand that asks for what cannot be done; the text says what can."""


def instant(time_ms: int) -> datetime:
    """The instant in UTC, which knows no summer time: every day has 24 hours."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)


def hour_key(hour_ms: int) -> str:
    """Key of the object that holds an hour."""
    return f"{HOURLY_PREFIX}dt={instant(hour_ms):%Y-%m-%d}/{instant(hour_ms):%H}.json.gz"


def day_key(day_ms: int) -> str:
    """Key of the object that holds a day."""
    return f"{DAILY_PREFIX}dt={instant(day_ms):%Y-%m-%d}/day.json.gz"


def day_of(time_ms: int) -> int:
    """First instant of the UTC day."""
    return time_ms - time_ms % DAY_MS


def hours_of_day(day_ms: int) -> range:
    """First instants of the day's hours."""
    return range(day_ms, day_ms + DAY_MS, HOUR_MS)


def requested_hours(event: Mapping[str, Any]) -> list[int] | None:
    """The hours that an invocation by hand names as `{"day": "2026-11-25"}` or `{"hour": "2026-11-25T21"}`.

    None for an invocation by the schedule, which names none.

    Raises
    ------
    RequestError
    """
    try:
        if "day" in event:
            return list(
                hours_of_day(_epoch_ms(datetime.combine(date.fromisoformat(event["day"]), datetime.min.time())))
            )
        if "hour" in event:
            return [_epoch_ms(datetime.strptime(event["hour"], "%Y-%m-%dT%H"))]  # noqa: DTZ007 - made UTC within
    except (TypeError, ValueError) as error:
        raise RequestError(
            f'{error}; ask for {{"day": "2026-11-25"}} or {{"hour": "2026-11-25T21"}}, in UTC'
        ) from error
    return None


def _epoch_ms(of_utc: datetime) -> int:
    return int(of_utc.replace(tzinfo=UTC).timestamp() * 1000)


def due_hours(marks: Iterable[tuple[int, int, int]], oldest_ms: int) -> tuple[list[int], list[int]]:
    """Hours that must be rolled up, the latest first, and those that would have to but are too old.

    Parameters
    ----------
    marks : of each hour its start, when a window of it was stored last, and when its last rollup began
    oldest_ms : windows of hours before it have begun to expire, so that a new rollup would forget them
    """
    due = sorted((hour for hour, marked_ms, rolled_ms in marks if is_due(marked_ms, rolled_ms)), reverse=True)
    return [hour for hour in due if hour >= oldest_ms], [hour for hour in due if hour < oldest_ms]


def add_windows(sums: dict[int, Sums], windows: Iterable[WindowSummary]) -> int:
    """Add windows to the sums of their segments; how many there were."""
    count = 0
    for window in windows:
        count += 1
        for segment in window.segments:
            found = sums.get(segment.number)
            if found is None:
                found = sums[segment.number] = Sums()
            found.add_window(window, segment)
    return count


def hour_rows(sums: Mapping[int, Sums], hour_ms: int) -> list[Row]:
    """Rows of the table `hourly`, by segment."""
    heading = {"hour_start_ms": hour_ms, "hour_of_day": hour_ms % DAY_MS // HOUR_MS}
    return [sums[segment].row(segment, heading) for segment in sorted(sums)]


def day_rows(hours: Iterable[Sequence[Row]], day_ms: int) -> list[Row]:
    """Rows of the table `daily`, by segment, from those of the day's hours."""
    sums: dict[int, Sums] = {}
    for rows in hours:
        for row in rows:
            sums.setdefault(row["segment"], Sums()).add_row(row, row["hour_start_ms"])
    return [sums[segment].row(segment, {"day_start_ms": day_ms}) for segment in sorted(sums)]


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Rows as an object: one JSON document a line, gzip. Equal rows, equal bytes."""
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def decode_rows(body: bytes) -> Iterator[Row]:
    """The rows in an object."""
    for line in gzip.decompress(body).splitlines():
        yield json.loads(line)
