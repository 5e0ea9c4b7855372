"""Composition root of the alerts function: builds it once per process, from the environment."""

import functools
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cloud.functions.alerts.delivery import Delivery
from cloud.functions.alerts.settings import Settings
from cloud.functions.alerts.store import AlertStore, EventPublisher
from cloud.functions.shared.acks import AckPublisher
from cloud.functions.shared.aws import CLIENT_CONFIG
from cloud.functions.shared.parking import Parking

logger = Logger(service="alerts")
metrics = Metrics(namespace="Roadside", service="alerts")


@functools.cache
def delivery() -> Delivery:
    """The process's one delivery. Raises SettingsError."""
    settings = Settings.from_environment(os.environ)
    return Delivery(
        alerts=AlertStore(boto3.client("dynamodb", config=CLIENT_CONFIG), settings),
        publisher=EventPublisher(boto3.client("events", config=CLIENT_CONFIG), settings),
        parking=Parking(boto3.client("sqs", config=CLIENT_CONFIG), settings.parked_queue_url, "alerts"),
        acks=AckPublisher(boto3.client("iot-data", config=CLIENT_CONFIG), logger),
        logger=logger,
    )


def handle(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 - Lambda passes it
    """Lambda's entry: what the rule wraps around one event. An exception makes Lambda invoke again."""
    result, acks_failed = delivery().deliver(event)
    metrics.add_metric(name=result, unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="AcksFailed", unit=MetricUnit.Count, value=acks_failed)
    metrics.flush_metrics()
