"""Composition root of the processor: builds it once per process, from the environment."""

import functools
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics

from cloud.functions.processor.batch import Outcome, Processor
from cloud.functions.processor.current import CurrentStates
from cloud.functions.processor.lake import HourMarks, Lake, RowStreams
from cloud.functions.processor.settings import Settings
from cloud.functions.processor.store import Store
from cloud.functions.shared.acks import AckPublisher
from cloud.functions.shared.aws import CLIENT_CONFIG
from cloud.functions.shared.counts import emit
from cloud.functions.shared.parking import Parking

READS_PER_BATCH = 5  # a tenth of a second

logger = Logger(service="processor")
metrics = Metrics(namespace="Roadside", service="processor")


@functools.cache
def processor() -> Processor:
    """The process's one processor. Raises SettingsError."""
    settings = Settings.from_environment(os.environ)
    dynamodb = boto3.client("dynamodb", config=CLIENT_CONFIG)
    store = Store(dynamodb, settings)
    streams = RowStreams(
        boto3.client("firehose", config=CLIENT_CONFIG), settings.window_rows_stream, settings.sensor_rows_stream
    )
    return Processor(
        tables=store,
        current=CurrentStates(store, settings.segment_refresh_s * 1000, READS_PER_BATCH),
        lake=Lake(streams, HourMarks(dynamodb, settings.hours_table, settings.retention_days), logger),
        parking=Parking(boto3.client("sqs", config=CLIENT_CONFIG), settings.parked_queue_url, "processor"),
        acks=AckPublisher(boto3.client("iot-data", config=CLIENT_CONFIG), logger),
        logger=logger,
        gathers_acks=settings.gathers_acks,
    )


def handle(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001 - Lambda's
    """Lambda's entry: a batch of Kinesis records in, the sequence numbers of those to deliver again out."""
    outcome = processor().process(event["Records"])
    _count(outcome)
    return outcome.response()


def _count(outcome: Outcome) -> None:
    counts = {
        "WindowsStored": outcome.stored,
        "SensorSummariesStored": outcome.sensors_stored,
        "MessagesReplayed": outcome.replayed,
        "WindowsFromFuture": outcome.from_future,
        "SegmentStatesWritten": outcome.states_written,
        "LakeRecordsFailed": outcome.rows_failed,
        "RecordsParked": outcome.parked,
        "RecordsFailed": len(outcome.failed),
        "AcksFailed": outcome.acks_failed,
    }
    emit(metrics, counts)
