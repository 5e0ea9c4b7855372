"""The alerts table, which knows every event once, and the bus."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from cloud.functions.alerts.logic import EventRecord
from cloud.functions.alerts.settings import Settings
from cloud.functions.shared.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient

RECEIVED: Final = "received"
PUBLISHED: Final = "published"
_DAY_S: Final = 86_400


class NotPublishedError(Exception):
    """The bus took the call but not the event; Lambda shall invoke again.

    Attributes
    ----------
    event_id, code : str
        Which event, and the bus's name for the fault.
    """

    def __init__(self, event_id: str, code: str, message: str) -> None:
        self.event_id = event_id
        self.code = code
        super().__init__(f"event {event_id} was not published: {code} ({message})")


class AlertStore:
    """Remembers how far each event has come. Every method raises AwsError when DynamoDB fails."""

    def __init__(self, client: "DynamoDBClient", settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def begin(self, record: EventRecord) -> str:
        """Status of the event, which is RECEIVED from now on if it was unknown."""
        event, received_ms = record.event, record.envelope.received_ms
        try:
            self._client.put_item(
                TableName=self._settings.alerts_table,
                Item={
                    "event_id": {"S": event.event_id},
                    "status": {"S": RECEIVED},
                    "kind": {"S": event.kind},
                    "gateway": {"S": event.gateway},
                    "segment_id": {"S": event.segment_id},
                    "occurred_ms": {"N": str(event.occurred_ms)},
                    "received_ms": {"N": str(received_ms)},
                    "t": {"N": str(received_ms // 1000 + self._settings.retention_days * _DAY_S)},
                },
                ConditionExpression="attribute_not_exists(event_id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                status: str = error.response["Item"]["status"]["S"]  # type: ignore[typeddict-item]
                return status
            raise
        return RECEIVED

    def mark_published(self, record: EventRecord) -> None:
        """From now on a replay of the event publishes nothing."""
        self._client.update_item(
            TableName=self._settings.alerts_table,
            Key={"event_id": {"S": record.event.event_id}},
            UpdateExpression="SET #status = :published",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":published": {"S": PUBLISHED}},
        )


class EventPublisher:
    """Puts events on the bus."""

    def __init__(self, client: "EventBridgeClient", settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def publish(self, record: EventRecord) -> None:
        """Publish the event under its kind. Raises NotPublishedError or AwsError."""
        response = self._client.put_events(
            Entries=[
                {
                    "EventBusName": self._settings.event_bus,
                    "Source": self._settings.event_source,
                    "DetailType": record.event.kind,
                    "Detail": record.detail,
                    "Time": datetime.fromtimestamp(record.envelope.received_ms / 1000, UTC),
                }
            ]
        )
        if response["FailedEntryCount"]:
            entry = response["Entries"][0]
            raise NotPublishedError(record.event.event_id, entry.get("ErrorCode", ""), entry.get("ErrorMessage", ""))
