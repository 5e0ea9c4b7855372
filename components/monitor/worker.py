"""The Monitor's work between two waits: hear, judge, tell."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from monitor.notebook import Notebook
from monitor.report import encode_within, make_heartbeat
from monitor.settings import MonitorSettings
from monitor.watchdog import Watchdog
from roadside.contract import topics
from roadside.contract.errors import DecodeError
from roadside.contract.heartbeat import ComponentHealth, Reason, SystemState
from roadside.contract.status import INTERVAL_MS, decode_status
from roadside.runtime.configuration import apply_configuration
from roadside.runtime.hearing import Hearing
from roadside.runtime.ports import BusClosedError, BusError, Clock, Side
from roadside.runtime.service import Delivery
from roadside.runtime.status import StatusTeller

COMPONENT: Final = "city.roadside.Monitor"
STATUS: Final = "status"
CONFIGURATION: Final = "configuration"
CONNECTION_LOST: Final = "connection"

REREAD_MS: Final = 300_000  # nucleus lite stops telling of changes after an update of the component
READ_RETRY_MS: Final = 5000
FIRST_HEARTBEAT_MS: Final = INTERVAL_MS + 5000  # by then everybody has been heard
ECHO_RENEW_MS: Final = 35_000  # three statuses
ECHO_GIVE_UP_MS: Final = 1_800_000
CHANGE_GAP_MS: Final = 5000  # between two heartbeats of one minute: a component that comes and goes is no flood

_log = logging.getLogger(__name__)


class Surroundings(Protocol):
    """What the Monitor needs of a Bus, its Subscriptions, a Configuration and Neighbours."""

    def publish_cloud_once(self, topic: str, payload: bytes) -> None: ...

    def read(self) -> dict[str, Any]: ...

    def configuration_of(self, component: str) -> dict[str, Any]: ...

    def restart(self, component: str) -> None: ...

    def renew(self, side: Side) -> None: ...


class MonitorWorker:
    """Implements Worker. Deliveries carry the source names above; CONNECTION_LOST gives the reason as its topic.

    Parameters
    ----------
    gateway : the thing's name
    nucleus : version of Greengrass, if it tells
    look : how the machine is
    """

    def __init__(
        self,
        gateway: str,
        nucleus: str | None,
        surroundings: Surroundings,
        look: Callable[[], SystemState],
        notebook: Notebook,
        clock: Clock,
        status: StatusTeller,
    ) -> None:
        self._gateway = gateway
        self._nucleus = nucleus
        self._topic = topics.uplink("heartbeat", gateway)
        self._surroundings = surroundings
        self._look = look
        self._notebook = notebook
        self._clock = clock
        self._status = status
        self._settings = MonitorSettings()
        now_ms = clock.steady_ms()
        self._watchdog = Watchdog(COMPONENT, self._settings.silent_after_ms, now_ms)
        self._hearing = Hearing("own status messages", "local", ECHO_RENEW_MS, ECHO_GIVE_UP_MS)
        self._told: dict[str, tuple[str, int]] = {}  # state and crashes by component
        self._reason: Reason = "beat"
        self._began_ms = self._reread_due_ms = now_ms
        self._heartbeat_due_ms = now_ms + FIRST_HEARTBEAT_MS
        self._earliest_ms = now_ms
        self._heartbeats_sent = self._heartbeats_lost = self._statuses_unreadable = 0

    def work(self, deliveries: list[Delivery]) -> int:
        """Hear what came, judge who is silent, and tell it when it is time to or when something has changed.

        Raises BusClosedError when the connection to the nucleus is gone, or carries nothing for long.
        """
        now_ms = self._clock.steady_ms()
        for delivery in deliveries:
            if delivery.source == STATUS:
                self._hear(delivery, now_ms)
            elif delivery.source == CONFIGURATION:
                self._reread_due_ms = now_ms
            elif delivery.source == CONNECTION_LOST:
                raise BusClosedError(delivery.topic)
        if now_ms >= self._reread_due_ms:
            self._reread_due_ms = now_ms + (REREAD_MS if self._read_configuration(now_ms) else READ_RETRY_MS)
        status_due_ms = self._status.tell_if_due("running", self._statistics)
        self._hearing.look(self._watchdog.echo_age_ms(now_ms), self._surroundings)
        self._watchdog.forget(now_ms)
        self._restart_silent(now_ms)
        components = self._watchdog.components(now_ms)
        if self._note_changes(components):
            self._reason = "change"
            self._heartbeat_due_ms = min(self._heartbeat_due_ms, max(now_ms, self._earliest_ms))
        if now_ms >= self._heartbeat_due_ms:
            self._heartbeat_due_ms = now_ms + self._settings.heartbeat_seconds * 1000
            self._earliest_ms = now_ms + CHANGE_GAP_MS
            self._send(components)
            self._reason = "beat"
        return min(self._heartbeat_due_ms, self._reread_due_ms, status_due_ms, now_ms + INTERVAL_MS // 2)

    def stop(self) -> None:
        """The last word."""
        self._status.tell_the_end(self._statistics)

    def _hear(self, delivery: Delivery, now_ms: int) -> None:
        try:
            status = decode_status(delivery.payload)
        except DecodeError as error:
            self._statuses_unreadable += 1
            _log.warning("cannot read a status", extra={"topic": delivery.topic, "reason": str(error)})
            return
        if delivery.topic != topics.status(status.component):  # who may publish where is what the nucleus vouches for
            self._statuses_unreadable += 1
            _log.warning("a status under another's name", extra={"topic": delivery.topic, "says": status.component})
            return
        self._watchdog.hear(status, now_ms)

    def _restart_silent(self, now_ms: int) -> None:
        if not self._settings.restart_silent:
            return
        for component in self._watchdog.to_restart(now_ms):
            try:
                self._surroundings.restart(component)
            except BusClosedError:
                raise
            except BusError as error:
                _log.error(f"{component} is silent and cannot be restarted", extra={"reason": str(error)})
            else:
                self._watchdog.restarted(component)
                _log.warning(f"{component} is silent; the nucleus restarts it")

    def _note_changes(self, components: tuple[ComponentHealth, ...]) -> bool:
        """Log what has changed; returns whether it is worth a heartbeat. One heard for the first time is none."""
        worth_telling = False
        for component in components:
            name, state = component.component, component.state
            before, crashes = self._told.get(name, (None, 0))
            self._told[name] = state, component.crashes
            if state != before:
                well = state in ("running", "idle")
                level = logging.INFO if well else logging.ERROR
                _log.log(level, f"{name} is {state}", extra={"before": before, "age_ms": component.age_ms})
                worth_telling |= before is not None or not well
            if component.crashes > crashes:
                _log.error(f"{name} was started again without having ended in order")
                worth_telling = True
        return worth_telling

    def _send(self, components: tuple[ComponentHealth, ...]) -> None:
        heartbeat = make_heartbeat(
            self._gateway,
            self._clock.wall_ms(),
            self._clock.steady_ms() - self._began_ms,
            self._reason,
            self._nucleus,
            components,
            self._look(),
        )
        payload = encode_within(heartbeat)
        self._notebook.note_heartbeat(payload)
        try:
            self._surroundings.publish_cloud_once(self._topic, payload)
            self._heartbeats_sent += 1
        except BusClosedError:
            raise
        except BusError as error:
            self._heartbeats_lost += 1
            _log.warning("a heartbeat could not be sent", extra={"reason": str(error)})

    def _read_configuration(self, now_ms: int) -> bool:
        """Apply the configuration, and note down everybody's; returns whether it was read."""
        if not apply_configuration(self._surroundings, MonitorSettings, partial(self._apply, now_ms)):
            return False
        self._note_configurations()
        return True

    def _apply(self, now_ms: int, settings: MonitorSettings) -> None:
        logging.getLogger().setLevel(settings.log_level)
        self._settings = settings
        self._watchdog.configure(settings.silent_after_ms, settings.expected, now_ms)
        self._heartbeat_due_ms = min(self._heartbeat_due_ms, now_ms + settings.heartbeat_seconds * 1000)
        _log.info("configuration applied", extra={"expected": list(settings.expected)})

    def _note_configurations(self) -> None:
        configurations: dict[str, dict[str, Any]] = {}
        for component in sorted({COMPONENT, *self._settings.expected, *self._told}):
            try:
                configurations[component] = self._surroundings.configuration_of(component)
            except BusClosedError:
                raise
            except BusError as error:
                configurations[component] = {"unknown": repr(error)}
        self._notebook.note_configurations(configurations)

    def _statistics(self) -> dict[str, object]:
        return {
            "heartbeats_sent": self._heartbeats_sent,
            "heartbeats_lost": self._heartbeats_lost,
            "statuses_unreadable": self._statuses_unreadable,
            "subscriptions_renewed": self._hearing.renewals,
        }
