"""The SensorEmulator's work between two waits: configuration, a second of traffic at a time, and an end."""

import logging
from datetime import UTC, datetime
from typing import Final

from roadside.contract import topics
from roadside.contract.codec import encode_frame
from roadside.contract.status import State
from roadside.runtime.configuration import apply_configuration
from roadside.runtime.ports import BusClosedError, BusError, Clock, Configuration
from roadside.runtime.service import Delivery
from roadside.runtime.status import LocalPublisher, StatusTeller
from roadside.traffic import TrafficError
from sensor_emulator.emulation import SOURCE, Emulation, frames
from sensor_emulator.period import Period
from sensor_emulator.settings import EmulatorSettings

CONFIGURATION: Final = "configuration"
CONNECTION_LOST: Final = "connection"

REREAD_MS: Final = 300_000  # nucleus lite stops telling of changes after an update of the component
READ_RETRY_MS: Final = 5000
REPORT_MS: Final = 60_000
MAX_BEHIND_S: Final = 5  # seconds made up for after a standstill; more are left out, as by sensors that had no power
_SECOND_MS: Final = 1000

_log = logging.getLogger(__name__)


class EmulatorWorker:
    """Implements Worker. Deliveries carry the source names above; CONNECTION_LOST gives the reason as its topic."""

    def __init__(
        self, bus: LocalPublisher, configuration: Configuration, period: Period, clock: Clock, status: StatusTeller
    ) -> None:
        self._bus = bus
        self._configuration = configuration
        self._period = period
        self._clock = clock
        self._status = status
        self._topic = topics.frames(SOURCE)
        self._settings: EmulatorSettings | None = None
        self._emulation: Emulation | None = None
        self._end_ms = 0
        self._next_second = 0  # of wall time, the first that was not emulated
        self._reread_due_ms = clock.steady_ms()
        self._report_due_ms = clock.steady_ms()
        self._readings = self._lost = self._seconds_left_out = 0

    def work(self, deliveries: list[Delivery]) -> int:
        """Read the configuration when it is time to, and hand over the readings of each second that has passed.

        Raises BusClosedError when the connection to the nucleus is gone.
        """
        now_ms = self._clock.steady_ms()
        for delivery in deliveries:
            if delivery.source == CONNECTION_LOST:
                raise BusClosedError(delivery.topic)
            self._reread_due_ms = now_ms
        if now_ms >= self._reread_due_ms:
            self._reread_due_ms = now_ms + (
                REREAD_MS if apply_configuration(self._configuration, EmulatorSettings, self._apply) else READ_RETRY_MS
            )
        self._emulate()
        self._report(now_ms)
        state: State = "idle" if self._emulation is None else "running"
        status_due_ms = self._status.tell_if_due(state, self._statistics)
        next_second_ms = self._clock.steady_ms() + _SECOND_MS - self._clock.wall_ms() % _SECOND_MS
        beat_ms = self._reread_due_ms if self._emulation is None else next_second_ms
        return min(beat_ms, self._reread_due_ms, status_due_ms)

    def stop(self) -> None:
        """The last word."""
        self._status.tell_the_end(self._statistics)

    def _emulate(self) -> None:
        if self._emulation is None:
            return
        wall_ms = self._clock.wall_ms()
        if wall_ms >= self._end_ms:
            _log.warning("the emulation is over; give `run` another name for another one")
            self._emulation = None
            return
        now = wall_ms // _SECOND_MS
        if not now - MAX_BEHIND_S <= self._next_second <= now + 1:
            self._seconds_left_out += max(0, now - self._next_second)
            self._next_second = now
        while self._next_second < now:
            start_ms = self._next_second * _SECOND_MS
            for frame in frames(self._emulation.next_second(start_ms, _time_of_day_s(start_ms))):
                self._publish(encode_frame(frame), len(frame))
            self._next_second += 1

    def _publish(self, payload: bytes, readings: int) -> None:
        """A frame that the nucleus does not take is lost, as one of a sensor would be; the loss is counted."""
        try:
            self._bus.publish_local(self._topic, payload)
            self._readings += readings
        except BusClosedError:
            raise
        except BusError as error:
            self._lost += readings
            _log.warning("the nucleus does not take a frame", extra={"reason": str(error)})

    def _apply(self, settings: EmulatorSettings) -> None:
        if settings == self._settings:
            return
        wall_ms = self._clock.wall_ms()
        emulation, end_ms = None, 0
        try:
            if any(segment.sensors for segment in settings.segments):
                end_ms = self._period.end_ms(settings.run, settings.minutes, wall_ms)
                if wall_ms < end_ms:
                    emulation = Emulation(settings, _time_of_day_s(wall_ms))
        except TrafficError as error:
            _log.error("the configuration is at fault and was not applied", extra={"faults": [str(error)]})
            return
        except OSError as error:
            # Else a gateway that boots every hour would be fed false readings for ever. Tried again at the next look.
            _log.error("cannot note when the run began, so nothing is emulated", extra={"reason": repr(error)})
            self._settings = self._emulation = None
            return
        logging.getLogger().setLevel(settings.log_level)
        self._settings, self._emulation, self._end_ms = settings, emulation, end_ms
        self._next_second = self._clock.wall_ms() // _SECOND_MS
        self._report_due_ms = self._clock.steady_ms()
        _log.info("configuration applied", extra={"run": settings.run, "emulating": emulation is not None})

    def _report(self, now_ms: int) -> None:
        if self._emulation is not None and now_ms >= self._report_due_ms:
            self._report_due_ms = now_ms + REPORT_MS
            ends = datetime.fromtimestamp(self._end_ms / 1000, UTC).isoformat(timespec="seconds")
            _log.warning("emulating sensors: these readings are false", extra={"until": ends, **self._statistics()})

    def _statistics(self) -> dict[str, int]:
        left_ms = self._end_ms - self._clock.wall_ms() if self._emulation is not None else 0
        return {
            "readings_emulated": self._readings,
            "readings_lost": self._lost,
            "seconds_left_out": self._seconds_left_out,
            "seconds_to_go": max(0, left_ms // _SECOND_MS),
        }


def _time_of_day_s(wall_ms: int) -> float:
    """Seconds since local midnight."""
    local = datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone()
    return local.hour * 3600.0 + local.minute * 60 + local.second
