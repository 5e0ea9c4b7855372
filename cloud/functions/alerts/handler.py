"""Composition root of the alerts function: builds it once per process, from the environment."""

import functools
import os
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics

from cloud.functions.alerts.delivery import Delivery, Outcome
from cloud.functions.alerts.gateways import GatewaysTable
from cloud.functions.alerts.settings import Settings
from cloud.functions.alerts.signs import HeartbeatSign, read_sign
from cloud.functions.shared.acks import AckPublisher
from cloud.functions.shared.alerts_table import AlertsTable
from cloud.functions.shared.announcer import Announcer
from cloud.functions.shared.aws import CLIENT_CONFIG
from cloud.functions.shared.counts import emit
from cloud.functions.shared.envelope import PoisonError
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


@functools.cache
def gateways() -> GatewaysTable:
    """The process's one table of gateways. Raises SettingsError."""
    settings = Settings.from_environment(os.environ)
    return GatewaysTable(boto3.client("dynamodb", config=CLIENT_CONFIG), settings.gateways_table)


def handle(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]] | None:  # noqa: ARG001 - Lambda's
    """Lambda's entry: a batch of the queue of events, or one sign of life as its rule wraps it.

    Returns
    -------
    dict or None
        Of a batch, the ids of the messages to deliver again.
    """
    if "Records" not in event:
        _take_sign(event)
        return None
    messages = {record["messageId"]: record["body"] for record in event["Records"]}
    outcome = delivery().deliver(messages, time.time_ns() // 1_000_000)
    _count(outcome)
    return {"batchItemFailures": [{"itemIdentifier": name} for name in outcome.failed]}


def _take_sign(document: dict[str, Any]) -> None:
    """Write a sign of life down. Poison is logged and counted, not parked: another one follows."""
    try:
        sign = read_sign(document)
    except PoisonError as poison:
        logger.warning("sign of life refused", extra={"reason": poison.reason})
        emit(metrics, {"SignsRefused": 1})
        return
    if sign is None:
        return
    if isinstance(sign, HeartbeatSign) and sign.fault:
        logger.warning("heartbeat not understood", extra={"gateway": sign.gateway, "reason": sign.fault})
        emit(metrics, {"HeartbeatsNotUnderstood": 1})
    if not gateways().put(sign):
        emit(metrics, {"SignsOutdated": 1})


def _count(outcome: Outcome) -> None:
    counts = {
        "EventsPublished": outcome.published,
        "EventsReplayed": outcome.replayed,
        "EventsParked": outcome.parked,
        "EventsFailed": len(outcome.failed),
        "AcksFailed": outcome.acks_failed,
    }
    emit(metrics, counts)
