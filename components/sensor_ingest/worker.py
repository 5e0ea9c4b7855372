"""SensorIngest's work between two waits: configuration, beat, report."""

import logging
from typing import Final

from roadside.contract import topics
from roadside.contract.codec import encode_frame
from roadside.contract.status import State
from roadside.runtime.configuration import apply_configuration
from roadside.runtime.ports import (
    BusClosedError,
    BusRefusedError,
    BusUnavailableError,
    Clock,
    Configuration,
    Updates,
)
from roadside.runtime.service import Delivery
from roadside.runtime.status import LocalPublisher, StatusTeller
from roadside.runtime.updates import UpdateGate
from sensor_ingest.adapters.host import AdapterHost
from sensor_ingest.batcher import Batch, pack
from sensor_ingest.intake import Intake
from sensor_ingest.positions import Positions
from sensor_ingest.settings import IngestSettings

CONFIGURATION: Final = "configuration"
CONNECTION_LOST: Final = "connection"
UPDATE: Final = "update"

REREAD_MS: Final = 300_000  # nucleus lite stops telling of changes after an update of the component
READ_RETRY_MS: Final = 5000  # after the nucleus did not answer: without a configuration there are no adapters
PUBLISH_RETRY_MS: Final = 1000
SAVE_MS: Final = 1000
REPORT_MS: Final = 60_000

_log = logging.getLogger(__name__)


class IngestWorker:
    """Implements Worker. Deliveries carry the source names above; CONNECTION_LOST gives the reason as its topic,
    UPDATE the deployment's id.

    A frame is delivered when the nucleus has taken it. Whether anybody listens, the nucleus does not tell.
    """

    def __init__(
        self,
        bus: LocalPublisher,
        configuration: Configuration,
        intake: Intake,
        adapters: AdapterHost,
        positions: Positions,
        clock: Clock,
        status: StatusTeller,
        updates: Updates,
    ) -> None:
        self._bus = bus
        self._configuration = configuration
        self._intake = intake
        self._adapters = adapters
        self._positions = positions
        self._clock = clock
        self._status = status
        self._updates = UpdateGate(updates, clock, self._hand_on)
        self._state: State = "idle"
        self._beat_ms = IngestSettings().beat_ms
        now_ms = clock.steady_ms()
        self._reread_due_ms = self._beat_due_ms = self._save_due_ms = now_ms
        self._hold_until_ms = now_ms
        self._report_due_ms = now_ms + REPORT_MS
        self._frames_delivered = 0
        self._readings_refused = 0
        self._connected = True

    def work(self, deliveries: list[Delivery]) -> int:
        """Read the configuration when it is time to, hand on what waits at each beat or when a frame is full.

        Raises BusClosedError when the connection to the nucleus is gone.
        """
        now_ms = self._clock.steady_ms()
        for delivery in deliveries:
            if delivery.source == CONNECTION_LOST:
                self._connected = False
                raise BusClosedError(delivery.topic)
            if delivery.source == UPDATE:
                self._updates.answer(delivery.topic)
            else:
                self._reread_due_ms = now_ms
        if now_ms >= self._reread_due_ms:
            self._reread_due_ms = now_ms + (
                REREAD_MS if apply_configuration(self._configuration, IngestSettings, self._apply) else READ_RETRY_MS
            )
        if now_ms >= self._hold_until_ms and (now_ms >= self._beat_due_ms or self._intake.has_full_frame()):
            if not self._hand_on():
                self._hold_until_ms = self._clock.steady_ms() + PUBLISH_RETRY_MS
            self._beat_due_ms = self._clock.steady_ms() + self._beat_ms
        if now_ms >= self._report_due_ms:
            self._report_due_ms = now_ms + REPORT_MS
            self._report()
        status_due_ms = self._status.tell_if_due(self._state, self._totals)
        beat_due_ms = max(self._beat_due_ms, self._hold_until_ms)
        return min(beat_due_ms, self._reread_due_ms, self._report_due_ms, status_due_ms)

    def stop(self) -> None:
        """Take nothing more, and hand on what waits if the nucleus still takes it."""
        self._adapters.stop()
        self._save_due_ms = self._clock.steady_ms()
        if self._connected and not self._hand_on():
            _log.warning("readings were given up at the end", extra={"statistics": self._intake.statistics()})
        if self._connected:
            self._status.tell_the_end(self._totals)
        self._report()

    def _hand_on(self) -> bool:
        """Publish all that waits; False if the nucleus does not take it now, and the rest waits on."""
        positions = self._positions.snapshot()  # first: what is before them waits now, or is delivered
        batches = self._intake.take()
        for place, batch in enumerate(batches):
            try:
                self._publish(batch)
            except BusUnavailableError as error:
                self._intake.give_back(batches[place:])
                _log.warning("the nucleus does not take frames; holding them", extra={"reason": str(error)})
                return False
        now_ms = self._clock.steady_ms()
        if now_ms >= self._save_due_ms:
            self._save_due_ms = now_ms + SAVE_MS
            try:
                self._positions.save(positions)
            except OSError as error:
                _log.warning("cannot save the files' positions", extra={"reason": repr(error)})
        return True

    def _publish(self, batch: Batch) -> None:
        """Raises BusUnavailableError and BusClosedError; what no retry would make acceptable is counted and told."""
        try:
            self._bus.publish_local(topics.frames(batch.source), encode_frame(pack(batch)))
            self._frames_delivered += 1
        except BusRefusedError as error:
            self._readings_refused += len(batch.readings)
            _log.error("the nucleus refuses a frame", extra={"reason": str(error), "source": batch.source})
        except BusClosedError:
            self._connected = False
            raise

    def _apply(self, settings: IngestSettings) -> None:
        logging.getLogger().setLevel(settings.log_level)
        self._beat_ms = settings.beat_ms
        adapters = settings.adapters()
        self._state = "running" if adapters else "idle"
        self._intake.configure(settings.mappers(), settings.queue_readings, settings.frame_readings)
        self._adapters.apply(adapters, settings.max_message_bytes)
        sensors = len(settings.sensor_numbers())
        _log.info("configuration applied", extra={"adapters": sorted(adapters), "sensors": sensors})

    def _totals(self) -> dict[str, object]:
        return self._intake.totals() | {
            "frames_delivered": self._frames_delivered,
            "readings_refused_by_nucleus": self._readings_refused,
        }

    def _report(self) -> None:
        statistics = self._intake.statistics() | {
            "framesDelivered": self._frames_delivered,
            "readingsRefusedByNucleus": self._readings_refused,
        }
        _log.info("ingesting", extra={"statistics": statistics})
