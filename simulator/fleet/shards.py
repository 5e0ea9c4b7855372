"""Gateways of the simulator in worker processes, so that a fast run uses every core.

A shard is a process with some of the gateways, unchanged: `LocalGateway` on a clock of its own. The fleet sends it what
arrived and up to when time goes on, and gets back what its gateways published, which then goes the way of any other
message. While a shard works on one second the fleet draws the next. Whatever else is asked of a gateway is asked there.
"""

import multiprocessing
import os
import queue
import traceback
from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final

from aggregator.pipeline import PipelineStatistics
from roadside.contract import topics
from roadside.runtime.clock import ManualClock
from simulator.city.layout import GatewayPlan
from simulator.faults.delivery import Readings
from simulator.fleet.gateways import Books, GatewayError
from simulator.fleet.link import Meter, MeteredLink
from simulator.fleet.local_gateway import AckQueue, LocalGateway

END_TIMEOUT_S: Final = 5.0

Published = tuple[int, str, bytes]  # index of the gateway in its shard, topic, payload


@dataclass(frozen=True, slots=True)
class Order:
    """A gateway that a shard shall make."""

    plan: GatewayPlan
    configuration: dict[str, Any]
    store_path: Path | None


@dataclass(frozen=True, slots=True)
class _Step:
    """Hear the acknowledgements, let time go on, and take what arrived then; of the gateways that are served."""

    until_ms: int
    acks: list[tuple[int, bytes]]
    arrived: list[tuple[int, Readings]]
    served: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Question:
    """An attribute of a gateway, or, with arguments, what a method of it returns."""

    index: int
    name: str
    arguments: tuple[Any, ...] | None


class Shard:
    """The fleet's end of a worker process."""

    def __init__(self, orders: Sequence[Order], begin_ms: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, list(orders), begin_ms), daemon=True)
        self._process.start()
        theirs.close()
        self._acks: list[tuple[int, bytes]] = []
        self._arrived: list[tuple[int, Readings]] = []
        self._is_working = False
        self._published: dict[int, list[tuple[str, bytes]]] = defaultdict(list)  # collected, and not fetched yet

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid or 0

    def acknowledge(self, index: int, payload: bytes) -> None:
        """Let a gateway hear of it with the next step."""
        self._acks.append((index, payload))

    def deliver(self, index: int, readings: Readings) -> None:
        """Let a gateway have them at the end of the next step."""
        self._arrived.append((index, readings))

    def begin(self, until_ms: int, served: Collection[int]) -> None:
        """Let time go on up to then, and do not wait for it."""
        self.finish()
        self._send(_Step(until_ms, self._acks, self._arrived, frozenset(served)))
        self._acks, self._arrived = [], []
        self._is_working = True

    def finish(self) -> None:
        """Wait until the step under way is done."""
        if self._is_working:
            self._is_working = False
            for index, topic, payload in self._receive():
                self._published[index].append((topic, payload))

    def fetch(self, index: int) -> list[tuple[str, bytes]]:
        """What a gateway has published in the steps that are done."""
        return self._published.pop(index, [])

    def ask(self, index: int, name: str, arguments: tuple[Any, ...] | None = None) -> Any:
        self.finish()
        self._send(_Question(index, name, arguments))
        return self._receive()

    def cpu_s(self) -> float:
        """Processor time that the process has used."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(END_TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _send(self, message: _Step | _Question) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise GatewayError(f"a process of gateways has ended (exit code {self._process.exitcode})") from error

    def _receive(self) -> Any:
        try:
            answer, failure = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise GatewayError(f"a process of gateways has ended (exit code {self._process.exitcode})") from error
        if failure:
            raise GatewayError(f"a process of gateways failed: {failure}")
        return answer


class RemoteGateway:
    """A `LocalGateway` in a shard. What is published and acknowledged is metered here."""

    wake_ms = float("inf")  # its shard wakes it

    def __init__(self, plan: GatewayPlan, link: MeteredLink, shard: Shard, index: int) -> None:
        self.plan = plan
        self.link = link
        self.lag_ms = 0
        self.interruptions = 0
        self.shard = shard
        self.index = index
        link.subscribe(topics.acks(plan.gateway_id), lambda _topic, payload: shard.acknowledge(index, payload))

    @property
    def gateway_id(self) -> str:
        return self.plan.gateway_id

    @property
    def stored_starts_ms(self) -> Collection[int]:
        return self.link.acknowledged_starts_ms

    @property
    def was_interrupted(self) -> bool:
        return self.interruptions > 0

    @property
    def lost(self) -> int:
        return int(self._of("lost"))

    @property
    def unreadable(self) -> int:
        return int(self._of("unreadable"))

    def deliver(self, readings: Readings) -> None:
        self.shard.deliver(self.index, readings)

    def tick(self) -> None:
        """Its shard does."""

    def on_ack(self, payload: bytes) -> None:
        self.shard.acknowledge(self.index, payload)

    def poison(self, topic: str, payload: bytes) -> bool:
        return bool(self._call("poison", topic, payload))

    def step_clock(self, offset_ms: int) -> None:
        self._call("step_clock", offset_ms)

    def throttle(self, delay_ms: float | None) -> None:
        self._call("throttle", delay_ms)

    def crash(self) -> int:
        self.interruptions += 1
        return int(self._call("crash"))

    def power_off(self) -> int:
        self.interruptions += 1
        return int(self._call("power_off"))

    def power_on(self) -> None:
        self._call("power_on")

    def at_risk(self) -> list[Readings]:
        readings: list[Readings] = self._call("at_risk") if self.was_interrupted else []
        return readings

    def books(self) -> Books:
        books: Books = self._call("books")
        return books

    def statistics(self) -> PipelineStatistics:
        statistics: PipelineStatistics = self._call("statistics")
        return statistics

    def _of(self, name: str) -> Any:
        return self.shard.ask(self.index, name)

    def _call(self, name: str, *arguments: Any) -> Any:
        return self.shard.ask(self.index, name, arguments)


class _Relay:
    """A connection in a shard: what is published goes to the fleet with the end of the step. Implements Connection."""

    connected = True

    def __init__(self, index: int, published: list[Published]) -> None:
        self._index = index
        self._published = published
        self._handlers: list[tuple[str, Any]] = []

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:  # noqa: ARG002 - nothing is lost here
        self._published.append((self._index, topic, payload))
        return _done()

    def subscribe(self, topic_filter: str, handler: Any) -> Future[None]:
        self._handlers.append((topic_filter, handler))
        return _done()

    def hear(self, payload: bytes) -> None:
        for topic, handler in self._handlers:
            handler(topic, payload)

    def on_state(self, callback: Any) -> None:
        """The state of this connection never changes."""

    def close(self) -> None:
        self._handlers.clear()


def _done() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done


def _work(pipe: Pipe, orders: list[Order], begin_ms: int) -> None:
    """A shard's process: does what it is told until the fleet closes its end."""
    clock = ManualClock(begin_ms, begin_ms)
    acks: AckQueue = queue.SimpleQueue()
    published: list[Published] = []
    relays = [_Relay(index, published) for index in range(len(orders))]
    gateways = [
        LocalGateway(
            order.plan,
            order.configuration,
            MeteredLink(relay, order.plan.gateway_id, Meter()),
            acks,
            clock,
            order.store_path,
        )
        for order, relay in zip(orders, relays, strict=True)
    ]
    while True:
        try:
            message: _Step | _Question = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            if isinstance(message, _Question):
                found = getattr(gateways[message.index], message.name)
                answer = found if message.arguments is None else found(*message.arguments)
            else:
                for index, payload in message.acks:
                    relays[index].hear(payload)
                _advance(clock, [gateways[index] for index in sorted(message.served)], acks, message.until_ms)
                for index, readings in message.arrived:
                    gateways[index].deliver(readings)
                answer = published.copy()
                published.clear()
            pipe.send((answer, ""))
        except Exception:  # noqa: BLE001 - whatever it was, the fleet's process tells it
            pipe.send((None, traceback.format_exc()))


def _advance(clock: ManualClock, served: list[LocalGateway], acks: AckQueue, until_ms: int) -> None:
    """Let time go on, from one gateway that wants to be woken to the next."""
    while not acks.empty():
        gateway, payload = acks.get_nowait()
        gateway.on_ack(payload)
    while True:
        next_ms = min((gateway.wake_ms for gateway in served), default=until_ms)
        clock.advance(max(0, min(round(next_ms), until_ms) - clock.wall_ms()))
        now_ms = clock.steady_ms()
        for gateway in served:
            if gateway.wake_ms <= now_ms:
                gateway.tick()
        if now_ms >= until_ms:
            return
