"""Firehose gathers records and writes few objects, as AWS does; and the event bus is one of its sources.

MiniStack writes an object for every record within the call that puts it, keeps every record in memory, and inserts
rows one by one into what becomes Parquet: a city's rows would take longer than the city. Here a stream's records are
gathered for FLUSH_S (AWS: the stream's buffering hints) and converted together, outside the call.
"""

from __future__ import annotations

import base64
import json
import logging
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.local_cloud.guard import Hook
from simulator.local_cloud.shims import permissions

_FIREHOSE = "ministack.services.firehose"
_EVENTS = "ministack.services.eventbridge"
HOOKS = (
    Hook(_FIREHOSE, "_deliver_records_to_s3", "(stream: dict, dest: dict, records: list)"),
    Hook(_FIREHOSE, "_deliver_to_s3", "(stream: dict, dest: dict, record_data: bytes, lambda_keys=None)"),
    Hook(_FIREHOSE, "_convert_to_parquet", "(conversion, data)"),
    Hook(_FIREHOSE, "_json_documents", "(data)"),
    Hook(_FIREHOSE, "_conversion_error", "(kind)"),
    Hook(_FIREHOSE, "_DeliveryError"),
    Hook(_FIREHOSE, "_hive_to_duckdb_type", "(hive_type)"),
    Hook(_FIREHOSE, "_put_record", "(data: dict)"),
    Hook("ministack.services.glue", "_tables"),
    Hook(_EVENTS, "_invoke_target", "(target, event, rule, view=None)"),
    Hook(_EVENTS, "_pattern_event_view", "(event)"),
    Hook("ministack.core.responses", "request_scope", "(account_id: str, region: str)"),
    Hook("ministack.core.responses", "get_account_id", "() -> str"),
    Hook("ministack.core.responses", "get_region", "() -> str"),
)

FLUSH_S = 2.0
FLUSH_BYTES = 8_000_000

_log = logging.getLogger("roadside.firehose")


class Buffers:
    """What was put and not yet written, by delivery stream."""

    def __init__(self, write: Callable[[dict[str, Any], dict[str, Any], list[bytes]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str, str], tuple[dict[str, Any], dict[str, Any], list[bytes]]] = {}
        self._bytes: dict[tuple[str, str, str], int] = {}

    def add(self, stream: dict[str, Any], dest: dict[str, Any], records: list[tuple[str, bytes]]) -> None:
        """Gather the records; the first of a buffer starts the time after which it is written."""
        from ministack.core.responses import get_account_id, get_region  # noqa: PLC0415

        key = (get_account_id(), get_region(), stream["name"])
        dest["records"].clear()  # MiniStack would keep them for ever
        with self._lock:
            _, _, held = self._held.setdefault(key, (stream, dest, []))
            is_first = not held
            held += [data for _, data in records]
            self._bytes[key] = self._bytes.get(key, 0) + sum(len(data) for _, data in records)
            is_full = self._bytes[key] >= FLUSH_BYTES
        if is_first or is_full:
            wait_s = 0.0 if is_full else FLUSH_S
            threading.Thread(target=self._flush, args=(key, wait_s), name="firehose-flush", daemon=True).start()

    def _flush(self, key: tuple[str, str, str], wait_s: float) -> None:
        from ministack.core.responses import request_scope  # noqa: PLC0415

        time.sleep(wait_s)
        with self._lock:
            found = self._held.pop(key, None)
            self._bytes.pop(key, None)
        if found is not None:  # else a full buffer was written meanwhile
            account_id, region, _ = key
            with request_scope(account_id, region):
                self._write(*found)


def write(stream: dict[str, Any], dest: dict[str, Any], records: list[bytes]) -> None:
    """Write records as one object; those that are no JSON go to the error prefix, each by itself."""
    from ministack.core.responses import get_account_id, get_region  # noqa: PLC0415
    from ministack.services import firehose  # noqa: PLC0415

    config = dest["config"]
    target = f"{config['BucketARN']}/{config.get('Prefix', '').partition('!')[0]}*"
    if not permissions.role_allows(get_account_id(), get_region(), config["RoleARN"], "s3:PutObject", target):
        _log.error("stream %s: its role may not write to %s; %d records lost", stream["name"], target, len(records))
        return
    good = []
    for record in records:
        if _is_json(record):
            good.append(record)
        else:
            firehose._deliver_to_s3(stream, dest, record)
    if good:
        firehose._deliver_to_s3(stream, dest, b"\n".join(good))


def _is_json(record: bytes) -> bool:
    """Whether a record is JSON objects: quickly if there is one a line, as nearly always."""
    from ministack.services import firehose  # noqa: PLC0415

    try:
        if all(isinstance(document, dict) for document in json.loads(b"[%b]" % record.strip().replace(b"\n", b","))):
            return True
    except ValueError:
        pass  # perhaps several on a line, which MiniStack's reader knows
    try:
        firehose._json_documents(record)
    except firehose._DeliveryError:
        return False
    return True


def convert_to_parquet(conversion: dict[str, Any], data: bytes) -> bytes:
    """JSON documents as a Parquet file with the columns of the Glue table; what has no column is dropped.

    Raises
    ------
    ministack's _DeliveryError
        There is no such table, or a value that its column cannot hold.
    """
    import duckdb  # noqa: PLC0415
    from ministack.services import firehose, glue  # noqa: PLC0415

    schema = conversion.get("SchemaConfiguration") or {}
    table = glue._tables.get(f"{schema.get('DatabaseName', '')}/{schema.get('TableName', '')}") or {}
    columns = (table.get("StorageDescriptor") or {}).get("Columns") or []
    if not columns:
        raise firehose._conversion_error("table")
    deserializer = (conversion.get("InputFormatConfiguration") or {}).get("Deserializer") or {}
    keys = (deserializer.get("OpenXJsonSerDe") or {}).get("ColumnToJsonKeyMappings") or {}
    types = {keys.get(c["Name"], c["Name"]): firehose._hive_to_duckdb_type(c["Type"]) for c in columns}
    named = ", ".join(f'"{keys.get(c["Name"], c["Name"])}" AS "{c["Name"]}"' for c in columns)
    with tempfile.TemporaryDirectory() as folder:
        rows, parquet = Path(folder) / "rows.json", Path(folder) / "rows.parquet"
        rows.write_bytes(data)
        connection = duckdb.connect()
        try:
            relation = connection.read_json(str(rows), columns=types, format="unstructured")
            relation.project(named).write_parquet(str(parquet), compression="snappy")
        except duckdb.Error as error:
            _log.error("rows do not fit table %s: %s", schema.get("TableName"), error)
            raise firehose._conversion_error("mismatch") from error
        finally:
            connection.close()
        return parquet.read_bytes()


def _put_event(target: dict[str, Any], event: dict[str, Any], view: Any) -> None:
    """Put an event that a rule sends on; of the ways to shape it only `InputPath` is modelled."""
    from ministack.core.responses import get_account_id, get_region  # noqa: PLC0415
    from ministack.services import eventbridge, firehose  # noqa: PLC0415

    arn, role = target["Arn"], target.get("RoleArn", "")
    if "InputTransformer" in target or "Input" in target:
        _log.error("a rule's target %s shapes its input in a way that is not modelled by the local cloud", arn)
        return
    if not permissions.role_allows(get_account_id(), get_region(), role, "firehose:PutRecord", arn):
        _log.error("role %s is not authorized to perform firehose:PutRecord on %s", role, arn)
        return
    document: Any = (view or eventbridge._pattern_event_view(event)).event_with_detail()
    for name in filter(None, target.get("InputPath", "$").removeprefix("$").split(".")):
        document = document[name]
    data = base64.b64encode(json.dumps(document).encode()).decode()
    status, _, body = firehose._put_record({"DeliveryStreamName": arn.rpartition("/")[2], "Record": {"Data": data}})
    if status >= 400:
        _log.error("an event did not reach %s: %s", arn, bytes(body).decode())


def install() -> None:
    """Put the buffers between the API and the bucket, and Firehose among the event bus's targets."""
    from ministack.services import eventbridge, firehose  # noqa: PLC0415

    invoke_target: Callable[..., None] = eventbridge._invoke_target

    def invoke(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        if ":firehose:" in target.get("Arn", ""):
            _put_event(target, event, view)
        else:
            invoke_target(target, event, rule, view)

    firehose._deliver_records_to_s3 = Buffers(write).add
    firehose._convert_to_parquet = convert_to_parquet
    eventbridge._invoke_target = invoke
