"""One batch of records, from the stream to the acks. Knows the order of things and nothing of how they are done."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aws_lambda_powertools import Logger

from cloud.functions.processor.current import CurrentStates
from cloud.functions.processor.logic import SensorsRecord, WindowRecord, read_record
from cloud.functions.shared.acks import AckLedger, AckPublisher
from cloud.functions.shared.aws import AwsError
from cloud.functions.shared.envelope import PoisonError
from cloud.functions.shared.parking import Parking

_GATEWAYS_AT_ONCE: Final = 8  # each waits for the network most of its time


_Message = WindowRecord | SensorsRecord


class MessageTables(Protocol):
    """What a batch needs of the tables of windows and of sensors."""

    def put_window(self, record: WindowRecord) -> bool:
        """Store the window unless it or a higher revision is stored; whether it was news."""

    def put_sensors(self, record: SensorsRecord) -> bool:
        """Store the summary of sensors unless it is stored; whether it was news."""


class Lake(Protocol):
    """What a batch needs of the data lake."""

    def take(self, messages: Sequence[tuple[str, WindowRecord | SensorsRecord]]) -> list[str]:
        """Send the rows of the messages; the sequence numbers of those that must be delivered again."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch."""

    stored: int = 0
    sensors_stored: int = 0
    replayed: int = 0
    parked: int = 0
    from_future: int = 0
    states_written: int = 0
    acks_failed: int = 0
    rows_failed: int = 0
    failed: list[str] = field(default_factory=list)  # sequence numbers that the stream shall deliver again
    messages: list[tuple[str, _Message]] = field(default_factory=list)  # stored, with their sequence numbers

    def add(self, other: "Outcome") -> None:
        """Count another part of the batch in."""
        for name in ("stored", "sensors_stored", "replayed", "parked", "from_future", "states_written", "acks_failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failed += other.failed
        self.messages += other.messages

    def response(self) -> dict[str, list[dict[str, str]]]:
        """The answer Lambda's event source mapping understands."""
        return {"batchItemFailures": [{"itemIdentifier": number} for number in self.failed]}


class Processor:
    """Stores windows and summaries of sensors, keeps segment states current, feeds the lake, parks, acknowledges.

    Parameters
    ----------
    gathers_acks : the sweep acknowledges live windows; what it might not see is still acknowledged here
    """

    def __init__(
        self,
        *,
        tables: MessageTables,
        current: CurrentStates,
        lake: Lake,
        parking: Parking,
        acks: AckPublisher,
        logger: Logger,
        gathers_acks: bool,
    ) -> None:
        self._gathers_acks = gathers_acks
        self._tables = tables
        self._current = current
        self._lake = lake
        self._parking = parking
        self._acks = acks
        self._logger = logger

    def process(self, records: list[Mapping[str, Any]]) -> Outcome:
        """Handle each record by itself: one that fails is delivered again and harms no other.

        Windows come first, for a window delayed is a window that readers miss; a gateway is told as soon as its own are
        stored. Segment states and the lake come last: they are derived from windows, and a record whose part of them
        fails is delivered again by the stream, acknowledged or not.
        """
        by_gateway: dict[str, list[Mapping[str, Any]]] = {}
        for record in records:
            by_gateway.setdefault(record["kinesis"]["partitionKey"], []).append(record)
        with ThreadPoolExecutor(_GATEWAYS_AT_ONCE) as pool:
            outcomes = list(pool.map(self._store_and_tell, by_gateway.values()))
        total = Outcome()
        for outcome in outcomes:
            total.add(outcome)
        windows = [(number, message) for number, message in total.messages if isinstance(message, WindowRecord)]
        self._current.begin_batch(len(windows))
        for number, window in windows:
            try:
                total.states_written += self._current.update(window)
            except AwsError as error:
                self._fail(number, error, total)
        self._tell_lake([record["kinesis"]["sequenceNumber"] for record in records], total)
        return total

    def _tell_lake(self, numbers: Sequence[str], total: Outcome) -> None:
        """Send rows of what precedes the first failure; the stream delivers the rest again, and with it their rows."""
        failed = set(total.failed)
        place = {number: index for index, number in enumerate(numbers)}
        end = min((place[number] for number in failed), default=len(numbers))
        again = self._lake.take([m for m in total.messages if place[m[0]] < end])
        total.rows_failed = len(again)
        total.failed += again

    def _store_and_tell(self, records: list[Mapping[str, Any]]) -> Outcome:
        """Store one gateway's messages in their order, then acknowledge them. Runs beside other gateways'."""
        outcome = Outcome()
        ledger = AckLedger()
        for record in records:
            number = record["kinesis"]["sequenceNumber"]
            try:
                message = read_record(b64decode(record["kinesis"]["data"]))
                if isinstance(message, SensorsRecord):
                    was_news = self._tables.put_sensors(message)
                else:
                    was_news = self._tables.put_window(message)
            except PoisonError as poison:
                self._park(record, poison, ledger, outcome)
            except AwsError as error:
                self._fail(number, error, outcome)
            else:
                outcome.replayed += not was_news
                outcome.messages.append((number, message))
                if not (self._gathers_acks and was_news and message.may_wait_for_its_ack):
                    ledger.stored(message.message_id)
                if isinstance(message, SensorsRecord):
                    outcome.sensors_stored += was_news
                else:
                    outcome.stored += was_news
                    outcome.from_future += message.from_future
        outcome.acks_failed = self._acks.publish(ledger)
        return outcome

    def _park(self, record: Mapping[str, Any], poison: PoisonError, ledger: AckLedger, outcome: Outcome) -> None:
        kinesis = record["kinesis"]
        coordinates = {
            "event_id": record.get("eventID"),
            "stream": record.get("eventSourceARN"),
            "partition_key": kinesis.get("partitionKey"),
            "sequence_number": kinesis["sequenceNumber"],
            "arrived_s": kinesis.get("approximateArrivalTimestamp"),
        }
        try:
            self._parking.park(poison, kinesis["data"], coordinates)
        except AwsError as error:
            self._fail(kinesis["sequenceNumber"], error, outcome)
            return
        self._logger.error("record parked", extra={"reason": poison.reason, **coordinates})
        outcome.parked += 1
        if poison.message_id is not None:
            ledger.refused(poison.message_id, poison.reason)

    def _fail(self, number: str, error: Exception, outcome: Outcome) -> None:
        self._logger.warning(
            "record failed, to be delivered again", extra={"sequence_number": number, "error": str(error)}
        )
        outcome.failed.append(number)
