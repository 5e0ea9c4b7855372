"""Tell a queue or a topic about records that an event source mapping has given up."""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from simulator.local_cloud.guard import Hook
from simulator.local_cloud.shims.stream_batches import Batch

HOOKS = (
    Hook("ministack.services.sqs", "_act_send_message", "(data: dict, qurl: str) -> dict"),
    Hook("ministack.services.sqs", "_queue_by_arn", "(arn: str) -> dict | None"),
    Hook("ministack.services.sqs", "_Err"),
    Hook("ministack.services.sns", "_topics"),
    Hook(
        "ministack.services.sns",
        "publish_internal",
        "(topic_arn: str, message, subject: str = '', *, message_structure: str = '', "
        "message_attributes: dict | None = None, message_group_id: str = '', message_deduplication_id: str = '') "
        "-> dict | None",
    ),
)

_log = logging.getLogger("roadside.on_failure")


def failure_report(mapping: dict[str, Any], shard_id: str, batch: Batch, condition: str) -> dict[str, Any]:
    """The document AWS sends to an on-failure queue or topic for a discarded batch of stream records."""
    first, last = batch.records[0], batch.records[-1]
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": mapping["FunctionArn"],
            "condition": condition,
            "approximateInvokeCount": max(batch.failures, 1),
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": mapping.get("Qualifier") or "$LATEST",
            "functionError": "Unhandled",
        },
        "version": "1.0",
        "timestamp": _iso(time.time()),
        "KinesisBatchInfo": {
            "shardId": shard_id,
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": _iso(first.arrived_s),
            "approximateArrivalOfLastRecord": _iso(last.arrived_s),
            "batchSize": len(batch.records),
            "streamArn": mapping["EventSourceArn"],
        },
    }


def _iso(instant_s: float) -> str:
    return datetime.fromtimestamp(instant_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def send(destination: str, body: str) -> None:
    """Send to the queue or topic with this ARN. A report that cannot be delivered is logged and dropped, as on AWS."""
    from ministack.services import sns, sqs  # noqa: PLC0415

    if sqs._queue_by_arn(destination) is not None:
        try:
            sqs._act_send_message({"MessageBody": body}, destination.rsplit(":", 1)[-1])
        except sqs._Err as error:
            _log.error("on-failure queue %s refused the report: %s %s", destination, error.code, error.message)
    elif destination in sns._topics:
        sns.publish_internal(destination, body)
    else:
        _log.error("on-failure destination %s does not exist", destination)
