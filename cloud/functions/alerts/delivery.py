"""One event, from the rule to the bus and the ack."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from aws_lambda_powertools import Logger

from cloud.functions.alerts.logic import EventRecord, read_event
from cloud.functions.alerts.store import PUBLISHED, AlertStore, EventPublisher
from cloud.functions.shared.acks import AckLedger, AckPublisher
from cloud.functions.shared.envelope import PoisonError
from cloud.functions.shared.parking import Parking


class Result(StrEnum):
    """What became of an event; also the name of the metric that counts it."""

    PUBLISHED = "EventsPublished"
    REPLAYED = "EventsReplayed"
    PARKED = "EventsParked"


class Delivery:
    """Publishes each event at least once, and once only unless the function died between bus and table.

    A replay of an event in status "received" is published again, for nobody knows whether the bus got it;
    consumers drop repetitions by event_id.
    """

    def __init__(
        self, *, alerts: AlertStore, publisher: EventPublisher, parking: Parking, acks: AckPublisher, logger: Logger
    ) -> None:
        self._alerts = alerts
        self._publisher = publisher
        self._parking = parking
        self._acks = acks
        self._logger = logger

    def deliver(self, document: Mapping[str, Any]) -> tuple[Result, int]:
        """Publish, remember, acknowledge, in this order; the result and the number of acks that failed.

        Raises
        ------
        AwsError, NotPublishedError
            Not done and not acknowledged; Lambda invokes again.
        """
        ledger = AckLedger()
        try:
            record = read_event(document)
        except PoisonError as poison:
            self._park(document, poison)
            if poison.message_id is not None:
                ledger.refused(poison.message_id, poison.reason)
            return Result.PARKED, self._acks.publish(ledger)
        result = self._publish_once(record)
        ledger.stored(record.message_id)
        return result, self._acks.publish(ledger)

    def _publish_once(self, record: EventRecord) -> Result:
        if self._alerts.begin(record) == PUBLISHED:
            return Result.REPLAYED
        self._publisher.publish(record)
        self._alerts.mark_published(record)
        return Result.PUBLISHED

    def _park(self, document: Mapping[str, Any], poison: PoisonError) -> None:
        self._parking.park(poison, json.dumps(document), {"invocation": "asynchronous, by the rule of events"})
        self._logger.error("event parked", extra={"reason": poison.reason})
