"""Datagrams. Nothing holds their senders back: what the queue has no room for gives way to what is newer."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from sensor_ingest.adapters.port import Sink
from sensor_ingest.settings import UdpSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UdpAdapter:
    """Implements Adapter."""

    settings: UdpSettings
    max_bytes: int

    async def run(self, sink: Sink) -> None:
        """Receive until cancelled. Raises OSError if the address cannot be bound."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(sink, self.max_bytes), local_addr=(self.settings.host, self.settings.port)
        )
        port = transport.get_extra_info("sockname")[1]
        _log.info(f"adapter {self.settings.name} is listening", extra={"port": port})
        try:
            await loop.create_future()
        finally:
            transport.close()


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, sink: Sink, max_bytes: int) -> None:
        self._sink = sink
        self._max_bytes = max_bytes

    def datagram_received(self, data: bytes, _address: tuple[Any, ...]) -> None:
        if len(data) > self._max_bytes:
            self._sink.refuse("message: too large")
        else:
            self._sink.accept(data)
