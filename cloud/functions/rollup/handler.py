"""Composition root of the rollup: builds it once per process, from the environment."""

import functools
import os
import time
from typing import Any, Protocol

import boto3
from aws_lambda_powertools import Logger, Metrics

from cloud.functions.rollup.logic import requested_hours
from cloud.functions.rollup.rollup import Rollup
from cloud.functions.rollup.settings import Settings
from cloud.functions.rollup.store import Store
from cloud.functions.shared.aws import CLIENT_CONFIG
from cloud.functions.shared.counts import emit

logger = Logger(service="rollup")
metrics = Metrics(namespace="Roadside", service="rollup")


class Context(Protocol):
    """What Lambda tells of an invocation."""

    def get_remaining_time_in_millis(self) -> int: ...


@functools.cache
def rollup() -> Rollup:
    """The process's one rollup. Raises SettingsError."""
    settings = Settings.from_environment(os.environ)
    store = Store(
        boto3.client("dynamodb", config=CLIENT_CONFIG),
        boto3.client("s3", config=CLIENT_CONFIG),
        windows_table=settings.windows_table,
        hours_table=settings.hours_table,
        bucket=settings.lake_bucket,
    )
    return Rollup(store, settings.windows_days, logger, lambda: time.time_ns() // 1_000_000)


def handle(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Lambda's entry: from the schedule with nothing in the event, or by hand with a day or an hour.

    The answer tells what was done, and in `left` how many hours wait for another invocation.
    """
    outcome = rollup().run(requested_hours(event), context.get_remaining_time_in_millis)
    counts = {
        "HoursRolledUp": outcome.hours,
        "WindowsRolledUp": outcome.windows,
        "HoursLeft": len(outcome.left),
        "HoursExpired": len(outcome.expired),
    }
    emit(metrics, counts)
    done = {"hours": outcome.hours, "days": outcome.days, "windows": outcome.windows, "rows": outcome.rows}
    logger.info("rolled up", extra={**done, "left": outcome.left})
    return {**done, "left": len(outcome.left), "expired": len(outcome.expired)}
