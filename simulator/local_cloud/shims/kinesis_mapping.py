"""Event source mappings from Kinesis to Lambda with AWS's failure semantics.

MiniStack polls all mappings in one loop, retries a failed batch for ever and ignores partial responses, bisecting,
limits and the on-failure destination. Here each mapping has one thread per shard and parallel lane; a lane carries the
partition keys that hash to it, so the order per key holds for any ParallelizationFactor.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.local_cloud.guard import Hook
from simulator.local_cloud.shims import kinesis_expiry, metrics, on_failure, permissions
from simulator.local_cloud.shims.stream_batches import (
    AGE_EXCEEDED,
    RETRIES_EXHAUSTED,
    Batch,
    Record,
    RetryPolicy,
    expired_prefix,
    first_failure,
    retry_delay_s,
    settle_failure,
)
from simulator.local_cloud.shims.stream_places import Arrivals, Place, Progress, first_progress, regrouped

_LAMBDA = "ministack.services.lambda_svc"
HOOKS = (
    Hook(_LAMBDA, "_poll_kinesis", "()"),
    Hook(_LAMBDA, "_ensure_poller", "()"),
    Hook(_LAMBDA, "_init_stream_position", "(esm_id, source_arn, starting)"),
    Hook(_LAMBDA, "_iter_all_esms", "()"),
    Hook(_LAMBDA, "_esms"),
    Hook(
        _LAMBDA,
        "_get_func_record_for_qualifier",
        "(name: str, qualifier: str | None) -> tuple[dict | None, dict | None]",
    ),
    Hook(_LAMBDA, "_apply_filter_criteria", "(records: list[dict], esm: dict) -> list[dict]"),
    Hook(_LAMBDA, "_execute_function", "(func: dict, event: dict) -> dict"),
    Hook("ministack.services.kinesis", "_streams"),
    Hook("ministack.services.kinesis", "esm_wake"),
    Hook("ministack.core.responses", "request_scope", "(account_id: str, region: str)"),
)

DEFAULT_BATCH_SIZE = 100
PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024
IDLE_CHECK_S = 0.5  # how soon a lane notices that its mapping or stream is gone
THROTTLE_DELAY_S = 0.1
READ_ACTIONS = ("kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards")

_log = logging.getLogger("roadside.kinesis_mapping")
_arrivals = Arrivals()


@dataclass(frozen=True, slots=True)
class _MappingKey:
    account_id: str
    region: str
    mapping_id: str


_progress: dict[_MappingKey, Progress] = {}
_lanes: dict[tuple[_MappingKey, str, int], _Lane] = {}
_start_lock = threading.Lock()


def _mapping_of(key: _MappingKey) -> dict[str, Any] | None:
    """The mapping while it exists and is enabled."""
    from ministack.services import lambda_svc  # noqa: PLC0415

    mapping = lambda_svc._esms.get_scoped(key.account_id, key.region, key.mapping_id)
    return mapping if mapping and str(mapping.get("Enabled", True)).lower() == "true" else None


def _stream_of(mapping: dict[str, Any]) -> dict[str, Any] | None:
    """The mapping's stream while it is active."""
    from ministack.services import kinesis  # noqa: PLC0415

    source_arn = str(mapping.get("EventSourceArn", ""))
    _, _, _, region, account_id, resource = source_arn.split(":", 5)
    stream = kinesis._streams.get_scoped(account_id, region, resource.removeprefix("stream/"))
    return stream if stream and stream["StreamARN"] == source_arn and stream["StreamStatus"] == "ACTIVE" else None


def _factor_of(mapping: dict[str, Any]) -> int:
    return max(1, int(mapping.get("ParallelizationFactor") or 1))


class _Lane(threading.Thread):
    """Reads one share of one shard for one mapping, batch after batch, until the mapping or the stream is gone."""

    def __init__(self, key: _MappingKey, shard_id: str, lane: int, factor: int, place: Place) -> None:
        super().__init__(name=f"mapping-{key.mapping_id[:8]}-{shard_id[-4:]}-{lane}", daemon=True)
        self._key = key
        self._shard_id = shard_id
        self._lane = lane
        self._factor = factor
        self._place = place

    def run(self) -> None:
        from ministack.core.responses import request_scope  # noqa: PLC0415

        with request_scope(self._key.account_id, self._key.region):
            while (live := self._live()) is not None:
                mapping, shard = live
                try:
                    self._take_and_process(mapping, shard)
                except Exception:  # noqa: BLE001  the place has not moved past what is not done: the batch comes again
                    _log.exception("lane of mapping %s failed in the local cloud itself", self._key.mapping_id)
                    time.sleep(1.0)

    def _live(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        mapping = _mapping_of(self._key)
        if mapping is None or _factor_of(mapping) != self._factor:
            return None
        stream = _stream_of(mapping)
        shard = stream["shards"].get(self._shard_id) if stream else None
        return (mapping, shard) if shard is not None else None

    def _take_and_process(self, mapping: dict[str, Any], shard: dict[str, Any]) -> None:
        batch_size = int(mapping.get("BatchSize") or DEFAULT_BATCH_SIZE)
        window_s = float(mapping.get("MaximumBatchingWindowInSeconds") or 0)
        seen = _arrivals.count
        read = self._read(mapping, shard, batch_size)
        if read is None:
            _arrivals.wait_beyond(seen, IDLE_CHECK_S)
            return
        records, last = read
        window_end_s = time.monotonic() + window_s
        while len(records) < batch_size and (left_s := window_end_s - time.monotonic()) > 0 and self._live():
            seen = _arrivals.count
            records, last = self._read(mapping, shard, batch_size) or (records, last)
            _arrivals.wait_beyond(seen, min(left_s, IDLE_CHECK_S))
        last_read, self._place.hint = last
        if self._process(mapping, records):
            self._place.sequence_number = last_read

    def _read(
        self, mapping: dict[str, Any], shard: dict[str, Any], batch_size: int
    ) -> tuple[list[Record], tuple[str, int]] | None:
        """This lane's next records, and the place (sequence number, hint) after all it looked at. None: nothing new."""
        from ministack.services import lambda_svc  # noqa: PLC0415

        with kinesis_expiry.TRIM_LOCK:
            stored = shard["records"]
            start = self._place.next_index(stored)
            ahead = stored[start : start + batch_size * self._factor]
        events: list[dict[str, Any]] = []
        size_bytes = 0
        end = start
        for raw in ahead:
            mine = self._factor == 1 or zlib.crc32(raw["PartitionKey"].encode()) % self._factor == self._lane
            size_bytes += len(raw["Data"]) if mine else 0
            if mine and events and (size_bytes > PAYLOAD_LIMIT_BYTES or len(events) == batch_size):
                break
            end += 1
            if mine:
                events.append(self._event(mapping, raw))
        if end == start:
            return None
        last = (str(ahead[end - start - 1]["SequenceNumber"]), end)
        kept = lambda_svc._apply_filter_criteria(events, mapping)
        return [
            Record(e["kinesis"]["sequenceNumber"], e["kinesis"]["approximateArrivalTimestamp"], e) for e in kept
        ], last

    def _event(self, mapping: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
        function = _function_of(mapping)
        data = raw["Data"]
        return {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": raw["PartitionKey"],
                "sequenceNumber": raw["SequenceNumber"],
                "data": data if isinstance(data, str) else base64.b64encode(data).decode(),
                "approximateArrivalTimestamp": raw["ApproximateArrivalTimestamp"],
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{self._shard_id}:{raw['SequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": str((function.get("config") or {}).get("Role", "")) if function else "",
            "awsRegion": self._key.region,
            "eventSourceARN": mapping["EventSourceArn"],
        }

    def _process(self, mapping: dict[str, Any], records: list[Record]) -> bool:
        """Invoke until every record is done or discarded; False when the mapping went away first."""
        policy = RetryPolicy.from_mapping(mapping)
        pending = deque([Batch(tuple(records))] if records else [])
        while pending:
            if self._live() is None:
                return False
            batch = pending.popleft()
            expired = expired_prefix(batch, policy, time.time())
            if expired:
                self._discard(mapping, Batch(batch.records[:expired], batch.failures), AGE_EXCEEDED)
                batch = Batch(batch.records[expired:], batch.failures)
                if not batch.records:
                    continue
            result = self._invoke(mapping, batch)
            if result is None:
                pending.appendleft(batch)
                time.sleep(THROTTLE_DELAY_S)
                continue
            failed_from = self._failed_from(mapping, batch, result, policy)
            if failed_from is None:
                self._advance(batch.records[-1])
                continue
            settlement = settle_failure(batch, failed_from, policy)
            if settlement.done:
                self._advance(batch.records[settlement.done - 1])
            if settlement.discarded:
                self._discard(mapping, settlement.discarded, RETRIES_EXHAUSTED)
            pending.extendleft(reversed(settlement.retry))
            if settlement.retry and settlement.retry[0].failures:
                time.sleep(retry_delay_s(settlement.retry[0].failures))
        return True

    def _advance(self, record: Record) -> None:
        """Checkpoint: nothing up to this record is read again."""
        self._place.sequence_number = record.sequence_number

    def _invoke(self, mapping: dict[str, Any], batch: Batch) -> dict[str, Any] | None:
        """Hand the batch to the function and return MiniStack's result; None when it could not be invoked now."""
        from ministack.services import lambda_svc  # noqa: PLC0415

        function = _function_of(mapping)
        if function is None:
            mapping["LastProcessingResult"] = "PROBLEM: Function not found"
            return None
        metrics.record_iterator_age((function.get("config") or function)["FunctionName"], batch.records[-1].arrived_s)
        event = {"Records": [record.event for record in batch.records]}
        result: dict[str, Any] = lambda_svc._execute_function(function, event)
        return None if result.get("throttle") else result

    def _failed_from(
        self, mapping: dict[str, Any], batch: Batch, result: dict[str, Any], policy: RetryPolicy
    ) -> int | None:
        """Index of the first record that the invocation failed, or None."""
        failed_from: int | None = None
        if result.get("error"):
            failed_from = 0
            _log.warning("%s failed on %d records: %s", mapping["FunctionName"], len(batch.records), result.get("body"))
        elif policy.report_item_failures:
            failed_from = first_failure(result.get("body"), [record.sequence_number for record in batch.records])
        mapping["LastProcessingResult"] = "OK" if failed_from is None else "PROBLEM: Function call failed"
        return failed_from

    def _discard(self, mapping: dict[str, Any], batch: Batch, condition: str) -> None:
        """Report a given-up batch to the on-failure destination; the records themselves stay in the stream."""
        destination = _destination_of(mapping)
        _log.warning(
            "mapping %s gives up %d records (%s), destination %s",
            self._key.mapping_id, len(batch.records), condition, destination or "none",
        )  # fmt: skip
        if destination:
            report = on_failure.failure_report(mapping, self._shard_id, batch, condition)
            on_failure.send(destination, json.dumps(report))
        self._advance(batch.records[-1])


def _function_of(mapping: dict[str, Any]) -> dict[str, Any] | None:
    from ministack.services import lambda_svc  # noqa: PLC0415

    record, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    return record if isinstance(record, dict) else None


def _destination_of(mapping: dict[str, Any]) -> str:
    return str(((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination") or "")


def _refusal(key: _MappingKey, mapping: dict[str, Any]) -> str | None:
    """Why AWS would refuse to create this mapping, or None."""
    if mapping.get("StartingPosition") == "AT_TIMESTAMP":
        return "StartingPosition AT_TIMESTAMP is not modelled by the local cloud"
    function = _function_of(mapping)
    if function is None:
        return f"Function not found: {mapping['FunctionArn']}"
    role = str((function.get("config") or {}).get("Role", ""))
    source_arn = mapping["EventSourceArn"]
    denied = [a for a in READ_ACTIONS if not permissions.role_allows(key.account_id, key.region, role, a, source_arn)]
    if denied:
        return f"Cannot access stream {source_arn}. Please ensure the role {role} can perform {', '.join(denied)}"
    destination = _destination_of(mapping)
    if destination:
        action = "sqs:SendMessage" if ":sqs:" in destination else "sns:Publish"
        if not permissions.role_allows(key.account_id, key.region, role, action, destination):
            return f"The function execution role {role} does not have permission to call {action} on {destination}"
    return None


def _is_kinesis(mapping: dict[str, Any]) -> bool:
    return ":kinesis:" in str(mapping.get("EventSourceArn", ""))


def start_lanes() -> bool:
    """Start the missing lanes of every enabled mapping. Returns False: nothing is left for the caller to poll."""
    from ministack.services import lambda_svc  # noqa: PLC0415

    with _start_lock:
        alive = set()
        for account_id, region, mapping in lambda_svc._iter_all_esms():
            key = _MappingKey(account_id, region, mapping["UUID"])
            alive.add(key)
            if _is_kinesis(mapping) and _mapping_of(key) is not None:
                _start_mapping(key, mapping)
        for gone in [key for key in _progress if key not in alive]:
            del _progress[gone]
        for lane in [key for key, thread in _lanes.items() if not thread.is_alive()]:
            del _lanes[lane]
    return False


def _start_mapping(key: _MappingKey, mapping: dict[str, Any]) -> None:
    stream = _stream_of(mapping)
    if stream is None:
        return
    factor = _factor_of(mapping)
    progress = _progress.get(key)
    if progress is None:
        progress = _progress[key] = first_progress(mapping, stream, factor)
    if progress.factor != factor:
        if any(thread.is_alive() for (owner, _, _), thread in _lanes.items() if owner == key):
            return  # the lanes of the old factor finish their batch first: no key is read by two at once
        progress = _progress[key] = regrouped(progress, stream, factor)
    for shard_id in stream["shards"]:
        places = progress.places.setdefault(shard_id, [Place() for _ in range(factor)])
        for lane, place in enumerate(places):
            running = _lanes.get((key, shard_id, lane))
            if running is None or not running.is_alive():
                thread = _lanes[key, shard_id, lane] = _Lane(key, shard_id, lane, factor, place)
                thread.start()


def install() -> None:
    """Take Kinesis out of MiniStack's poll loop and start lanes as soon as a mapping is created."""
    from ministack.services import kinesis, lambda_svc  # noqa: PLC0415

    ensure_poller: Callable[[], None] = lambda_svc._ensure_poller
    init_stream_position: Callable[[str, str, str], None] = lambda_svc._init_stream_position
    created: set[str] = set()

    def note_created(esm_id: str, source_arn: str, starting: str) -> None:
        created.add(esm_id)
        init_stream_position(esm_id, source_arn, starting)

    def admit_and_start() -> None:
        """Refuse a new mapping as AWS would: raising makes CloudFormation report the resource as failed."""
        for account_id, region, mapping in lambda_svc._iter_all_esms():
            mapping_id = mapping["UUID"]
            if mapping_id in created and _is_kinesis(mapping):
                refusal = _refusal(_MappingKey(account_id, region, mapping_id), mapping)
                if refusal:
                    lambda_svc._esms.pop(mapping_id, None)
                    raise ValueError(refusal)
            created.discard(mapping_id)
        ensure_poller()
        start_lanes()

    kinesis.esm_wake = _arrivals
    lambda_svc._init_stream_position = note_created
    lambda_svc._ensure_poller = admit_and_start
    lambda_svc._poll_kinesis = start_lanes
