"""What Roadside itself uses in a month, service by service. Pure.

Sizes and times that were measured stand here beside what they are; `docs/operations.md` tells how to compare them with
an account's real figures.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cloud.capacity import metering, metrics, windows_table
from cloud.capacity.city import DAY_S, MONTH_DAYS, MONTH_S, City, Operation
from cloud.capacity.metering import GB, KB, Use
from cloud.capacity.sizing import HEADROOM, size
from cloud.capacity.windows_table import ITEM_KEYS_BYTES

# Messages (docs/contract.md: 2.4 KB with 250 sensors).
_SENSORS_BASE_BYTES: Final = 60
_SENSORS_SENSOR_BYTES: Final = 10
_SENSORS_PER_PART: Final = 250
_EVENT_BYTES: Final = 700
_HEARTBEAT_BYTES: Final = 1500
_SEGMENT_ITEM_BYTES: Final = 500
_GATEWAY_ITEM_BYTES: Final = 700
_MEMORY_BYTES_PER_GATEWAY: Final = 250  # of the judge of neighbouring gateways, deflated
_GATEWAY_CHANGES_PER_DAY: Final = 20  # status, gaps and what is to be announced
_ALERT_ITEM_BYTES: Final = 900
_ENVELOPE_BYTES: Final = 120  # the rule's JSON around a body in base64

# An ack is an HTTP request with an answer, and a delivery. At QoS 1 the gateway's confirmation would count as well.
_MESSAGES_PER_ACK: Final = 3
_GATHERED_EVERY_S: Final = 240
_ACK_BYTES: Final = 200

# The lake (cloud/lake_tables.py): JSON as Firehose is given it, and Parquet as it is stored. Of windows as measured on
# the workload of test_window_size.py: 363 and 58 bytes. A sensor's row is 171 with a gateway's name of 17 letters.
ROW_JSON_BYTES: Final = 365
_ROW_PARQUET_BYTES: Final = 60
_SENSOR_ROW_JSON_BYTES: Final = 175
_SENSOR_ROW_PARQUET_BYTES: Final = 30
_EVENT_PARQUET_BYTES: Final = 200
_ARCHIVED_AFTER_MONTHS: Final = 1
_KEPT_MONTHS: Final = 36
_DELIVERY_S: Final = 300  # a stream delivers after so long, or when it has so much
_DELIVERY_BYTES: Final = 128 * KB * KB
_ROLLUP_ROW_BYTES: Final = 150
_FIREHOSE_RECORD_BYTES: Final = 1_000_000  # rows are gathered to one record of at most this size

# Functions: time for a message and for an invocation, waiting included.
_PROCESSOR_MB: Final = 768
_PROCESSOR_MESSAGE_S: Final = 0.005
_PROCESSOR_BATCH_S: Final = 0.020
_ALERTS_MB: Final = 512
_EVENT_S: Final = 0.040
_EVENTS_IN_BATCH: Final = 3  # of ten at most
_SWEEP_MB: Final = 1024
_SWEEP_GATEWAY_S: Final = 0.008
_SWEEP_OVERLAP_S: Final = 120
_STALE_SCAN_S: Final = 900
_ROLLUP_MB: Final = 1769
_ROLLUP_WINDOW_S: Final = 0.0005
_ROLLUP_HOURS_READ: Final = 0.75  # half of the running hour, and once that of the hour before
_HOOK_MB: Final = 256
_LAMBDA_LOG_BYTES: Final = 550  # its own lines about an invocation
_METRICS_LOG_BYTES: Final = 350  # 342 as measured; a heartbeat tells none
_BUSY: Final = ("processor", "alerts")

# What stands in the templates whatever the size of the city; a test compares it with them.
ALARMS: Final = 35
COMPOSITE_ALARMS: Final = 2
DASHBOARDS: Final = 1
KMS_KEYS: Final = 2
PITR: Final = True


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages in a month, and their sizes."""

    windows: float
    window_bytes: float
    summaries: float
    summary_bytes: float
    events: float
    heartbeats: float
    acks: float
    gathered_acks: float

    @property
    def streamed(self) -> float:
        """Messages that take the stream."""
        return self.windows + self.summaries


def traffic(city: City, operation: Operation) -> Traffic:
    """What the gateways send in a month, and what they are told."""
    windows = city.windows_per_s * MONTH_S * operation.editions_per_window
    sensors_on_gateway = city.sensors / city.gateways
    parts = math.ceil(sensors_on_gateway / _SENSORS_PER_PART)
    summaries = city.gateways * parts * MONTH_S / operation.sensor_summary_s
    events = city.segments * operation.events_per_segment_day * MONTH_DAYS
    live = windows / operation.editions_per_window
    return Traffic(
        windows=windows,
        window_bytes=windows_table.window_bytes(city),
        summaries=summaries,
        summary_bytes=_SENSORS_BASE_BYTES + _SENSORS_SENSOR_BYTES * sensors_on_gateway / parts,
        events=events,
        heartbeats=city.gateways * MONTH_S / operation.heartbeat_s,
        acks=(windows - live if operation.gather_acks else windows + summaries) + events,
        gathered_acks=city.gateways * MONTH_S / _GATHERED_EVERY_S if operation.gather_acks else 0.0,
    )


def uses(city: City, operation: Operation) -> Iterator[Use]:
    """All that Roadside uses, QuickSight apart."""
    sent = traffic(city, operation)
    invocations = _invocations(city, operation, sent)
    yield from _iot(city, sent)
    shards = size(city).shards
    yield from metering.stream(shards, sent.streamed, _streamed_bytes(sent.window_bytes), operation.stream_retention_h)
    yield from _functions(city, sent, invocations)
    yield from _windows_and_sensors(city, operation, sent)
    yield from _segments(city, operation)
    yield from _gateways_and_alerts(city, operation, sent)
    yield from _lake(city, operation, sent)
    yield from _watching(operation, invocations, sent)
    yield from _telling(city, operation, sent)
    yield Use("Greengrass", "core devices", "greengrass_cores", city.gateways)


def sweep_pass_s(city: City) -> float:
    """How long one pass of the sweep over all gateways takes."""
    return 0.5 + city.gateways * _SWEEP_GATEWAY_S


def _streamed_bytes(message_bytes: float) -> float:
    return message_bytes * 4 / 3 + _ENVELOPE_BYTES


def _iot(city: City, sent: Traffic) -> Iterator[Use]:
    yield from metering.connections(city.gateways, "gateways")
    yield from metering.rule(sent.windows, sent.window_bytes, "windows")
    yield from metering.rule(sent.summaries, sent.summary_bytes, "summaries of sensors")
    yield from metering.rule(sent.events, _EVENT_BYTES, "events")
    yield from metering.rule(sent.heartbeats, _HEARTBEAT_BYTES, "heartbeats")
    yield from metering.messages(sent.acks * _MESSAGES_PER_ACK, _ACK_BYTES, "acks")
    yield from metering.messages(sent.gathered_acks * _MESSAGES_PER_ACK, _ACK_BYTES, "gathered acks")


def _invocations(city: City, operation: Operation, sent: Traffic) -> dict[str, float]:
    """Each function's invocations in a month. A processor is called once a second at most, or for what it gathered."""
    calls = size(city).processor_concurrency * MONTH_S / max(1, operation.batching_s)
    return {
        "processor": min(sent.streamed, calls),
        "alerts": sent.events / _EVENTS_IN_BATCH + sent.heartbeats,
        "sweep": MONTH_S / operation.sweep_s,
        "rollup": MONTH_S / operation.rollup_s,
        "provisioning": float(city.gateways) / 12,  # each gateway once in a year
    }


def _functions(city: City, sent: Traffic, invocations: dict[str, float]) -> Iterator[Use]:
    processor_s = sent.streamed * _PROCESSOR_MESSAGE_S + invocations["processor"] * _PROCESSOR_BATCH_S
    windows_read = city.windows_per_s * 3600 * _ROLLUP_HOURS_READ
    yield from metering.function("processor", invocations["processor"], processor_s, _PROCESSOR_MB)
    yield from metering.function("alerts", invocations["alerts"], invocations["alerts"] * _EVENT_S, _ALERTS_MB)
    yield from metering.function("sweep", invocations["sweep"], invocations["sweep"] * sweep_pass_s(city), _SWEEP_MB)
    rollup_s = invocations["rollup"] * windows_read * _ROLLUP_WINDOW_S
    yield from metering.function("rollup", invocations["rollup"], rollup_s, _ROLLUP_MB)
    yield from metering.function("provisioning", invocations["provisioning"], invocations["provisioning"], _HOOK_MB)


def _windows_and_sensors(city: City, operation: Operation, sent: Traffic) -> Iterator[Use]:
    item_bytes = sent.window_bytes + ITEM_KEYS_BYTES
    used = tuple(_windows_used(city, operation, sent, item_bytes))
    if operation.provision_windows:
        yield from metering.capacity(
            "windows",
            used,
            utilization=windows_table.UTILIZATION,
            least_writes=windows_table.write_capacity(city).least,
            least_reads=windows_table.read_capacity(city).least,
        )
    else:
        yield from used
    # A later edition replaces the earlier one.
    kept = sent.windows / operation.editions_per_window * operation.windows_days / MONTH_DAYS
    yield from metering.stored_items("windows", kept, item_bytes, recoverable=PITR)
    item_bytes = sent.summary_bytes + ITEM_KEYS_BYTES
    intervals = city.gateways * MONTH_S / operation.sensor_summary_s
    yield from metering.writes("sensors", sent.summaries, item_bytes)
    if operation.gather_acks:
        named_s = _GATHERED_EVERY_S + _SWEEP_OVERLAP_S + operation.sensor_summary_s
        named_bytes = math.ceil(named_s / operation.sensor_summary_s) * sent.summaries / intervals * item_bytes
        yield from metering.reads("sensors", city.gateways * MONTH_S / _GATHERED_EVERY_S, named_bytes, "reads for acks")
    kept = sent.summaries * operation.retention_days / MONTH_DAYS
    yield from metering.stored_items("sensors", kept, item_bytes, recoverable=PITR)


def _windows_used(city: City, operation: Operation, sent: Traffic, item_bytes: float) -> Iterator[Use]:
    yield from metering.writes("windows", sent.windows, item_bytes)
    swept = (operation.sweep_s + _SWEEP_OVERLAP_S) / city.window_s * item_bytes
    passes = city.gateways * MONTH_S / operation.sweep_s
    named = (_GATHERED_EVERY_S + _SWEEP_OVERLAP_S) / city.window_s * item_bytes
    acking = city.gateways * MONTH_S / _GATHERED_EVERY_S * operation.gather_acks  # passes that read further back
    yield from metering.reads("windows", passes - acking, swept, "reads by the sweep")
    yield from metering.reads("windows", acking, named, "reads for acks")
    rolled = 3600 / city.window_s * _ROLLUP_HOURS_READ * item_bytes
    yield from metering.reads("windows", city.gateways * MONTH_S / operation.rollup_s, rolled, "reads by the rollup")
    yield from metering.reads("windows", operation.query_reads_per_s * MONTH_S, item_bytes, "reads by readers")


def _segments(city: City, operation: Operation) -> Iterator[Use]:
    refreshes = city.segments * MONTH_S / operation.segment_refresh_s
    changes = city.segments * operation.state_changes_per_segment_day * MONTH_DAYS
    # A jam that spreads is written in transactions, at twice the price.
    yield from metering.writes("segments", refreshes + 2 * changes, _SEGMENT_ITEM_BYTES)
    # The index by location has keys alone, which never change; that of the congested follows each write of such a one.
    indexed = (refreshes + changes) * operation.congested_share + changes
    yield from metering.writes("segments", indexed, _SEGMENT_ITEM_BYTES, "index by congestion")
    yield from metering.stored_items("segments", 2 * city.segments, _SEGMENT_ITEM_BYTES, recoverable=PITR)
    scans = MONTH_S / _STALE_SCAN_S
    yield from metering.reads("segments", scans, city.segments * _SEGMENT_ITEM_BYTES, "scans for what is stale")
    # A processor that is new reads a gateway's segments once.
    yield from metering.reads("segments", 24 * MONTH_DAYS * city.segments, _SEGMENT_ITEM_BYTES, consistent=True)


def _gateways_and_alerts(city: City, operation: Operation, sent: Traffic) -> Iterator[Use]:
    passes = MONTH_S / operation.sweep_s
    yield from metering.writes("gateways", sent.heartbeats, _GATEWAY_ITEM_BYTES, "heartbeats")
    changes = city.gateways * _GATEWAY_CHANGES_PER_DAY * MONTH_DAYS
    yield from metering.writes("gateways", changes, _GATEWAY_ITEM_BYTES, "changes")
    memory_bytes = _MEMORY_BYTES_PER_GATEWAY * city.gateways
    yield from metering.writes("gateways", passes, memory_bytes, "memory of the sweep")
    everything = city.gateways * _GATEWAY_ITEM_BYTES + memory_bytes
    yield from metering.reads("gateways", passes, everything, "scans", consistent=True)
    yield from metering.stored_items("gateways", city.gateways, _GATEWAY_ITEM_BYTES, recoverable=PITR)
    # The event, its place among the days, and what it begins or ends.
    yield from metering.writes("alerts", 3 * sent.events, _ALERT_ITEM_BYTES)
    yield from metering.reads("alerts", sent.events, _ALERT_ITEM_BYTES, consistent=True)
    kept = 2 * sent.events * operation.retention_days / MONTH_DAYS  # with the index by day
    yield from metering.stored_items("alerts", kept, _ALERT_ITEM_BYTES, recoverable=PITR)
    # Which hours have windows, told by every processor for itself, and once a minute.
    marks = (city.gateways * MONTH_S / 3600 + MONTH_S / 60) * size(city).parallelization
    yield from metering.writes("hours", marks, 100)


def _lake(city: City, operation: Operation, sent: Traffic) -> Iterator[Use]:
    segments_on_gateway = city.segments / city.gateways
    rows = sent.windows * segments_on_gateway
    batches = _invocations(city, operation, sent)["processor"]
    record_bytes = min(rows / batches * ROW_JSON_BYTES, _FIREHOSE_RECORD_BYTES)
    yield from metering.firehose("windows", rows * ROW_JSON_BYTES / record_bytes, record_bytes, converted=True)
    sensor_rows = city.sensors * MONTH_S / operation.sensor_summary_s
    sensors_bytes = min(sensor_rows / sent.summaries * _SENSOR_ROW_JSON_BYTES, _FIREHOSE_RECORD_BYTES)
    records = sensor_rows * _SENSOR_ROW_JSON_BYTES / sensors_bytes
    yield from metering.firehose("sensors", records, sensors_bytes, converted=True)
    yield from metering.firehose("events", sent.events, _EVENT_BYTES, converted=True)

    rows_gb = (rows * _ROW_PARQUET_BYTES + sensor_rows * _SENSOR_ROW_PARQUET_BYTES) / GB
    months = min(operation.running_months, _KEPT_MONTHS)
    at_hand = min(months, _ARCHIVED_AFTER_MONTHS)
    rolled = city.segments * (24 + 1) * MONTH_DAYS
    others_gb = (sent.events * _EVENT_PARQUET_BYTES + rolled * _ROLLUP_ROW_BYTES) / GB  # for ever, and at hand
    yield Use("S3", "lake, Standard", "s3_gb", rows_gb * at_hand + others_gb * operation.running_months)
    yield Use("S3", "lake, Glacier Instant Retrieval", "s3_instant_gb", rows_gb * (months - at_hand))
    moved = (2 * MONTH_S / _DELIVERY_S + rows_gb * GB / _DELIVERY_BYTES) * (months > at_hand)
    yield Use("S3", "objects moved to Glacier", "s3_instant_transitions", moved)
    retrieved_gb = operation.archived_gb_read_per_month * (months > at_hand)
    yield Use("S3", "retrieved from Glacier", "s3_instant_retrieved_gb", retrieved_gb)
    # Three streams' objects, and the rollup's for each hour.
    delivered = 3 * MONTH_S / _DELIVERY_S + rows_gb * GB / _DELIVERY_BYTES
    delivered += MONTH_S / operation.rollup_s * _ROLLUP_HOURS_READ
    yield Use("S3", "requests to write", "s3_puts", delivered)
    queries = 24 * MONTH_DAYS
    yield Use("S3", "requests to read", "s3_gets", 100 * queries)
    yield Use("Athena", "scanned", "athena_tb", operation.athena_gb_per_day * MONTH_DAYS / KB)
    yield Use("Glue", "catalogue", "glue_requests", 10 * queries + delivered)


def _watching(operation: Operation, invocations: dict[str, float], sent: Traffic) -> Iterator[Use]:
    count = sum(invocations.values())
    log_gb = (count * _LAMBDA_LOG_BYTES + (count - sent.heartbeats) * _METRICS_LOG_BYTES) / GB
    yield Use("CloudWatch", "logs", "cloudwatch_log_gb", log_gb)
    kept = log_gb * operation.log_retention_days / MONTH_DAYS
    yield Use("CloudWatch", "logs, storage", "cloudwatch_log_storage_gb", kept)
    yield Use("CloudWatch", "metrics", "cloudwatch_metrics", metrics.billed())
    yield Use("CloudWatch", "alarms", "cloudwatch_alarms", ALARMS)
    yield Use("CloudWatch", "composite alarms", "cloudwatch_composite_alarms", COMPOSITE_ALARMS)
    yield Use("CloudWatch", "dashboards", "cloudwatch_dashboards", DASHBOARDS)
    # Lambda records one request in each second and 5 % of the others; that cannot be changed.
    for name, count in invocations.items():
        if name in _BUSY and not operation.trace_busy_functions:
            continue
        yield Use("X-Ray", f"traces, {name}", "xray_traces", min(count, MONTH_S + 0.05 * max(0.0, count - MONTH_S)))


def _telling(city: City, operation: Operation, sent: Traffic) -> Iterator[Use]:
    told = sent.events * operation.notified_share
    yield Use("EventBridge", "bus", "eventbridge_events", sent.events)
    yield Use("EventBridge", "archive", "eventbridge_archive_gb", sent.events * _EVENT_BYTES / GB)
    archived = sent.events * _EVENT_BYTES / GB * operation.retention_days / MONTH_DAYS
    yield Use("EventBridge", "archive, storage", "eventbridge_archive_storage_gb", archived)
    scheduled = MONTH_S / operation.sweep_s + MONTH_S / operation.rollup_s
    yield Use("EventBridge", "schedules", "scheduler_invocations", scheduled)
    yield Use("SNS", "publishes", "sns_publishes", told)
    yield Use("SNS", "e-mails", "sns_emails", told * operation.people)
    # Events go through two queues, in, out and deleted; Lambda asks its own with five pollers every 20 s.
    yield Use("SQS", "requests", "sqs_requests", 6 * sent.events + 5 * MONTH_S / 20)
    yield Use("KMS", "keys", "kms_keys", KMS_KEYS)
    # Data keys are cached for five minutes: stream, tables, queues, topic, bucket; an object has one of its own.
    yield Use(
        "KMS", "requests", "kms_requests", 20 * MONTH_DAYS * DAY_S / 300 + size(city).shards * MONTH_S / 300 * HEADROOM
    )
    # Provisioning a gateway is some ten operations on the registry, once in a year.
    yield Use("IoT Core", "registry", "iot_registry_operations", 10 * city.gateways / 12)
