"""What the sweep reads and writes: windows, gateways, its own memory, and segments that nobody renews."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cloud.functions.shared.aws import error_code
from cloud.functions.shared.bands import BANDS
from cloud.functions.shared.envelope import MessageId
from cloud.functions.sweep.gateway import NOT_A_GATEWAY, Gateway, read_gateway, sweeps_attributes
from cloud.functions.sweep.pairs import RoadSegment
from cloud.functions.sweep.settings import Settings
from cloud.functions.sweep.windows import StoredWindow, stored_window

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DAY_S: Final = 86_400
_LAST_KEY: Final = "~"  # after every digit
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"


class Store:
    """The tables. Every method raises AwsError when DynamoDB fails."""

    def __init__(self, client: "DynamoDBClient", settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._retention_s = settings.windows_days * _DAY_S

    def gateways(self) -> list[Gateway]:
        """Every gateway that anybody told of, but for those that the catalogue has retired."""
        items = self._pages("scan", TableName=self._settings.gateways_table, ConsistentRead=True)
        gateways = (item for item in items if not item["gateway"]["S"].startswith(NOT_A_GATEWAY))
        return [read_gateway(item) for item in gateways if "retired_ms" not in item]

    def put_gateway(self, gateway: Gateway) -> bool:
        """Write what the sweep keeps of it; False if another pass did meanwhile, which then knows better."""
        attributes = sweeps_attributes(gateway)
        try:
            self._client.update_item(
                TableName=self._settings.gateways_table,
                Key={"gateway": {"S": gateway.name}},
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
                ConditionExpression="attribute_not_exists(#version) OR #version = :read",
                ExpressionAttributeNames={f"#{name}": name for name in attributes},
                ExpressionAttributeValues={
                    ":read": {"N": str(gateway.version)},
                    **{f":{name}": value for name, value in attributes.items()},
                },
            )
        except ClientError as error:
            if error_code(error) != _CONDITION_FAILED:
                raise
            return False
        return True

    def windows(self, gateway: str, from_ms: int, until_ms: int) -> list[StoredWindow]:
        """Those that start in [from_ms, until_ms), in order of time."""
        items = self._pages(
            "query",
            TableName=self._settings.windows_table,
            KeyConditionExpression="g = :g AND w BETWEEN :from AND :until",
            ExpressionAttributeValues={
                ":g": {"S": gateway},
                ":from": {"S": str(max(from_ms, 0))},
                ":until": {"S": str(max(until_ms, 0))},  # keys of that instant are longer, hence later
            },
        )
        return [window for item in items if (window := stored_window(item, self._retention_s)) is not None]

    def summaries(self, gateway: str, from_ms: int, until_ms: int) -> list[MessageId]:
        """Summaries of sensors whose intervals start in [from_ms, until_ms)."""
        items = self._pages(
            "query",
            TableName=self._settings.sensors_table,
            KeyConditionExpression="g = :g AND s BETWEEN :from AND :until",
            ProjectionExpression="s, q",
            ExpressionAttributeValues={
                ":g": {"S": gateway},
                ":from": {"S": str(max(from_ms, 0))},
                ":until": {"S": str(max(until_ms, 0))},
            },
        )
        return [MessageId(gateway, int(item["s"]["S"].split("#")[1]), int(item["q"]["N"])) for item in items]

    def newest_window(self, gateway: str, before_ms: int | None = None) -> StoredWindow | None:
        """The last one that starts before `before_ms`, or of all; None if there is none."""
        answer = self._client.query(
            TableName=self._settings.windows_table,
            KeyConditionExpression="g = :g AND w < :before",
            ExpressionAttributeValues={
                ":g": {"S": gateway},
                ":before": {"S": _LAST_KEY if before_ms is None else str(before_ms)},
            },
            ScanIndexForward=False,
            Limit=1,
        )
        return stored_window(answer["Items"][0], self._retention_s) if answer["Items"] else None

    def memory(self, name: str) -> bytes | None:
        """What `put_memory` kept under the name, or None."""
        answer = self._client.get_item(
            TableName=self._settings.gateways_table,
            Key={"gateway": {"S": NOT_A_GATEWAY + name}},
            ConsistentRead=True,
        )
        return bytes(answer["Item"]["memory"]["B"]) if "Item" in answer else None

    def put_memory(self, name: str, memory: bytes) -> None:
        """Keep up to 390 KB beside the gateways."""
        self._client.put_item(
            TableName=self._settings.gateways_table,
            Item={"gateway": {"S": NOT_A_GATEWAY + name}, "memory": {"B": memory}},
        )

    def road_segments(self) -> list[RoadSegment]:
        """What the catalogue says of the segments, but for retired ones."""
        names = ("segment", "segment_id", "assigned_gateway", "road_class", "free_flow_kmh", "downstream")
        items = self._pages(
            "scan",
            TableName=self._settings.segments_table,
            FilterExpression="attribute_exists(road_class) AND attribute_not_exists(retired_ms)",
            ProjectionExpression=", ".join(f"#{name}" for name in names),
            ExpressionAttributeNames={f"#{name}": name for name in names},
        )
        return [
            RoadSegment(
                segment=int(item["segment"]["N"]),
                segment_id=item["segment_id"]["S"],
                gateway=item["assigned_gateway"]["S"],
                road_class=item["road_class"]["S"],
                free_flow_kmh=float(item["free_flow_kmh"]["N"]),
                downstream=int(item["downstream"]["N"]) if "downstream" in item else None,
            )
            for item in items
        ]

    def stale_segments(self, before_ms: int) -> list[tuple[int, int]]:
        """Number and time of the state of segments that claim one which nobody has renewed since `before_ms`."""
        items = self._pages(
            "scan",
            TableName=self._settings.segments_table,
            FilterExpression="updated_ms < :before AND congestion_state <> :unknown",
            ProjectionExpression="#segment, updated_ms",
            ExpressionAttributeNames={"#segment": "segment"},  # a word of the query language
            ExpressionAttributeValues={":before": {"N": str(before_ms)}, ":unknown": {"S": "unknown"}},
        )
        return [(int(item["segment"]["N"]), int(item["updated_ms"]["N"])) for item in items]

    def congested_segments(self) -> int:
        """How many there are, from the index that holds no others."""
        return sum(
            page["Count"]
            for band, _ in BANDS
            for page in self._client.get_paginator("query").paginate(
                TableName=self._settings.segments_table,
                IndexName="ByCongestion",
                KeyConditionExpression="band = :band",
                ExpressionAttributeValues={":band": {"S": band}},
                Select="COUNT",
            )
        )

    def clear_segment(self, number: int, *, gateway: str | None, until_ms: int) -> bool:
        """Let the segment's state be unknown, if it is not newer than `until_ms` and, where given, the gateway's."""
        condition = "updated_ms <= :until AND congestion_state <> :unknown"
        values: dict[str, Any] = {":until": {"N": str(until_ms)}, ":unknown": {"S": "unknown"}}
        if gateway is not None:
            condition += " AND gateway = :gateway"
            values[":gateway"] = {"S": gateway}
        try:
            self._client.update_item(
                TableName=self._settings.segments_table,
                Key={"segment": {"N": str(number)}},
                UpdateExpression="SET congestion_state = :unknown REMOVE band, congestion_level",
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error_code(error) != _CONDITION_FAILED:
                raise
            return False
        return True

    def _pages(self, operation: Any, **request: Any) -> Iterator[dict[str, Any]]:
        for page in self._client.get_paginator(operation).paginate(**request):
            yield from page["Items"]
