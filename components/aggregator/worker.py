"""The Aggregator's work between two waits: configuration, messages, time."""

import logging
from pathlib import Path
from typing import Final

from aggregator.pipeline import Pipeline, PipelineStatistics
from aggregator.profile_file import LearnedProfile, load_profile
from aggregator.settings import AggregatorSettings
from roadside.contract.commands import ReportNowCommand
from roadside.contract.status import State
from roadside.core.errors import ConfigurationError
from roadside.runtime.configuration import apply_configuration
from roadside.runtime.database import StoreError
from roadside.runtime.hearing import Hearing, Subscriptions
from roadside.runtime.ports import BusClosedError, Clock, Configuration, Updates
from roadside.runtime.service import Delivery
from roadside.runtime.settings import SettingsError, SettingsFault
from roadside.runtime.status import StatusTeller
from roadside.runtime.updates import UpdateGate

READINGS: Final = "readings"
ACKS: Final = "acks"
COMMANDS: Final = "commands"
CONFIGURATION: Final = "configuration"
ECHO: Final = "echo"
CONNECTION_LOST: Final = "connection"
UPDATE: Final = "update"

REREAD_MS: Final = 300_000  # nucleus lite stops telling of changes after an update of the component
READ_RETRY_MS: Final = 5000  # after the nucleus did not answer: without segments every reading is refused
REPORT_MS: Final = 60_000
ACKS_RENEW_MS: Final = 120_000  # four times the time after which a message is sent again
ACKS_GIVE_UP_MS: Final = 3 * 3_600_000  # the cloud may be away for days, and then no restart helps
ECHO_RENEW_MS: Final = 35_000  # three statuses
ECHO_GIVE_UP_MS: Final = 1_800_000

_log = logging.getLogger(__name__)


class AggregatorWorker:
    """Implements Worker. Deliveries carry the source names above.

    CONFIGURATION asks to read it again; CONNECTION_LOST gives the reason as its topic, UPDATE the deployment's id.
    ECHO is the component's own status come back, which proves that local subscriptions live.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        configuration: Configuration,
        subscriptions: Subscriptions,
        clock: Clock,
        status: StatusTeller,
        updates: Updates,
    ) -> None:
        self._pipeline = pipeline
        self._configuration = configuration
        self._subscriptions = subscriptions
        self._status = status
        self._updates = UpdateGate(updates, clock, self._settle)
        self._clock = clock
        self._profile_path = ""  # of the profile that the pipeline was taught
        self._reread_due_ms = clock.steady_ms()
        self._report_due_ms = clock.steady_ms() + REPORT_MS
        self._heard_echo_ms = clock.steady_ms()
        self._acks_hearing = Hearing("acknowledgements", "cloud", ACKS_RENEW_MS, ACKS_GIVE_UP_MS)
        self._echo_hearing = Hearing("own status messages", "local", ECHO_RENEW_MS, ECHO_GIVE_UP_MS)

    def work(self, deliveries: list[Delivery]) -> int:
        """Handle what came, then let the pipeline do what is due.

        Raises BusClosedError when the connection to the nucleus is gone.
        """
        wall_ms, steady_ms = self._clock.wall_ms(), self._clock.steady_ms()
        lost_because: str | None = None
        updates: list[str] = []
        for delivery in deliveries:
            if delivery.source == READINGS:
                self._pipeline.receive(delivery.topic, delivery.payload, wall_ms, steady_ms)
            elif delivery.source == ACKS:
                self._pipeline.on_ack(delivery.payload, wall_ms)
            elif delivery.source == CONFIGURATION:
                self._reread_due_ms = steady_ms
            elif delivery.source == CONNECTION_LOST:
                lost_because = delivery.topic
            elif delivery.source == ECHO:
                self._heard_echo_ms = steady_ms
            elif delivery.source == UPDATE:
                updates.append(delivery.topic)
            else:
                self._obey(delivery.payload, wall_ms, steady_ms)
        if lost_because is not None:  # only now: what came with it is not to be lost
            raise BusClosedError(lost_because)
        if steady_ms >= self._reread_due_ms:
            self._reread_due_ms = steady_ms + (
                REREAD_MS
                if apply_configuration(self._configuration, AggregatorSettings, self._apply)
                else READ_RETRY_MS
            )
        wake_ms = self._pipeline.tick(wall_ms, steady_ms)
        for deployment_id in updates:  # only now: what came with the question is to be safe as well
            self._updates.answer(deployment_id)
        if steady_ms >= self._report_due_ms:
            self._report_due_ms = steady_ms + REPORT_MS
            self._report()
        self._mend_hearing(wall_ms, steady_ms)
        state: State = "running" if self._pipeline.configured else "idle"
        status_due_ms = self._status.tell_if_due(state, self._statistics)
        return min(wake_ms, self._reread_due_ms, self._report_due_ms, status_due_ms)

    def stop(self) -> None:
        """Make all that was accepted durable."""
        self._settle()
        self._status.tell_the_end(self._statistics)
        self._report()

    def _settle(self) -> bool:
        """Whether all that was accepted is durable, or could be made so."""
        try:
            self._pipeline.flush(self._clock.wall_ms())
        except StoreError as error:
            _log.error("could not write the last readings", extra={"reason": str(error)})
            return False
        return True

    def _mend_hearing(self, wall_ms: int, steady_ms: int) -> None:
        if self._acks_hearing.look(self._pipeline.silent_ms(steady_ms), self._subscriptions):
            self._pipeline.try_way(wall_ms)
        self._echo_hearing.look(steady_ms - self._heard_echo_ms, self._subscriptions)

    def _obey(self, payload: bytes, wall_ms: int, steady_ms: int) -> None:
        command = self._pipeline.on_command(payload, wall_ms)
        if isinstance(command, ReportNowCommand):
            self._report_due_ms = steady_ms
            self._status.tell("running" if self._pipeline.configured else "idle", self._statistics())

    def _apply(self, settings: AggregatorSettings) -> None:
        profile = self._profile(settings.incident_profile)
        try:
            self._pipeline.apply(settings)
        except ConfigurationError as error:
            raise SettingsError((SettingsFault(error.field, repr(error.value), error.reason),)) from error
        if profile is not None:
            self._pipeline.teach(profile)
            self._profile_path = settings.incident_profile
        logging.getLogger().setLevel(settings.log_level)
        _log.info("configuration applied", extra={"segments": len(settings.segments)})

    def _profile(self, path: str) -> LearnedProfile | None:
        """The profile file of the configuration, once; a file at fault makes the configuration one at fault."""
        if not path or path == self._profile_path:
            return None
        return load_profile(Path(path))

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
