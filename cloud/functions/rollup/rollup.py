"""One run of the rollup: the order of things, within the time that it is given."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Protocol

from aws_lambda_powertools import Logger

from cloud.functions.rollup import logic
from cloud.functions.rollup.logic import RequestError
from cloud.functions.rollup.sums import Row, Sums
from roadside.contract.errors import ContractError
from roadside.contract.summary import WindowSummary

_ATTEMPTS: Final = 3  # at an hour that another run rolls up at the same time
_LEAST_LEFT_MS: Final = 20_000  # for the day after its last hour, and to answer


class Source(Protocol):
    """What a run reads and writes."""

    def marks(self) -> Iterable[tuple[int, int, int]]: ...
    def windows(self, hour_ms: int) -> Iterator[WindowSummary]: ...
    def rows(self, key: str) -> list[Row]: ...
    def put_rows(self, key: str, rows: list[Row]) -> None: ...
    def set_rolled(self, hour_ms: int, began_ms: int) -> bool: ...


@dataclass(slots=True)
class Outcome:
    """What a run did. `left` hours wait for the next one; `expired` hours stay as they were rolled up."""

    hours: int = 0
    days: int = 0
    windows: int = 0
    rows: int = 0
    left: list[int] = field(default_factory=list)
    expired: list[int] = field(default_factory=list)


class Rollup:
    """Rolls hours up from their windows, and days from their hours.

    Parameters
    ----------
    retention_days : how long windows are kept; an hour older than that is left as it is
    now_ms : the clock
    """

    def __init__(self, source: Source, retention_days: int, logger: Logger, now_ms: Callable[[], int]) -> None:
        self._source = source
        self._retention_ms = retention_days * logic.DAY_MS
        self._logger = logger
        self._now_ms = now_ms

    def run(self, requested: Sequence[int] | None, left_ms: Callable[[], int]) -> Outcome:
        """Roll up what was requested, or else every hour that got windows since it was rolled up last.

        The latest hours come first, so that a long repair does not hold up the present; an hour is begun only if there
        is time for one that takes twice as long as the longest so far. What is left over, the next run finds again.

        Raises
        ------
        RequestError
            Hours were requested whose windows have begun to expire: a rollup of the rest would replace the whole.
        """
        outcome = Outcome()
        oldest_ms = self._now_ms() - self._retention_ms
        if requested is None:
            due, outcome.expired = logic.due_hours(self._source.marks(), oldest_ms)
        elif min(requested) < oldest_ms:
            days = self._retention_ms // logic.DAY_MS
            hour = f"{logic.instant(min(requested)):%Y-%m-%dT%H}"
            raise RequestError(
                f"{hour} is older than the {days} days for which windows are kept, so its rollup stays as it is"
            )
        else:
            due = sorted(requested, reverse=True)
        longest_ms = 0
        for day_ms, hours in groupby(due, key=logic.day_of):
            began: dict[int, int] = {}
            for hour_ms in hours:
                if left_ms() < _LEAST_LEFT_MS + 2 * longest_ms:
                    outcome.left.append(hour_ms)
                    continue
                started_ms = self._now_ms()
                began |= self._roll_up_hour(hour_ms, outcome)
                longest_ms = max(longest_ms, self._now_ms() - started_ms)
            if began:
                self._finish_day(day_ms, began, outcome)
        if outcome.expired:
            self._logger.warning("windows came for hours that are rolled up for good", extra={"hours": outcome.expired})
        for hour_ms in outcome.expired:
            self._source.set_rolled(hour_ms, self._now_ms())  # told once
        return outcome

    def _roll_up_hour(self, hour_ms: int, outcome: Outcome) -> dict[int, int]:
        """Write the hour; when the reading of it began, by the hour.

        Nothing if a window of it cannot be read, as after a return to code of an older schema: the other hours go on.
        """
        began_ms = self._now_ms()
        sums: dict[int, Sums] = {}
        try:
            count = logic.add_windows(sums, self._source.windows(hour_ms))
        except ContractError as error:
            self._logger.error("hour not rolled up", extra={"hour_ms": hour_ms, "error": str(error)})  # noqa: TRY400
            outcome.left.append(hour_ms)
            return {}
        rows = logic.hour_rows(sums, hour_ms)
        self._source.put_rows(logic.hour_key(hour_ms), rows)
        outcome.windows += count
        outcome.hours += 1
        outcome.rows += len(rows)
        return {hour_ms: began_ms}

    def _finish_day(self, day_ms: int, began: dict[int, int], outcome: Outcome) -> None:
        """Write the day, and only then call its hours rolled up: a run that dies before is repeated as a whole.

        An hour that a later run has finished meanwhile may have been overwritten with less, so it is read again.
        """
        for _ in range(_ATTEMPTS):
            hours = (self._source.rows(logic.hour_key(hour_ms)) for hour_ms in logic.hours_of_day(day_ms))
            self._source.put_rows(logic.day_key(day_ms), logic.day_rows(hours, day_ms))
            outcome.days += 1
            overtaken = [hour for hour, began_ms in began.items() if not self._source.set_rolled(hour, began_ms)]
            if not overtaken:
                return
            began = {}
            for hour_ms in overtaken:
                began |= self._roll_up_hour(hour_ms, outcome)
        outcome.left += began
