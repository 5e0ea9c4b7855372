"""Notices that nothing is heard any more, though somebody should have spoken, and mends it.

On nucleus lite a subscription dies without a word when a daemon of the nucleus restarts: publishing goes on working,
and nothing ever comes again. Silence is the only sign. So the subscriptions are made anew, at ever longer intervals;
when that does not help for long, the process ends for the nucleus to start it afresh.
"""

import logging
from typing import Protocol

from roadside.runtime.ports import BusClosedError, BusError, Side

_log = logging.getLogger(__name__)


class Subscriptions(Protocol):
    """The part of a Bus that makes subscriptions anew."""

    def renew(self, side: Side) -> None:
        """Raises BusError."""


class Hearing:
    """Watches over one side of the bus.

    Parameters
    ----------
    what : what should have been heard, for the log
    renew_after_ms : silence after which the subscriptions are renewed; again after twice that, four times that, ...
    give_up_after_ms : silence after which the process is to end. At least half an hour: nucleus lite starts a component
        three times an hour and then no more
    """

    def __init__(self, what: str, side: Side, renew_after_ms: int, give_up_after_ms: int) -> None:
        self._what = what
        self._side = side
        self._renew_after_ms = self._next_ms = renew_after_ms
        self._give_up_after_ms = give_up_after_ms
        self.renewals = 0

    def look(self, silent_ms: int, subscriptions: Subscriptions) -> bool:
        """Mend it if it has been silent for so long; whether that was tried.

        Raises
        ------
        BusClosedError
            The connection is gone, or to be treated as if it were.
        """
        if silent_ms < self._renew_after_ms:
            self._next_ms = self._renew_after_ms
            return False
        # A process that stood still for long has renewed nothing yet.
        if silent_ms >= self._give_up_after_ms and self._next_ms > self._renew_after_ms:
            raise BusClosedError(f"no {self._what} for {silent_ms // 1000} s; a new process may hear them")
        if silent_ms < self._next_ms:
            return False
        self._next_ms = 2 * silent_ms
        self.renewals += 1
        silence = {"missing": self._what, "silent_s": silent_ms // 1000}
        _log.error("subscriptions seem to have died; making them anew", extra=silence)
        try:
            subscriptions.renew(self._side)
        except BusClosedError:
            raise
        except BusError as error:
            _log.warning("could not renew all subscriptions", extra={"reason": str(error)})
        return True
