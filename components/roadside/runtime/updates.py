"""Whether the nucleus may stop a component for an update now: not before what it holds is in safe hands."""

import logging
from collections.abc import Callable
from typing import Final

from roadside.runtime.ports import BusClosedError, BusError, Clock, Updates

RECHECK_MS: Final = 5000
PATIENCE_MS: Final = 10 * 60_000  # the update may be the cure

_log = logging.getLogger(__name__)


class UpdateGate:
    """Answers the nucleus for one component. Where it does not ask, SIGTERM and the time it grants have to do.

    Parameters
    ----------
    settle : finishes what is under way and tells whether nothing is left that a stop would lose
    """

    def __init__(self, updates: Updates, clock: Clock, settle: Callable[[], bool]) -> None:
        self._updates = updates
        self._clock = clock
        self._settle = settle
        self._deferred_since_ms: int | None = None

    def answer(self, deployment_id: str) -> None:
        """Settle, then let the update go on, or put it off; for PATIENCE_MS at most.

        Raises BusClosedError when the connection to the nucleus is gone.
        """
        now_ms = self._clock.steady_ms()
        if self._settle():
            self._deferred_since_ms = None
            self._tell(deployment_id, 0)
            return
        if self._deferred_since_ms is None:
            self._deferred_since_ms = now_ms
        if now_ms - self._deferred_since_ms < PATIENCE_MS:
            _log.warning("puts off an update until its results are safe", extra={"deployment": deployment_id})
            self._tell(deployment_id, RECHECK_MS)
            return
        _log.error("gives way to an update with results that are not safe", extra={"deployment": deployment_id})
        self._deferred_since_ms = None
        self._tell(deployment_id, 0)

    def _tell(self, deployment_id: str, defer_ms: int) -> None:
        try:
            self._updates.answer_update(deployment_id, defer_ms)
        except BusClosedError:
            raise
        except BusError as error:  # too late: the nucleus goes on without an answer, and asks again the next time
            _log.warning("the nucleus did not take the answer to an update", extra={"reason": str(error)})
