"""The Monitor between two waits, with a bus that behaves and fails as nuclei do."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.notebook import CONFIGURATIONS_FILE, HEARTBEAT_FILE, Notebook
from monitor.watchdog import INSTALL_MS
from monitor.worker import (
    CHANGE_GAP_MS,
    COMPONENT,
    CONFIGURATION,
    CONNECTION_LOST,
    ECHO_GIVE_UP_MS,
    ECHO_RENEW_MS,
    FIRST_HEARTBEAT_MS,
    STATUS,
    MonitorWorker,
)
from roadside.contract import topics
from roadside.contract.heartbeat import Heartbeat, SystemState, decode_heartbeat
from roadside.contract.status import INTERVAL_MS, State, Status, encode_status
from roadside.runtime.clock import ManualClock
from roadside.runtime.ports import BusClosedError, BusRefusedError, BusUnavailableError, Side
from roadside.runtime.service import Delivery
from roadside.runtime.status import StatusTeller

GATEWAY = "gw-1"
AGGREGATOR = "city.roadside.Aggregator"
NOW_MS = 1_790_000_000_000


class Nucleus:
    """Implements Surroundings and LocalPublisher, and lets the Monitor hear itself as nuclei do."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {"expected": [], "heartbeatSeconds": 60}
        self.carries_local = self.renewable = True
        self.cloud_error: Exception | None = None
        self.restart_error: Exception | None = None
        self.heartbeats: list[Heartbeat] = []
        self.restarted: list[str] = []
        self.echo: list[Delivery] = []

    def publish_local(self, topic: str, payload: bytes) -> None:
        if self.carries_local:
            self.echo.append(Delivery(STATUS, topic, payload))

    def publish_cloud_once(self, topic: str, payload: bytes) -> None:
        assert topic == topics.uplink("heartbeat", GATEWAY)
        if self.cloud_error is not None:
            raise self.cloud_error
        self.heartbeats.append(decode_heartbeat(payload))

    def read(self) -> dict[str, Any]:
        return self.tree

    def configuration_of(self, component: str) -> dict[str, Any]:
        if component == "absent":
            raise BusUnavailableError("no such component")
        return {"of": component, "password": "p4ss"}

    def renew(self, side: Side) -> None:
        assert side == "local"
        self.carries_local |= self.renewable

    def restart(self, component: str) -> None:
        if self.restart_error is not None:
            raise self.restart_error
        self.restarted.append(component)


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock(NOW_MS, 7_000)
        self.nucleus = Nucleus()
        status = StatusTeller(COMPONENT, self.nucleus, self.clock)
        self.worker = MonitorWorker(
            GATEWAY, "2.18.2", self.nucleus, lambda: SystemState(load_1min=0.5), Notebook(directory), self.clock, status
        )
        self.worker.work([])

    def run(self, by_ms: int, *alive: str) -> None:
        """Work as the service does, hearing its own echo and a status of each of `alive` every interval."""
        end_ms = self.clock.steady_ms() + by_ms
        wake_ms = self.clock.steady_ms()
        while True:
            now_ms = self.clock.steady_ms()
            self.nucleus.echo += [self.status(name) for name in alive if now_ms % INTERVAL_MS == 7_000]
            heard, self.nucleus.echo = self.nucleus.echo, []
            wake_ms = self.worker.work(heard)
            if now_ms >= end_ms:
                return
            pause_ms = 1_000 if self.nucleus.echo == [] else 0
            self.clock.advance(min(pause_ms, end_ms - now_ms, max(0, wake_ms - now_ms) or 1_000))

    def status(self, component: str, state: State = "running", process: int = 0, **counters: int) -> Delivery:
        status = Status(component, "0.1.0", state, NOW_MS + process, 1, 1_000, counters)
        return Delivery(STATUS, topics.status(component), encode_status(status))

    def configure(self, **tree: Any) -> None:
        self.nucleus.tree |= tree
        self.worker.work([Delivery(CONFIGURATION, "", b"")])

    @property
    def last(self) -> Heartbeat:
        return self.nucleus.heartbeats[-1]

    @property
    def told(self) -> list[tuple[str, dict[str, str]]]:
        """Reason and states of every heartbeat."""
        return [
            (each.reason, {c.component: c.state for c in each.components if c.component != COMPONENT})
            for each in self.nucleus.heartbeats
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_first_heartbeat_comes_when_all_have_been_heard_and_then_one_a_minute(bench: Bench) -> None:
    bench.run(FIRST_HEARTBEAT_MS - 1, AGGREGATOR)
    assert bench.told == []
    bench.run(1, AGGREGATOR)
    assert bench.told == [("beat", {AGGREGATOR: "running"})]
    bench.run(59_999, AGGREGATOR)
    assert len(bench.told) == 1
    bench.run(120_001, AGGREGATOR)
    assert bench.told == [("beat", {AGGREGATOR: "running"})] * 4
    assert bench.last.gateway == GATEWAY
    assert bench.last.nucleus == "2.18.2"
    assert bench.last.sent_ms == NOW_MS + bench.last.uptime_ms == bench.clock.wall_ms()
    assert bench.last.system == SystemState(load_1min=0.5)
    own = {each.component: each for each in bench.last.components}[COMPONENT]
    assert own.counters["heartbeats_sent"] == 3


def test_silence_and_recovery_are_told_at_once(bench: Bench) -> None:
    bench.run(FIRST_HEARTBEAT_MS + 60_000, AGGREGATOR)
    before = len(bench.told)
    bench.run(61_000)
    assert bench.told[-1] == ("change", {AGGREGATOR: "silent"})
    assert len(bench.told) <= before + 2
    assert bench.nucleus.restarted == [AGGREGATOR]
    bench.run(10_000)
    told = len(bench.told)
    bench.nucleus.echo.append(bench.status(AGGREGATOR))
    bench.run(0)
    assert bench.told[told:] == [("change", {AGGREGATOR: "running"})]
    bench.run(60_000, AGGREGATOR)
    assert bench.nucleus.restarted == [AGGREGATOR]
    [component] = [each for each in bench.last.components if each.component == AGGREGATOR]
    assert component.restarts == 1


def test_component_that_comes_and_goes_makes_no_flood_of_heartbeats(bench: Bench) -> None:
    bench.run(FIRST_HEARTBEAT_MS, AGGREGATOR)
    sent = len(bench.told)
    states: tuple[State, State] = ("idle", "running")
    for turn in range(200):
        bench.nucleus.echo.append(bench.status(AGGREGATOR, states[turn % 2]))
        bench.run(100)
    assert len(bench.told) - sent <= 200 * 100 // CHANGE_GAP_MS + 1


def test_crash_that_the_nucleus_has_cured_already_is_told_at_once_and_once(bench: Bench) -> None:
    bench.run(FIRST_HEARTBEAT_MS + CHANGE_GAP_MS, AGGREGATOR)
    for _ in range(3):
        bench.nucleus.echo.append(bench.status(AGGREGATOR, process=1))
        bench.run(0)
    assert bench.told[1:] == [("change", {AGGREGATOR: "running"})]
    assert {each.component: each.crashes for each in bench.last.components}[AGGREGATOR] == 1
    bench.nucleus.echo.append(bench.status(AGGREGATOR, "stopping", process=1))
    bench.run(0)
    bench.nucleus.echo.append(bench.status(AGGREGATOR, process=2))
    bench.run(60_000, AGGREGATOR)
    assert {each.component: each.crashes for each in bench.last.components}[AGGREGATOR] >= 1


def test_change_soon_after_a_heartbeat_waits_a_moment_and_is_told_as_one(bench: Bench) -> None:
    bench.run(FIRST_HEARTBEAT_MS, AGGREGATOR)
    bench.nucleus.echo.append(bench.status(AGGREGATOR, "stopping"))
    bench.run(CHANGE_GAP_MS - 1)
    assert bench.told == [("beat", {AGGREGATOR: "running"})]
    bench.run(1)
    assert bench.told[1:] == [("change", {AGGREGATOR: "stopped"})]


def test_expected_component_that_never_speaks_is_missing_and_restarted(bench: Bench) -> None:
    bench.configure(expected=[AGGREGATOR])
    bench.run(61_000)
    assert bench.told[-1] == ("change", {AGGREGATOR: "missing"})
    assert bench.nucleus.restarted == []
    bench.run(INSTALL_MS)
    assert bench.nucleus.restarted == [AGGREGATOR]


@pytest.mark.parametrize("error", [BusUnavailableError("not supported"), BusRefusedError("not authorised")])
def test_nucleus_that_cannot_restart_is_asked_again_only_after_a_while(bench: Bench, error: Exception) -> None:
    bench.nucleus.restart_error = error
    bench.run(30_000, AGGREGATOR)
    bench.run(90_000)
    bench.nucleus.restart_error = None
    bench.run(600_000)
    assert bench.nucleus.restarted == []
    [component] = [each for each in bench.last.components if each.component == AGGREGATOR]
    assert component.restarts == 0


def test_restarts_can_be_switched_off_while_running(bench: Bench) -> None:
    bench.configure(restartSilent="false")
    bench.run(30_000, AGGREGATOR)
    bench.run(90_000)
    assert bench.told[-1][1] == {AGGREGATOR: "silent"}
    assert bench.nucleus.restarted == []


def test_deaf_monitor_judges_nobody_and_mends_its_subscriptions(bench: Bench) -> None:
    bench.run(FIRST_HEARTBEAT_MS, AGGREGATOR)
    bench.nucleus.carries_local = False
    bench.run(ECHO_RENEW_MS + 20_000)
    assert bench.nucleus.carries_local, "they were renewed"
    bench.run(60_000, AGGREGATOR)
    assert {state for _, told in bench.told for state in told.values()} == {"running"}
    assert bench.nucleus.restarted == []
    [own] = [each for each in bench.last.components if each.component == COMPONENT]
    assert own.counters["subscriptions_renewed"] == 1


def test_monitor_that_stays_deaf_ends_to_be_started_anew(bench: Bench) -> None:
    bench.nucleus.carries_local = bench.nucleus.renewable = False
    with pytest.raises(BusClosedError, match="own status messages"):
        bench.run(2 * ECHO_GIVE_UP_MS)
    assert bench.clock.steady_ms() >= ECHO_GIVE_UP_MS


def test_heartbeats_that_cannot_leave_are_counted_and_the_next_one_is_sent(bench: Bench) -> None:
    bench.nucleus.cloud_error = BusUnavailableError("offline")
    bench.run(FIRST_HEARTBEAT_MS + 60_000)
    assert decode_heartbeat((bench.directory / HEARTBEAT_FILE).read_bytes()).reason == "beat"
    bench.nucleus.cloud_error = None
    bench.run(60_000)
    [own] = bench.last.components
    assert own.counters["heartbeats_lost"] == 2
    assert len(bench.told) == 1


def test_status_that_cannot_be_read_or_names_another_is_counted_and_heeded_by_nobody(bench: Bench) -> None:
    forged = Delivery(STATUS, topics.status("test.Liar"), bench.status(AGGREGATOR).payload)
    bench.worker.work([Delivery(STATUS, topics.status(AGGREGATOR), b"{"), forged])
    bench.run(FIRST_HEARTBEAT_MS)
    assert bench.told[-1] == ("beat", {})
    [own] = bench.last.components
    assert own.counters["statuses_unreadable"] == 2


def test_faulty_configuration_changes_nothing(bench: Bench) -> None:
    bench.configure(heartbeatSeconds=10)
    bench.configure(heartbeatSeconds=1, expected=["a/b"])
    bench.run(60_000)
    assert len(bench.told) >= 5
    assert all(told == {} for _, told in bench.told)


def test_configurations_are_noted_for_support_without_secrets(bench: Bench) -> None:
    bench.configure(expected=["absent", AGGREGATOR])
    noted = json.loads((bench.directory / CONFIGURATIONS_FILE).read_text())
    assert noted[AGGREGATOR] == {"of": AGGREGATOR, "password": "(hidden)"}
    assert "no such component" in noted["absent"]["unknown"]


def test_disk_that_fails_stops_no_heartbeat(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "absent")
    bench.run(FIRST_HEARTBEAT_MS)
    assert len(bench.told) == 1


def test_lost_connection_ends_it(bench: Bench) -> None:
    with pytest.raises(BusClosedError, match="gone"):
        bench.worker.work([Delivery(CONNECTION_LOST, "gone", b"")])
