"""Writes signs of life into the gateways table; an older one never replaces a newer."""

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cloud.functions.alerts.signs import HeartbeatSign, PresenceSign, Sign
from cloud.functions.shared.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_NEWER_HEARTBEAT: Final = "attribute_not_exists(heartbeat_ms) OR heartbeat_ms < :at"
# Clients that are no gateways come and go too: only of known ones it is written down.
_NEWER_PRESENCE: Final = "attribute_exists(gateway) AND (attribute_not_exists(presence_ms) OR presence_ms < :at)"
# When a gateway connects again before the broker has missed it, the old session ends after the new one began.
_SAME_SESSION: Final = " AND (attribute_not_exists(presence) OR presence = :presence OR presence_session = :session)"


class GatewaysTable:
    """The gateways table, as far as the alerts function writes it. Raises AwsError when DynamoDB fails."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, sign: Sign) -> bool:
        """Write the sign down; False if a newer one is there, or for the presence of a client that is no gateway."""
        return self._put_heartbeat(sign) if isinstance(sign, HeartbeatSign) else self._put_presence(sign)

    def _put_heartbeat(self, sign: HeartbeatSign) -> bool:
        values: dict[str, Any] = {":at": {"N": str(sign.received_ms)}, ":health": {"S": sign.health()}}
        sets = "heartbeat_ms = :at, health = :health"
        if sign.heartbeat is not None:  # what nobody could read leaves alone what was known
            sets += ", clock_offset_ms = :offset, backlog_age_ms = :backlog"
            values[":offset"] = {"N": str(sign.clock_offset_ms)}
            values[":backlog"] = {"N": str(sign.heartbeat.backlog_age_ms or 0)}
        return self._update(sign.gateway, f"SET {sets}", _NEWER_HEARTBEAT, values)

    def _put_presence(self, sign: PresenceSign) -> bool:
        values = {
            ":presence": {"S": "connected" if sign.connected else "disconnected"},
            ":at": {"N": str(sign.at_ms)},
            ":session": {"S": sign.session},
        }
        condition = _NEWER_PRESENCE if sign.connected else _NEWER_PRESENCE + _SAME_SESSION
        sets = "SET presence = :presence, presence_ms = :at, presence_session = :session"
        return self._update(sign.gateway, sets, condition, values)

    def _update(self, gateway: str, expression: str, condition: str, values: dict[str, Any]) -> bool:
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"gateway": {"S": gateway}},
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True
