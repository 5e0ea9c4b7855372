"""Opens what an IoT rule wraps around a gateway's message (`topics.rule_sql`). Pure."""

import binascii
from base64 import b64decode
from dataclasses import dataclass
from typing import Final, get_args

from roadside.contract import topics
from roadside.contract.errors import InvalidTopicError

_MAX_REASON: Final = 240


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message with what its sender could not forge.

    Parameters
    ----------
    gateway : the thing that was allowed to publish on the topic
    received_ms : when IoT Core received it
    payload : the message's bytes
    kind : what the topic says it is
    """

    gateway: str
    received_ms: int
    payload: bytes
    kind: topics.EnvelopeKind


@dataclass(frozen=True, slots=True)
class MessageId:
    """A message's place among all that a gateway sent since `epoch_ms`."""

    gateway: str
    epoch_ms: int
    sequence: int


class PoisonError(Exception):
    """A message that no retry will make acceptable.

    Attributes
    ----------
    reason : str
        One sentence, of bounded length, fit for the ack and for whoever empties the queue of parked messages.
    message_id : MessageId or None
        Whom to tell, if that much could be read.
    """

    def __init__(self, reason: str, message_id: MessageId | None = None) -> None:
        self.reason = reason if len(reason) <= _MAX_REASON else reason[: _MAX_REASON - 3] + "..."
        self.message_id = message_id
        super().__init__(self.reason)


def open_envelope(document: object) -> Envelope:
    """The envelope in a rule's JSON document.

    Raises
    ------
    PoisonError
        It is none: some other rule wrote it, or none.
    """
    if not isinstance(document, dict):
        raise PoisonError(f"the record is no JSON object but {type(document).__name__}")
    gateway, received_ms, payload = (document.get(field) for field in ("gateway", "received_ms", "payload"))
    if not isinstance(gateway, str):
        raise PoisonError(f"gateway = {gateway!r:.40}: must be a text")
    try:
        topics.acks(gateway)  # a gateway that cannot be answered is none of ours
    except InvalidTopicError as error:
        raise PoisonError(str(error)) from error
    if type(received_ms) is not int or not 0 < received_ms < 1 << 53:
        raise PoisonError(f"received_ms = {received_ms!r:.40}: must be epoch milliseconds")
    kind = document.get("kind", "windows")  # a rule of 0.1 that did not tell it took windows
    if kind not in get_args(topics.EnvelopeKind):
        raise PoisonError(f"kind = {kind!r:.40}: must be one of {', '.join(get_args(topics.EnvelopeKind))}")
    if not isinstance(payload, str):
        raise PoisonError(f"payload = {payload!r:.40}: must be a text in base64")
    try:
        return Envelope(gateway, received_ms, b64decode(payload, validate=True), kind)
    except (binascii.Error, ValueError) as error:
        raise PoisonError(f"payload = {payload!r:.40}: is no base64 ({error})") from error
