"""Component updates and their deferral (an operation of the classic nucleus). Lives on the nucleus's event loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from .errors import RpcError
from .session import Stream

_EVENT = "ComponentUpdatePolicyEvents"


@dataclass(slots=True)
class _Pending:
    deployment_id: str
    answers: dict[str, int | None]
    """Component to the milliseconds it asked for (0: go on), None until it answers."""
    done: Future[dict[str, int | None]]


class ComponentUpdates:
    """Asks the subscribed components before an update and gathers their answers."""

    def __init__(self) -> None:
        self._streams: dict[str, list[Stream]] = {}
        self._pending: _Pending | None = None

    def subscribe(self, component: str, stream: Stream) -> None:
        """Register an open stream."""
        streams = self._streams.setdefault(component, [])
        streams.append(stream)
        stream.on_closed(lambda: streams.remove(stream))

    def defer(self, component: str, deployment_id: str, recheck_after_ms: int) -> None:
        """Take a component's answer.

        Raises
        ------
        RpcError
            The component has not subscribed, or no update of this id waits for it.
        """
        if not self._streams.get(component):
            raise RpcError("InvalidArgumentsError", "Component is not subscribed to component update events")
        pending = self._pending
        if pending is None or pending.deployment_id != deployment_id or pending.answers.get(component, 0) is not None:
            raise RpcError("ServiceError", "Time limit to respond to PreComponentUpdateEvent exceeded")
        pending.answers[component] = recheck_after_ms
        if None not in pending.answers.values():
            self._finish(pending)

    def announce(
        self, deployment_id: str, timeout_s: float, call_later: Callable[..., object]
    ) -> Future[dict[str, int | None]]:
        """Send a PreComponentUpdateEvent; the future gets the answers, None where none came in time."""
        if self._pending is not None:
            self._finish(self._pending)
        listeners: dict[str, int | None] = {name: None for name, streams in self._streams.items() if streams}
        pending = _Pending(deployment_id, listeners, Future())
        self._pending = pending
        self._send({"preUpdateEvent": {"deploymentId": deployment_id, "isGgcRestarting": False}})
        if listeners:
            call_later(timeout_s, self._finish, pending)
        else:
            self._finish(pending)
        return pending.done

    def _finish(self, pending: _Pending) -> None:
        if pending.done.done():
            return
        self._pending = None
        if not any(pending.answers.values()):
            self._send({"postUpdateEvent": {"deploymentId": pending.deployment_id}})
        pending.done.set_result(dict(pending.answers))

    def _send(self, event: dict[str, Any]) -> None:
        payload = json.dumps(event).encode()
        for streams in self._streams.values():
            for stream in list(streams):
                stream.send_event(_EVENT, payload)
