"""Tells a component's status on the local bus, at a steady beat and once at the end."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final, Protocol

from roadside import VERSION
from roadside.contract import topics
from roadside.contract.status import INTERVAL_MS, MAX_COUNTERS, State, Status, encode_status
from roadside.contract.summary import MAX_INTEGER
from roadside.runtime.ports import BusClosedError, BusError, Clock

LEFT_OUT: Final = "counters_left_out"
_MAX_NAME: Final = 48

_log = logging.getLogger(__name__)


class LocalPublisher(Protocol):
    """The part of a Bus that is needed to tell something on the gateway."""

    def publish_local(self, topic: str, payload: bytes) -> None:
        """Hand `payload` to the local subscribers of `topic`. Raises BusError."""


class StatusTeller:
    """One component's voice. A status that the nucleus does not take is given up: the next one tells the same.

    Parameters
    ----------
    component : its Greengrass name
    shed : what its inbox had to shed, by source; told with every status
    """

    def __init__(
        self, component: str, bus: LocalPublisher, clock: Clock, shed: Callable[[], Mapping[str, int]] = dict
    ) -> None:
        self._component = component
        self._topic = topics.status(component)
        self._bus = bus
        self._clock = clock
        self._shed = shed
        self._started_ms = clock.wall_ms()
        self._began_ms = self._due_ms = clock.steady_ms()
        self._sequence = 0

    def tell_if_due(self, state: State, statistics: Callable[[], object]) -> int:
        """Tell the status if it is time to; returns the steady time of the next one.

        Raises BusClosedError when the connection to the nucleus is gone.
        """
        now_ms = self._clock.steady_ms()
        if now_ms >= self._due_ms:
            self._due_ms = now_ms + INTERVAL_MS
            self.tell(state, statistics())
        return self._due_ms

    def tell(self, state: State, statistics: object) -> None:
        """Tell the status now. Raises BusClosedError."""
        self._sequence += 1
        status = Status(
            component=self._component,
            version=VERSION,
            state=state,
            started_ms=self._started_ms,
            sequence=self._sequence,
            uptime_ms=self._clock.steady_ms() - self._began_ms,
            counters=counters_of({"inbox_shed": self._shed(), "": statistics}),
        )
        try:
            self._bus.publish_local(self._topic, encode_status(status))
        except BusClosedError:
            raise
        except BusError as error:
            _log.warning("the nucleus does not take the status", extra={"reason": str(error)})

    def tell_the_end(self, statistics: Callable[[], object]) -> None:
        """The last word at an orderly end, if anybody still takes it."""
        try:
            self.tell("stopping", statistics())
        except BusClosedError as error:
            _log.warning("cannot tell the last status", extra={"reason": str(error)})


def counters_of(statistics: object) -> dict[str, int]:
    """Every count in a dataclass or mapping, nested ones behind their name and a dot.

    Counts are integers of at least 0; whatever else there is tells nothing. So a new field in a component's statistics
    is told without further ado. What is beyond MAX_COUNTERS is left out, which LEFT_OUT counts.
    """
    found: dict[str, int] = {}
    _gather(statistics, "", found)
    if len(found) > MAX_COUNTERS:
        kept = dict(list(found.items())[: MAX_COUNTERS - 1])
        return kept | {LEFT_OUT: len(found) - len(kept)}
    return found


def _gather(value: Any, name: str, found: dict[str, int]) -> None:
    if type(value) is int:
        if value >= 0:
            # Two names that differ only beyond the limit count together.
            found[name[:_MAX_NAME]] = min(found.get(name[:_MAX_NAME], 0) + value, MAX_INTEGER)
        return
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, Mapping):
        parts = dict(value)
    else:
        return
    for key, part in parts.items():
        word = re.sub(r"[^a-z0-9_.]+", "_", str(key).lower()).strip("_")
        _gather(part, ".".join(filter(None, (name, word))), found)
