"""A sink that keeps what adapters hand in, and the running of one adapter on a loop."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from sensor_ingest.adapters.port import Adapter
from sensor_ingest.intake import Outcome

WAIT_S = 5.0


@dataclass
class RecordingSink:
    """Implements Sink. What begins with `bad` is refused."""

    payloads: list[bytes] = field(default_factory=list)
    senders: list[str | None] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    room: bool = True

    def accept(self, payload: bytes, sensor_id: str | None = None) -> Outcome:
        self.payloads.append(payload)
        self.senders.append(sensor_id)
        return Outcome(0, {"record: bad": 1}) if payload.startswith(b"bad") else Outcome(1, {})

    def refuse(self, reason: str) -> None:
        self.refused[reason] += 1

    def has_room(self) -> bool:
        return self.room


async def until(condition: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not become true in time"
        await asyncio.sleep(0.002)


@asynccontextmanager
async def running(adapter: Adapter, sink: RecordingSink) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(adapter.run(sink))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=WAIT_S)
        assert task.done()


async def port_of(caplog: pytest.LogCaptureFixture) -> int:
    """The port that an adapter with port 0 tells in the log."""

    def ports() -> list[int]:
        return [getattr(each, "port") for each in caplog.records if each.message.endswith(" is listening")]  # noqa: B009

    caplog.set_level(logging.INFO)
    await until(ports)
    return ports()[-1]
