"""Signs of life: a gateway's heartbeat, and its comings and goings as the broker saw them. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cloud.functions.shared.envelope import Envelope, PoisonError, open_envelope
from roadside.contract import topics
from roadside.contract.errors import ContractError
from roadside.contract.heartbeat import Heartbeat, decode_heartbeat

_MAX_OFFSET_MS: Final = 10 * 365 * 86_400_000
_TOLD: Final = (  # of a heartbeat, what a table of gateways shows
    "nucleus",
    "backlog_messages",
    "backlog_bytes",
    "given_up",
    "shed",
    "dead_letters",
    "spent_bytes",
    "budget_bytes",
)
_MAX_SESSION: Final = 128


@dataclass(frozen=True, slots=True)
class HeartbeatSign:
    """A heartbeat has come; `fault` says why nobody could read it, which is a sign of life all the same."""

    gateway: str
    received_ms: int
    heartbeat: Heartbeat | None
    fault: str = ""

    @property
    def clock_offset_ms(self) -> int:
        """How far the gateway's clock is ahead of ours, less the time that the heartbeat took."""
        if self.heartbeat is None:
            return 0
        offset_ms = self.heartbeat.sent_ms - self.received_ms
        return max(-_MAX_OFFSET_MS, min(offset_ms, _MAX_OFFSET_MS))

    def health(self) -> str:
        """What it told, short enough for a write unit, as JSON."""
        if self.heartbeat is None:
            return json.dumps({"fault": self.fault})
        body: dict[str, Any] = {name: getattr(self.heartbeat, name) for name in _TOLD}
        body["components"] = {
            each.component: [each.state, each.version, each.restarts, each.crashes]
            for each in self.heartbeat.components
        }
        system = self.heartbeat.system
        for name in ("cpu_share", "memory_available_bytes", "state_free_bytes", "temperature_c", "clock_synchronised"):
            body[name] = getattr(system, name)
        return json.dumps({name: value for name, value in body.items() if value is not None}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class PresenceSign:
    """A gateway came or went. The broker may tell late, twice and out of order.

    Parameters
    ----------
    connected : whether it came
    at_ms : when, by the broker's clock
    session : which connection; the end of an older one is none of the newer
    """

    gateway: str
    connected: bool
    at_ms: int
    session: str


Sign = HeartbeatSign | PresenceSign


def read_sign(document: Mapping[str, Any]) -> Sign | None:
    """The sign in what a rule wraps around a message; None for one of a client that is no gateway.

    Raises
    ------
    PoisonError
        No rule of ours wrote it, or it names another gateway than its topic.
    """
    kind = document.get("kind")
    if kind == "heartbeat":
        return _heartbeat(open_envelope(document))
    if kind in topics.PRESENCE_KINDS:
        return _presence(document, connected=kind == "connected")
    raise PoisonError(f"kind = {kind!r:.40}: must be heartbeat, {' or '.join(topics.PRESENCE_KINDS)}")


def _heartbeat(envelope: Envelope) -> HeartbeatSign:
    try:
        heartbeat = decode_heartbeat(envelope.payload)
    except ContractError as error:
        fault = PoisonError(f"{type(error).__name__}: {error}").reason
        return HeartbeatSign(envelope.gateway, envelope.received_ms, None, fault)
    if heartbeat.gateway != envelope.gateway:
        raise PoisonError(f"the body names gateway {heartbeat.gateway!r:.60}, the topic {envelope.gateway!r:.60}")
    return HeartbeatSign(envelope.gateway, envelope.received_ms, heartbeat)


def _presence(document: Mapping[str, Any], *, connected: bool) -> PresenceSign | None:
    gateway, at_ms, session = (document.get(name) for name in ("gateway", "at_ms", "session"))
    if not topics.is_name(gateway):
        return None
    if type(at_ms) is not int or not 0 < at_ms < 1 << 53:
        raise PoisonError(f"at_ms = {at_ms!r:.40}: must be epoch milliseconds")
    return PresenceSign(str(gateway), connected, at_ms, str(session or "")[:_MAX_SESSION])
