"""The Aggregator as it is shipped, as a process on the stand-in nucleus: its rate, its share of a core, its memory.

The readings go over the real IPC protocol, through journal, state and outbox on the disk, to a cloud that acknowledges.
CPU and memory are those of the Aggregator's process alone.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from aggregator.settings import AggregatorSettings
from components.build import build_local
from roadside.contract import topics
from roadside.contract.codec import decode_window, encode_ack
from roadside.contract.events import Event, decode_event
from roadside.contract.summary import Ack, WindowSummary
from roadside.runtime.outbox import OutgoingMessage
from roadside.runtime.segments import SegmentSettings
from roadside.runtime.store import GatewayStore
from simulator.local_nucleus import ComponentDeployment, LocalNucleus
from simulator.local_nucleus.fake_cloud import InMemoryCloud
from tests.performance import workload
from tests.performance.workload import START_MS, WINDOW_MS, Columns

NAME = "city.roadside.Aggregator"
GATEWAY = "gw000"
WAIT_S = 30.0
LATENESS_MS = 2000
DECODERS: dict[str, Callable[[bytes], WindowSummary | Event]] = {
    topics.uplink("windows", GATEWAY): decode_window,
    topics.uplink("events", GATEWAY): decode_event,
}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Throughput:
    """Of one stream of messages."""

    readings_per_cpu_s: float
    readings_per_s: float
    cpu_share: float  # of a core, while it ran


@dataclass(frozen=True, slots=True)
class SteadyState:
    """Of a gateway whose sensors read once a second."""

    cpu_share: float
    rss_mb: float
    first_window_s: float  # from the start of the process to its first window in the cloud


class Gateway:
    """A nucleus with the Aggregator on it, and a cloud in memory."""

    def __init__(self, directory: Path) -> None:
        [component] = build_local(["aggregator"], directory / "build")
        self.cloud = InMemoryCloud()
        self.nucleus = LocalNucleus(
            thing_name=GATEWAY, profile="lite", work_dir=directory / "gateway", cloud=self.cloud
        )
        self.nucleus.start()
        configuration = msgspec.to_builtins(settings())
        configuration.pop("logLevel")
        self.began_s = time.monotonic()
        self.nucleus.deploy(
            ComponentDeployment(component.recipe, component.unarchived, Path(sys.prefix), configuration)
        )
        self._acknowledged = 0
        self._windows: set[int] = set()
        self._until(lambda: self.say(topics.frames("bench"), workload.frame_of_nothing()) == 1)

    def say(self, topic: str, payload: bytes) -> int:
        return self.nucleus.publish_local(topic, payload)

    def windows(self) -> int:
        """Windows that the cloud has; acknowledges what is new, as nothing else makes room for more."""
        new = self.cloud.published[self._acknowledged :]
        self._acknowledged += len(new)
        messages = [decode(message.payload) for message in new if (decode := DECODERS.get(message.topic))]
        self._windows |= {m.window_start_ms for m in messages if isinstance(m, WindowSummary)}
        if messages:
            ack = Ack(messages[0].epoch_ms, stored=tuple(message.sequence for message in messages))
            self.cloud.deliver(topics.acks(GATEWAY), encode_ack(ack))
        return len(self._windows)

    def until_windows(self, count: int) -> None:
        self._until(lambda: self.windows() >= count)

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) / 1024

    def close(self) -> None:
        self.nucleus.stop()
        self.cloud.close()

    @property
    def _pid(self) -> int:
        pid = self.nucleus.component_pid(NAME)
        if pid is None:
            raise RuntimeError(f"the Aggregator has ended; its log:\n{self.nucleus.log_path(NAME).read_text()}")
        return pid

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                log = self.nucleus.log_path(NAME).read_text()
                raise RuntimeError(f"the Aggregator is not done after {WAIT_S} s; its log:\n{log}")
            time.sleep(0.005)


def settings() -> AggregatorSettings:
    return AggregatorSettings(
        allowed_lateness_ms=LATENESS_MS,
        publishes_per_second=90,
        segments=[
            SegmentSettings(
                id=segment.segment_id,
                number=segment.number,
                road_class="freeway",
                free_flow_kmh=segment.free_flow_kmh,
                lanes=segment.lanes,
                first_sensor_number=segment.first_sensor_number,
                sensors=list(segment.sensor_ids),
                downstream=segment.downstream,
            )
            for segment in workload.registry(in_a_row=True).segments
        ],
    )


def throughput(directory: Path, topic: str, messages: Sequence[bytes], readings: int) -> Throughput:
    """Send the workload as fast as it is taken: a window's messages, and on when the window before is in the cloud."""
    gateway = Gateway(directory)
    try:
        per_window = round(len(messages) * WINDOW_MS / 1000 / workload.SECONDS)
        began_s, began_cpu_s = time.monotonic(), gateway.cpu_s()
        for place, first in enumerate(range(0, len(messages), per_window)):
            for payload in messages[first : first + per_window]:
                gateway.say(topic, payload)
            gateway.until_windows(place - 1)
        elapsed_s, cpu_s = time.monotonic() - began_s, gateway.cpu_s() - began_cpu_s
        return Throughput(readings / cpu_s, readings / elapsed_s, cpu_s / elapsed_s)
    finally:
        gateway.close()


def steady_state(directory: Path, columns: Columns, seconds: int, progress: Callable[[str], None]) -> SteadyState:
    """Twelve seconds of readings at once close the first window; then a frame a second, by the clock."""
    gateway = Gateway(directory)
    try:
        # The workload's instants, moved so that its first window has just passed.
        shift_ms = (time.time_ns() // 1_000_000 - WINDOW_MS - LATENESS_MS - 1000) // WINDOW_MS * WINDOW_MS - START_MS
        second_of = (columns.timestamp_ms - START_MS) // 1000

        def frame(second: int) -> bytes:
            part = columns.rows(second_of == second)
            return workload.frame(part._replace(timestamp_ms=part.timestamp_ms + shift_ms))

        topic, ahead = topics.frames("bench"), (WINDOW_MS + LATENESS_MS) // 1000 + 1
        for second in range(ahead):
            gateway.say(topic, frame(second))
        gateway.until_windows(1)
        first_window_s = time.monotonic() - gateway.began_s
        began_s, began_cpu_s = time.monotonic(), gateway.cpu_s()
        for second in range(seconds):
            if second % 5 == 0:
                progress(f"a gateway in steady state: {second} of {seconds} s")
            payload = frame(ahead + second)
            time.sleep(max(0.0, began_s + second - time.monotonic()))
            gateway.say(topic, payload)
            gateway.windows()
        cpu_s, elapsed_s = gateway.cpu_s() - began_cpu_s, time.monotonic() - began_s
        return SteadyState(cpu_s / elapsed_s, gateway.rss_mb(), first_window_s)
    finally:
        gateway.close()


def outbox_commits_per_s(directory: Path, commits: int = 500) -> float:
    """Transactions a second, wall time: a message of 900 bytes queued and 4 KB of state replaced, safe on the disk."""
    store = GatewayStore.open(directory / "outbox.sqlite", START_MS)
    try:
        began_s = time.monotonic()
        for place in range(commits):
            with store.transaction():
                topic = topics.uplink("windows", GATEWAY)
                sequence = store.outbox.next_sequence()
                store.outbox.add(OutgoingMessage(sequence, "windows", topic, bytes(900), START_MS + place))
                store.state.put("bench", bytes(4096))
        return commits / (time.monotonic() - began_s)
    finally:
        store.close()
