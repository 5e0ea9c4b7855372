"""How AWS meters what passes through each service: quantities to be priced, by line of the bill. Pure.

Every design goes through these same functions, ours and the ones it is compared with.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cloud.capacity.city import MONTH_HOURS, MONTH_S

KB: Final = 1024
GB: Final = 1024**3
_IOT_UNIT_BYTES: Final = 5 * KB
_STREAM_UNIT_BYTES: Final = 25 * KB
_FIREHOSE_UNIT_BYTES: Final = 5 * KB
_ALARMS_OF_SCALING: Final = 8  # that DynamoDB's auto scaling makes for a table, four for writes and four for reads
_ITEM_OVERHEAD_BYTES: Final = 100  # that DynamoDB counts for every stored item


@dataclass(frozen=True, slots=True)
class Use:
    """So much of one thing in a month.

    Parameters
    ----------
    service, item : the line of the bill
    price : its name in the file of prices
    quantity : in that price's units
    """

    service: str
    item: str
    price: str
    quantity: float


def write_units(item_bytes: float) -> int:
    """Write units of one item of that size."""
    return max(1, math.ceil(item_bytes / KB))


def connections(devices: int, what: str) -> Iterator[Use]:
    """Devices that are always connected."""
    yield Use("IoT Core", f"connectivity, {what}", "iot_connection_minutes", devices * MONTH_HOURS * 60)


def messages(count: float, message_bytes: float, what: str) -> Iterator[Use]:
    """Messages that are metered, as those by Basic Ingest are not."""
    yield Use("IoT Core", f"messaging, {what}", "iot_messages", count * math.ceil(message_bytes / _IOT_UNIT_BYTES))


def rule(count: float, message_bytes: float, what: str) -> Iterator[Use]:
    """Messages that a rule hands on by one action."""
    units = count * math.ceil(message_bytes / _IOT_UNIT_BYTES)
    yield Use("IoT Core", f"rules, {what}", "iot_rules", units)
    yield Use("IoT Core", f"actions, {what}", "iot_rule_actions", units)


def stream(shards: int, records: float, record_bytes: float, retention_h: int) -> Iterator[Use]:
    """A provisioned stream; its first 24 h of retention are in the shards' price."""
    yield Use("Kinesis", "shards", "kinesis_shard_hours", shards * MONTH_HOURS)
    yield Use("Kinesis", "PUT units", "kinesis_put_units", records * math.ceil(record_bytes / _STREAM_UNIT_BYTES))
    if retention_h > 24:
        hours = shards * MONTH_HOURS
        yield Use("Kinesis", f"retention of {retention_h} h", "kinesis_extended_shard_hours", hours)


def function(name: str, invocations: float, busy_s: float, memory_mb: int) -> Iterator[Use]:
    """A function that is busy for `busy_s` in all."""
    yield Use("Lambda", f"{name}, invocations", "lambda_requests", invocations)
    yield Use("Lambda", f"{name}, compute", "lambda_gb_seconds", busy_s * memory_mb / 1024)


def writes(table: str, count: float, item_bytes: float, what: str = "writes") -> Iterator[Use]:
    """Items written on demand; a condition that fails is billed like one that holds."""
    yield Use("DynamoDB", f"{table}, {what}", "dynamodb_write_units", count * write_units(item_bytes))


def reads(
    table: str, count: float, read_bytes: float, what: str = "reads", *, consistent: bool = False
) -> Iterator[Use]:
    """Reads of `read_bytes` each, on demand."""
    units = math.ceil(read_bytes / (4 * KB)) * (1.0 if consistent else 0.5)
    yield Use("DynamoDB", f"{table}, {what}", "dynamodb_read_units", count * units)


def capacity(
    table: str, on_demand: Iterable[Use], *, utilization: float, least_writes: int, least_reads: int
) -> Iterator[Use]:
    """The same writes and reads by provisioned capacity, which auto scaling keeps that much used."""
    units = {"dynamodb_write_units": 0.0, "dynamodb_read_units": 0.0}
    for use in on_demand:
        units[use.price] += use.quantity
    steady_writes, steady_reads = (math.ceil(count / MONTH_S / utilization) for count in units.values())
    write_hours = max(least_writes, steady_writes) * MONTH_HOURS
    yield Use("DynamoDB", f"{table}, write capacity", "dynamodb_provisioned_write_hours", write_hours)
    read_hours = max(least_reads, steady_reads) * MONTH_HOURS
    yield Use("DynamoDB", f"{table}, read capacity", "dynamodb_provisioned_read_hours", read_hours)
    yield Use("CloudWatch", f"alarms of auto scaling, {table}", "cloudwatch_alarms", _ALARMS_OF_SCALING)


def stored_items(table: str, items: float, item_bytes: float, *, recoverable: bool) -> Iterator[Use]:
    """Items that lie in a table, and the copies that point-in-time recovery keeps of them."""
    size_gb = items * (item_bytes + _ITEM_OVERHEAD_BYTES) / GB
    yield Use("DynamoDB", f"{table}, storage", "dynamodb_storage_gb", size_gb)
    if recoverable:
        yield Use("DynamoDB", f"{table}, point-in-time recovery", "dynamodb_pitr_gb", size_gb)


def firehose(what: str, records: float, record_bytes: float, *, converted: bool) -> Iterator[Use]:
    """Records, each rounded up to 5 KB before it is counted and converted."""
    rounded_gb = records * math.ceil(record_bytes / _FIREHOSE_UNIT_BYTES) * _FIREHOSE_UNIT_BYTES / GB
    yield Use("Firehose", f"{what}, ingestion", "firehose_gb", rounded_gb)
    if converted:
        yield Use("Firehose", f"{what}, conversion to Parquet", "firehose_conversion_gb", rounded_gb)
