"""Composition root of the alerts function: builds it once per process, from the environment."""

import functools
import os
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics

from cloud.functions.alerts.delivery import Delivery, Outcome
from cloud.functions.alerts.settings import Settings
from cloud.functions.shared.acks import AckPublisher
from cloud.functions.shared.alerts_table import AlertsTable
from cloud.functions.shared.announcer import Announcer
from cloud.functions.shared.aws import CLIENT_CONFIG
from cloud.functions.shared.counts import emit
from cloud.functions.shared.parking import Parking

logger = Logger(service="alerts")
metrics = Metrics(namespace="Roadside", service="alerts")


@functools.cache
def delivery() -> Delivery:
    """The process's one delivery. Raises SettingsError."""
    settings = Settings.from_environment(os.environ)
    table = AlertsTable(boto3.client("dynamodb", config=CLIENT_CONFIG), settings.alerts_table, settings.retention_days)
    return Delivery(
        announcer=Announcer(table, boto3.client("events", config=CLIENT_CONFIG), settings.event_bus),
        parking=Parking(boto3.client("sqs", config=CLIENT_CONFIG), settings.parked_queue_url, "alerts"),
        acks=AckPublisher(boto3.client("iot-data", config=CLIENT_CONFIG), logger),
        logger=logger,
    )


def handle(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001 - Lambda's
    """Lambda's entry: a batch of the queue of events in, the ids of the messages to deliver again out."""
    messages = {record["messageId"]: record["body"] for record in event["Records"]}
    outcome = delivery().deliver(messages, time.time_ns() // 1_000_000)
    _count(outcome)
    return {"batchItemFailures": [{"itemIdentifier": name} for name in outcome.failed]}


def _count(outcome: Outcome) -> None:
    counts = {
        "EventsPublished": outcome.published,
        "EventsUnnotified": outcome.unnotified,
        "EventsReplayed": outcome.replayed,
        "EventsParked": outcome.parked,
        "EventsFailed": len(outcome.failed),
        "AcksFailed": outcome.acks_failed,
    }
    emit(metrics, counts)
