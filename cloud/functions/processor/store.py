"""The windows, sensors and segments tables. Every write is conditional: replays and older messages change nothing."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import ClientError

from cloud.functions.processor.items import segment_state, segment_update, sensors_item, window_item
from cloud.functions.processor.logic import SegmentState, SensorsRecord, WindowRecord
from cloud.functions.processor.settings import Settings
from cloud.functions.shared.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_T = TypeVar("_T")

_CONDITION_FAILED: Final = "ConditionalCheckFailed"
_NEW_OR_HIGHER_REVISION: Final = "attribute_not_exists(g) OR r < :r"
_MAX_KEYS: Final = 100  # of a BatchGetItem, and items of a transaction
# From so many states on, one transaction instead of single writes: twice the price for a fraction of the time. It
# happens at a gateway's first window and when a jam spreads, which is when time matters.
_TRANSACTION_FROM: Final = 5


class ThrottledError(ClientError):
    """DynamoDB left keys unread time and again."""


class Store:
    """All tables through one DynamoDB client. Every method raises AwsError when DynamoDB fails."""

    def __init__(self, client: "DynamoDBClient", settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def put_window(self, record: WindowRecord) -> bool:
        """Store the window unless this or a higher revision of it is stored; whether it was news."""
        try:
            self._client.put_item(
                TableName=self._settings.windows_table,
                Item=window_item(record, self._settings.windows_days),
                ConditionExpression=_NEW_OR_HIGHER_REVISION,
                ExpressionAttributeValues={":r": {"N": str(record.window.revision)}},
            )
        except ClientError as error:
            if error_code(error).startswith(_CONDITION_FAILED):
                return False
            raise
        return True

    def put_sensors(self, record: SensorsRecord) -> bool:
        """Store the summary unless it is stored; whether it was news."""
        try:
            self._client.put_item(
                TableName=self._settings.sensors_table,
                Item=sensors_item(record, self._settings.retention_days),
                ConditionExpression="attribute_not_exists(g)",
            )
        except ClientError as error:
            if error_code(error).startswith(_CONDITION_FAILED):
                return False
            raise
        return True

    def read_segments(self, numbers: Sequence[int]) -> dict[int, SegmentState]:
        """Current states of those segments that have one, read consistently."""
        table = self._settings.segments_table
        found: dict[int, SegmentState] = {}
        for chunk in _chunks(numbers):
            keys: list[dict[str, AttributeValueTypeDef]] = [{"segment": {"N": str(number)}} for number in chunk]
            for _ in range(3):
                response = self._client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
                for item in response["Responses"].get(table, ()):
                    if state := segment_state(item):
                        found[state.segment] = state
                unread = response.get("UnprocessedKeys", {}).get(table)
                if not unread:
                    break
                keys = [dict(key) for key in unread["Keys"]]
            else:
                raise ThrottledError({"Error": {"Code": "UnprocessedKeys", "Message": table}}, "BatchGetItem")
        return found

    def put_segments(self, states: Sequence[SegmentState]) -> dict[int, SegmentState]:
        """Write each state that is newer than the stored one; what the table holds of these segments now."""
        held: dict[int, SegmentState] = {}
        for chunk in _chunks(states):
            if len(chunk) >= _TRANSACTION_FROM and self._put_together(chunk):
                held.update((state.segment, state) for state in chunk)
            else:
                held.update((state.segment, self._put_segment(state)) for state in chunk)
        return held

    def _put_segment(self, state: SegmentState) -> SegmentState:
        try:
            self._client.update_item(TableName=self._settings.segments_table, **segment_update(state))
        except ClientError as error:
            if error_code(error).startswith(_CONDITION_FAILED):
                item: dict[str, AttributeValueTypeDef] = error.response["Item"]  # type: ignore[typeddict-item]
                if newer := segment_state(item):  # the condition holds where there is none
                    return newer
            raise
        return state

    def _put_together(self, states: Sequence[SegmentState]) -> bool:
        """Write all states or none; False when one of them is not newer than the stored one."""
        table = self._settings.segments_table
        try:
            self._client.transact_write_items(
                TransactItems=[{"Update": {"TableName": table, **segment_update(state)}} for state in states]
            )
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())}
            if reasons <= {"None", _CONDITION_FAILED}:
                return False
            raise
        return True


def _chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), _MAX_KEYS):
        yield values[start : start + _MAX_KEYS]
