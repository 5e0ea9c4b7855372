"""Runs the adapters on one event loop in a thread of its own, and starts those again that fail."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

from sensor_ingest.adapters.file import FileAdapter
from sensor_ingest.adapters.http import HttpAdapter
from sensor_ingest.adapters.mqtt import MqttAdapter
from sensor_ingest.adapters.port import Adapter, AdapterError, Sink
from sensor_ingest.adapters.tcp import TcpAdapter
from sensor_ingest.adapters.udp import UdpAdapter
from sensor_ingest.positions import Positions
from sensor_ingest.settings import (
    AdapterSettings,
    FileSettings,
    HttpSettings,
    MqttSettings,
    TcpSettings,
    UdpSettings,
)

FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 30.0
END_TIMEOUT_S: Final = 1.5  # of the 3 s that a component has for its end

_log = logging.getLogger(__name__)


def make_adapter(settings: AdapterSettings, max_bytes: int, positions: Positions) -> Adapter:
    """The adapter that these settings describe."""
    match settings:
        case UdpSettings():
            return UdpAdapter(settings, max_bytes)
        case TcpSettings():
            return TcpAdapter(settings, max_bytes)
        case HttpSettings():
            return HttpAdapter(settings, max_bytes)
        case FileSettings():
            return FileAdapter(settings, max_bytes, positions)
        case MqttSettings():
            return MqttAdapter(settings, max_bytes)
    raise TypeError(f"no adapter for {type(settings).__name__}")


class AdapterHost:
    """Starts, changes and ends adapters. Its methods are for one thread, which is not its own.

    Parameters
    ----------
    door : an adapter's way in, by its name
    positions : where files were read to
    """

    def __init__(self, door: Callable[[str], Sink], positions: Positions) -> None:
        self._door = door
        self._positions = positions
        self._running: dict[str, tuple[tuple[AdapterSettings, int], asyncio.Task[None]]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="adapters", daemon=True)
        self._thread.start()

    def apply(self, adapters: Mapping[str, AdapterSettings], max_bytes: int) -> None:
        """Have these adapters run; one whose settings are the same goes on undisturbed."""
        wanted = {name: (settings, max_bytes) for name, settings in adapters.items()}
        asyncio.run_coroutine_threadsafe(self._apply(wanted), self._loop).result()

    def stop(self) -> None:
        """End all adapters and the loop, once; waits END_TIMEOUT_S at most."""
        if not self._thread.is_alive():
            return
        self.apply({}, 0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(END_TIMEOUT_S)

    async def _apply(self, wanted: Mapping[str, tuple[AdapterSettings, int]]) -> None:
        ended = [name for name, (what, _) in self._running.items() if wanted.get(name) != what]
        tasks = [self._running.pop(name)[1] for name in ended]
        for task in tasks:
            task.cancel()
        if tasks:  # all of them before any starts: one may give up the port that another takes
            await asyncio.wait(tasks, timeout=END_TIMEOUT_S)
        for name, what in wanted.items():
            if name not in self._running:
                adapter = make_adapter(*what, self._positions)
                self._running[name] = (what, asyncio.create_task(_keep_running(name, adapter, self._door(name))))


async def _keep_running(name: str, adapter: Adapter, sink: Sink) -> None:
    retry_s = FIRST_RETRY_S
    while True:
        try:
            await adapter.run(sink)
            return  # noqa: TRY300  nothing more will come
        except (OSError, AdapterError) as error:
            _log.warning(f"adapter {name} failed, trying again", extra={"reason": repr(error)})
        except Exception:  # noqa: BLE001  a fault of one adapter must not silence the others; it is told and counted
            _log.exception(f"adapter {name} has a fault, trying again")
        sink.refuse("adapter: failed")
        await asyncio.sleep(retry_s)
        retry_s = min(2 * retry_s, LONGEST_RETRY_S)
