"""Runs the processor's handler on batches as a process of its own, which can be killed between two calls to AWS.

    python -m tests.integration.local_cloud.process_batch < '{"batches": [[...]], "kill_at": 3, "effect": true}'

Prints what it answered to the last batch, how many calls that took and what capacity they consumed in each table.
"""

import json
import os
import sys
import threading
from collections import Counter
from typing import Any

import boto3

KILLED = 9


def main() -> None:
    """Read the order from standard input, do it, and tell."""
    order = json.load(sys.stdin)
    kill_at, with_effect = order.get("kill_at", 0), order.get("effect", False)
    lock = threading.Lock()
    calls = 0
    consumed: Counter[str] = Counter()

    def ask_for_capacity(params: dict[str, Any], **_: object) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def before(**_: object) -> None:
        nonlocal calls
        with lock:
            calls += 1
            if calls == kill_at and not with_effect:
                os._exit(KILLED)

    def after(parsed: dict[str, Any], **_: object) -> None:
        with lock:
            if kill_at and calls >= kill_at and with_effect:
                os._exit(KILLED)
            capacity = parsed.get("ConsumedCapacity", [])
            for each in capacity if isinstance(capacity, list) else [capacity]:
                consumed[each["TableName"]] += each["CapacityUnits"]

    boto3.setup_default_session()
    events = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
    for operation in ("PutItem", "UpdateItem", "BatchGetItem", "TransactWriteItems"):
        events.register(f"provide-client-params.dynamodb.{operation}", ask_for_capacity)
    events.register("before-call", before)
    events.register("after-call", after)

    from cloud.functions.processor import handler

    for batch in order["batches"]:
        consumed.clear()
        calls = 0 if not kill_at else calls
        answer = handler.handle({"Records": batch}, None)
    failures = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    print(json.dumps({"told": {"failures": failures, "calls": calls, "consumed": consumed}}))


if __name__ == "__main__":
    main()
