"""The Aggregator as it is shipped: its built archive as a process of its own, on the stand-in for both nuclei."""

import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from components.build import LocalComponent, build_local
from roadside.contract import topics
from roadside.contract.codec import decode_window, encode_ack
from roadside.contract.summary import Ack, WindowSummary
from simulator.local_nucleus import ComponentDeployment, ComponentState, LocalNucleus, ProfileName
from simulator.local_nucleus.fake_cloud import InMemoryCloud
from tests.unit.aggregator.rig import FRAMES, GATEWAY, READINGS, Reading, check_windows, frame, settings

NAME = "city.roadside.Aggregator"
WAIT_S = 20.0
PROMISED_LOSS_S = 1.0  # readings handed over in the second before a kill may be lost
MAX_RSS_BYTES = 60 * 1024 * 1024
SENSORS = (10, 11, 20, 21)
BACKLOG_WINDOWS = 100


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> LocalComponent:
    [component] = build_local(["aggregator"], tmp_path_factory.mktemp("build"))
    return component


class Station:
    """A gateway with the component on it. Event time is the test's: windows of one second, an hour ago."""

    def __init__(self, profile: ProfileName, built: LocalComponent, directory: Path) -> None:
        self.cloud = InMemoryCloud()
        self.nucleus = LocalNucleus(
            thing_name=GATEWAY, profile=profile, work_dir=directory, cloud=self.cloud, restart_budget=10
        )
        self.nucleus.start()
        configured = settings(window_seconds=1, allowed_lateness_ms=0)
        configuration = msgspec.to_builtins(configured)
        configuration.pop("logLevel")
        python = Path(sys.prefix)
        self.nucleus.deploy(ComponentDeployment(built.recipe, built.unarchived, python, configuration))
        self.database = directory / "work" / NAME / "gateway.sqlite"
        self.event_ms = time.time_ns() // 1_000_000 // 60_000 * 60_000 - 3_600_000
        self.told: set[Reading] = set()
        self.until_listening()

    def until_listening(self) -> None:
        """Wait for the subscription that the component makes last."""
        self.until(lambda: self.nucleus.publish_local(FRAMES, frame([])) == 1)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"it did not come to that in {WAIT_S} s; the log:\n{self.log}"
            time.sleep(0.01)

    @property
    def log(self) -> str:
        return self.nucleus.log_path(NAME).read_text()

    @property
    def pid(self) -> int:
        pid = self.nucleus.component_pid(NAME)
        assert pid is not None
        return pid

    def say(self, seconds: int = 1, *, as_json: bool = False) -> None:
        """Tell readings of the next seconds of event time; the first of them closes the window before."""
        for _ in range(seconds):
            readings = [Reading(sensor, self.event_ms) for sensor in SENSORS]
            payload = json_array(readings) if as_json else frame(readings)
            assert self.nucleus.publish_local(READINGS if as_json else FRAMES, payload) == 1
            self.told |= set(readings)
            self.event_ms += 1000

    def windows(self) -> list[WindowSummary]:
        """What came, in the order of sequences; repetitions are of equal content."""
        topic = topics.uplink("windows", GATEWAY)
        stored: dict[tuple[int, int], WindowSummary] = {}
        for message in self.cloud.published:
            if message.topic == topic:
                window = replace(decode_window(message.payload), backfill=False)
                assert stored.setdefault((window.epoch_ms, window.sequence), window) == window
        return [window for _, window in sorted(stored.items())]

    def until_closed(self) -> list[WindowSummary]:
        """Wait for the windows before the present second of event time, and check that they are complete."""
        closed_ms = self.event_ms - 1000
        self.until(lambda: any(window.window_end_ms >= closed_ms for window in self.windows()))
        windows = self.windows()
        check_windows(windows, {reading for reading in self.told if reading.at_ms < windows[-1].window_end_ms})
        return windows

    def acknowledge(self) -> None:
        windows = self.windows()
        ack = Ack(windows[0].epoch_ms, stored=tuple(window.sequence for window in windows))
        assert self.cloud.deliver(topics.acks(GATEWAY), encode_ack(ack)) == 1
        self.cloud.publish("test/after-the-ack", b"").result(WAIT_S)

    def close(self) -> None:
        self.nucleus.stop()
        self.cloud.close()


def json_array(readings: list[Reading]) -> bytes:
    return json.dumps(
        [
            {
                "sensor_id": f"s{reading.sensor}",
                "timestamp": reading.at_ms,
                "vehicle_count": reading.vehicles,
                "average_speed_kmh": reading.speed_dkmh / 10,
                "occupancy": reading.occupancy_permille / 1000,
            }
            for reading in readings
        ]
    ).encode()


@pytest.fixture(params=["classic", "lite"])
def station(request: pytest.FixtureRequest, built: LocalComponent, tmp_path: Path) -> Iterator[Station]:
    opened = Station(request.param, built, tmp_path)
    yield opened
    opened.close()


def test_json_and_frames_become_windows_that_are_sent_until_acknowledged(station: Station) -> None:
    station.say(3, as_json=True)
    station.say(3)
    assert len(station.until_closed()) == 5
    station.acknowledge()
    station.say(1)
    station.until_closed()  # messages come in order, so the acknowledgement has come as well
    before = len(station.cloud.published)
    station.nucleus.stop_component(NAME)
    station.nucleus.start_component(NAME)
    station.until_listening()
    station.say(2)
    station.until_closed()
    again = [decode_window(message.payload).sequence for message in station.cloud.published[before:]]
    assert min(again) == 6, "an acknowledged window is not sent again by the next process, another one is"
    assert rss_bytes(station.pid) <= MAX_RSS_BYTES


def test_sigterm_ends_it_at_once_and_with_0_and_nothing_it_had_received_is_lost(station: Station) -> None:
    station.say(3)
    station.until_closed()
    station.say(1)
    time.sleep(PROMISED_LOSS_S)  # what is still in the socket when a process ends was never its own
    began = time.monotonic()
    # The supervisor does not know of this: any code but 0 would make it start the process again.
    os.kill(station.pid, signal.SIGTERM)
    assert station.nucleus.wait_for_state(NAME, ComponentState.FINISHED, timeout_s=WAIT_S), station.log
    assert time.monotonic() - began < 3.0
    assert station.nucleus.component_starts(NAME) == 1
    station.nucleus.start_component(NAME)
    station.until_listening()
    station.say(2)
    station.until_closed()


def test_it_stops_within_3_s_on_top_of_a_backlog_that_it_keeps(station: Station) -> None:
    station.cloud.go_offline()
    station.say(BACKLOG_WINDOWS + 1)
    time.sleep(PROMISED_LOSS_S)  # as above
    began = time.monotonic()
    station.nucleus.stop_component(NAME)
    assert time.monotonic() - began < 3.0
    assert station.nucleus.component_state(NAME) is ComponentState.FINISHED, station.log
    with closing(sqlite3.connect(station.database)) as database:
        assert database.execute("SELECT count(*) FROM outbox WHERE kind = 'windows'").fetchone() == (BACKLOG_WINDOWS,)


def test_an_update_is_let_through_once_the_readings_are_safe(station: Station) -> None:
    station.say(2)
    station.until_closed()
    if station.nucleus.profile.name == "lite":
        assert station.log.count("the nucleus does not ask before an update") == 1
        return
    station.say(1)
    assert station.nucleus.announce_component_update("d-1", WAIT_S) == {NAME: 0}
    station.nucleus.kill_component(NAME)  # the harshest of stops: an answered question means that nothing is at risk
    station.until(lambda: station.nucleus.component_starts(NAME) == 2)
    station.until_listening()
    station.say(2)
    station.until_closed()


def test_kill_9_loses_nothing_that_is_a_second_old(station: Station) -> None:
    station.say(3)
    station.until_closed()
    station.say(1)
    time.sleep(PROMISED_LOSS_S)
    station.nucleus.kill_component(NAME)
    station.until(lambda: station.nucleus.component_starts(NAME) == 2)
    station.until_listening()
    station.say(2)
    assert len({window.epoch_ms for window in station.until_closed()}) == 1


def test_kill_9_before_the_first_window_loses_nothing_that_is_a_second_old(station: Station) -> None:
    station.say(1)
    time.sleep(PROMISED_LOSS_S)
    station.nucleus.kill_component(NAME)
    station.until(lambda: station.nucleus.component_starts(NAME) == 2)
    station.until_listening()
    station.say(2)
    station.until_closed()


def test_a_lost_connection_ends_the_process_and_the_next_one_goes_on(station: Station) -> None:
    station.say(2)
    station.until_closed()
    station.nucleus.drop_connections()
    station.until(lambda: station.nucleus.component_starts(NAME) == 2)
    assert "the connection to the nucleus is lost" in station.log
    station.until_listening()
    station.say(2)
    station.until_closed()


def test_another_configuration_holds_without_a_restart(station: Station) -> None:
    pid = station.pid
    station.say(2)
    station.until_closed()
    station.nucleus.update_configuration(NAME, {"windowSeconds": "2"})

    def closed_at_least(window_ms: int, end_ms: int) -> bool:
        station.acknowledge()  # eight that are not acknowledged are the most that it sends
        return any(w.window_ms == window_ms and w.window_end_ms >= end_ms for w in station.windows())

    def told_one_more() -> bool:
        station.say()
        return closed_at_least(2000, 0)

    station.until(told_one_more)
    station.nucleus.update_configuration(NAME, {"windowSeconds": 0})
    station.until(lambda: "the configuration is at fault and was not applied" in station.log)
    station.say(6)
    station.until(lambda: closed_at_least(2000, station.event_ms - 2000))
    windows = station.windows()
    end_ms = max(window.window_end_ms for window in windows)
    check_windows(windows, {reading for reading in station.told if reading.at_ms < end_ms})
    assert station.pid == pid


def test_a_damaged_database_is_set_aside_and_reported(station: Station) -> None:
    station.say(2)
    [window, *_] = station.until_closed()
    station.nucleus.stop_component(NAME)
    station.database.write_bytes(b"damaged" + station.database.read_bytes()[7:])
    station.nucleus.start_component(NAME)
    station.until_listening()
    assert "began a new state" in station.log
    assert len(list(station.database.parent.glob("gateway.sqlite.quarantined-*"))) == 1
    station.told.clear()
    before = len(station.cloud.published)
    station.say(2)
    station.until(lambda: len(station.cloud.published) > before)
    renewed = decode_window(station.cloud.published[-1].payload)
    assert renewed.epoch_ms > window.epoch_ms
    assert renewed.sequence == 1


def test_hostile_messages_leave_it_running(station: Station) -> None:
    pid = station.pid
    good = frame([Reading(10, station.event_ms)])
    hostile = [
        *(b"", b"\xff\xfe", b"null", b"[" * 3000, b'[{"sensor_id":1},{"x":' + b"[" * 3000, b'{"sensor_id":"\xff"}'),
        *(b'{"sensor_id":"s10","timestamp":1%s,"vehicle_count":1}' % (b"0" * 400), b"[NaN]", good[:-1], good[:7]),
        b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x08\x01",
    ]
    for payload in hostile:
        for topic in (READINGS, FRAMES):
            assert station.nucleus.publish_local(topic, payload) == 1
        for topic in (topics.acks(GATEWAY), topics.commands(GATEWAY)):
            assert station.cloud.deliver(topic, payload) == 1
    station.say(3)
    station.until_closed()
    assert station.pid == pid
    assert rss_bytes(pid) <= MAX_RSS_BYTES


def rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process has no memory")
