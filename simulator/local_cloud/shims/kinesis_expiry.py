"""Expire Kinesis records without rewriting every shard on every put.

MiniStack filters the whole record list of each shard before each put, which makes a put as slow as the stream is long.
Records arrive in time order, so only a shard whose first record is too old needs work.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from simulator.local_cloud.guard import Hook

HOOKS = (Hook("ministack.services.kinesis", "_expire_records", "(stream)"),)

# Held while records leave a list, and by a reader between finding its place and slicing, so that a trim cannot shift
# the list under it.
TRIM_LOCK = threading.Lock()


def expire_records(stream: dict[str, Any]) -> None:
    """Drop the leading records of each shard that are older than the stream's retention."""
    cutoff_s = time.time() - stream["RetentionPeriodHours"] * 3600
    for shard in stream["shards"].values():
        records = shard["records"]
        if not records or records[0]["ApproximateArrivalTimestamp"] >= cutoff_s:
            continue
        with TRIM_LOCK:
            expired = 0
            while expired < len(records) and records[expired]["ApproximateArrivalTimestamp"] < cutoff_s:
                expired += 1
            del records[:expired]


def install() -> None:
    """Replace the expiry."""
    from ministack.services import kinesis  # noqa: PLC0415

    kinesis._expire_records = expire_records
