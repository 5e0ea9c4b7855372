"""Composition root of the sweep: builds it once per process, from the environment."""

import functools
import os
import time
from typing import Any, Final

import boto3
from aws_lambda_powertools import Logger, Metrics

from cloud.functions.shared.acks import AckPublisher
from cloud.functions.shared.alerts_table import AlertsTable
from cloud.functions.shared.announcer import Announcer
from cloud.functions.shared.aws import CLIENT_CONFIG
from cloud.functions.shared.counts import emit
from cloud.functions.sweep.liveness import Patience
from cloud.functions.sweep.neighbours import Neighbours
from cloud.functions.sweep.settings import Settings
from cloud.functions.sweep.store import Store
from cloud.functions.sweep.sweep import Outcome, Sweep
from roadside.contract import topics
from roadside.contract.commands import ResendCommand, encode_command

MAX_WAIT_S: Final = 20.0

logger = Logger(service="sweep")
metrics = Metrics(namespace="Roadside", service="sweep")


@functools.cache
def sweep() -> Sweep:
    """The process's one sweep. Raises SettingsError."""
    settings = Settings.from_environment(os.environ)
    dynamodb = boto3.client("dynamodb", config=CLIENT_CONFIG)
    iot = boto3.client("iot-data", config=CLIENT_CONFIG)
    tables = Store(dynamodb, settings)
    alerts = AlertsTable(dynamodb, settings.alerts_table, settings.retention_days)

    def send(gateway: str, command: ResendCommand) -> None:
        iot.publish(topic=topics.commands(gateway), qos=1, payload=encode_command(command))

    return Sweep(
        tables=tables,
        announcer=Announcer(alerts, boto3.client("events", config=CLIENT_CONFIG), settings.event_bus),
        send=send,
        logger=logger,
        patience=Patience.for_windows(settings.window_s),
        segment_refresh_s=settings.segment_refresh_s,
        judges=[Neighbours(tables, alerts)],
        acks=AckPublisher(iot, logger) if settings.gathers_acks else None,
    )


def handle(event: dict[str, Any], context: object) -> dict[str, int]:  # noqa: ARG001 - Lambda passes it
    """Lambda's entry, once a minute.

    Parameters
    ----------
    event : `now_ms` is the instant of the pass; without it that is now, and gateways in doubt are looked at again.
        With `gateways` only these are looked at, and only whether they live and what is missing of them
    """
    told_ms = event.get("now_ms")
    if "gateways" in event:
        some = sweep().look_again(event["gateways"], _now_ms() if told_ms is None else told_ms)
        return _levels(some) | _counts(some)  # not for CloudWatch, which wants to know of all
    outcome = sweep().run(_now_ms() if told_ms is None else told_ms)
    if outcome.look_again and told_ms is None:
        wait_s = min(max(outcome.look_again.values()) / 1000 - time.time(), MAX_WAIT_S)
        time.sleep(max(0.0, wait_s))
        again = sweep().look_again(outcome.look_again, _now_ms())
        outcome.offline += again.offline
        outcome.announced += again.announced
        outcome.segments_cleared += again.segments_cleared
    levels = {**_levels(outcome), "SegmentsCongested": sweep().segments_congested()}
    emit(metrics, _counts(outcome), levels)
    return levels | _counts(outcome)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _levels(outcome: Outcome) -> dict[str, int]:
    return {"Gateways": outcome.gateways, "GatewaysOffline": outcome.offline, "DataGaps": outcome.gaps}


def _counts(outcome: Outcome) -> dict[str, int]:
    return {
        "GatewaysUnread": outcome.unread,
        "GatewaysFailed": outcome.failed,
        "EventsAnnounced": outcome.announced,
        "ResendsAsked": outcome.commands,
        "CommandsFailed": outcome.commands_failed,
        "AcksFailed": outcome.acks_failed,
        "JudgesFailed": outcome.judges_failed,
        "SegmentsCleared": outcome.segments_cleared,
        "WindowsStalled": int(outcome.stalled),
    }
