"""Brings a catalogue to the tables and the lake of a deployment."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cloud.catalogue.plan import OF_GATEWAY, OF_SEGMENT, Change, Plan, plan_gateways, plan_segments
from cloud.catalogue.segments import CatalogueSegment, write_catalogue
from cloud.deployment import Deployment, in_words
from cloud.lake_tables import SEGMENTS_KEY

if TYPE_CHECKING:
    from cloud.catalogue.plan import Attributes

_AT_ONCE: Final = 100  # updates of a transaction


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load has done to segments or gateways."""

    added: int
    updated: int
    retired: int
    unchanged: int


def load(segments: Sequence[CatalogueSegment], deployment: Deployment) -> tuple[Loaded, Loaded]:
    """Make the deployment say what the catalogue says; may be repeated, and continued after a failure.

    Returns
    -------
    tuple of Loaded
        What became of the segments, and of the gateways.

    Raises
    ------
    CloudError
    """
    of_segments, of_gateways = compare(segments, deployment)
    client, lake = deployment.client("dynamodb"), deployment.output("LakeBucket")
    with in_words():
        _apply(client, deployment.output("SegmentsTable"), of_segments)
        _apply(client, deployment.output("GatewaysTable"), of_gateways)
        body = write_catalogue(segments)
        deployment.client("s3").put_object(Bucket=lake, Key=SEGMENTS_KEY, Body=body, ContentType="text/csv")
    return _told(of_segments), _told(of_gateways)


def compare(segments: Sequence[CatalogueSegment], deployment: Deployment) -> tuple[Plan, Plan]:
    """What a load would do to segments and gateways; nothing is changed. Raises CloudError."""
    client, now_ms = deployment.client("dynamodb"), int(time.time() * 1000)
    with in_words():
        of_segments = _stored(client, deployment.output("SegmentsTable"), "segment", OF_SEGMENT)
        of_gateways = _stored(client, deployment.output("GatewaysTable"), "gateway", OF_GATEWAY)
    return plan_segments(segments, of_segments, now_ms), plan_gateways(segments, of_gateways, now_ms)


def _told(plan: Plan) -> Loaded:
    return Loaded(len(plan.added), len(plan.updated), len(plan.retired), plan.unchanged)


def _stored(client: Any, table: str, key: str, names: Sequence[str]) -> "dict[str, Attributes]":
    """The table's items by their key, less what the catalogue has nothing to do with."""
    aliases = {f"#{name}": name for name in (key, *names, "retired_ms")}
    items: dict[str, Attributes] = {}
    for page in client.get_paginator("scan").paginate(
        TableName=table,
        ProjectionExpression=", ".join(aliases),
        ExpressionAttributeNames=aliases,
        ConsistentRead=True,
    ):
        items.update((next(iter(item[key].values())), item) for item in page["Items"])
    return items


def _apply(client: Any, table: str, plan: Plan) -> None:
    """Many changes together, for the number of calls; one by one where somebody else is at work on some of them."""
    for start in range(0, len(plan.changes), _AT_ONCE):
        updates = [_update(table, change) for change in plan.changes[start : start + _AT_ONCE]]
        try:
            client.transact_write_items(TransactItems=[{"Update": update} for update in updates])
        except client.exceptions.TransactionCanceledException as error:
            if not set(_reasons(error)) <= {"None", "TransactionConflict"}:
                raise
            for update in updates:
                client.update_item(**update)


def _update(table: str, change: Change) -> dict[str, Any]:
    removal = f" REMOVE {', '.join(f'#{name}' for name in change.removed)}" if change.removed else ""
    return {
        "TableName": table,
        "Key": change.key,
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in change.attributes) + removal,
        "ExpressionAttributeNames": {f"#{name}": name for name in (*change.attributes, *change.removed)},
        "ExpressionAttributeValues": {f":{name}": value for name, value in change.attributes.items()},
    }


def _reasons(error: ClientError) -> Iterator[str]:
    reasons: Any = error.response.get("CancellationReasons", ())
    for reason in reasons:
        yield reason.get("Code", "None")
