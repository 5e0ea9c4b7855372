"""Asks a deployment's tables. All that is computed from the answers is pure and stands in the modules beside."""

import heapq
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from cloud.deployment import Deployment, ThrottledError, in_words
from cloud.functions.shared import alerts_table
from cloud.functions.shared.bands import BANDS
from cloud.query.alerts import days_back, fits, with_detail
from cloud.query.errors import UnknownAlertError, UnknownDistrictError, UnknownSegmentError, UnknownSensorError
from cloud.query.gateways import Gateway, gateway_of, is_gateway
from cloud.query.history import Row, rows
from cloud.query.plain import plain
from cloud.query.segments import DistrictSummary, Latest, Segment, segment_of, summarise
from cloud.query.sensors import SensorRow, sensor_rows
from roadside.contract.codec import decode_window
from roadside.contract.sensors import SensorSummary, decode_sensors
from roadside.contract.summary import WindowSummary

STALE_MS: Final = 1_800_000
"""A state older than this is not how it is now: its gateway no longer tells."""

_AT_ONCE: Final = 8
_KEYS_PER_READ: Final = 100
_NEWEST: Final = 4  # windows that hold a gateway's newest of two epochs, and what they overlap
_AHEAD_MS: Final = 600_000  # a window that starts later has a wrong clock and is not the newest
_TELLERS: Final = ("gateway", "assigned_gateway")
_LAST_SENSORS: Final = 40  # items: the parts of a gateway's latest intervals


class City:
    """The tables of one deployment, as answers. Every method raises CloudError and QueryError.

    Parameters
    ----------
    now_ms : what counts as now; None for the machine's clock
    """

    def __init__(self, deployment: Deployment, now_ms: int | None = None) -> None:
        self._deployment = deployment
        self._now_ms = now_ms

    @property
    def now_ms(self) -> int:
        return int(time.time() * 1000) if self._now_ms is None else self._now_ms

    def segments(self, names: Sequence[str]) -> list[Segment]:
        """The segments of these names or numbers, in their order. Raises UnknownSegmentError."""
        by_id: dict[str, int] = {}
        if any(not name.isdecimal() for name in names):
            by_id = {
                s.segment_id: s.segment for s in self._scan("SegmentsTable", "segment", "segment_id") if s.segment_id
            }
        numbers = {name: int(name) if name.isdecimal() else by_id.get(name) for name in names}
        found = {segment.segment: segment for segment in self._read({n for n in numbers.values() if n is not None})}
        for name, number in numbers.items():
            if number not in found:
                raise UnknownSegmentError(
                    f"segment = {name!r}: neither the catalogue nor a gateway has told of it; "
                    f"`district` lists districts, `district NAME --segments` their segments"
                )
        return [found[number] for name in names if (number := numbers[name]) is not None]

    def latest(self, names: Sequence[str]) -> list[Latest]:
        """The newest row of each segment. Raises UnknownSegmentError."""
        return self._latest(self.segments(names))

    def history(self, name: str, from_ms: int, to_ms: int) -> Iterator[Row]:
        """The rows of a segment that reach into [from_ms, to_ms), as they are read. Raises UnknownSegmentError."""
        (segment,) = self.segments([name])
        streams = [self._windows(gateway, from_ms, to_ms) for gateway in segment.gateways]
        in_order = heapq.merge(*streams, key=lambda window: window.window_start_ms)
        yield from rows(in_order, segment.segment, from_ms, to_ms)

    def top(self, count: int) -> tuple[list[Segment], int]:
        """The most congested segments now, the worst first; and how many more were left out because they are stale."""
        found: list[Segment] = []
        stale = 0
        for band, _ in BANDS:
            for item in self._query(
                "SegmentsTable",
                IndexName="ByCongestion",
                KeyConditionExpression="band = :band",
                ExpressionAttributeValues={":band": {"S": band}},
                ScanIndexForward=False,
            ):
                segment = segment_of(plain(item))
                if (segment.window_start_ms or 0) < self.now_ms - STALE_MS:
                    stale += 1
                elif len(found) < count:
                    found.append(segment)
                else:
                    return found, stale
        return found, stale

    def districts(self) -> dict[str, list[Segment]]:
        """The segments of every district, as the table has them."""
        by_district: dict[str, list[Segment]] = {}
        for segment in self._scan("SegmentsTable", "segment", "segment_id", "district", "length_m", "congestion_state"):
            if segment.district:
                by_district.setdefault(segment.district, []).append(segment)
        return dict(sorted(by_district.items()))

    def district(self, name: str) -> DistrictSummary:
        """A district in its segments' newest windows, not older than STALE_MS. Raises UnknownDistrictError."""
        items = self._query(
            "SegmentsTable",
            IndexName="ByLocation",
            KeyConditionExpression="district = :district",
            ExpressionAttributeValues={":district": {"S": name}},
        )
        segments = self._read({int(item["segment"]["N"]) for item in items})
        if not segments:
            known = ", ".join(self.districts()) or "none; load a catalogue"
            raise UnknownDistrictError(f"district = {name!r}: no segment lies there; districts are: {known}")
        fresh = self.now_ms - STALE_MS
        return summarise(
            name,
            [
                latest if latest.row and latest.row.end_ms >= fresh else Latest(latest.segment, None)
                for latest in self._latest(segments)
            ],
        )

    def sensor(self, sensor: int, from_ms: int, to_ms: int, gateway: str | None = None) -> list[SensorRow]:
        """The intervals of a sensor that begin in [from_ms, to_ms). Raises UnknownSensorError."""
        gateways = [gateway] if gateway else self._gateways_of_sensor(sensor)
        found = [row for name in gateways for row in sensor_rows(self._sensors(name, from_ms, to_ms), sensor)]
        return sorted(found, key=lambda row: row.start_ms)

    def alerts(
        self, since_ms: int, *, kind: str | None = None, segment: str | None = None, gateway: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Events since an instant that fit, the latest first, as they are read."""
        with in_words():
            for day in days_back(self.now_ms + _AHEAD_MS, since_ms):
                for item in self._alerts_table().of_day(day):
                    if item["occurred_ms"] < since_ms:
                        return
                    if fits(item, kind, segment, gateway):
                        yield with_detail(item)

    def open_alerts(
        self, *, kind: str | None = None, segment: str | None = None, gateway: str | None = None
    ) -> list[dict[str, Any]]:
        """The events that began what is wrong now, and fit, the latest first."""
        with in_words():
            items = list(self._alerts_table().open_now())
        return [with_detail(item) for item in items if fits(item, kind, segment, gateway)]

    def acknowledge(self, event_id: str, by: str, note: str = "") -> None:
        """Write down that somebody takes care of the event. Raises UnknownAlertError."""
        with in_words():
            try:
                self._alerts_table().acknowledge(event_id, by=by, now_ms=self.now_ms, note=note)
            except alerts_table.UnknownAlertError as error:
                raise UnknownAlertError(str(error)) from error

    def gateways(self) -> list[Gateway]:
        """Every gateway that the catalogue names or that has told of itself, in order of their names."""
        items = [item for item in map(plain, self._pages("scan", "GatewaysTable")) if is_gateway(item)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            newest = list(pool.map(self._newest, (item["gateway"] for item in items)))
        gateways = [
            gateway_of(item, max((window.window_end_ms for window in windows), default=None))
            for item, windows in zip(items, newest, strict=True)
        ]
        return sorted(gateways, key=lambda gateway: gateway.gateway)

    def _gateways_of_sensor(self, sensor: int) -> list[str]:
        """Who has told of the sensor lately; where it is connected the cloud does not know otherwise."""
        names = sorted({name for s in self._scan("SegmentsTable", "segment", *_TELLERS) for name in s.gateways})
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            told = list(pool.map(self._last_sensors, names))
        owners = [name for name, numbers in zip(names, told, strict=True) if sensor in numbers]
        if not owners:
            raise UnknownSensorError(
                f"sensor = {sensor}: none of {len(names)} gateways has told of it lately; give its city-wide number, "
                f"and --gateway if it has been silent for long"
            )
        return owners

    def _last_sensors(self, gateway: str) -> set[int]:
        items = self._query(
            "SensorsTable",
            KeyConditionExpression="g = :g",
            ExpressionAttributeValues={":g": {"S": gateway}},
            ScanIndexForward=False,
            PaginationConfig={"MaxItems": _LAST_SENSORS},
        )
        summaries = [_sensors(item) for item in items]
        newest_ms = max((summary.interval_start_ms for summary in summaries), default=0)
        return {s.number for summary in summaries if summary.interval_start_ms == newest_ms for s in summary.sensors}

    def _sensors(self, gateway: str, from_ms: int, to_ms: int) -> Iterator[SensorSummary]:
        yield from map(
            _sensors,
            self._query(
                "SensorsTable",
                KeyConditionExpression="g = :g AND s BETWEEN :from AND :to",
                ExpressionAttributeValues={
                    ":g": {"S": gateway},
                    ":from": {"S": f"{from_ms}"},
                    ":to": {"S": f"{to_ms}"},
                },
            ),
        )

    def _latest(self, segments: Sequence[Segment]) -> list[Latest]:
        names = sorted({gateway for segment in segments for gateway in segment.gateways})
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            newest = dict(zip(names, pool.map(self._newest, names), strict=True))
        answers = []
        for segment in segments:
            windows = [window for gateway in segment.gateways for window in newest[gateway]]
            windows.sort(key=lambda window: window.window_start_ms)
            last = list(rows(windows, segment.segment, 0, self.now_ms + _AHEAD_MS))[-1:]
            answers.append(Latest(segment, last[0] if last else None))
        return answers

    def _newest(self, gateway: str) -> list[WindowSummary]:
        return list(self._before(gateway, self.now_ms + _AHEAD_MS, _NEWEST))

    def _windows(self, gateway: str, from_ms: int, to_ms: int) -> Iterator[WindowSummary]:
        """Windows that reach into [from_ms, to_ms), by their start."""
        earlier = [w for w in self._before(gateway, from_ms, _NEWEST) if w.window_end_ms > from_ms]
        yield from sorted(earlier, key=lambda window: window.window_start_ms)
        yield from map(
            _window,
            self._query(
                "WindowsTable",
                KeyConditionExpression="g = :g AND w BETWEEN :from AND :to",
                ExpressionAttributeValues={
                    ":g": {"S": gateway},
                    ":from": {"S": f"{from_ms}"},
                    ":to": {"S": f"{to_ms}"},
                },
            ),
        )

    def _before(self, gateway: str, before_ms: int, count: int) -> Iterator[WindowSummary]:
        """The last windows that start before an instant, the newest first."""
        yield from map(
            _window,
            self._query(
                "WindowsTable",
                KeyConditionExpression="g = :g AND w < :before",
                ExpressionAttributeValues={":g": {"S": gateway}, ":before": {"S": f"{before_ms}"}},
                ScanIndexForward=False,
                PaginationConfig={"MaxItems": count, "PageSize": count},
            ),
        )

    def _alerts_table(self) -> alerts_table.AlertsTable:
        table = self._deployment.output("AlertsTable")
        return alerts_table.AlertsTable(self._deployment.client("dynamodb"), table, retention_days=0)  # adds no event

    def _read(self, numbers: Iterable[int]) -> list[Segment]:
        """The segments of these numbers that exist, in order of the numbers."""
        client, table = self._deployment.client("dynamodb"), self._deployment.output("SegmentsTable")
        ordered = sorted(numbers)
        found: list[Segment] = []
        with in_words():
            for start in range(0, len(ordered), _KEYS_PER_READ):
                keys = [{"segment": {"N": str(number)}} for number in ordered[start : start + _KEYS_PER_READ]]
                for _ in range(5):
                    answer = client.batch_get_item(RequestItems={table: {"Keys": keys}})
                    found += [segment_of(plain(item)) for item in answer["Responses"].get(table, [])]
                    keys = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
                    if not keys:
                        break
                else:
                    raise ThrottledError(f"BatchGetItem leaves keys of {table} unread; wait a moment and ask again")
        return sorted(found, key=lambda segment: segment.segment)

    def _scan(self, table: str, *attributes: str) -> Iterator[Segment]:
        names = {f"#{name}": name for name in attributes}
        for item in self._pages("scan", table, ProjectionExpression=", ".join(names), ExpressionAttributeNames=names):
            yield segment_of(plain(item))

    def _query(self, table: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        yield from self._pages("query", table, **parameters)

    def _pages(self, operation: str, table: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        client = self._deployment.client("dynamodb")
        with in_words():
            paginator = client.get_paginator(operation)
            for page in paginator.paginate(TableName=self._deployment.output(table), **parameters):
                yield from page["Items"]


def _span(gateway: str, from_ms: int, to_ms: int) -> dict[str, Any]:
    """Values for a gateway's keys in [from_ms, to_ms): a key begins with its instant and goes on, so `to` is none."""
    return {":g": {"S": gateway}, ":from": {"S": str(from_ms)}, ":to": {"S": str(to_ms)}}


def _window(item: dict[str, Any]) -> WindowSummary:
    return decode_window(bytes(item["b"]["B"]))


def _sensors(item: dict[str, Any]) -> SensorSummary:
    return decode_sensors(bytes(item["b"]["B"]))
