"""One component's connection: handshake, streams, and the rules of the wire. Lives on the nucleus's event loop."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol, cast

from .errors import RpcError
from .faults import Faults
from .frames import Frame, FrameDecoder, FrameError, HeaderValue, MessageFlags, MessageType, encode_frame
from .profiles import Profile

PROTOCOL_VERSION: Final = "0.1.0"
_MODEL = "service-model-type"
_CONTENT_TYPE = ":content-type"
_JSON: Final = {_CONTENT_TYPE: "application/json"}
_TEXT: Final = {_CONTENT_TYPE: "text/plain"}

logger = logging.getLogger(__name__)


class Dispatcher(Protocol):
    """What a session asks of the nucleus."""

    def authenticate(self, token: str) -> str | None:
        """The component that owns the token."""
        ...

    def dispatch(self, component: str, operation: str, request: dict[str, Any], stream: Stream) -> None:
        """Serve one request.

        Raises
        ------
        RpcError
            Sent to the component as it is.
        UnknownOperationError
        """
        ...


class UnknownOperationError(Exception):
    """An operation that the protocol's model does not have."""


class Stream:
    """One request and what follows from it."""

    def __init__(self, session: Session, stream_id: int, operation: str) -> None:
        self._session = session
        self._id = stream_id
        self._operation = operation
        self._on_closed: list[Callable[[], None]] = []
        self.accepted = False
        self.closed = False

    def respond(self, response: Mapping[str, Any]) -> None:
        """Answer a plain operation, which ends the stream."""
        flags = MessageFlags.TERMINATE_STREAM if self._session.profile.terminates_plain_responses else MessageFlags.NONE
        self._send(MessageType.APPLICATION_MESSAGE, f"aws.greengrass#{self._operation}Response", response, flags)
        self.close()

    def accept(self, response: Mapping[str, Any]) -> None:
        """Answer a subscription; events may follow."""
        self._send(MessageType.APPLICATION_MESSAGE, f"aws.greengrass#{self._operation}Response", response)
        self.accepted = True

    def fail(self, error: RpcError) -> None:
        """Answer with an error, which ends the stream."""
        values = {"message": error.message, "_message": error.message, "_service": "GreengrassCoreIPC"}
        values["_errorCode"] = error.code
        body = {key: values[key] for key in self._session.profile.error_message_keys}
        model = f"aws.greengrass#{error.code}"
        self._send(MessageType.APPLICATION_ERROR, model, body, MessageFlags.TERMINATE_STREAM)
        self.close()

    def fail_untyped(self, headers: Mapping[str, HeaderValue], payload: bytes) -> None:
        """Answer with an error outside the service model, which ends the stream."""
        flags = MessageFlags.TERMINATE_STREAM
        self._session.send(Frame(MessageType.APPLICATION_ERROR, self._id, flags, headers, payload))
        self.close()

    def send_event(self, model: str, payload: bytes) -> bool:
        """Send an encoded event. False: the stream is not open, or its component has stopped reading."""
        if not self.accepted or self.closed:
            return False
        headers = {_MODEL: f"aws.greengrass#{model}", **_JSON}
        frame = Frame(MessageType.APPLICATION_MESSAGE, self._id, MessageFlags.NONE, headers, payload)
        return self._session.send_if_room(frame)

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the stream ends, whoever ends it."""
        self._on_closed.append(callback)

    def close(self) -> None:
        """End the stream on this side without a word."""
        if self.closed:
            return
        self.closed = True
        self._session.forget(self._id, self)
        for callback in self._on_closed:
            callback()

    def _send(
        self,
        message_type: MessageType,
        model: str,
        body: Mapping[str, Any],
        flags: MessageFlags = MessageFlags.NONE,
    ) -> None:
        if self.closed:
            return
        payload = json.dumps(body).encode()
        self._session.send(Frame(message_type, self._id, flags, {_MODEL: model, **_JSON}, payload))


@dataclass(slots=True)
class SessionCounters:
    """What went over all connections of one nucleus."""

    connections: int = 0
    refused_connections: int = 0
    requests: int = 0
    dropped_events: int = 0


class Session(asyncio.Protocol):
    """The server's end of one IPC connection."""

    def __init__(
        self,
        profile: Profile,
        dispatcher: Dispatcher,
        faults: Faults,
        sessions: set[Session],
        counters: SessionCounters,
    ) -> None:
        self.profile = profile
        self.component: str | None = None
        self._dispatcher = dispatcher
        self._faults = faults
        self._sessions = sessions
        self._counters = counters
        self._decoder = FrameDecoder(profile.max_frame_body_bytes)
        self._streams: dict[int, Stream] = {}
        self._last_stream_id = 0
        self._delayed: deque[Frame] = deque()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # Events stop well below this; only a peer that asks and never reads its answers gets here.
        self._transport.set_write_buffer_limits(high=2 * self.profile.subscriber_buffer_bytes)
        if self._faults.refuse_connect or len(self._sessions) >= self.profile.max_connections:
            self._counters.refused_connections += 1
            self.abort()
            return
        self._sessions.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                if self._faults.delay_ms > 0 or self._delayed:
                    self._delayed.append(frame)
                    self._loop.call_later(self._faults.delay_ms / 1000, self._handle_delayed)
                else:
                    self._handle(frame)
        except FrameError as error:
            logger.warning("closing the connection of %s: %s", self.component or "an unknown peer", error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the end is the same with and without a reason
        self._transport = None
        self._sessions.discard(self)
        self._delayed.clear()
        for stream in list(self._streams.values()):
            stream.close()

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # sending

    def send(self, frame: Frame) -> None:
        """Send a response or another frame that must not be lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_frame(frame))

    def send_if_room(self, frame: Frame) -> bool:
        """Send an event unless this component is too far behind in reading."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > self.profile.subscriber_buffer_bytes:
            self._counters.dropped_events += 1
            return False
        self._transport.write(encode_frame(frame))
        return True

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def forget(self, stream_id: int, stream: Stream) -> None:
        """The stream ended."""
        if self._streams.get(stream_id) is stream:
            del self._streams[stream_id]

    # receiving

    @property
    def _closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def _handle_delayed(self) -> None:
        if self._delayed:
            self._guarded_handle(self._delayed.popleft())

    def _guarded_handle(self, frame: Frame) -> None:
        try:
            self._handle(frame)
        except FrameError as error:
            logger.warning("closing the connection of %s: %s", self.component or "an unknown peer", error)
            self.abort()

    def _handle(self, frame: Frame) -> None:
        if self._closing:
            return
        is_application = frame.message_type in (MessageType.APPLICATION_MESSAGE, MessageType.APPLICATION_ERROR)
        if is_application != (frame.stream_id > 0):
            self._protocol_error(f"{frame.message_type.name} on stream {frame.stream_id}")
        if frame.message_type is MessageType.CONNECT and self.component is None:
            self._handshake(frame)
        elif self.component is None:
            self._protocol_error(f"{frame.message_type.name} before CONNECT")
        elif is_application:
            self._handle_application(self.component, frame)
        elif frame.message_type is MessageType.PING and self.profile.answers_ping:
            self.send(Frame(MessageType.PING_RESPONSE, 0, payload=frame.payload))
        elif frame.message_type is not MessageType.PING_RESPONSE or not self.profile.answers_ping:
            self._protocol_error(f"unexpected {frame.message_type.name}")

    def _handshake(self, frame: Frame) -> None:
        version = frame.text(":version")
        version_fits = version == PROTOCOL_VERSION or (version is None and not self.profile.version_header_required)
        component = self._dispatcher.authenticate(_token(frame.payload)) if version_fits else None
        if component is None:
            self._counters.refused_connections += 1
            if not self.profile.refuses_with_ack or self._transport is None:
                self.abort()
                return
            self.send(Frame(MessageType.CONNECT_ACK, 0))
            self._transport.close()
            return
        self.component = component
        self._counters.connections += 1
        self.send(Frame(MessageType.CONNECT_ACK, 0, MessageFlags.CONNECTION_ACCEPTED))

    def _handle_application(self, component: str, frame: Frame) -> None:
        known = self._streams.get(frame.stream_id)
        operation = frame.text("operation")
        if known is not None and (operation is None or self.profile.strict_stream_ids):
            if frame.flags & MessageFlags.TERMINATE_STREAM:
                known.close()
            return  # no operation takes further messages from the client; both nuclei ignore them
        if operation is None:
            if frame.flags & MessageFlags.TERMINATE_STREAM:
                return  # the client ends a stream that this side has ended already
            self._protocol_error(f"stream {frame.stream_id} starts without an operation")
        if self.profile.strict_stream_ids and frame.stream_id != self._last_stream_id + 1:
            self._protocol_error(f"stream {frame.stream_id} after {self._last_stream_id}")
        self._last_stream_id = frame.stream_id
        if known is not None:
            known.close()
        self._start(component, operation.removeprefix("aws.greengrass#"), frame)

    def _start(self, component: str, operation: str, frame: Frame) -> None:
        self._counters.requests += 1
        stream = Stream(self, frame.stream_id, operation)
        self._streams[frame.stream_id] = stream
        try:
            request = _json_object(frame.payload)
        except ValueError as error:
            logger.warning("%s sent a malformed %s: %s", component, operation, error)
            if self.profile.refuses_with_ack:
                stream.fail_untyped(_TEXT, b"InternalServerError")
            else:
                stream.fail(RpcError("ServiceError", ""))
            return
        try:
            self._dispatcher.dispatch(component, operation, request, stream)
        except RpcError as error:
            logger.info("%s: %s refused: %s", component, operation, error)
            stream.fail(error)
        except UnknownOperationError:
            logger.warning("%s asked for the unknown operation %s", component, operation)
            stream.fail_untyped(_JSON, json.dumps({"error": f"Unrecognized operation: {operation}"}).encode())

    def _protocol_error(self, message: str) -> NoReturn:
        if self.profile.answers_ping:
            self.send(Frame(MessageType.PROTOCOL_ERROR, 0, headers=_TEXT, payload=message.encode()))
        raise FrameError(message)


def _token(payload: bytes) -> str:
    try:
        token = _json_object(payload).get("authToken")
    except ValueError:
        return ""
    return token if isinstance(token, str) else ""


def _json_object(payload: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(payload or b"{}", parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} instead of an object")  # noqa: TRY004 - bad input, not a bad argument
    return value
