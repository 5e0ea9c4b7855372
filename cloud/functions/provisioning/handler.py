"""Composition root of the pre-provisioning hook: IoT Core asks it before a device gets a certificate of its own."""

import functools
import os
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cloud.functions.provisioning.logic import Verdict, answer, gateway_name, judge
from cloud.functions.provisioning.settings import Settings
from cloud.functions.provisioning.store import GatewayStore
from cloud.functions.shared.aws import CLIENT_CONFIG

logger = Logger(service="provisioning")
metrics = Metrics(namespace="Roadside", service="provisioning")


@functools.cache
def parts() -> tuple[Settings, GatewayStore]:
    """The process's settings and store. Raises SettingsError."""
    settings = Settings.from_environment(os.environ)
    return settings, GatewayStore(boto3.client("dynamodb", config=CLIENT_CONFIG), settings.gateways_table)


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    """IoT Core's question, answered within five seconds. An exception is a no, and the device asks again."""
    gateway = gateway_name(event)
    verdict = _decide(gateway)
    told = {"gateway": gateway, "claim": event.get("claimCertificateId"), "certificate": event.get("certificateId")}
    if verdict.reason is None:
        logger.info("gateway let in", extra={**told, "group": verdict.group})
    else:
        logger.warning("gateway refused", extra={**told, "reason": verdict.reason})
    metrics.add_metric(name="LetIn" if verdict.reason is None else "Refused", unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()
    return answer(verdict)


def _decide(gateway: str | None) -> Verdict:
    if gateway is None:
        return Verdict("it gives no ThingName")
    settings, store = parts()
    registration = store.read(gateway)
    verdict = judge(registration, settings)
    if verdict.reason is not None or registration is None:
        return verdict
    if not store.count(gateway, registration.provisioned, int(time.time() * 1000)):
        return Verdict("somebody else asks under its name at the same moment")
    return verdict
