"""Local publish/subscribe between components. Lives on the nucleus's event loop."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .configuration import integers_as_floats
from .errors import RpcError
from .profiles import Profile
from .session import Stream
from .topics import local_filter_matches

RECEIVE_MODES = ("RECEIVE_ALL_MESSAGES", "RECEIVE_MESSAGES_FROM_OTHERS")
_INT64_END = 1 << 63

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class LocalSubscription:
    """One component's open SubscribeToTopic stream."""

    topic_filter: str
    component: str
    hears_own: bool
    stream: Stream


class LocalBus:
    """Who hears what on this device."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._subscriptions: dict[LocalSubscription, None] = {}

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self, topic_filter: str, component: str, receive_mode: str | None, stream: Stream) -> None:
        """Register an open stream; it leaves by itself when the stream closes.

        Without a receive mode a subscription hears its own component unless it holds a wildcard; where the profile says
        so, it always does.
        """
        hears_own = (
            self._profile.echoes_own_messages
            or receive_mode == "RECEIVE_ALL_MESSAGES"
            or (receive_mode is None and "+" not in topic_filter and "#" not in topic_filter)
        )
        subscription = LocalSubscription(topic_filter, component, hears_own, stream)
        self._subscriptions[subscription] = None
        stream.on_closed(lambda: self._subscriptions.pop(subscription, None))

    def silence(self) -> None:
        """Forget all subscriptions while their streams stay open."""
        self._subscriptions.clear()

    def publish_binary(self, topic: str, payload: bytes, source: str | None) -> int:
        """Deliver bytes; returns the number of subscriptions that got them. `source` is the publishing component."""
        return self._deliver(topic, "binaryMessage", base64.b64encode(payload).decode(), source)

    def publish_json(self, topic: str, value: Any, source: str | None) -> int:
        """Deliver a JSON value under the profile's rules; returns the number of subscriptions that got it.

        Raises
        ------
        RpcError
            The value is one that this nucleus does not take.
        """
        profile = self._profile
        if profile.json_must_be_object and not isinstance(value, dict):
            raise RpcError("InvalidArgumentsError", "jsonMessage must be an object")
        measure = _measure(value)
        too_many = profile.json_max_items is not None and measure.items > profile.json_max_items
        too_deep = profile.json_max_depth is not None and measure.depth > profile.json_max_depth
        if too_many or too_deep or (profile.json_deadly_cost is not None and measure.has_huge_integer):
            raise RpcError("ServiceError", "jsonMessage is too large, too deep or holds an integer above 63 bits")
        if profile.json_deadly_cost is not None and measure.cost > profile.json_deadly_cost:
            for subscription in self._matching(topic):
                logger.warning("a JSON message of %d items silences %s", measure.items, subscription.topic_filter)
                self._subscriptions.pop(subscription, None)
            return 0
        if profile.json_numbers_are_floats:
            value = integers_as_floats(value)
        return self._deliver(topic, "jsonMessage", value, source)

    def _deliver(self, topic: str, member: str, message: Any, source: str | None) -> int:
        listeners = [s for s in self._matching(topic) if s.hears_own or s.component != source]
        if not listeners:
            return 0
        event = json.dumps({member: {"message": message, "context": {"topic": topic}}}).encode()
        return sum(listener.stream.send_event("SubscriptionResponseMessage", event) for listener in listeners)

    def _matching(self, topic: str) -> list[LocalSubscription]:
        return [s for s in self._subscriptions if local_filter_matches(s.topic_filter, topic)]


@dataclass(slots=True)
class _Measure:
    items: int = 0
    cost: int = 0
    depth: int = 0
    has_huge_integer: bool = False


def _measure(value: Any, depth: int = 0, measure: _Measure | None = None) -> _Measure:
    """Count a JSON value's parts: a list item costs 1, a map pair 2."""
    measure = measure or _Measure()
    if isinstance(value, Mapping | list):
        measure.depth = max(measure.depth, depth + 1)
        measure.items += len(value)
        measure.cost += len(value) * (2 if isinstance(value, Mapping) else 1)
        for part in value.values() if isinstance(value, Mapping) else value:
            _measure(part, depth + 1, measure)
    elif isinstance(value, int) and not -_INT64_END <= value < _INT64_END:
        measure.has_huge_integer = True
    return measure
