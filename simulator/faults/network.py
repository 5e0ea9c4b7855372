"""The network between gateways and cloud: a way for each gateway, which can be cut as by a digger, alone or with all.

A cut ends every connection, whatever is under way, and until it is mended new ones are refused. It forwards bytes, so
the mutual TLS of a device goes through it unbroken.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

CHUNK_BYTES: Final = 64 * 1024
BACKLOG: Final = 512
CALL_TIMEOUT_S: Final = 10.0


@dataclass(slots=True)
class _Way:
    """The way of one gateway: where it is entered, and what goes through."""

    port: int = 0
    server: asyncio.Server | None = None
    open: set[asyncio.StreamWriter] = field(default_factory=set)


class Network:
    """Ways to `host:port`, each of which can be cut; `ports` is where they are entered, on the same host.

    From any thread. Use as a context manager.
    """

    def __init__(self, host: str, port: int, ways: int = 1) -> None:
        self._host = host
        self._upstream_port = port
        self._ways = [_Way() for _ in range(ways)]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    def __enter__(self) -> "Network":
        self._thread.start()
        self.mend(range(len(self._ways)))
        return self

    def __exit__(self, *_: object) -> None:
        self.cut(range(len(self._ways)))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def ports(self) -> list[int]:
        return [way.port for way in self._ways]

    @property
    def connections(self) -> int:
        """Connections that go through now."""
        return sum(len(way.open) for way in self._ways) // 2

    def cut(self, ways: Iterable[int]) -> None:
        """End all connections of these ways and refuse new ones. Idempotent."""
        self._call(self._cut([self._ways[way] for way in ways]))

    def mend(self, ways: Iterable[int]) -> None:
        """Take connections again. Idempotent. Raises OSError if another program has taken a port meanwhile."""
        self._call(self._listen([self._ways[way] for way in ways]))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _call(self, doing: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(CALL_TIMEOUT_S)

    async def _listen(self, ways: list[_Way]) -> None:
        for way in ways:
            if way.server is None:
                join = partial(self._join, way)
                way.server = await asyncio.start_server(join, self._host, way.port, backlog=BACKLOG)
                way.port = way.server.sockets[0].getsockname()[1]

    async def _cut(self, ways: list[_Way]) -> None:
        for way in ways:
            if way.server is not None:
                way.server.close()
                way.server = None
            for writer in list(way.open):
                writer.transport.abort()
        while any(
            way.open for way in ways
        ):  # their ends are seen by the tasks that read them, on the loop's next turns
            await asyncio.sleep(0)

    async def _join(self, way: _Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one caller with the cloud until either of them, or the network, ends."""
        way.open.add(writer)
        try:
            there, back = await asyncio.open_connection(self._host, self._upstream_port)
        except OSError:
            writer.transport.abort()
            way.open.discard(writer)
            return
        way.open.add(back)
        if way.server is None:  # cut while it was connecting
            writer.transport.abort()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_forward(reader, back))
                both.create_task(_forward(there, writer))
        finally:
            way.open -= {writer, back}


async def _forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Bytes from one side to the other until an end; the end is handed on abruptly or not, as it came."""
    try:
        while chunk := await source.read(CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
        sink.close()
    except ConnectionError:
        sink.transport.abort()
