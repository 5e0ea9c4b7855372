"""What waits in the queues for a person: what each message is, why it is there, and which way leads on. Pure.

Everything downstream knows what it has already, so a message may be sent on again at any time and as often as wanted.
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from roadside.contract import topics

_REASON_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class ToStream:
    """Put the record on the stream, as its rule did."""

    partition_key: str
    data: bytes


@dataclass(frozen=True, slots=True)
class FromStream:
    """Read the records from the stream, which still has them, and put them on it again."""

    shard_id: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class ToEvents:
    """Put the event, as its rule wrapped it, into the queue of events."""

    body: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """Invoke the function, not waiting for it."""

    function: str
    payload: str


@dataclass(frozen=True, slots=True)
class ToSystems:
    """Put the event of the bus into the systems' queue."""

    body: str


@dataclass(frozen=True, slots=True)
class ToBus:
    """Put the event on the bus; its rules tell everybody, and systems drop what they had."""

    source: str
    kind: str
    detail: str


Way = ToStream | FromStream | ToEvents | Invoke | ToSystems | ToBus


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that waits.

    Parameters
    ----------
    what : in a few words
    gateway : whose it is, if that is known
    reason : why it is here
    way : where it goes when it is sent on; None if nothing of ours wrote it
    """

    what: str
    gateway: str | None
    reason: str
    way: Way | None


def read(body: str, attributes: Mapping[str, str], sent_ms: int) -> Letter:
    """The letter in a message of any of the queues.

    Parameters
    ----------
    attributes : of the message, by name; EventBridge tells there why it could not deliver
    sent_ms : when it was put into the queue
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        return _unknown(f"no JSON ({error})")
    if not isinstance(document, dict):
        return _unknown("no JSON object")
    try:
        for mark, reader in _READERS.items():
            if mark in document:
                return reader(document, attributes, sent_ms)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return _unknown(f"{type(error).__name__}: {error}")
    return _unknown(f"an object with {', '.join(sorted(document))[:100]}")


def _unknown(found: str) -> Letter:
    return Letter("unknown", None, f"nothing of Roadside wrote this: {found}"[:_REASON_MAX], None)


def _parked(document: Mapping[str, Any], _attributes: Mapping[str, str], _sent_ms: int) -> Letter:
    """What a function refused for good: `functions/shared/parking.py`."""
    raw, function = document["raw"], document["function"]
    sequence = document.get("sequence")
    what = f"{function}'s message" if sequence is None else f"{function}'s message {sequence}"
    if function == "processor":
        way: Way = ToStream(document["coordinates"]["partition_key"], b64decode(raw, validate=True))
    else:
        way = ToEvents(raw)
    return Letter(what, document.get("gateway"), document["reason"][:_REASON_MAX], way)


def _rules(document: Mapping[str, Any], _attributes: Mapping[str, str], sent_ms: int) -> Letter:
    """What an IoT rule could not hand on, as IoT Core tells its error action."""
    topic = str(document["topic"])
    gateway, kind = topic[topic.index(topics.ROOT) :].split("/")[2:4]
    wrapped = {
        "payload": document["base64OriginalPayload"],
        "gateway": gateway,
        "received_ms": sent_ms,
        "kind": kind,
    }
    reason = "; ".join(f"{each['failedAction']}: {each['errorMessage']}" for each in document["failures"])
    return Letter(f"{kind} of rule {document['ruleName']}", gateway, reason[:_REASON_MAX], _on(wrapped))


def _batch(document: Mapping[str, Any], _attributes: Mapping[str, str], _sent_ms: int) -> Letter:
    """Records of the stream that the mapping gave up; AWS tells which, and not what is in them."""
    batch, condition = document["KinesisBatchInfo"], document["requestContext"]["condition"]
    way = FromStream(batch["shardId"], batch["startSequenceNumber"], batch["endSequenceNumber"])
    arrived = f"arrived {batch['approximateArrivalOfFirstRecord']}"
    return Letter(f"{batch['batchSize']} record(s) of the stream", None, f"{condition}; {arrived}", way)


def _invocation(document: Mapping[str, Any], _attributes: Mapping[str, str], _sent_ms: int) -> Letter:
    """An invocation that failed as often as it may."""
    context = document["requestContext"]
    function = context["functionArn"].removesuffix(":$LATEST")
    payload = document["requestPayload"]
    error = document.get("responsePayload") or {}
    reason = f"{context['condition']}: {error.get('errorType', '')} {error.get('errorMessage', '')}".rstrip(": ")
    gateway = payload.get("gateway") if isinstance(payload, dict) else None
    return Letter(
        f"invocation of {function.rsplit(':', 1)[-1]}",
        gateway,
        reason[:_REASON_MAX],
        Invoke(function, json.dumps(payload)),
    )


def _event(document: Mapping[str, Any], attributes: Mapping[str, str], _sent_ms: int) -> Letter:
    """An event of the bus, which somebody was not told or could not handle."""
    kind, detail = document["detail-type"], document["detail"]
    what, gateway = f"{kind} {detail.get('event_id', '')}".rstrip(), detail.get("gateway")
    target = attributes.get("TARGET_ARN")
    if target is None:
        return Letter(
            what, gateway, "a system received it five times and never deleted it", ToSystems(json.dumps(document))
        )
    reason = f"not delivered to {target}: {attributes.get('ERROR_CODE')}: {attributes.get('ERROR_MESSAGE')}"
    return Letter(what, gateway, reason[:_REASON_MAX], ToBus(document["source"], kind, json.dumps(detail)))


def _wrapped(document: Mapping[str, Any], _attributes: Mapping[str, str], _sent_ms: int) -> Letter:
    """A message as its rule wrapped it, which a function failed at as often as it may."""
    gateway, kind = document["gateway"], document.get("kind", "windows")
    return Letter(f"{kind} as received", gateway, "its function failed at it again and again", _on(document))


def _on(wrapped: Mapping[str, Any]) -> Way:
    """The way of a message behind its rule."""
    if wrapped.get("kind", "windows") in ("windows", "sensors"):
        return ToStream(wrapped["gateway"], json.dumps(wrapped).encode())
    return ToEvents(json.dumps(wrapped))


# By a field that no other kind of message has.
_READERS: Final = {
    "raw": _parked,
    "base64OriginalPayload": _rules,
    "KinesisBatchInfo": _batch,
    "requestPayload": _invocation,
    "detail-type": _event,
    "payload": _wrapped,
}
