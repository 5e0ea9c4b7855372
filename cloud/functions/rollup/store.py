"""Where rollups are read from and written to: windows and hours in DynamoDB, objects in S3."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cloud.functions.rollup.logic import decode_rows, encode_rows
from cloud.functions.rollup.sums import Row
from cloud.functions.shared.aws import error_code
from cloud.functions.shared.hours import HOUR_MS, HOURS, hours_key
from roadside.contract.codec import decode_window
from roadside.contract.summary import WindowSummary

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

# Gateways whose windows are fetched while those before them are added up; an hour of one is about 0.5 MB.
_GATEWAYS_AT_ONCE: Final = 8


class Store:
    """The tables and the bucket. Every method raises AwsError when AWS fails."""

    def __init__(
        self, dynamodb: "DynamoDBClient", s3: "S3Client", *, windows_table: str, hours_table: str, bucket: str
    ) -> None:
        self._dynamodb = dynamodb
        self._s3 = s3
        self._windows_table = windows_table
        self._hours_table = hours_table
        self._bucket = bucket

    def marks(self) -> Iterator[tuple[int, int, int]]:
        """Of each known hour its start, when a window of it was stored last, and when its last rollup began."""
        for item in self._query(self._hours_table, "h = :h", {":h": {"S": HOURS}}, consistent=True):
            yield (
                int(item["k"]["S"]),
                int(item.get("marked_ms", {"N": "0"})["N"]),
                int(item.get("rolled_ms", {"N": "0"})["N"]),
            )

    def gateways(self, hour_ms: int) -> list[str]:
        """Who has windows in the hour."""
        values = {":h": {"S": str(hour_ms)}}
        return [item["k"]["S"] for item in self._query(self._hours_table, "h = :h", values, consistent=True)]

    def windows(self, hour_ms: int) -> Iterator[WindowSummary]:
        """All windows that begin in the hour, gateway by gateway, each in order of time."""
        gateways = iter(self.gateways(hour_ms))
        with ThreadPoolExecutor(_GATEWAYS_AT_ONCE) as pool:
            while chunk := list(islice(gateways, _GATEWAYS_AT_ONCE)):
                for payloads in pool.map(lambda gateway: self._payloads(gateway, hour_ms), chunk):
                    yield from map(decode_window, payloads)

    def _payloads(self, gateway: str, hour_ms: int) -> list[bytes]:
        # Keys are texts that begin with the start in milliseconds, which has 13 digits from 2001 to 2286.
        values = {":g": {"S": gateway}, ":from": {"S": f"{hour_ms}#"}, ":until": {"S": f"{hour_ms + HOUR_MS}#"}}
        key = "g = :g AND w BETWEEN :from AND :until"
        # Read eventually at half the price: what was stored within the last second has just marked the hour again.
        return [bytes(item["b"]["B"]) for item in self._query(self._windows_table, key, values, projection="b")]

    def rows(self, key: str) -> list[Row]:
        """Rows of an object; none if there is no such object."""
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return []
            raise
        return list(decode_rows(body))

    def put_rows(self, key: str, rows: list[Row]) -> None:
        """Write an object, in the place of what was there."""
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=encode_rows(rows), ContentType="application/gzip")

    def set_rolled(self, hour_ms: int, began_ms: int) -> bool:
        """Note that an hour's rollup, begun at `began_ms`, is written; False if a later one was written before it."""
        try:
            self._dynamodb.update_item(
                TableName=self._hours_table,
                Key=hours_key(hour_ms),
                UpdateExpression="SET rolled_ms = :began",
                ConditionExpression="attribute_not_exists(rolled_ms) OR rolled_ms <= :began",
                ExpressionAttributeValues={":began": {"N": str(began_ms)}},
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _query(
        self, table: str, key: str, values: dict[str, Any], *, consistent: bool = False, projection: str = ""
    ) -> Iterator[dict[str, Any]]:
        request: dict[str, Any] = {"KeyConditionExpression": key, "ExpressionAttributeValues": values}
        if projection:
            request["ProjectionExpression"] = projection
        while True:
            page = self._dynamodb.query(TableName=table, ConsistentRead=consistent, **request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
