"""Who is well, who is silent, and who is restarted when."""

from typing import Any

import pytest

from monitor.watchdog import ECHO_MS, FORGET_STOPPED_MS, INSTALL_MS, RESTART_GAP_MS, Watchdog
from roadside.contract.heartbeat import MAX_COMPONENTS
from roadside.contract.status import INTERVAL_MS, State, Status

OWN = "city.roadside.Monitor"
AGGREGATOR = "city.roadside.Aggregator"
INGEST = "city.roadside.SensorIngest"
SILENT_MS = 6 * INTERVAL_MS


class Gateway:
    """A watchdog and the components around it, by a clock that only `pass_time` moves."""

    def __init__(self, *expected: str) -> None:
        self.now_ms = 0
        self.watchdog = Watchdog(OWN, SILENT_MS, 0)
        self.watchdog.configure(SILENT_MS, expected, 0)

    def hear(self, component: str, state: State = "running", process: int = 0, **counters: int) -> None:
        status = Status(component, "0.1.0", state, process, 1, self.now_ms, counters)
        self.watchdog.hear(status, self.now_ms)

    def pass_time(self, by_ms: int, *alive: str, deaf: bool = False) -> None:
        """Time passes, in which the components `alive` and the watchdog's own go on telling, unless it is deaf."""
        end_ms = self.now_ms + by_ms
        while self.now_ms < end_ms:
            self.now_ms = min(end_ms, self.now_ms + INTERVAL_MS)
            if not deaf:
                for component in (OWN, *alive):
                    self.hear(component)

    @property
    def states(self) -> dict[str, str]:
        components = self.watchdog.components(self.now_ms)
        return {each.component: each.state for each in components if each.component != OWN}

    def restarts(self) -> list[str]:
        return self.watchdog.to_restart(self.now_ms)


def test_component_is_watched_from_its_first_status_on() -> None:
    gateway = Gateway()
    gateway.pass_time(10 * SILENT_MS)
    assert gateway.states == {}
    gateway.hear(INGEST)
    gateway.pass_time(SILENT_MS)
    assert gateway.states == {INGEST: "running"}
    gateway.pass_time(1)
    assert gateway.states == {INGEST: "silent"}
    gateway.hear(INGEST, "idle")
    assert gateway.states == {INGEST: "idle"}


def test_expected_component_is_missing_when_its_time_to_be_heard_is_over() -> None:
    gateway = Gateway(AGGREGATOR)
    gateway.pass_time(SILENT_MS)
    assert gateway.states == {}
    gateway.pass_time(1)
    assert gateway.states == {AGGREGATOR: "missing"}
    gateway.watchdog.configure(SILENT_MS, [], gateway.now_ms)
    assert gateway.states == {}
    gateway.watchdog.configure(SILENT_MS, [INGEST], gateway.now_ms)
    gateway.pass_time(SILENT_MS)
    assert gateway.states == {}, "it is expected only from now on"
    gateway.hear(INGEST)
    assert gateway.states == {INGEST: "running"}


def test_component_that_ended_in_order_is_stopped_and_is_not_restarted() -> None:
    gateway = Gateway(AGGREGATOR)
    gateway.hear(AGGREGATOR, "stopping")
    gateway.hear(INGEST, "stopping")
    gateway.pass_time(FORGET_STOPPED_MS)
    gateway.watchdog.forget(gateway.now_ms)
    assert gateway.states == {AGGREGATOR: "stopped", INGEST: "stopped"}
    assert gateway.restarts() == []
    gateway.pass_time(1)
    gateway.watchdog.forget(gateway.now_ms)
    assert gateway.states == {AGGREGATOR: "stopped"}, "what nobody expects was taken off the gateway"


def test_process_that_is_followed_by_another_without_a_last_word_has_crashed() -> None:
    gateway = Gateway()
    for process, state in enumerate(("running", "idle", "stopping", "running", "running")):
        gateway.hear(AGGREGATOR, state, process)
        gateway.hear(AGGREGATOR, state, process)
    crashes = {each.component: each.crashes for each in gateway.watchdog.components(gateway.now_ms)}
    assert crashes[AGGREGATOR] == 3


def test_deaf_watchdog_judges_nobody() -> None:
    gateway = Gateway(AGGREGATOR)
    gateway.hear(INGEST)
    gateway.pass_time(ECHO_MS, deaf=True)
    assert not gateway.watchdog.deaf(gateway.now_ms)
    gateway.pass_time(10 * SILENT_MS, deaf=True)
    assert gateway.watchdog.deaf(gateway.now_ms)
    assert gateway.watchdog.echo_age_ms(gateway.now_ms) == ECHO_MS + 10 * SILENT_MS
    assert gateway.states == {INGEST: "running"}
    assert gateway.restarts() == []
    gateway.hear(OWN)
    gateway.pass_time(SILENT_MS)
    assert gateway.states == {INGEST: "running"}, "what was missed meanwhile counts against nobody"
    gateway.pass_time(1)
    assert gateway.states == {AGGREGATOR: "missing", INGEST: "silent"}


def test_silent_component_is_restarted_at_once_and_then_rarely() -> None:
    gateway = Gateway()
    gateway.hear(AGGREGATOR)
    gateway.hear(INGEST)
    gateway.pass_time(SILENT_MS + 1)
    assert gateway.restarts() == [AGGREGATOR, INGEST]
    gateway.watchdog.restarted(INGEST)
    gateway.pass_time(RESTART_GAP_MS - 1, AGGREGATOR)
    assert gateway.restarts() == []
    gateway.pass_time(1, AGGREGATOR)
    assert gateway.restarts() == [INGEST]
    restarts = {each.component: each.restarts for each in gateway.watchdog.components(gateway.now_ms)}
    assert restarts == {OWN: 0, AGGREGATOR: 0, INGEST: 1}
    in_an_hour = 3_600_000 // RESTART_GAP_MS
    assert in_an_hour < 3, "nucleus lite grants three starts an hour"


def test_missing_component_is_restarted_only_when_its_installation_cannot_still_run() -> None:
    gateway = Gateway(AGGREGATOR)
    gateway.pass_time(INSTALL_MS)
    assert gateway.states == {AGGREGATOR: "missing"}
    assert gateway.restarts() == []
    gateway.pass_time(1)
    assert gateway.restarts() == [AGGREGATOR]


def test_what_a_component_told_last_is_kept_with_its_age() -> None:
    gateway = Gateway()
    gateway.now_ms = 5_000
    gateway.hear(AGGREGATOR, windows=3, given_up=0)
    gateway.pass_time(4_000)
    [component] = [each for each in gateway.watchdog.components(gateway.now_ms) if each.component == AGGREGATOR]
    told: dict[str, Any] = {"version": "0.1.0", "age_ms": 4_000, "uptime_ms": 5_000, "restarts": 0}
    assert {name: getattr(component, name) for name in told} == told
    assert component.counters == {"windows": 3, "given_up": 0}


@pytest.mark.parametrize("strangers", [MAX_COMPONENTS, 3 * MAX_COMPONENTS])
def test_more_names_than_a_heartbeat_holds_are_passed_over(strangers: int) -> None:
    gateway = Gateway(AGGREGATOR)
    for number in range(strangers):
        gateway.hear(f"stranger-{number}")
    gateway.hear(AGGREGATOR)
    gateway.hear(OWN)
    components = gateway.watchdog.components(gateway.now_ms)
    assert len(components) == MAX_COMPONENTS
    assert {OWN, AGGREGATOR} <= {each.component for each in components}
