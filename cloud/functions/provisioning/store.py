"""The gateways table, as far as provisioning needs it."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from cloud.functions.provisioning.logic import Registration
from cloud.functions.shared.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class GatewayStore:
    """Reads registrations and counts certificates. Every method raises AwsError when DynamoDB fails."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self, gateway: str) -> Registration | None:
        """The gateway's registration; None if nothing is known of it."""
        answer = self._client.get_item(
            TableName=self._table,
            Key={"gateway": {"S": gateway}},
            ProjectionExpression="district, provisioned",
            ConsistentRead=True,
        )
        if "Item" not in answer:
            return None
        item = answer["Item"]
        return Registration(
            district=item["district"]["S"] if "district" in item else None,
            provisioned=int(item["provisioned"]["N"]) if "provisioned" in item else 0,
        )

    def count(self, gateway: str, seen: int, now_ms: int) -> bool:
        """Count one certificate more than the `seen` ones; False if another was counted meanwhile."""
        unchanged = "provisioned = :seen" if seen else "attribute_not_exists(provisioned)"
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"gateway": {"S": gateway}},
                UpdateExpression="SET provisioned = :next, provisioned_ms = :now",
                ConditionExpression=f"attribute_exists(district) AND {unchanged}",
                ExpressionAttributeValues={
                    ":next": {"N": str(seen + 1)},
                    ":now": {"N": str(now_ms)},
                    **({":seen": {"N": str(seen)}} if seen else {}),
                },
            )
        except ClientError as error:
            if error_code(error).startswith("ConditionalCheckFailed"):
                return False
            raise
        return True
