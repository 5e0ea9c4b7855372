"""Composition root of the readings function: stores every reading by itself, for comparison with what gateways save.

Part of a deployment only with the context's `ingest=raw`.
"""

import functools
import os
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cloud.functions.readings.logic import Reading, read_reading
from cloud.functions.readings.settings import Settings
from cloud.functions.readings.store import ReadingStore
from cloud.functions.shared.aws import CLIENT_CONFIG
from cloud.functions.shared.envelope import PoisonError
from cloud.functions.shared.parking import Parking

logger = Logger(service="readings")
metrics = Metrics(namespace="Roadside", service="readings")


@functools.cache
def store() -> ReadingStore:
    """The process's one store. Raises SettingsError."""
    return ReadingStore(boto3.client("dynamodb", config=CLIENT_CONFIG), Settings.from_environment(os.environ))


@functools.cache
def parking() -> Parking:
    """The queue of what is no reading. Raises SettingsError."""
    settings = Settings.from_environment(os.environ)
    return Parking(boto3.client("sqs", config=CLIENT_CONFIG), settings.parked_queue_url, "readings")


def handle(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001 - Lambda's
    """Lambda's entry: a batch of Kinesis records in, the sequence numbers of those to deliver again out.

    An exception has the whole batch delivered again; what was stored of it is written over by itself.
    """
    readings: list[tuple[str, Reading]] = []
    for record in event["Records"]:
        try:
            readings.append((record["kinesis"]["sequenceNumber"], read_reading(b64decode(record["kinesis"]["data"]))))
        except PoisonError as poison:
            _park(record, poison)
    left = store().put([reading for _, reading in readings])
    failed = [number for number, reading in readings if (reading.sensor_id, reading.timestamp_ms) in left]
    metrics.add_metric(name="ReadingsStored", unit=MetricUnit.Count, value=len(readings) - len(failed))
    metrics.add_metric(name="RecordsParked", unit=MetricUnit.Count, value=len(event["Records"]) - len(readings))
    metrics.flush_metrics()
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _park(record: Mapping[str, Any], poison: PoisonError) -> None:
    coordinates = {"stream": record.get("eventSourceARN"), "sequence_number": record["kinesis"]["sequenceNumber"]}
    parking().park(poison, record["kinesis"]["data"], coordinates)
    logger.error("record parked", extra={"reason": poison.reason, **coordinates})
