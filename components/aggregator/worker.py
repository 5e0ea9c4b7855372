"""The Aggregator's work between two waits: configuration, messages, time."""

import logging
from typing import Final

from aggregator.pipeline import Pipeline, PipelineStatistics
from aggregator.settings import AggregatorSettings
from roadside.contract.status import State
from roadside.core.errors import ConfigurationError
from roadside.runtime.database import StoreError
from roadside.runtime.ports import BusClosedError, BusError, Clock, Configuration
from roadside.runtime.service import Delivery
from roadside.runtime.settings import SettingsError, load_settings
from roadside.runtime.status import StatusTeller

READINGS: Final = "readings"
ACKS: Final = "acks"
COMMANDS: Final = "commands"
CONFIGURATION: Final = "configuration"
CONNECTION_LOST: Final = "connection"

REREAD_MS: Final = 300_000  # nucleus lite stops telling of changes after an update of the component
READ_RETRY_MS: Final = 5000  # after the nucleus did not answer: without segments every reading is refused
REPORT_MS: Final = 60_000

_log = logging.getLogger(__name__)


class AggregatorWorker:
    """Implements Worker. Deliveries carry the source names above.

    CONFIGURATION asks to read it again; CONNECTION_LOST gives the reason as its topic.
    """

    def __init__(self, pipeline: Pipeline, configuration: Configuration, clock: Clock, status: StatusTeller) -> None:
        self._pipeline = pipeline
        self._configuration = configuration
        self._status = status
        self._clock = clock
        self._reread_due_ms = clock.steady_ms()
        self._report_due_ms = clock.steady_ms() + REPORT_MS

    def work(self, deliveries: list[Delivery]) -> int:
        """Handle what came, then let the pipeline do what is due.

        Raises BusClosedError when the connection to the nucleus is gone.
        """
        wall_ms, steady_ms = self._clock.wall_ms(), self._clock.steady_ms()
        lost_because: str | None = None
        for delivery in deliveries:
            if delivery.source == READINGS:
                self._pipeline.receive(delivery.topic, delivery.payload, wall_ms, steady_ms)
            elif delivery.source == ACKS:
                self._pipeline.on_ack(delivery.payload, wall_ms)
            elif delivery.source == CONFIGURATION:
                self._reread_due_ms = steady_ms
            elif delivery.source == CONNECTION_LOST:
                lost_because = delivery.topic
            else:
                _log.warning("no such command", extra={"topic": delivery.topic, "payload": repr(delivery.payload[:80])})
        if lost_because is not None:  # only now: what came with it is not to be lost
            raise BusClosedError(lost_because)
        if steady_ms >= self._reread_due_ms:
            self._reread_due_ms = steady_ms + (REREAD_MS if self._read_configuration() else READ_RETRY_MS)
        wake_ms = self._pipeline.tick(wall_ms, steady_ms)
        if steady_ms >= self._report_due_ms:
            self._report_due_ms = steady_ms + REPORT_MS
            self._report()
        state: State = "running" if self._pipeline.configured else "idle"
        status_due_ms = self._status.tell_if_due(state, self._statistics)
        return min(wake_ms, self._reread_due_ms, self._report_due_ms, status_due_ms)

    def stop(self) -> None:
        """Make all that was accepted durable."""
        try:
            self._pipeline.flush(self._clock.wall_ms())
        except StoreError as error:
            _log.error("could not write the last readings", extra={"reason": str(error)})
        self._status.tell_the_end(self._statistics)
        self._report()

    def _read_configuration(self) -> bool:
        """Apply the configuration as a whole; one that is at fault changes nothing. Returns whether it was read."""
        try:
            settings = load_settings(AggregatorSettings, self._configuration.read())
            self._pipeline.apply(settings)
        except SettingsError as error:
            faults = [str(fault) for fault in error.faults]
            _log.error("the configuration is at fault and was not applied", extra={"faults": faults})
        except ConfigurationError as error:
            _log.error("the configuration is at fault and was not applied", extra={"faults": [str(error)]})
        except BusError as error:
            _log.warning("could not read the configuration", extra={"reason": repr(error)})
            return False
        else:
            logging.getLogger().setLevel(settings.log_level)
            _log.info("configuration applied", extra={"segments": len(settings.segments)})
        return True

    def _statistics(self) -> PipelineStatistics | None:
        """None while the disk does not tell."""
        try:
            return self._pipeline.statistics(self._clock.wall_ms())
        except StoreError as error:
            _log.warning("cannot tell the statistics", extra={"reason": str(error)})
            return None

    def _report(self) -> None:
        statistics = self._statistics()
        if statistics is not None:
            _log.info("aggregating", extra={"statistics": repr(statistics)})
