"""The readings table: one item per reading. A reading that comes again replaces itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cloud.functions.readings.logic import Reading
from cloud.functions.readings.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_ITEMS_PER_WRITE: Final = 25
_DAY_S: Final = 86_400


class ReadingStore:
    """The table through a DynamoDB client."""

    def __init__(self, client: "DynamoDBClient", settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def put(self, readings: Sequence[Reading]) -> set[tuple[str, int]]:
        """Store readings; sensor and timestamp of those that DynamoDB had no capacity for.

        Raises
        ------
        AwsError
            DynamoDB failed; some may be stored.
        """
        table = self._settings.readings_table
        latest = list({(reading.sensor_id, reading.timestamp_ms): reading for reading in readings}.values())
        left: set[tuple[str, int]] = set()
        for start in range(0, len(latest), _ITEMS_PER_WRITE):
            items = [self._item(reading) for reading in latest[start : start + _ITEMS_PER_WRITE]]
            response = self._client.batch_write_item(
                RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]}
            )
            for request in response.get("UnprocessedItems", {}).get(table, ()):
                item = request["PutRequest"]["Item"]
                left.add((str(item["sensor_id"]["S"]), int(str(item["timestamp_ms"]["N"]))))
        return left

    def _item(self, reading: Reading) -> dict[str, "AttributeValueTypeDef"]:
        expires_s = reading.received_ms // 1000 + self._settings.retention_days * _DAY_S
        item: dict[str, AttributeValueTypeDef] = {
            "sensor_id": {"S": reading.sensor_id},
            "timestamp_ms": {"N": str(reading.timestamp_ms)},
            "received_ms": {"N": str(reading.received_ms)},
            "vehicle_count": {"N": str(reading.vehicle_count)},
            "t": {"N": str(expires_s)},
        }
        if reading.average_speed_kmh is not None:
            item["average_speed_kmh"] = {"N": str(reading.average_speed_kmh)}
        if reading.occupancy is not None:
            item["occupancy"] = {"N": str(reading.occupancy)}
        return item
