"""The real Monitor process, from its zip, on both nuclei; and its watchdog over the real IPC, with time that flies."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components import build
from monitor.notebook import CONFIGURATIONS_FILE, HEARTBEAT_FILE, Notebook
from monitor.redaction import HIDDEN
from monitor.worker import COMPONENT, STATUS, MonitorWorker
from roadside import VERSION
from roadside.contract import topics
from roadside.contract.heartbeat import Heartbeat, SystemState, decode_heartbeat
from roadside.contract.status import State, Status, encode_status
from roadside.runtime.greengrass import connect_greengrass
from roadside.runtime.service import Inbox
from roadside.runtime.status import StatusTeller
from simulator.local_nucleus import ComponentDeployment, ComponentState, LocalNucleus
from simulator.local_nucleus.fake_cloud import InMemoryCloud

GATEWAY = "gw-1"
AGGREGATOR = "city.roadside.Aggregator"
WAIT_S = 15.0
SPEED = 40
MAX_RSS_BYTES = 40 * 1024 * 1024
OTHER = """
RecipeFormatVersion: "2020-01-25"
ComponentName: {name}
ComponentVersion: "1.0.0"
ComponentType: aws.greengrass.generic
ComponentDescription: Stands for a component
ComponentPublisher: Tests
ComponentConfiguration: {{DefaultConfiguration: {{password: p4ss, windowSeconds: 10}}}}
Manifests:
  - Platform: {{os: linux, runtime: "*"}}
    Lifecycle: {{run: {{Script: "exec sleep 300"}}}}
"""


class FlyingClock:
    """The machine's own time, but SPEED times as fast. Implements Clock."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._wall_ms = time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        return int((time.monotonic() - self._began_s) * 1000 * SPEED)

    def wall_ms(self) -> int:
        return self._wall_ms + self.steady_ms()


class Station:
    """A gateway with a Monitor to be, and what the cloud has of it."""

    def __init__(self, profile: Any, directory: Path) -> None:
        self.directory = directory
        self.cloud = InMemoryCloud()
        self.nucleus = LocalNucleus(
            thing_name=GATEWAY, profile=profile, work_dir=directory / "gateway", cloud=self.cloud
        )
        self.nucleus.start()
        (local,) = build.build_local(["monitor"], directory / "build")
        self._deployment = ComponentDeployment(local.recipe, local.unarchived, Path(sys.prefix), {"expected": []})

    def deploy_monitor(self, *, run: bool) -> None:
        self.nucleus.deploy(self._deployment, run=run)

    def deploy_other(self, name: str, *, run: bool) -> None:
        recipe = self.directory / f"{name}.yaml"
        recipe.write_text(OTHER.format(name=name))
        self.nucleus.deploy(ComponentDeployment(recipe, self.directory), run=run)

    def tell(self, component: str, state: State = "running", **counters: int) -> int:
        status = Status(component, VERSION, state, 1, 1, 1000, {k.replace("__", "."): n for k, n in counters.items()})
        return self.nucleus.publish_local(topics.status(component), encode_status(status))

    @property
    def heartbeats(self) -> list[Heartbeat]:
        topic = topics.uplink("heartbeat", GATEWAY)
        return [decode_heartbeat(each.payload) for each in self.cloud.published if each.topic == topic]

    def states(self, heartbeat: Heartbeat) -> dict[str, str]:
        return {each.component: each.state for each in heartbeat.components if each.component != COMPONENT}

    def noted(self, name: str) -> Any:
        """What the Monitor's process has left on disk for support."""
        return json.loads((self.directory / "gateway" / "work" / COMPONENT / name).read_bytes())

    @property
    def log(self) -> str:
        path = self.nucleus.log_path(COMPONENT)
        return path.read_text() if path.exists() else ""

    def until(self, condition: Callable[[], Any]) -> None:
        deadline_s = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline_s, f"it did not come to that in time; the log:\n{self.log}"
            time.sleep(0.01)

    def close(self) -> None:
        self.nucleus.stop()
        self.cloud.close()


@pytest.fixture(params=["classic", "lite"])
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Station]:
    made = Station(request.param, tmp_path)
    yield made
    made.close()


def test_statuses_become_heartbeats_and_it_ends_at_once_when_told_to(station: Station) -> None:
    station.deploy_other(AGGREGATOR, run=False)
    station.deploy_monitor(run=True)
    station.until(lambda: station.tell(AGGREGATOR, uplink__backlog_bytes=123, windows=7) == 1)
    station.until(lambda: f"{AGGREGATOR} is running" in station.log)
    station.nucleus.publish_local(topics.status(AGGREGATOR), b"\xff no status")
    station.tell(AGGREGATOR, "stopping", uplink__backlog_bytes=200, windows=8, zero=0)
    station.until(lambda: station.heartbeats)
    heartbeat = station.heartbeats[0]
    assert station.cloud.published[0].qos == 0
    assert (heartbeat.gateway, heartbeat.reason) == (GATEWAY, "change")
    assert heartbeat.nucleus == station.nucleus.profile.nucleus_version
    assert station.states(heartbeat) == {AGGREGATOR: "stopped"}
    assert heartbeat.backlog_bytes == 200
    assert {each.component: each.counters for each in heartbeat.components}[AGGREGATOR] == {
        "uplink.backlog_bytes": 200,
        "windows": 8,
    }
    own = {each.component: each for each in heartbeat.components}[COMPONENT]
    assert (own.version, own.state) == (VERSION, "running"), "it hears itself on both nuclei"
    assert heartbeat.system.memory_available_bytes
    assert heartbeat.system.state_free_bytes

    pid = station.nucleus.component_pid(COMPONENT)
    assert pid is not None
    assert rss_bytes(pid) <= MAX_RSS_BYTES
    station.nucleus.update_configuration(COMPONENT, {"expected": [AGGREGATOR], "heartbeatSeconds": "30"})
    station.until(lambda: station.noted(CONFIGURATIONS_FILE)[COMPONENT]["expected"] == [AGGREGATOR])
    assert station.noted(CONFIGURATIONS_FILE)[AGGREGATOR].keys() == {"password", "windowSeconds"}
    assert station.noted(CONFIGURATIONS_FILE)[AGGREGATOR]["password"] == HIDDEN
    assert station.noted(HEARTBEAT_FILE)["gateway"] == GATEWAY
    assert station.nucleus.component_pid(COMPONENT) == pid, "changes apply without a restart"
    began_s = time.monotonic()
    station.nucleus.stop_component(COMPONENT)
    assert time.monotonic() - began_s < 3.0
    assert station.nucleus.component_state(COMPONENT) is ComponentState.FINISHED
    assert station.nucleus.component_starts(COMPONENT) == 1


class FlyingMonitor:
    """The Monitor's worker in this process, over the real IPC, with time that flies."""

    def __init__(self, station: Station) -> None:
        self._station = station
        station.deploy_monitor(run=False)
        self.clock, self._inbox = FlyingClock(), Inbox()
        self.bus = connect_greengrass(
            lambda _reason: None,
            socket_path=str(station.nucleus.socket_path),
            auth_token=station.nucleus.auth_token(COMPONENT),
        )
        notebook, status = Notebook(station.directory), StatusTeller(COMPONENT, self.bus, self.clock)
        self._worker = MonitorWorker(GATEWAY, None, self.bus, SystemState, notebook, self.clock, status)
        self.bus.subscribe_local(topics.STATUS_FILTER, self._inbox.handler(STATUS))

    def work_until(self, condition: Callable[[], Any]) -> None:
        def worked() -> Any:
            self._worker.work(self._inbox.take(0.02))
            return condition()

        self._station.until(worked)


def test_component_that_falls_silent_is_told_at_once_and_restarted(station: Station) -> None:
    station.deploy_other(AGGREGATOR, run=True)
    if station.nucleus.profile.name == "classic":
        station.deploy_other("aws.greengrass.Cli", run=False)
    monitor = FlyingMonitor(station)
    station.tell(AGGREGATOR)
    monitor.work_until(lambda: station.heartbeats and station.states(station.heartbeats[-1]) == {AGGREGATOR: "silent"})
    assert station.heartbeats[-1].reason == "change"
    monitor.work_until(lambda: station.nucleus.component_starts(AGGREGATOR) == 2)
    station.tell(AGGREGATOR)
    monitor.work_until(lambda: station.states(station.heartbeats[-1]) == {AGGREGATOR: "running"})
    assert {each.component: each.restarts for each in station.heartbeats[-1].components}[AGGREGATOR] == 1
    monitor.bus.close()


def test_monitor_whose_subscription_died_without_a_word_accuses_nobody_and_hears_again(station: Station) -> None:
    monitor = FlyingMonitor(station)
    station.tell(AGGREGATOR)
    monitor.work_until(lambda: station.heartbeats)
    station.nucleus.faults.silence_subscriptions()
    assert station.tell(AGGREGATOR) == 0
    monitor.work_until(lambda: station.tell(AGGREGATOR, "idle") == 1)
    monitor.work_until(lambda: station.states(station.heartbeats[-1]) == {AGGREGATOR: "idle"})
    assert {state for each in station.heartbeats for state in station.states(each).values()} == {"running", "idle"}
    monitor.bus.close()


def rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process has no memory")
