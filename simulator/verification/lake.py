"""The lake against the oracle, by Athena: every segment's hours from its rows and from the rollup, and every event.

Totals are compared to the last integer, percentiles within the sketch's error. Where a killed process has lost
readings, the windows table takes the oracle's place: how much may be missing there is judged with the windows.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloud.lake_tables import LATEST_EDITIONS
from roadside.contract.summary import WindowSummary
from simulator.local_cloud.errors import LocalCloudError
from simulator.verification.oracle import SegmentTruth
from simulator.verification.windows import QUANTILES, ROUNDING, SKETCH_ERROR

HOUR_MS: Final = 3_600_000
MAX_FINDINGS: Final = 20
PATIENCE_S: Final = 20.0  # without one more row; Firehose's buffers are flushed after two seconds
_POLL_S: Final = 0.5
_ROUNDED_KMH: Final = 0.0005  # the rollup's percentiles have three digits

# Columns of both tables, and what the oracle calls them.
TOTALS: Final = {
    "readings_accepted": "readings",
    "vehicle_count": "vehicle_count",
    "speed_sum_dkmh": "speed_sum",
    "pace_sum_ms_per_km": "pace_sum",
    "speed_square_sum": "speed_square_sum",
    "occupied_ms": "occupied_ms",
    "observed_ms": "observed_ms",
}
EXTREMES: Final = {"speed_min_dkmh": "speed_min", "speed_max_dkmh": "speed_max"}

Key = tuple[int, int]  # hour's start, segment number
Row = Mapping[str, float | None]

_OF_WINDOWS: Final = f"""\
WITH {LATEST_EDITIONS}
SELECT window_start_ms - window_start_ms % {HOUR_MS} AS hour_start_ms, segment,
    {", ".join(f"sum({name})" for name in TOTALS)}, min(speed_min_dkmh), max(speed_max_dkmh)
FROM latest_editions
GROUP BY 1, 2"""  # noqa: S608 - made of names in this file
_OF_ROLLUP: Final = f"""\
SELECT hour_start_ms, segment, {", ".join((*TOTALS, *EXTREMES))}, {", ".join(name for name, _ in QUANTILES)}
FROM hourly"""  # noqa: S608 - as above
_ROWS: Final = f"WITH {LATEST_EDITIONS} SELECT count(*) FROM latest_editions"  # noqa: S608 - as above

_EVENT_IDS: Final = "SELECT DISTINCT event_id FROM events"


@dataclass(slots=True)
class Comparison:
    """How one table stands to the truth, in rows of a segment and an hour."""

    expected: int = 0
    missing: int = 0
    wrong: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.missing and not self.wrong

    def report(self, finding: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


@dataclass(slots=True)
class LakeVerdict:
    """What Athena answered, against what it should have."""

    rows: Comparison
    rollup: Comparison
    events_missing: list[str]
    rollup_s: float

    def problems(self) -> list[str]:
        """What is wrong, in words."""
        missing = [f"lake: event {event_id} is not among the events" for event_id in self.events_missing[:MAX_FINDINGS]]
        return [
            *(f"lake: segment_windows: {finding}" for finding in self.rows.findings),
            *(f"lake: hourly: {finding}" for finding in self.rollup.findings),
            *missing,
        ]


class Lake:
    """The deployed lake, asked as people ask it. `client` makes boto3 clients."""

    def __init__(self, client: Callable[[str], Any], outputs: Mapping[str, str]) -> None:
        self._client = client
        self._outputs = outputs

    def wait_for_rows(self, count: int) -> None:
        """Wait until so many rows of latest editions are there, or no more come; what is missing will be found."""
        found, since_s = -1, time.monotonic()
        while found < count and time.monotonic() < since_s + PATIENCE_S:
            now_found = int(self._ask(_ROWS)[0][0] or 0)
            if now_found > found:
                found, since_s = now_found, time.monotonic()
            else:
                time.sleep(_POLL_S)

    def roll_up(self) -> None:
        """Run the rollup as its schedule does: it must know by itself which hours it has to look at."""
        function = self._outputs["RollupFunction"]
        answer = self._client("lambda").invoke(FunctionName=function, Payload=b"{}")
        body = answer["Payload"].read().decode()
        if "FunctionError" in answer or json.loads(body)["left"]:
            raise LocalCloudError(f"{function} did not roll up: {body[:2000]}")

    def windows(self) -> dict[Key, Row]:
        """Hours of segments, summed by Athena over the rows of windows."""
        return _by_key(self._ask(_OF_WINDOWS), (*TOTALS, *EXTREMES))

    def hours(self) -> dict[Key, Row]:
        """Hours of segments as the rollup tells them."""
        return _by_key(self._ask(_OF_ROLLUP), (*TOTALS, *EXTREMES, *(name for name, _ in QUANTILES)))

    def missing_events(self, event_ids: Collection[str], patience_s: float) -> list[str]:
        """Those of the events that the lake does not hold, also after a while."""
        until_s = time.monotonic() + patience_s
        while True:
            missing = set(event_ids) - {event_id for (event_id,) in self._ask(_EVENT_IDS) if event_id}
            if not missing or time.monotonic() > until_s:
                return sorted(missing)
            time.sleep(_POLL_S)

    def damage(self) -> None:
        """Delete one object of rows, so that a run shows that damage is found."""
        s3, bucket = self._client("s3"), self._outputs["LakeBucket"]
        found = s3.list_objects_v2(Bucket=bucket, Prefix="segment_windows/")["Contents"][0]
        s3.delete_object(Bucket=bucket, Key=found["Key"])

    def _ask(self, sql: str) -> list[list[str | None]]:
        athena = self._client("athena")
        query = athena.start_query_execution(
            QueryString=sql,
            WorkGroup=self._outputs["Workgroup"],
            QueryExecutionContext={"Database": self._outputs["LakeDatabase"]},
        )["QueryExecutionId"]
        while (status := _status(athena, query))["State"] in ("QUEUED", "RUNNING"):
            time.sleep(0.05)
        if status["State"] != "SUCCEEDED":
            raise LocalCloudError(f"Athena: {status.get('StateChangeReason', status['State'])}, asked {sql}")
        pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=query)
        rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
        return [[cell.get("VarCharValue") for cell in row] for row in rows[1:]]  # the first names the columns


def _status(athena: Any, query: str) -> dict[str, Any]:
    status: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
    return status


def _by_key(rows: Iterable[list[str | None]], names: Collection[str]) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for hour_ms, segment, *values in rows:
        if hour_ms is None or segment is None:
            raise LocalCloudError(f"Athena gave a row without hour or segment: {hour_ms}, {segment}")
        found[int(hour_ms), int(segment)] = {
            name: None if not text else float(text) if "." in text else int(text)
            for name, text in zip(names, values, strict=True)
        }
    return found


def expected_hours(
    hours: Mapping[int, Mapping[int, SegmentTruth]],
    stored: Mapping[tuple[str, int], list[WindowSummary]],
    uncertain: Collection[int],
) -> dict[Key, Row]:
    """What each segment's hours must add up to.

    Parameters
    ----------
    hours : the oracle's truth by hour's start and segment number
    stored : windows of the table, from which the hours of `uncertain` segments are taken
    """
    names = TOTALS | EXTREMES | {name: name for name, _ in QUANTILES}
    expected: dict[Key, Row] = {
        (hour_ms, number): {name: getattr(truth, attribute) for name, attribute in names.items()}
        for hour_ms, segments in hours.items()
        for number, truth in segments.items()
        if number not in uncertain
    }
    totals: dict[Key, dict[str, float | None]] = defaultdict(lambda: dict.fromkeys(TOTALS, 0))
    for windows in stored.values():
        for window in windows:
            for segment in window.segments:
                if segment.number in uncertain:
                    sums = totals[window.window_start_ms - window.window_start_ms % HOUR_MS, segment.number]
                    for name in TOTALS:
                        sums[name] = (sums[name] or 0) + getattr(segment, name)
    return expected | totals


def compare(expected: Mapping[Key, Row], found: Mapping[Key, Row], of_windows: Collection[int] = ()) -> Comparison:
    """Compare what a table says of every segment and hour; what it does not tell of a row is not compared.

    Parameters
    ----------
    of_windows : segments of which the windows table is taken for the truth
    """
    result = Comparison(expected=sum(bool(row["readings_accepted"]) for row in expected.values()))
    for key, row in sorted(expected.items()):
        place = f"segment {key[1]}, hour {key[0]}"
        if key not in found:
            if row["readings_accepted"]:
                result.missing += 1
                result.report(f"{place}: no row")
            continue
        differences = [
            f"{name} is {found[key][name]}, should be {value}"
            for name, value in row.items()
            if name in found[key] and not _is_same(name, found[key][name], value)
        ]
        if differences:
            result.wrong += 1
            by = ", as the windows table has it" if key[1] in of_windows else ""
            result.report(f"{place}: {'; '.join(differences[:3])}{by}")
    for key in sorted(found.keys() - expected.keys()):
        if found[key]["readings_accepted"]:
            result.wrong += 1
            result.report(f"segment {key[1]}, hour {key[0]}: a row that no reading belongs to")
    return result


def _is_same(name: str, told: float | None, truth: float | None) -> bool:
    if told is None or truth is None or not name.startswith("p") or name in TOTALS:
        return told == truth
    return abs(told - truth) <= SKETCH_ERROR * truth * (1 + ROUNDING) + _ROUNDED_KMH


def _without(rows: Mapping[Key, Row], segments: Collection[int]) -> dict[Key, Row]:
    return {key: row for key, row in rows.items() if key[1] not in segments}


def verify_lake(
    lake: Lake,
    hours: Mapping[int, Mapping[int, SegmentTruth]],
    stored: Mapping[tuple[str, int], list[WindowSummary]],
    event_ids: Collection[str],
    *,
    uncertain: Collection[int],
    unknown: Collection[int] = (),
    settled: bool = False,
    damaged: bool = False,
) -> LakeVerdict:
    """Wait for the rows, roll up, and compare both with the truth.

    Parameters
    ----------
    hours, stored, uncertain : see expected_hours
    event_ids : of the events that were told to systems, all of which must be in the lake
    unknown : segment numbers that are not compared
    settled : whether nothing is under way any more; then nothing is waited for, and nothing rolled up
    damaged : whether to damage the lake first
    """
    rollup_s = 0.0
    if not settled:
        lake.wait_for_rows(sum(len(window.segments) for windows in stored.values() for window in windows))
        if damaged:
            lake.damage()
        began_s = time.monotonic()
        lake.roll_up()
        rollup_s = time.monotonic() - began_s
    expected = _without(expected_hours(hours, stored, uncertain), unknown)
    return LakeVerdict(
        rows=compare(expected, _without(lake.windows(), unknown), uncertain),
        rollup=compare(expected, _without(lake.hours(), unknown), uncertain),
        events_missing=lake.missing_events(event_ids, 0.0 if settled else PATIENCE_S),
        rollup_s=rollup_s,
    )
