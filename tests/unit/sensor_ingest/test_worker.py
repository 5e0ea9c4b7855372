"""Configuration in, frames out: the worker against a bus that fails as nuclei do, with real adapters."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from roadside.contract.codec import decode_frame
from roadside.contract.status import Status, decode_status
from roadside.runtime.clock import ManualClock
from roadside.runtime.ports import BusClosedError, BusRefusedError, BusUnavailableError
from roadside.runtime.service import Delivery
from roadside.runtime.status import StatusTeller
from roadside.runtime.updates import RECHECK_MS
from sensor_ingest.adapters.host import AdapterHost
from sensor_ingest.intake import Intake
from sensor_ingest.positions import Positions
from sensor_ingest.worker import CONFIGURATION, CONNECTION_LOST, PUBLISH_RETRY_MS, UPDATE, IngestWorker

NOW_MS = 1_735_732_800_000


class Nucleus:
    """Implements Publisher and Configuration; `error` is what it answers a frame with."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {"beatMs": 250, "sensors": {"s": 1}}
        self.error: Exception | None = None
        self.frames: list[tuple[str, bytes]] = []
        self.statuses: list[Status] = []
        self.answers: list[tuple[str, int]] = []

    def publish_local(self, topic: str, payload: bytes) -> None:
        if self.error is not None:
            raise self.error
        if topic == "roadside/v1/status/city.roadside.SensorIngest":
            self.statuses.append(decode_status(payload))
        else:
            self.frames.append((topic, payload))

    def read(self) -> dict[str, Any]:
        return self.tree

    def on_change(self, notify: Callable[[], None]) -> None:
        raise NotImplementedError

    def on_update(self, ask: Callable[[str], None]) -> None:
        raise NotImplementedError

    def answer_update(self, deployment_id: str, defer_ms: int) -> None:
        self.answers.append((deployment_id, defer_ms))

    def readings(self) -> int:
        return sum(len(decode_frame(payload)) for _, payload in self.frames)


class Component:
    def __init__(self, directory: Path) -> None:
        self.nucleus, self.clock, self.wakes = Nucleus(), ManualClock(NOW_MS), 0
        self.intake = Intake(self.clock, self.woken)
        self.positions = Positions(directory)
        self.host = AdapterHost(self.intake.door, self.positions)
        nucleus = self.nucleus
        status = StatusTeller("city.roadside.SensorIngest", nucleus, self.clock)
        self.worker = IngestWorker(
            nucleus, nucleus, self.intake, self.host, self.positions, self.clock, status, nucleus
        )

    def woken(self) -> None:
        self.wakes += 1

    def configure(self, **tree: Any) -> None:
        self.nucleus.tree |= tree
        self.worker.work([Delivery(CONFIGURATION, "", b"")])

    def send(self, count: int, adapter: str = "in") -> None:
        one = {"sensor_id": "s", "vehicle_count": 1}
        self.intake.accept(adapter, json.dumps([one | {"timestamp": NOW_MS + n} for n in range(count)]).encode(), None)

    def counters(self, adapter: str) -> Any:
        adapters: Any = self.intake.statistics()["adapters"]
        return adapters[adapter]


@pytest.fixture
def component(tmp_path: Path) -> Iterator[Component]:
    made = Component(tmp_path)
    made.configure(udp=[{"name": "in", "port": 0}])
    yield made
    made.host.stop()


def until(condition: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not become true in time"
        time.sleep(0.005)


def test_readings_leave_at_the_beat_on_their_adapters_topic(component: Component) -> None:
    component.send(3)
    wake_ms = component.worker.work([])
    assert component.nucleus.frames == []
    component.clock.advance(wake_ms - component.clock.steady_ms())
    component.worker.work([])
    ((topic, payload),) = component.nucleus.frames
    assert topic == "roadside/v1/frames/in"
    assert (decode_frame(payload).source, len(decode_frame(payload))) == ("in", 3)


def test_a_full_frame_does_not_wait_for_the_beat(component: Component) -> None:
    component.configure(frameReadings=10)
    component.send(9)
    assert component.wakes == 0
    component.send(1)
    assert component.wakes == 1
    component.worker.work([])
    assert component.nucleus.readings() == 10


def test_what_the_nucleus_does_not_take_now_waits_and_is_bounded(component: Component) -> None:
    component.configure(queueReadings=1000)
    component.nucleus.error = BusUnavailableError("full")
    component.send(900)
    component.worker.work([])
    component.send(200)
    component.nucleus.error = None
    component.worker.work([])
    assert component.nucleus.frames == [], "not before a while has passed"
    component.clock.advance(PUBLISH_RETRY_MS)
    component.worker.work([])
    assert component.nucleus.readings() == 1000
    assert component.counters("in")["shed"] == 100


def test_an_update_is_put_off_until_the_nucleus_has_taken_what_waits(component: Component) -> None:
    component.nucleus.error = BusUnavailableError("full")
    component.send(3)
    component.worker.work([Delivery(UPDATE, "d-1", b"")])
    component.nucleus.error = None
    component.worker.work([Delivery(UPDATE, "d-1", b"")])
    assert component.nucleus.answers == [("d-1", RECHECK_MS), ("d-1", 0)]
    assert component.nucleus.readings() == 3


def test_what_the_nucleus_refuses_is_given_up(component: Component) -> None:
    component.nucleus.error = BusRefusedError("not authorised")
    component.send(480)
    component.worker.work([])
    component.nucleus.error = None
    component.send(480)
    component.worker.work([])
    assert component.nucleus.readings() == 480


@pytest.mark.parametrize("at", ["a delivery", "a frame"])
def test_a_lost_connection_ends_the_work_and_stopping_does_not_publish(component: Component, at: str) -> None:
    component.send(480)
    component.nucleus.error = BusClosedError("gone")
    with pytest.raises(BusClosedError):
        component.worker.work([Delivery(CONNECTION_LOST, "gone", b"")] if at == "a delivery" else [])
    component.worker.stop()


def test_stopping_hands_on_what_waits(component: Component) -> None:
    component.send(3)
    component.worker.stop()
    assert component.nucleus.readings() == 3


def test_a_faulty_configuration_changes_nothing(component: Component, caplog: pytest.LogCaptureFixture) -> None:
    component.configure(beatMs=1, sensors={"other": 5})
    assert any("at fault" in each.message for each in caplog.records)
    component.send(1)
    assert component.counters("in")["readings"] == 1


def test_mapping_and_sensors_change_live_and_strangers_are_named(component: Component) -> None:
    component.configure(sensors={"t": 9})
    component.send(2)
    assert component.counters("in")["refused"] == {"sensor: not configured": 2}
    assert component.intake.statistics()["unknownSensors"] == ["s"]
    component.configure(sensors={"s": 9})
    component.send(1)
    assert component.counters("in")["readings"] == 1


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def post(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"POST /readings HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
            return client.recv(20).startswith(b"HTTP/1.1 202")
    except OSError:
        return False


def test_adapters_begin_change_and_end_with_the_configuration(component: Component) -> None:
    first, second, third = free_port(), free_port(), free_port()
    component.configure(http=[{"name": "web", "port": first}, {"name": "steady", "port": third}])
    until(lambda: post(first))
    with socket.create_connection(("127.0.0.1", third), 5) as kept:
        component.configure(http=[{"name": "web", "port": second}, {"name": "steady", "port": third}])
        until(lambda: post(second))
        assert not post(first)
        kept.sendall(b"POST /readings HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]")
        assert kept.recv(20).startswith(b"HTTP/1.1 202"), "an adapter that did not change goes on undisturbed"
    component.configure(http=[])
    assert not post(second)


def test_an_adapter_that_cannot_begin_does_not_disturb_the_others(component: Component) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        component.configure(tcp=[{"name": "taken", "port": number}], http=[{"name": "web", "port": port}])
        until(lambda: component.counters("taken")["refused"].get("adapter: failed"))
        until(lambda: post(port))
    component.send(1)
    assert component.counters("in")["readings"] == 1


def test_positions_are_saved_only_once_their_readings_are_delivered(component: Component, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(json.dumps({"sensor_id": "s", "timestamp": NOW_MS, "vehicle_count": 1}) + "\n")
    saved = tmp_path / "positions.json"
    component.nucleus.error = BusUnavailableError("away")
    component.configure(files=[{"name": "file", "path": str(log), "start": "begin", "pollMs": 10}])
    until(lambda: component.counters("file")["readings"] == 1)
    until(lambda: component.positions.get("file", str(log)).offset_bytes)  # type: ignore[union-attr]
    component.clock.advance(5000)
    component.worker.work([])
    assert not saved.exists()
    component.nucleus.error = None
    component.clock.advance(5000)
    component.worker.work([])
    assert component.nucleus.readings() == 1
    assert json.loads(saved.read_text())["file"][2] == log.stat().st_size


def test_status_tells_what_was_taken_over_all_adapters_and_its_last_word_comes_at_the_end(component: Component) -> None:
    component.send(3)
    component.intake.refuse("in", "record: not JSON")
    component.clock.advance(10_000)
    component.worker.work([])
    component.worker.stop()
    assert [status.state for status in component.nucleus.statuses] == ["running", "running", "stopping"]
    counters = component.nucleus.statuses[-1].counters
    assert (counters["readings"], counters["records_refused.record_not_json"], counters["frames_delivered"]) == (
        3,
        1,
        1,
    )


def test_adapterless_ingest_is_idle(tmp_path: Path) -> None:
    component = Component(tmp_path)
    component.worker.work([])
    assert component.nucleus.statuses[-1].state == "idle"
    component.host.stop()
