"""All gateways of a run, and the loop that brings them readings in real time."""

import math
import os
import queue
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from aggregator.settings import MIN_IDLE_GRACE_MS
from components.build import build_local
from simulator.city.layout import City, GatewayPlan
from simulator.faults.clocks import stepped_interpreter
from simulator.faults.delivery import Readings
from simulator.faults.kinds import Kind
from simulator.faults.schedule import Schedule
from simulator.fleet.feed import CityFeed
from simulator.fleet.gateways import Books
from simulator.fleet.late_connection import LateConnection
from simulator.fleet.link import Connection, Meter, MeteredLink
from simulator.fleet.local_gateway import AckQueue, LocalGateway
from simulator.fleet.pace import REAL_TIME, Pace
from simulator.fleet.ramp import first_seconds
from simulator.fleet.real_gateway import RealGateway
from simulator.fleet.shards import Order, RemoteGateway, Shard
from simulator.local_nucleus import ComponentDeployment
from simulator.run.options import RunOptions, TargetName
from simulator.verification.sensors import due_ends_ms

CONNECTING_AT_ONCE: Final = 16
POLL_S: Final = 0.05
IN_FLIGHT: Final = 2  # messages a gateway may have under way, in the mean, before the run's time waits for the cloud
HOLD_S: Final = 30.0  # at most, for one second of readings
LEAST_OF_A_SHARD: Final = 16  # gateways; for fewer a process of their own does not pay


class Fleet:
    """The gateways of a city. The first `gateways_real` are processes; every other one of those gets JSON, not frames.

    Use as a context manager: leaving it stops processes and closes connections.

    Parameters
    ----------
    connect : makes the connection of the gateway of that name; called from several threads
    planned : the faults that the gateways must be able to suffer
    """

    def __init__(
        self,
        options: RunOptions,
        city: City,
        connect: Callable[[str], Connection],
        pace: Pace,
        work_dir: Path,
        environment_python: Path,
        planned: Schedule,
    ) -> None:
        self.meter = Meter()
        self.pace = pace
        self.real: list[RealGateway] = []
        self.local: list[LocalGateway | RemoteGateway] = []
        self.gateways: list[RealGateway | LocalGateway | RemoteGateway] = []
        self.on_poll: Callable[[], None] = lambda: None  # called between any two things that the fleet does
        self.longest_stall_s = 0.0  # between two slices, beyond their time
        self.left: dict[str, int] = {}  # by gateway, what `under_way` found last
        self.fed_s = 0.0  # seconds of the run whose readings were handed over
        self.first_seconds = first_seconds(len(city.gateways), options.ramp_up_s)
        self._options = options
        self._city = city
        self._connect = connect
        self._work_dir = work_dir
        self._python = environment_python
        self._stepped = planned.strikes(Kind.CLOCK_STEP)
        self._killed = planned.strikes(Kind.GATEWAY_CRASH, Kind.POWER_CUT)
        self._acks: AckQueue = queue.SimpleQueue()
        self._served: list[LocalGateway | RemoteGateway] = []
        self._shards: list[Shard] = []
        self._connecting = ThreadPoolExecutor(CONNECTING_AT_ONCE, thread_name_prefix="connect")
        self._late: dict[int, list[LateConnection]] = defaultdict(list)  # by the second in which they connect
        self._opening: list[Future[None]] = []
        self._books: dict[str, Books] = {}
        self._at_risk: dict[str, list[Readings]] = {}
        self._closing = ExitStack()

    def __enter__(self) -> "Fleet":
        try:
            self._start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def run(
        self,
        feed: CityFeed,
        start_ms: int,
        on_second: Callable[[int], None],
        is_over: Callable[[], bool] = lambda: False,
    ) -> float:
        """Bring the readings of `duration_s` seconds, each second at its time, then what is still under way.

        Parameters
        ----------
        on_second : called after each second, with its number
        is_over : asked before each second whether the readings end before their time

        Returns
        -------
        float
            Simulated seconds per second that it took: below 1 the machine could not keep up.
        """
        duration_s = self._options.duration_s
        second = 0
        caught_up_s = 0.0
        self._serve_until(start_ms / 1000)
        self.pace.start()
        delivered_s = time.monotonic()
        while second < duration_s or not feed.exhausted:
            self._hold_back()
            if second < duration_s and is_over():
                duration_s, caught_up_s = second, self.pace.elapsed_s()
                feed.cut()
            if second < duration_s:
                self._open_late(second)
                feed.draw(second)
            for part, arrivals in enumerate(feed.deliver(second), start=1):
                end_s = second + part / feed.slices
                due_s = start_ms / 1000 + end_s
                self._serve_until(due_s)
                lag_ms = round(1000 * max(0.0, self.pace.now_s() - due_s))
                for gateway in self.gateways:
                    gateway.lag_ms = lag_ms
                for index, readings in arrivals:
                    self.gateways[index].deliver(readings)
                self.fed_s = end_s
                self._begin_shards()
                if self._options.speed == REAL_TIME:  # at any other the gateways' time stands still with the machine
                    self.longest_stall_s = max(self.longest_stall_s, time.monotonic() - delivered_s - 1 / feed.slices)
                delivered_s = time.monotonic()
            on_second(second)
            second += 1
            if second == duration_s:
                caught_up_s = self.pace.elapsed_s()
        self.fed_s = float("inf")
        return duration_s / caught_up_s

    def uncertain(self) -> frozenset[str]:
        """Gateways whose windows may have closed otherwise than planned.

        Processes, and those that ended on the way; all, if the machine stood still for so long that a gateway takes it
        for silence of its sensors.
        """
        stood_still = 1000 * self.longest_stall_s >= MIN_IDLE_GRACE_MS
        named = {real.gateway_id for real in self.real}
        named |= {local.gateway_id for local in self.local if local.was_interrupted or stood_still}
        return frozenset(named)

    def close_books(self) -> None:
        """Read the books of gateways that are no components; after the last reading, and before the fleet ends."""
        self._books = {local.gateway_id: local.books() for local in self.local}
        self._at_risk = {local.gateway_id: local.at_risk() for local in self.local}

    def books(self) -> dict[str, Books]:
        """By gateway, what it says it has done with its readings; after the fleet has ended."""
        return self._books | {real.gateway_id: real.books() for real in self.real}

    def at_risk(self) -> dict[str, list[Readings]]:
        """By gateway, readings that were handed over just before it ended, and that it may have lost."""
        open_books = [gateway for gateway in self.gateways if gateway.gateway_id not in self._at_risk]
        return self._at_risk | {gateway.gateway_id: gateway.at_risk() for gateway in open_books}

    def serve(self, seconds: float) -> None:
        """Let the gateways go on without new readings."""
        self._serve_until(self.pace.now_s() + seconds)
        self._begin_shards()
        self._finish_shards()

    def under_way(self, starts_ms: Mapping[str, Collection[int]], summary_s: int) -> int:
        """Messages with readings that wait for a process, and what was not acknowledged yet.

        That is of windows by gateway and start, of the summaries of sensors that come with them, and of events.

        Gateways that have nothing of these left are served no more: silence would close windows for ever, and on a slow
        machine they would stand in the way of those that are waited for.
        """
        until_ms = max(max(starts) for starts in starts_ms.values() if starts)
        for gateway in self.gateways:
            link = gateway.link
            starts = set(starts_ms[gateway.plan.gateway_id])
            ends = set(due_ends_ms(starts, 1000 * summary_s))
            lacking = len(starts - link.acknowledged_starts_ms) + len(ends - link.acknowledged_ends_ms)
            left = lacking + link.unacknowledged(until_ms)
            if not left and gateway in self._served:  # what still waits to be published, such as a correction
                left = gateway.statistics().uplink.backlog_messages
            self.left[gateway.plan.gateway_id] = left
        self._served = [local for local in self.local if self.left[local.plan.gateway_id]]
        return sum(self.left.values()) + sum(real.waiting for real in self.real)

    def _serve_until(self, at_s: float) -> None:
        """Serve, and at least once: a machine that is behind still has to take acknowledgements."""
        self._finish_shards()
        while True:
            next_s = self._next_s(at_s)
            self._serve_once(max(0.0, min(self.pace.wait_s(next_s), POLL_S)), next_s)
            if self.pace.now_s() >= at_s:
                return

    def _hold_back(self) -> None:
        """At another speed than real time, let the run's time stand still while the cloud is behind.

        Otherwise gateways would repeat what the cloud had no time to acknowledge, and merge what they could not send.
        """
        if self._options.speed == REAL_TIME:
            return
        until_s = time.monotonic() + HOLD_S
        most = IN_FLIGHT * len(self.gateways)
        while sum(gateway.link.in_flight for gateway in self.gateways) > most and time.monotonic() < until_s:
            self._serve_once(POLL_S, self.pace.now_s())

    def _next_s(self, at_s: float) -> float:
        """Up to when the run's time may go on at one go: a gateway that is to be woken before then has its turn."""
        if self._options.speed == REAL_TIME:
            return at_s
        wake_ms = min((local.wake_ms for local in self._served), default=math.inf)
        return min(at_s, max(self.pace.now_s(), wake_ms / 1000))

    def shard_pids(self) -> list[int]:
        """Ids of the processes of gateways, but for real ones."""
        return [shard.pid for shard in self._shards]

    def shards_cpu_s(self) -> float:
        """Processor time that the processes of gateways have used, but for real ones."""
        return sum(shard.cpu_s() for shard in self._shards)

    def _begin_shards(self) -> None:
        """Let the shards go on up to now, with what was delivered; they work while the fleet does other things."""
        remote = [local for local in self._served if isinstance(local, RemoteGateway)]
        for shard in self._shards:
            shard.begin(self.pace.clock.wall_ms(), [local.index for local in remote if local.shard is shard])

    def _finish_shards(self) -> None:
        """Wait for the shards, and send on what their gateways have published."""
        for shard in self._shards:
            shard.finish()
        for local in self.local if self._shards else ():
            if isinstance(local, RemoteGateway):
                for topic, payload in local.shard.fetch(local.index):
                    local.link.publish(topic, payload)

    def _serve_once(self, wait_s: float, next_s: float) -> None:
        self.on_poll()
        try:
            gateway, payload = self._acks.get(timeout=wait_s)
            gateway.on_ack(payload)
            for _ in range(self._acks.qsize()):
                gateway, payload = self._acks.get_nowait()
                gateway.on_ack(payload)
        except queue.Empty:
            pass  # nobody was acknowledged
        self.pace.reach(next_s)
        now_ms = self.pace.clock.steady_ms()
        for local in self._served:
            if local.wake_ms <= now_ms:
                local.tick()
        for real in self.real:
            real.offer()

    def _start(self) -> None:
        self._closing.callback(self._connecting.shutdown, cancel_futures=True)
        links = list(self._connecting.map(self._link, range(len(self._city.gateways))))
        deployment = None
        shards = self._made_shards()
        for index, (plan, link) in enumerate(zip(self._city.gateways, links, strict=True)):
            gateway: RealGateway | LocalGateway | RemoteGateway
            if index < self._options.gateways_real:
                deployment = deployment or self._built()
                gateway = self._real(plan, link, deployment, as_json=index % 2 == 0, can_step=index in self._stepped)
            elif shards:
                gateway = RemoteGateway(plan, link, *shards[index])
                self.local.append(gateway)
            else:
                order = self._order(index)
                gateway = LocalGateway(plan, order.configuration, link, self._acks, self.pace.clock, order.store_path)
                self.local.append(gateway)
            self.gateways.append(gateway)
        self._served = list(self.local)
        for real in self.real:
            real.wait_until_listening()

    def _link(self, index: int) -> MeteredLink:
        """The link of a gateway, open unless its turn comes later; processes take their time and begin before all."""
        gateway = self._city.gateways[index].gateway_id
        connection: Connection
        if self.first_seconds[index] and index >= self._options.gateways_real:
            connection = late = LateConnection(gateway, self._connect)
            self._late[int(self.first_seconds[index])].append(late)
        else:
            connection = self._connect(gateway)
        self._closing.callback(connection.close)
        return MeteredLink(connection, gateway, self.meter)

    def _open_late(self, second: int) -> None:
        """Let the gateways connect whose turn it is. Raises what a connection raised whose turn has been."""
        for opening in self._opening:
            if opening.done():
                opening.result()
        self._opening += [self._connecting.submit(late.open) for late in self._late.pop(second, ())]

    def _order(self, index: int) -> Order:
        """What a gateway in a process of the simulator is made of."""
        plan = self._city.gateways[index]
        store_path = self._work_dir / f"{plan.gateway_id}.sqlite" if index in self._killed else None
        return Order(plan, self._configuration(plan), store_path)

    def _made_shards(self) -> list[tuple[Shard, int]]:
        """For every gateway its shard and its index there; none where gateways are in this process."""
        count = len(self._city.gateways)
        shards = min(os.cpu_count() or 1, count // LEAST_OF_A_SHARD)
        can_be_apart = self._options.speed != REAL_TIME and self._options.target is TargetName.MEMORY
        if shards < 2 or not can_be_apart:
            return []
        found = []
        for part in np.array_split(np.arange(count), shards):
            shard = Shard([self._order(index) for index in part.tolist()], self.pace.clock.wall_ms())
            self._closing.callback(shard.close)
            self._shards.append(shard)
            found += [(shard, place) for place in range(len(part))]
        return found

    def _built(self) -> tuple[Path, Path]:
        [component] = build_local(["aggregator"], self._work_dir / "build")
        return component.recipe, component.unarchived

    def _real(
        self, plan: GatewayPlan, link: MeteredLink, built: tuple[Path, Path], *, as_json: bool, can_step: bool
    ) -> RealGateway:
        recipe, artifacts = built
        clock_folder = None
        if can_step:
            clock_folder = stepped_interpreter(self._python, self._work_dir / f"{plan.gateway_id}-clock")
        deployment = ComponentDeployment(
            recipe_path=recipe,
            artifacts_dir=artifacts,
            python=clock_folder or self._python,
            configuration_merge=self._configuration(plan),
        )
        gateway = RealGateway(
            plan,
            deployment,
            link,
            profile=self._options.profile,
            work_dir=self._work_dir / plan.gateway_id,
            as_json=as_json,
            clock_folder=clock_folder,
        )
        self._closing.callback(gateway.stop)
        self.real.append(gateway)
        return gateway

    def _configuration(self, plan: GatewayPlan) -> dict[str, Any]:
        return {
            "windowSeconds": self._options.window_s,
            "sensorSummarySeconds": self._options.sensor_summary_s,
            "allowedLatenessMs": self._options.lateness_ms,
            "segments": plan.registry_configuration(),
        }
