"""What TCP and HTTP have in common: a listener with a bounded number of connections, all closed at its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sensor_ingest.adapters.port import Sink
from sensor_ingest.settings import HttpSettings, TcpSettings

_log = logging.getLogger(__name__)

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serve(settings: TcpSettings | HttpSettings, max_bytes: int, sink: Sink, converse: Conversation) -> None:
    """Hold a conversation with every client until cancelled; those over `max_connections` are turned away.

    A conversation that is late by its own rule raises TimeoutError, which is counted; so is a connection that breaks.
    Raises OSError if the address cannot be bound.
    """
    conversations: set[asyncio.Task[None]] = set()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await converse(reader, writer)
        except TimeoutError:
            sink.refuse("connection: idle for too long")
        except OSError:
            sink.refuse("connection: broken")
        finally:
            writer.transport.abort()  # close() would wait for a client that does not read

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(conversations) >= settings.max_connections:
            sink.refuse("connection: too many")
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(attend(reader, writer))
        conversations.add(task)
        task.add_done_callback(conversations.discard)

    server = await asyncio.start_server(connected, settings.host, settings.port, limit=max_bytes)
    _log.info(f"adapter {settings.name} is listening", extra={"port": server.sockets[0].getsockname()[1]})
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
