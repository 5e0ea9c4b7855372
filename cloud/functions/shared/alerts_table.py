"""The alerts table: every event once, and one item for the trouble of each subject, whose key begins with "#".

Of an event: event_id, kind, subject, gateway, severity, headline, text, notify, occurred_ms, started_ms, announced_ms,
detail (as on the bus), day, t (time to live), and once somebody has taken it on acknowledged_by, acknowledged_ms, note.
Of a trouble: event_id ("#" and the subject), episodes, version, t, and while it goes on open, started_ms and begun.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cloud.functions.shared.aws import error_code
from cloud.functions.shared.trouble import Episode, Trouble
from roadside.contract.bus import Announcement, IncidentNotice, decode_announcement, detail, subject

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = dict[str, AttributeValueTypeDef]

BY_DAY: Final = "ByDay"  # index: day, occurred_ms
OPEN: Final = "Open"  # index: open, started_ms; holds only troubles that go on
_OPEN_VALUE: Final = "yes"
_DAY_S: Final = 86_400
_KEYS_PER_READ: Final = 100
_MAX_NOTE: Final = 500
_LAST_DAY_MS: Final = 253_402_300_799_000  # 9999-12-31


class UnknownAlertError(Exception):
    """There is no such event in the table.

    Attributes
    ----------
    event_id : str
        What was asked for.
    """

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        super().__init__(f"event_id = {event_id!r}: no such alert; list them with `alerts`")


@dataclass(frozen=True, slots=True)
class Known:
    """What the table holds of some events and subjects.

    Parameters
    ----------
    events : ids of those events that it knows
    troubles : by subject, with the version of the item
    """

    events: frozenset[str]
    troubles: dict[str, tuple[Trouble, int]]


class AlertsTable:
    """Reads and writes the table. Every method raises AwsError when DynamoDB fails."""

    def __init__(self, client: "DynamoDBClient", table: str, retention_days: int) -> None:
        self._client = client
        self._table = table
        self._retention_s = retention_days * _DAY_S

    def read(self, event_ids: Iterable[str], subjects: Iterable[str]) -> Known:
        """What is known of these; of a subject without an item, that it has no trouble."""
        wanted = list(subjects)
        keys = [*dict.fromkeys(event_ids), *(_trouble_key(each) for each in dict.fromkeys(wanted))]
        items = {item["event_id"]["S"]: item for item in self._read(keys)}
        troubles = {}
        for each in wanted:
            item = items.pop(_trouble_key(each), None)
            troubles[each] = (Trouble(each), 0) if item is None else (_trouble(item), int(item["version"]["N"]))
        return Known(frozenset(items), troubles)

    def put_event(self, announcement: Announcement, announced_ms: int) -> None:
        """Remember the event; if it is known, nothing changes."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=event_item(announcement, announced_ms, self._retention_s),
                ConditionExpression="attribute_not_exists(event_id)",
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise

    def put_together(
        self, announcements: Sequence[Announcement], troubles: Sequence[tuple[Trouble, int]], announced_ms: int
    ) -> bool:
        """Write events and troubles, each with the version that was read, in one call; False if not all are as read."""
        events = [
            {
                "TableName": self._table,
                "Item": event_item(announcement, announced_ms, self._retention_s),
                "ConditionExpression": "attribute_not_exists(event_id)",
            }
            for announcement in announcements
        ]
        rest = [self._trouble_put(trouble, version, announced_ms) for trouble, version in troubles]
        puts: Any = [{"Put": put} for put in (*events, *rest)]
        try:
            self._client.transact_write_items(TransactItems=puts)
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())}
            if reasons <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                return False
            raise
        return True

    def put_trouble(self, trouble: Trouble, version: int, now_ms: int) -> bool:
        """Replace the trouble that was read with `version`; False if somebody else was faster."""
        try:
            self._client.put_item(**self._trouble_put(trouble, version, now_ms))
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _trouble_put(self, trouble: Trouble, version: int, now_ms: int) -> Any:
        return {
            "TableName": self._table,
            "Item": trouble_item(trouble, version + 1, now_ms // 1000 + self._retention_s),
            "ConditionExpression": "attribute_not_exists(event_id) OR version = :read",
            "ExpressionAttributeValues": {":read": {"N": str(version)}},
        }

    def acknowledge(self, event_id: str, *, by: str, now_ms: int, note: str = "") -> None:
        """Write down who has taken the event on; a later acknowledgement replaces an earlier one.

        Raises
        ------
        UnknownAlertError
            There is no such event.
        """
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"event_id": {"S": event_id}},
                UpdateExpression="SET acknowledged_by = :by, acknowledged_ms = :now, note = :note",
                ConditionExpression="attribute_exists(kind)",  # a trouble has none
                ExpressionAttributeValues={
                    ":by": {"S": by},
                    ":now": {"N": str(now_ms)},
                    ":note": {"S": note[:_MAX_NOTE]},
                },
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                raise UnknownAlertError(event_id) from error
            raise

    def of_day(self, day: str) -> Iterator[dict[str, Any]]:
        """Events that occurred on a UTC day such as 2026-11-25, the latest first, as plain values."""
        return self._query(BY_DAY, "day", day)

    def open_now(self) -> Iterator[dict[str, Any]]:
        """The events whose troubles go on, the latest first, as plain values."""
        begun: list[str] = [trouble.get("begun", "") for trouble in self._query(OPEN, "open", _OPEN_VALUE)]
        items = {item["event_id"]["S"]: item for item in self._read([each for each in begun if each])}
        for event_id in begun:
            if event_id in items:
                yield _plain(items[event_id])

    def open_incidents(self) -> list[IncidentNotice]:
        """The incidents that go on, as their suspicion was announced."""
        begun = [
            str(trouble.get("begun", ""))
            for trouble in self._query(OPEN, "open", _OPEN_VALUE)
            if trouble["event_id"].startswith(_trouble_key("incident:"))
        ]
        found = [
            decode_announcement(item["detail"]["S"].encode()).event for item in self._read(list(filter(None, begun)))
        ]
        return [event for event in found if isinstance(event, IncidentNotice)]

    def _query(self, index: str, key: str, value: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=index,
            KeyConditionExpression="#key = :value",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues={":value": {"S": value}},
            ScanIndexForward=False,
        )
        for page in pages:
            for item in page["Items"]:
                yield _plain(item)

    def _read(self, keys: list[str]) -> Iterator["Item"]:
        for start in range(0, len(keys), _KEYS_PER_READ):
            some = [{"event_id": {"S": key}} for key in keys[start : start + _KEYS_PER_READ]]
            request: Any = {self._table: {"Keys": some, "ConsistentRead": True}}
            while request:
                answer = self._client.batch_get_item(RequestItems=request)
                yield from answer["Responses"].get(self._table, [])
                request = answer["UnprocessedKeys"]


def event_item(announcement: Announcement, announced_ms: int, retention_s: int) -> "Item":
    """The event as an item."""
    event = announcement.event
    body = detail(announcement)
    texts = {
        "event_id": event.event_id,
        "kind": event.kind,
        "subject": subject(event),
        "gateway": event.gateway,
        "severity": announcement.severity,
        "headline": announcement.headline,
        "text": announcement.text,
        "day": _day(event.occurred_ms),
        "detail": json.dumps(body, separators=(",", ":")),
    }
    numbers = {
        "occurred_ms": event.occurred_ms,
        "started_ms": event.started_ms,
        "announced_ms": announced_ms,
        "t": announced_ms // 1000 + retention_s,
    }
    if "segment_number" in body:
        numbers["segment_number"] = body["segment_number"]
    return {
        **{name: {"S": value} for name, value in texts.items()},
        **{name: {"N": str(value)} for name, value in numbers.items()},
        "notify": {"BOOL": announcement.notify},
    }


def trouble_item(trouble: Trouble, version: int, time_to_live_s: int) -> "Item":
    """The trouble as an item, in the index of open ones while it goes on."""
    item: Item = {
        "event_id": {"S": _trouble_key(trouble.subject)},
        "episodes": {"S": json.dumps([asdict(episode) for episode in trouble.episodes], separators=(",", ":"))},
        "version": {"N": str(version)},
        "t": {"N": str(time_to_live_s)},
    }
    if trouble.current is not None:
        item["open"] = {"S": _OPEN_VALUE}
        item["started_ms"] = {"N": str(trouble.current.started_ms)}
        item["begun"] = {"S": trouble.current.begun}
    return item


def _trouble(item: "Item") -> Trouble:
    episodes = tuple(Episode(**episode) for episode in json.loads(item["episodes"]["S"]))
    return Trouble(item["event_id"]["S"].removeprefix("#"), episodes)


def _trouble_key(of_subject: str) -> str:
    return f"#{of_subject}"  # no gateway's name begins so, hence no id of an event


def _day(instant_ms: int) -> str:
    return f"{datetime.fromtimestamp(min(instant_ms, _LAST_DAY_MS) / 1000, UTC):%Y-%m-%d}"


def _plain(item: "Item") -> dict[str, Any]:
    """Texts, numbers and truth values as Python has them."""
    return {name: int(value["N"]) if "N" in value else next(iter(value.values())) for name, value in item.items()}
