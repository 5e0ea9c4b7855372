"""What an operator asks of the lake: `python -m cloud.lake --help`."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from cloud.deployment import CloudError, Deployment, find, in_words
from cloud.functions.processor.lake import RowStreams
from cloud.functions.processor.logic import SensorsRecord, WindowRecord
from cloud.functions.rollup.logic import RequestError, requested_hours
from cloud.functions.rollup.store import Store
from cloud.functions.shared.envelope import Envelope
from cloud.functions.shared.hours import HOUR_MS, hours_key
from roadside.contract.sensors import decode_sensors
from roadside.contract.summary import WindowSummary

_MESSAGES_AT_ONCE: Final = 200
_FORGET_S: Final = 90 * 86_400  # after which a mark goes that no processor has made

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Roll hours and days up again, and send rows to the lake again. docs/operations/cloud.md tells when.",
)
console = Console(highlight=False)
Stage = Annotated[str, typer.Option(help="Which deployment, as in the CDK context.")]
Day = Annotated[str | None, typer.Option(help="A UTC day, such as 2026-11-25.")]
Hour = Annotated[str | None, typer.Option(help="A UTC hour, such as 2026-11-25T21.")]


@app.command()
def rollup(day: Day = None, hour: Hour = None, stage: Stage = "dev") -> None:
    """Have a day or an hour rolled up again, or without either whatever is due, beginning now.

    May be repeated: what is rolled up again replaces what was. Hours whose windows have expired stay as they are.
    """
    try:
        hours = _hours(day, hour, needed=False)
        deployment = find(stage)
        with in_words():
            _mark(deployment, hours)
            # Not waited for: a day of a city takes half an hour, and what one run does not finish the next one does.
            deployment.client("lambda").invoke(
                FunctionName=deployment.output("RollupFunction"), InvocationType="Event", Payload=b"{}"
            )
    except (CloudError, RequestError) as error:
        raise _fail(error) from error
    console.print(
        f"asked for {len(hours) or 'all due'} hours; the rollup's log and its metric HoursLeft tell how far it is"
    )


@app.command()
def resend(day: Day = None, hour: Hour = None, stage: Stage = "dev") -> None:
    """Send the windows and sensors' summaries of a day or an hour from the tables to the lake again.

    For rows that were lost between table and lake, as when Firehose refused them for hours. Rollups need no such
    repair, for they read the table. Rows that are there already come twice: queries over latest editions see one.
    """
    try:
        hours = _hours(day, hour, needed=True)
        deployment = find(stage)
        with in_words():
            sent, failed = _resend(deployment, hours)
    except (CloudError, RequestError) as error:
        raise _fail(error) from error
    console.print(f"{sent} rows sent")
    if failed:
        raise _fail(CloudError(f"{failed} messages were not taken by Firehose: call this again in a few minutes"))


def _mark(deployment: Deployment, hours: Sequence[int]) -> None:
    """Mark hours as the processor does when windows of them come."""
    now_ms = time.time_ns() // 1_000_000
    for hour_ms in hours:
        deployment.client("dynamodb").update_item(
            TableName=deployment.output("HoursTable"),
            Key=hours_key(hour_ms),
            UpdateExpression="SET marked_ms = :now, t = if_not_exists(t, :t)",
            ExpressionAttributeValues={":now": {"N": str(now_ms)}, ":t": {"N": str(now_ms // 1000 + _FORGET_S)}},
        )


def _hours(day: str | None, hour: str | None, *, needed: bool) -> Sequence[int]:
    if day is not None and hour is not None:
        raise RequestError("give --day or --hour, not both")
    hours = requested_hours({"day": day} if day is not None else {"hour": hour} if hour is not None else {})
    if hours is None and needed:
        raise RequestError("give --day or --hour")
    return hours or ()


def _resend(deployment: Deployment, hours: Sequence[int]) -> tuple[int, int]:
    """Rows sent, and messages of which a row was not."""
    streams = RowStreams(
        deployment.client("firehose"), deployment.output("WindowRowsStream"), deployment.output("SensorRowsStream")
    )
    store = Store(
        deployment.client("dynamodb"),
        deployment.client("s3"),
        windows_table=deployment.output("WindowsTable"),
        hours_table=deployment.output("HoursTable"),
        bucket=deployment.output("LakeBucket"),
    )
    sent = failed = 0
    for hour_ms in hours:
        sensors = _sensors(deployment, store.gateways(hour_ms), hour_ms)
        found: list[WindowRecord | SensorsRecord] = [*map(_window_record, store.windows(hour_ms)), *sensors]
        messages = [(str(number), message) for number, message in enumerate(found)]
        for start in range(0, len(messages), _MESSAGES_AT_ONCE):
            taken, refused = streams.put(messages[start : start + _MESSAGES_AT_ONCE])
            sent, failed = sent + taken, failed + len(refused)
    return sent, failed


def _window_record(window: WindowSummary) -> WindowRecord:
    return WindowRecord(_envelope(window.gateway), window, ())


def _sensors(deployment: Deployment, gateways: Sequence[str], hour_ms: int) -> Iterator[SensorsRecord]:
    """Summaries of the gateways' sensors whose intervals begin in the hour."""
    pages: Any = deployment.client("dynamodb").get_paginator("query")
    for gateway in gateways:
        for page in pages.paginate(
            TableName=deployment.output("SensorsTable"),
            KeyConditionExpression="g = :g AND s BETWEEN :from AND :until",
            ExpressionAttributeValues={
                ":g": {"S": gateway},
                ":from": {"S": f"{hour_ms}#"},
                ":until": {"S": f"{hour_ms + HOUR_MS}#"},
            },
        ):
            for item in page["Items"]:
                yield SensorsRecord(_envelope(gateway), decode_sensors(bytes(item["b"]["B"])))


def _envelope(gateway: str) -> Envelope:
    """The wrapper of a message that has arrived now."""
    return Envelope(gateway, time.time_ns() // 1_000_000, b"", "windows")


def _fail(error: Exception) -> typer.Exit:
    Console(stderr=True, highlight=False).print(f"[red]{error}[/red]", soft_wrap=True)
    return typer.Exit(2)


if __name__ == "__main__":
    sys.exit(app())
