"""What the alerts function decides, without touching anything: which messages are events. Pure."""

import json
from dataclasses import dataclass
from typing import Any, Final

from cloud.functions.shared.envelope import Envelope, MessageId, PoisonError, open_envelope
from roadside.contract.errors import ContractError
from roadside.contract.events import Event, decode_event

_MAX_UINT64: Final = (1 << 64) - 1  # what an ack can name


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A message that is an event."""

    envelope: Envelope
    event: Event

    @property
    def message_id(self) -> MessageId:
        return MessageId(self.event.gateway, self.event.epoch_ms, self.event.sequence)


def read_event(raw: str) -> EventRecord:
    """The event in what the rule wraps around a message.

    Raises
    ------
    PoisonError
        No retry will make one of it. Its `message_id` is set when epoch and sequence could be read.
    """
    try:
        envelope = open_envelope(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise PoisonError(f"the message is no JSON ({error})") from error
    return read_event_in(envelope)


def read_event_in(envelope: Envelope) -> EventRecord:
    """The event in an envelope. Raises PoisonError as `read_event` does."""
    try:
        event = decode_event(envelope.payload)
    except ContractError as error:
        raise PoisonError(f"{type(error).__name__}: {error}", _sender(envelope)) from error
    if event.gateway != envelope.gateway:
        raise PoisonError(
            f"the body names gateway {event.gateway!r:.60}, the topic {envelope.gateway!r:.60}", _sender(envelope)
        )
    return EventRecord(envelope, event)


def _sender(envelope: Envelope) -> MessageId | None:
    try:
        body: Any = json.loads(envelope.payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    epoch_ms, sequence = body.get("epoch_ms"), body.get("sequence")
    if type(epoch_ms) is not int or type(sequence) is not int:
        return None
    if not 0 <= epoch_ms <= _MAX_UINT64 or not 0 <= sequence <= _MAX_UINT64:
        return None
    return MessageId(envelope.gateway, epoch_ms, sequence)
