"""A gateway that is a process: the component as built, under a local nucleus, over real IPC."""

import time
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from aggregator.pipeline import Pipeline
from aggregator.settings import AggregatorSettings
from roadside.contract import topics
from roadside.contract.codec import encode_frame
from roadside.contract.summary import ReadingFrame
from roadside.runtime.ports import BusUnavailableError
from roadside.runtime.settings import load_settings
from roadside.runtime.store import GatewayStore
from simulator.city.layout import GatewayPlan
from simulator.faults.clocks import step
from simulator.faults.delivery import Readings
from simulator.faults.poison import OVERSIZE_BYTES
from simulator.fleet.feed import READINGS_PER_JSON_MESSAGE, frame, json_readings
from simulator.fleet.gateways import SOURCE, Books, GatewayError, RecentlyHanded, steady_ms
from simulator.fleet.link import MeteredLink
from simulator.local_nucleus import ComponentDeployment, ComponentState, LocalNucleus

AGGREGATOR: Final = "city.roadside.Aggregator"
READY_TIMEOUT_S: Final = 30.0
LITE_LARGEST_BYTES: Final = 7_000


class RealGateway:
    """A gateway as it stands at the roadside: the component's own process, from the built zip, over real IPC.

    Readings that no process listens for are kept and offered again, as SensorIngest does; so a crash loses only what
    a process had taken and not yet journalled.

    Attributes
    ----------
    interruptions : how often its process was killed, or its connection to the nucleus ended
    lost : None: nobody can read its books in the instant of an end
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
        self.interruptions = 0
        self.lost: int | None = None
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
        self._recent = RecentlyHanded(steady_ms)
        self._state_dir = work_dir / "work" / AGGREGATOR
        self._settings = load_settings(AggregatorSettings, deployment.configuration_merge)
        self._is_dark = False
        self._largest_bytes = LITE_LARGEST_BYTES if profile == "lite" else OVERSIZE_BYTES + 1
        self.nucleus = LocalNucleus(
            thing_name=plan.gateway_id,
            profile="lite" if profile == "lite" else "classic",
            work_dir=work_dir,
            cloud=link,
            restart_budget=100,
        )
        self.nucleus.start()
        self.nucleus.deploy(deployment)

    @property
    def gateway_id(self) -> str:
        return self.plan.gateway_id

    @property
    def stored_starts_ms(self) -> Collection[int]:
        """Starts of the windows that the cloud has acknowledged."""
        return self.link.acknowledged_starts_ms

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
            self._recent.note(readings)

    def poison(self, topic: str, payload: bytes) -> bool:
        """Hand over a message that is none, cut to what the nucleus lets through; whether anybody took it."""
        return self.nucleus.publish_local(topic, payload[: self._largest_bytes]) > 0

    def crash(self) -> int:
        """SIGKILL the component; the nucleus starts it again. How many readings were at risk.

        Returns once the nucleus has seen the connection end: what it wrote into a dead process's socket would be lost
        like what the process had taken.
        """
        if self._is_dark:
            return 0
        at_risk = self._recent.put_at_risk(self.lag_ms)
        self.nucleus.kill_component(AGGREGATOR)
        self._until_disconnected("was killed")
        self.interruptions += 1
        return at_risk

    def power_off(self) -> int:
        """SIGKILL the component, for now; how many readings were at risk."""
        at_risk = self._recent.put_at_risk(self.lag_ms)
        self.nucleus.cut_power(AGGREGATOR)
        self._until_disconnected("was killed")
        self._is_dark = True
        self.interruptions += 1
        return at_risk

    def power_on(self) -> None:
        """Start the component again."""
        self.nucleus.start_component(AGGREGATOR)
        self._is_dark = False

    def drop_ipc(self) -> int:
        """End the component's connection, as a nucleus does that restarts; what was still in the socket is at risk."""
        at_risk = self._recent.put_at_risk(self.lag_ms)
        self.nucleus.drop_connections()
        self._until_disconnected("lost its connection")
        self.interruptions += 1
        return at_risk

    def throttle(self, delay_ms: float | None) -> None:
        """Have publishes to the cloud refused (0), or every message handled so much later; None ends it."""
        self.nucleus.faults.spool_full = delay_ms == 0
        self.nucleus.faults.delay_ms = delay_ms or 0.0

    def step_clock(self, offset_ms: int) -> None:
        """Set the wall clock that the component's process sees to `offset_ms` off the machine's."""
        if self._clock_folder is None:
            raise GatewayError(f"{self.plan.gateway_id} was started with a clock that cannot be stepped")
        step(self._clock_folder, offset_ms)

    def at_risk(self) -> list[Readings]:
        """Readings handed over in the second before a kill or a lost connection, which the journal may have missed."""
        return self._recent.at_risk()

    @property
    def was_interrupted(self) -> bool:
        return self.interruptions > 0

    @property
    def restarts(self) -> int:
        return self.nucleus.component_starts(AGGREGATOR) - 1

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def books(self) -> Books:
        """What the gateway's database says, once the process has ended."""
        store = GatewayStore.open(self._state_dir / "gateway.sqlite", 0)
        try:
            pipeline = Pipeline(self.plan.gateway_id, store, _Nowhere(), self._settings, steady_ms=steady_ms())
            return Books.of(pipeline.statistics(0))
        finally:
            store.close()

    @property
    def pid(self) -> int | None:
        """Id of the component's process; None while there is none."""
        return self.nucleus.component_pid(AGGREGATOR)

    def measure(self) -> None:
        """Note the memory of the component's process."""
        if (pid := self.pid) is not None:
            self.max_rss_bytes = max(self.max_rss_bytes, _rss_bytes(pid))

    def stop(self) -> None:
        self.nucleus.stop()

    def _until_disconnected(self, what: str) -> None:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while self.nucleus.connection_count:
            if time.monotonic() > deadline_s:
                raise GatewayError(f"{AGGREGATOR} on {self.plan.gateway_id} {what}, yet its connection lives")
            time.sleep(0.001)

    @property
    def _topic(self) -> str:
        return topics.readings(SOURCE) if self._as_json else topics.frames(SOURCE)


class _Nowhere:
    """The way to the cloud of a gateway whose books are only read."""

    def publish_cloud(self, topic: str, payload: bytes) -> None:  # noqa: ARG002 - nothing leaves
        raise BusUnavailableError("only read")


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
