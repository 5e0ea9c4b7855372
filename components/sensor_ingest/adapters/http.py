"""HTTP/1.1 POST, without encryption and without proof of who sends: bind it to the sensors' own network only.

Answers: 202 with {"accepted": n, "refused": {reason: n}}, 400 with the same if nothing could be taken, 503 with
Retry-After while the queue has no room, and the usual 404, 405, 408, 411, 413, 431 and 501 for what is no such request.
"""

import asyncio
import http.client
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from sensor_ingest.adapters.port import Sink
from sensor_ingest.adapters.server import serve
from sensor_ingest.settings import HttpSettings

MAX_HEAD_BYTES: Final = 8192
RETRY_AFTER_S: Final = 1
_REQUEST_LINE_PARTS: Final = 3


class _RequestError(Exception):
    """A request that gets an error as its answer, and the end of the connection."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class HttpAdapter:
    """Implements Adapter."""

    settings: HttpSettings
    max_bytes: int

    async def run(self, sink: Sink) -> None:
        """Serve until cancelled. Raises OSError if the address cannot be bound."""

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await self._exchange(reader, writer, sink):
                    pass
            except _RequestError as error:
                sink.refuse(f"request: {error.reason}")
                await self._answer(writer, error.status, {"error": error.reason}, keep=False)

        await serve(self.settings, max(self.max_bytes, MAX_HEAD_BYTES), sink, converse)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sink: Sink) -> bool:
        """One request and its answer; whether another may follow. Raises TimeoutError."""
        head = await self._head(reader)
        if head is None:
            return False
        try:
            headers = http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2]))
        except http.client.HTTPException as error:
            raise _RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many or too long headers") from error
        length = self._length(head, headers)
        if headers.get("Expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with asyncio.timeout(self.settings.idle_seconds):
            try:
                body = await reader.readexactly(length)
            except asyncio.IncompleteReadError:
                sink.refuse("message: cut short")
                return False
        keep = headers.get("Connection", "").lower() != "close" and head.partition(b"\r\n")[0].endswith(b"HTTP/1.1")
        if not sink.has_room():
            sink.refuse("request: no room, told to come again")
            await self._answer(writer, HTTPStatus.SERVICE_UNAVAILABLE, {"error": "no room"}, keep=keep)
            return keep
        outcome = sink.accept(body)
        status = HTTPStatus.BAD_REQUEST if outcome.refused and not outcome.accepted else HTTPStatus.ACCEPTED
        await self._answer(writer, status, {"accepted": outcome.accepted, "refused": dict(outcome.refused)}, keep=keep)
        return keep

    async def _head(self, reader: asyncio.StreamReader) -> bytes | None:
        """Request line and headers; None if the client went away between two requests."""
        try:
            async with asyncio.timeout(self.settings.idle_seconds):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise _RequestError(HTTPStatus.BAD_REQUEST, "cut short") from error
            return None
        except asyncio.LimitOverrunError as error:
            raise _RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too large a head") from error
        if len(head) > MAX_HEAD_BYTES:
            raise _RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too large a head")
        return head

    def _length(self, head: bytes, headers: http.client.HTTPMessage) -> int:
        """Length of the body of a request that is one of ours."""
        parts = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(parts) != _REQUEST_LINE_PARTS or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise _RequestError(HTTPStatus.BAD_REQUEST, "not HTTP/1.1")
        method, target, _ = parts
        if target.partition("?")[0] != self.settings.path:
            raise _RequestError(HTTPStatus.NOT_FOUND, "no such path")
        if method != "POST":
            raise _RequestError(HTTPStatus.METHOD_NOT_ALLOWED, "only POST")
        if headers.get("Transfer-Encoding") is not None or headers.get("Content-Encoding") is not None:
            raise _RequestError(HTTPStatus.NOT_IMPLEMENTED, "no encodings")
        lengths = headers.get_all("Content-Length", [])
        if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdecimal()):
            raise _RequestError(HTTPStatus.LENGTH_REQUIRED, "one Content-Length is needed")
        if len(lengths[0]) > len(str(self.max_bytes)) or int(lengths[0]) > self.max_bytes:
            raise _RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large a body")
        return int(lengths[0])

    async def _answer(
        self, writer: asyncio.StreamWriter, status: HTTPStatus, content: Mapping[str, object], *, keep: bool
    ) -> None:
        body = json.dumps(content).encode()
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(body)}", f"Connection: {'keep-alive' if keep else 'close'}"]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: POST")
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            lines.append(f"Retry-After: {RETRY_AFTER_S}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        async with asyncio.timeout(self.settings.idle_seconds):
            await writer.drain()
            if not keep:
                writer.close()
                await writer.wait_closed()
