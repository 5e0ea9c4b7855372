"""Hands what was stored on to the lake: rows to Firehose, and which hours the rollup has to look at again.

At least once: what fails is told by its sequence number in the stream, which delivers it again. A row that comes twice
is equal in all but the time of its arrival, and who reads `segment_windows` takes each window once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger

from cloud.functions.processor.lake_rows import Packed, pack, sensor_rows, window_rows
from cloud.functions.processor.logic import SensorsRecord, WindowRecord
from cloud.functions.shared.aws import AwsError
from cloud.functions.shared.hours import MARK_AGAIN_MS, hour_of, hours_key, member_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MAX_REMEMBERED: Final = 100_000  # hours of gateways; about 20 MB
_RECORDS_AT_ONCE: Final = 7  # of 500 KB in a PutRecordBatch, which takes 4 MiB
_DAY_S: Final = 86_400

Stored = tuple[str, WindowRecord | SensorsRecord]  # with its sequence number in the stream


class RowStreams:
    """The delivery streams of windows and sensors. `client` is Firehose's."""

    def __init__(self, client: Any, windows_stream: str, sensors_stream: str) -> None:
        self._client = client
        self._windows_stream = windows_stream
        self._sensors_stream = sensors_stream

    def put(self, messages: Sequence[Stored]) -> tuple[int, dict[str, str]]:
        """Put the rows of the messages.

        Returns
        -------
        tuple of int and dict
            Rows that were taken, and why not for each message of which a row was not.
        """
        windows = (
            (n, row) for n, message in messages if isinstance(message, WindowRecord) for row in window_rows(message)
        )
        sensors = (
            (n, row) for n, message in messages if isinstance(message, SensorsRecord) for row in sensor_rows(message)
        )
        taken = 0
        failed: dict[str, str] = {}
        for stream, rows in ((self._windows_stream, windows), (self._sensors_stream, sensors)):
            for records in _batches(pack(rows)):
                reasons = self._put(stream, records)
                for record, reason in zip(records, reasons, strict=True):
                    if reason:
                        failed.update(dict.fromkeys(record.numbers, reason))
                    else:
                        taken += len(record.rows)
        return taken, failed

    def _put(self, stream: str, records: Sequence[Packed]) -> list[str]:
        """For each record why it was not taken; "" where it was."""
        try:
            answer = self._client.put_record_batch(
                DeliveryStreamName=stream, Records=[{"Data": record.data} for record in records]
            )
        except AwsError as error:
            return [str(error)] * len(records)
        return [
            f"{response['ErrorCode']}: {response.get('ErrorMessage', '')}" if response.get("ErrorCode") else ""
            for response in answer["RequestResponses"]
        ]


class HourMarks:
    """Notes which hours of which gateways got windows, so that the rollup finds them without reading every window.

    A mark is written again only when it is older than MARK_AGAIN_MS; the rollup allows for that.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        retention_days: int,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._client = client
        self._table = table
        self._retention_s = retention_days * _DAY_S
        self._now_ms = now_ms
        self._members: set[tuple[int, str]] = set()
        self._marked_ms: dict[int, int] = {}

    def mark(self, record: WindowRecord) -> None:
        """Mark the hour of a stored window. Raises AwsError; then it is not marked and must be tried again."""
        hour_ms, gateway = hour_of(record.window.window_start_ms), record.window.gateway
        now_ms = self._now_ms()
        expires = {"N": str(now_ms // 1000 + self._retention_s)}
        if (hour_ms, gateway) not in self._members:
            self._client.put_item(TableName=self._table, Item={**member_key(hour_ms, gateway), "t": expires})
            if len(self._members) >= _MAX_REMEMBERED:
                self._members.clear()
            self._members.add((hour_ms, gateway))
        if self._marked_ms.get(hour_ms, 0) + MARK_AGAIN_MS <= now_ms:
            self._client.update_item(
                TableName=self._table,
                Key=hours_key(hour_ms),
                UpdateExpression="SET marked_ms = :now, t = :t",
                ExpressionAttributeValues={":now": {"N": str(now_ms)}, ":t": expires},
            )
            self._marked_ms = {h: at for h, at in self._marked_ms.items() if at + MARK_AGAIN_MS > now_ms}
            self._marked_ms[hour_ms] = now_ms


class Lake:
    """All that the lake needs to know of a batch."""

    def __init__(self, streams: RowStreams, marks: HourMarks, logger: Logger) -> None:
        self._streams = streams
        self._marks = marks
        self._logger = logger

    def take(self, messages: Sequence[Stored]) -> list[str]:
        """Send their rows; the sequence numbers of those that must be delivered again. Raises nothing of AWS."""
        failed: dict[str, str] = {}
        for number, message in messages:
            if isinstance(message, WindowRecord):
                try:
                    self._marks.mark(message)
                except AwsError as error:
                    failed[number] = str(error)
        _, refused = self._streams.put(messages)
        failed |= refused
        for number, reason in failed.items():
            self._logger.warning(
                "record not in the lake, to be delivered again", extra={"sequence_number": number, "error": reason}
            )
        return list(failed)


def _batches(records: Sequence[Packed]) -> Iterator[Sequence[Packed]]:
    for start in range(0, len(records), _RECORDS_AT_ONCE):
        yield records[start : start + _RECORDS_AT_ONCE]
