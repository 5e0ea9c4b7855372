"""The network between gateways and cloud: forwards connections until it is cut, as by a digger.

A cut ends every connection, whatever is under way, and until it is mended new ones are refused. It forwards bytes, so
the mutual TLS of a device goes through it unbroken.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Final

CHUNK_BYTES: Final = 64 * 1024
BACKLOG: Final = 512
CALL_TIMEOUT_S: Final = 10.0


class Network:
    """A way to `host:port` that can be cut; `port` is where it is entered, on the same host. From any thread.

    Use as a context manager.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._upstream_port = port
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> "Network":
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def connections(self) -> int:
        """Connections that go through now."""
        return len(self._open) // 2

    def cut(self) -> None:
        """End all connections and refuse new ones. Idempotent."""
        self._call(self._cut())

    def mend(self) -> None:
        """Take connections again. Idempotent. Raises OSError if another program has taken the port meanwhile."""
        self._call(self._listen())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _call(self, doing: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(CALL_TIMEOUT_S)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._join, self._host, self.port, backlog=BACKLOG)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        while self._open:  # their ends are seen by the tasks that read them, on the loop's next turns
            await asyncio.sleep(0)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one caller with the cloud until either of them, or the network, ends."""
        self._open.add(writer)
        try:
            there, back = await asyncio.open_connection(self._host, self._upstream_port)
        except OSError:
            writer.transport.abort()
            self._open.discard(writer)
            return
        self._open.add(back)
        if self._server is None:  # cut while it was connecting
            writer.transport.abort()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_forward(reader, back))
                both.create_task(_forward(there, writer))
        finally:
            self._open -= {writer, back}


async def _forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Bytes from one side to the other until an end; the end is handed on abruptly or not, as it came."""
    try:
        while chunk := await source.read(CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
        sink.close()
    except ConnectionError:
        sink.transport.abort()
