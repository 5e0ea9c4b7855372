"""Lines over TCP. A full queue holds the senders back, by not reading on.

A line counts once its end has come: what a broken connection leaves of one may look whole and not be.
"""

import asyncio
from dataclasses import dataclass

from sensor_ingest.adapters.port import Sink, until_room
from sensor_ingest.adapters.server import serve
from sensor_ingest.settings import TcpSettings


@dataclass(frozen=True, slots=True)
class TcpAdapter:
    """Implements Adapter."""

    settings: TcpSettings
    max_bytes: int

    async def run(self, sink: Sink) -> None:
        """Serve until cancelled. Raises OSError if the address cannot be bound."""

        async def converse(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            while line := await self._line(reader, sink):
                if line.strip():  # an empty line keeps a connection alive
                    await until_room(sink)
                    sink.accept(line)

        await serve(self.settings, self.max_bytes, sink, converse)

    async def _line(self, reader: asyncio.StreamReader, sink: Sink) -> bytes:
        """The next whole line, empty at the end. Raises TimeoutError if it is not whole in time."""
        try:
            async with asyncio.timeout(self.settings.idle_seconds):
                return await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            sink.refuse("message: too large")
        except asyncio.IncompleteReadError as error:
            if error.partial.strip():
                sink.refuse("message: cut short")
        return b""
