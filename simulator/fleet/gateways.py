"""The two kinds of gateways in a run: real component processes under a local nucleus, and pipelines in this process.

Both publish over a metered device connection with mutual TLS; what differs is how readings reach the pipeline.
"""

import queue
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aggregator.pipeline import Pipeline, PipelineStatistics
from aggregator.settings import AggregatorSettings
from roadside.contract import topics
from roadside.contract.codec import encode_frame
from roadside.contract.summary import ReadingFrame
from roadside.runtime.ports import Clock
from roadside.runtime.settings import load_settings
from roadside.runtime.store import GatewayStore
from simulator.city.layout import GatewayPlan
from simulator.faults.clocks import SteppedClock, step
from simulator.faults.delivery import Readings
from simulator.fleet.feed import READINGS_PER_JSON_MESSAGE, frame, json_readings
from simulator.fleet.link import LinkPublisher, MeteredLink
from simulator.local_nucleus import ComponentDeployment, ComponentState, LocalNucleus

AGGREGATOR: Final = "city.roadside.Aggregator"
CRASH_LOSS_MS: Final = 1000  # what the journal may miss when a process is killed
KEPT_MS: Final = 30_000  # how long it is remembered what was handed over
READY_TIMEOUT_S: Final = 30.0
SOURCE: Final = "simulator"


class GatewayError(Exception):
    """A gateway did not come up; the message says where to look."""


class LocalGateway:
    """A gateway's pipeline in this process, with everything but the process and the IPC.

    Its wall clock can be stepped off `clock`, the run's.
    """

    def __init__(
        self, plan: GatewayPlan, configuration: dict[str, Any], link: MeteredLink, acks: "AckQueue", clock: Clock
    ) -> None:
        self.plan = plan
        self.link = link
        self.wake_ms = 0
        self._clock = SteppedClock(clock)
        store = GatewayStore.open(None, self._clock.wall_ms())
        settings = load_settings(AggregatorSettings, configuration)
        self._pipeline = Pipeline(
            plan.gateway_id, store, LinkPublisher(link), settings, steady_ms=self._clock.steady_ms()
        )
        link.subscribe(topics.acks(plan.gateway_id), lambda _topic, payload: acks.put((self, payload)))

    def deliver(self, readings: Readings) -> None:
        """Hand over what arrived, then let the pipeline work."""
        self._pipeline.receive(
            topics.frames(SOURCE), frame(readings, SOURCE), self._clock.wall_ms(), self._clock.steady_ms()
        )
        self.tick()

    def on_ack(self, payload: bytes) -> None:
        self._pipeline.on_ack(payload, self._clock.wall_ms())

    def tick(self) -> None:
        self.wake_ms = self._pipeline.tick(self._clock.wall_ms(), self._clock.steady_ms())

    def step_clock(self, offset_ms: int) -> None:
        """Set the gateway's wall clock to `offset_ms` off the machine's."""
        self._clock.offset_ms = offset_ms

    def statistics(self) -> PipelineStatistics:
        return self._pipeline.statistics(self._clock.wall_ms())


AckQueue = queue.SimpleQueue[tuple[LocalGateway, bytes]]


@dataclass(frozen=True, slots=True)
class Handed:
    """Readings handed to a component process, the how manieth message they were, and when."""

    number: int
    at_ms: int
    readings: Readings


class RealGateway:
    """A gateway as it stands at the roadside: the component's own process, from the built zip, over real IPC.

    Readings that no process listens for are kept and offered again, as SensorIngest does; so a crash loses only what
    a process had taken and not yet journalled.

    Attributes
    ----------
    kills, ipc_drops : how often its process was killed, and its connection to the nucleus ended
    lag_ms : how far the machine is behind; a process that waits for a core journals so much later
    """

    def __init__(
        self,
        plan: GatewayPlan,
        deployment: ComponentDeployment,
        link: MeteredLink,
        *,
        profile: str,
        work_dir: Path,
        as_json: bool,
        clock_folder: Path | None,
    ) -> None:
        self.plan = plan
        self.link = link
        self.kills = self.ipc_drops = 0
        self.lag_ms = 0
        self.max_rss_bytes = 0
        self._as_json = as_json
        self._clock_folder = clock_folder
        self._sensor_ids = {
            segment.first_sensor_number + place: sensor_id
            for segment in plan.segments
            for place, sensor_id in enumerate(segment.sensor_ids)
        }
        self._waiting: deque[tuple[Readings, bytes]] = deque()
        self._handed: deque[Handed] = deque()
        self._handed_count = 0
        self._at_risk: dict[int, Readings] = {}  # by number of the message, since two kills may be within a second
        self.nucleus = LocalNucleus(
            thing_name=plan.gateway_id,
            profile="lite" if profile == "lite" else "classic",
            work_dir=work_dir,
            cloud=link,
            restart_budget=100,
        )
        self.nucleus.start()
        self.nucleus.deploy(deployment)

    def wait_until_listening(self) -> None:
        """Return once the component takes readings. Raises GatewayError."""
        probe = b"[]" if self._as_json else frame_of_nothing()
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while self.nucleus.publish_local(self._topic, probe) == 0:
            state = self.nucleus.component_state(AGGREGATOR)
            if time.monotonic() > deadline_s or state is ComponentState.BROKEN:
                where = f"{AGGREGATOR} on {self.plan.gateway_id}"
                raise GatewayError(
                    f"{where} is {state.name}, takes no readings; see {self.nucleus.log_path(AGGREGATOR)}"
                )
            time.sleep(0.02)

    def deliver(self, readings: Readings) -> None:
        """Offer what arrived, after whatever still waits."""
        if self._as_json:
            for first, message in enumerate(json_readings(readings, self._sensor_ids)):
                self._waiting.append((readings.rows(_slice(first, len(readings))), message))
        else:
            self._waiting.append((readings, frame(readings, SOURCE)))
        self.offer()

    def offer(self) -> None:
        """Hand over waiting messages while somebody listens."""
        while self._waiting:
            readings, message = self._waiting[0]
            if self.nucleus.publish_local(self._topic, message) == 0:
                return
            self._waiting.popleft()
            now_ms = _steady_ms()
            self._handed.append(Handed(self._handed_count, now_ms, readings))
            self._handed_count += 1
            while self._handed[0].at_ms < now_ms - KEPT_MS:
                self._handed.popleft()

    def kill(self) -> None:
        """SIGKILL the component; the nucleus starts it again.

        Returns once the nucleus has seen the connection end: what it wrote into a dead process's socket would be lost
        like what the process had taken.
        """
        self._put_at_risk()
        self.nucleus.kill_component(AGGREGATOR)
        self._until_disconnected("was killed")
        self.kills += 1

    def drop_ipc(self) -> None:
        """End the component's connection, as a nucleus does that restarts; what was still in the socket is at risk."""
        self._put_at_risk()
        self.nucleus.drop_connections()
        self._until_disconnected("lost its connection")
        self.ipc_drops += 1

    def step_clock(self, offset_ms: int) -> None:
        """Set the wall clock that the component's process sees to `offset_ms` off the machine's."""
        if self._clock_folder is None:
            raise GatewayError(f"{self.plan.gateway_id} was started with a clock that cannot be stepped")
        step(self._clock_folder, offset_ms)

    def at_risk(self) -> list[Readings]:
        """Readings handed over in the second before a kill or a lost connection, which the journal may have missed."""
        return list(self._at_risk.values())

    @property
    def was_interrupted(self) -> bool:
        return self.kills + self.ipc_drops > 0

    @property
    def restarts(self) -> int:
        return self.nucleus.component_starts(AGGREGATOR) - 1

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def measure(self) -> None:
        """Note the memory of the component's process."""
        pid = self.nucleus.component_pid(AGGREGATOR)
        if pid is not None:
            self.max_rss_bytes = max(self.max_rss_bytes, _rss_bytes(pid))

    def stop(self) -> None:
        self.nucleus.stop()

    def _put_at_risk(self) -> None:
        since_ms = _steady_ms() - CRASH_LOSS_MS - self.lag_ms
        self._at_risk |= {handed.number: handed.readings for handed in self._handed if handed.at_ms >= since_ms}

    def _until_disconnected(self, what: str) -> None:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while self.nucleus.connection_count:
            if time.monotonic() > deadline_s:
                raise GatewayError(f"{AGGREGATOR} on {self.plan.gateway_id} {what}, yet its connection lives")
            time.sleep(0.001)

    @property
    def _topic(self) -> str:
        return topics.readings(SOURCE) if self._as_json else topics.frames(SOURCE)


def frame_of_nothing() -> bytes:
    """A valid frame without readings."""
    return encode_frame(ReadingFrame(SOURCE, 0, b"", b"", b"", b"", b""))


def _slice(index: int, count: int) -> npt.NDArray[np.intp]:
    first = index * READINGS_PER_JSON_MESSAGE
    return np.arange(first, min(first + READINGS_PER_JSON_MESSAGE, count))


def _rss_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended between asking for its pid and reading this
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _steady_ms() -> int:
    return time.monotonic_ns() // 1_000_000
