"""Brings a catalogue to the tables and the lake of a deployment."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cloud.catalogue.plan import STATIC, Change, Plan, plan_load
from cloud.catalogue.segments import CatalogueSegment
from cloud.deployment import Deployment, in_words

if TYPE_CHECKING:
    from cloud.catalogue.plan import Attributes

_AT_ONCE: Final = 100  # updates of a transaction


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load has changed."""

    added: int
    updated: int
    retired: int
    unchanged: int


def load(segments: Sequence[CatalogueSegment], deployment: Deployment) -> Loaded:
    """Make the deployment's tables say what the catalogue says; may be repeated, and continued after a failure.

    Raises
    ------
    CloudError
    """
    with in_words():
        plan = _load_segments(segments, deployment)
    return Loaded(len(plan.added), len(plan.updated), len(plan.retired), plan.unchanged)


def _load_segments(segments: Sequence[CatalogueSegment], deployment: Deployment) -> Plan:
    client, table = deployment.client("dynamodb"), deployment.output("SegmentsTable")
    plan = plan_load(segments, _stored(client, table), now_ms=int(time.time() * 1000))
    for start in range(0, len(plan.changes), _AT_ONCE):
        _write(client, table, plan.changes[start : start + _AT_ONCE])
    return plan


def _stored(client: Any, table: str) -> "dict[int, Attributes]":
    names = {f"#{name}": name for name in ("segment", *STATIC, "retired_ms")}
    items: dict[int, Attributes] = {}
    for page in client.get_paginator("scan").paginate(
        TableName=table,
        ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
        ConsistentRead=True,
    ):
        items.update((int(item["segment"]["N"]), item) for item in page["Items"])
    return items


def _write(client: Any, table: str, changes: Sequence[Change]) -> None:
    """Together, for the number of calls; one by one where the processor is at work on some of them."""
    updates = [_update(table, change) for change in changes]
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
        "Key": {"segment": {"N": str(change.segment)}},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in change.attributes) + removal,
        "ExpressionAttributeNames": {f"#{name}": name for name in (*change.attributes, *change.removed)},
        "ExpressionAttributeValues": {f":{name}": value for name, value in change.attributes.items()},
    }


def _reasons(error: ClientError) -> Iterator[str]:
    reasons: Any = error.response.get("CancellationReasons", ())
    for reason in reasons:
        yield reason.get("Code", "None")
