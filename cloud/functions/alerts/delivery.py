"""Gateways' events, from the rule to the bus and the acks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_lambda_powertools import Logger

from cloud.functions.alerts.logic import EventRecord, read_event
from cloud.functions.shared.acks import AckLedger, AckPublisher
from cloud.functions.shared.announcer import Announcer
from cloud.functions.shared.aws import AwsError
from cloud.functions.shared.envelope import PoisonError
from cloud.functions.shared.parking import Parking
from roadside.contract.bus import from_gateway


@dataclass(slots=True)
class Outcome:
    """What became of some events; `failed` holds the names of the messages that shall be delivered again."""

    published: int = 0
    replayed: int = 0
    parked: int = 0
    acks_failed: int = 0
    failed: list[str] = field(default_factory=list)


class Delivery:
    """Announces events, and tells a gateway that an event is safe when it is on the bus and in the table."""

    def __init__(self, *, announcer: Announcer, parking: Parking, acks: AckPublisher, logger: Logger) -> None:
        self._announcer = announcer
        self._parking = parking
        self._acks = acks
        self._logger = logger

    def deliver(self, messages: Mapping[str, str], now_ms: int) -> Outcome:
        """Announce, then acknowledge. A message that fails harms no other and is not acknowledged.

        Parameters
        ----------
        messages : what the rule wraps around an event, by a name that the caller gives it
        """
        outcome, ledger = Outcome(), AckLedger()
        records: dict[str, EventRecord] = {}
        for name, raw in messages.items():
            try:
                records[name] = read_event(raw)
            except PoisonError as poison:
                self._park(name, raw, poison, ledger, outcome)
        self._announce(records, ledger, outcome, now_ms)
        outcome.acks_failed = self._acks.publish(ledger)
        return outcome

    def _announce(self, records: Mapping[str, EventRecord], ledger: AckLedger, outcome: Outcome, now_ms: int) -> None:
        try:
            announced = self._announcer.announce([from_gateway(record.event) for record in records.values()], now_ms)
        except AwsError as error:
            self._fail(list(records), str(error), outcome)
            return
        outcome.published = len(announced.published)
        for name, record in records.items():
            if (reason := announced.failed.get(record.event.event_id)) is not None:
                self._fail([name], reason, outcome)
                continue
            outcome.replayed += record.event.event_id in announced.repeated
            ledger.stored(record.message_id)

    def _park(self, name: str, raw: str, poison: PoisonError, ledger: AckLedger, outcome: Outcome) -> None:
        try:
            self._parking.park(poison, raw, {"message": name})
        except AwsError as error:
            self._fail([name], str(error), outcome)
            return
        self._logger.error("event parked", extra={"reason": poison.reason, "message_name": name})
        outcome.parked += 1
        if poison.message_id is not None:
            ledger.refused(poison.message_id, poison.reason)

    def _fail(self, names: Sequence[str], reason: str, outcome: Outcome) -> None:
        self._logger.warning("events failed, to be delivered again", extra={"message_names": names, "error": reason})
        outcome.failed += names
