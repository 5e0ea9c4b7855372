"""The real SensorIngest process, from its zip, on both nuclei: what devices send is seen as frames on the local bus."""

import http.client
import json
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components import build
from roadside.contract import topics
from roadside.contract.codec import decode_frame
from roadside.contract.summary import ReadingFrame
from roadside.runtime.greengrass import connect_greengrass
from simulator.local_nucleus import ComponentDeployment, ComponentState, LocalNucleus

NAME = "city.roadside.SensorIngest"
NOW_MS = 1_735_732_800_000
WAIT_S = 15.0
LISTENER = """
RecipeFormatVersion: "2020-01-25"
ComponentName: test.Listener
ComponentVersion: "1.0.0"
ComponentType: aws.greengrass.generic
ComponentDescription: Stands for the Aggregator
ComponentPublisher: Tests
ComponentConfiguration:
  DefaultConfiguration:
    accessControl:
      aws.greengrass.ipc.pubsub:
        "listener:1": {operations: ["aws.greengrass#SubscribeToTopic"], resources: ["roadside/v1/frames/*"]}
Manifests:
  - Platform: {os: linux, runtime: "*"}
    Lifecycle: {run: {Script: "true"}}
"""


def until(condition: Callable[[], Any], what: Callable[[], str] = lambda: "not in time") -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, what()
        time.sleep(0.01)


class Site:
    """A gateway with SensorIngest, its devices, and somebody who hears the frames."""

    def __init__(self, directory: Path, profile: Any) -> None:
        self.frames: list[ReadingFrame] = []
        self.log_file = directory / "loops.log"
        self.log_file.touch()
        self.nucleus = LocalNucleus(thing_name="gw-1", profile=profile, work_dir=directory / "gateway")
        self.nucleus.start()
        (directory / "listener.yaml").write_text(LISTENER)
        self.nucleus.deploy(
            ComponentDeployment(directory / "listener.yaml", directory, Path(sys.prefix), {}), run=False
        )
        self.bus = connect_greengrass(
            lambda _reason: None,
            socket_path=str(self.nucleus.socket_path),
            auth_token=self.nucleus.auth_token("test.Listener"),
        )
        self.bus.subscribe_local(topics.FRAMES_FILTER, self._hear)
        (local,) = build.build_local(["sensor_ingest"], directory / "build")
        configuration = {
            "sensors": {"a": 100, "b": 2**32 - 1, "1018510-1": 300},
            "udp": [{"name": "udp", "port": 0}, {"name": "pems", "port": 0, "mapping": "pems"}],
            "http": [{"name": "web", "port": 0}],
            "files": [{"name": "loops", "path": str(self.log_file), "start": "begin"}],
        }
        self.nucleus.deploy(
            ComponentDeployment(local.recipe, local.unarchived, Path(sys.prefix), configuration), run=True
        )

    def _hear(self, topic: str, payload: bytes) -> None:
        frame = decode_frame(payload)
        assert topic == topics.frames(frame.source)
        self.frames.append(frame)

    @property
    def log(self) -> str:
        path = self.nucleus.log_path(NAME)
        return path.read_text() if path.exists() else ""

    def port(self, adapter: str) -> int:
        """The last port that an adapter told in the log."""
        told = rf'"adapter {adapter} is listening", "port": (\d+)'
        until(lambda: re.search(told, self.log), lambda: self.log)
        return int(re.findall(told, self.log)[-1])

    def readings(self) -> Counter[str]:
        heard: Counter[str] = Counter()
        for frame in list(self.frames):
            heard[frame.source] += len(frame)
        return heard

    def close(self) -> None:
        self.bus.close()
        self.nucleus.stop()


@pytest.fixture(params=["classic", "lite"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, request.param)
    yield made
    made.close()


def reading(sensor: str, offset_ms: int = 0) -> dict[str, Any]:
    return {"sensor_id": sensor, "timestamp": NOW_MS + offset_ms, "vehicle_count": 2, "average_speed_kmh": 61.5}


def post(port: int, body: bytes) -> tuple[int, Any]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    client.request("POST", "/readings", body)
    answer = client.getresponse()
    content = json.loads(answer.read())
    client.close()
    return answer.status, content


def test_readings_of_every_kind_of_device_become_frames_and_nothing_is_lost_at_the_end(site: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.sendto(json.dumps(reading("b", 7)).encode(), ("127.0.0.1", site.port("udp")))
        device.sendto(b"\x00 no reading", ("127.0.0.1", site.port("udp")))
        device.sendto(b"1018510,1,15,60,3,2010-12-10 09:06:43", ("127.0.0.1", site.port("pems")))
    many = [reading("a", n) for n in range(1000)]  # more than nucleus lite carries in one message
    body = json.dumps([*many, reading("stranger")]).encode()
    assert post(site.port("web"), b"nonsense") == (400, {"accepted": 0, "refused": {"record: not JSON": 1}})
    assert len(body) > 65_536
    assert post(site.port("web"), body)[0] == 413
    for half in (many[:500], [*many[500:], reading("stranger")]):
        status, content = post(site.port("web"), json.dumps(half).encode())
        assert (status, content["accepted"]) == (202, 500)
    site.log_file.write_text("".join(json.dumps(reading("a", n)) + "\n" for n in range(5)))
    expected = {"udp": 1, "pems": 1, "web": 1000, "loops": 5}
    until(lambda: site.readings() == expected, lambda: f"{site.readings()}; the log: {site.log}")
    (udp,) = [frame for frame in site.frames if frame.source == "udp"]
    assert (udp.sensor_number, udp.base_ms, udp.speed_dkmh) == (b"\xff" * 4, NOW_MS + 7, b"\x67\x02")
    assert max(len(frame) for frame in site.frames) <= 480

    assert post(site.port("web"), json.dumps(reading("a")).encode())[0] == 202
    begun_s = time.monotonic()
    site.nucleus.stop_component(NAME)
    assert time.monotonic() - begun_s < 3
    assert site.nucleus.component_state(NAME) is ComponentState.FINISHED
    until(lambda: site.readings()["web"] == 1001, lambda: site.log)
    assert '"refused": {"record: not JSON": 1, "request: too large a body": 1, "sensor: not configured": 1}' in site.log

    site.log_file.open("a").write(json.dumps(reading("a", 5)) + "\n")
    site.nucleus.start_component(NAME)
    until(lambda: site.readings()["loops"] >= 6, lambda: site.log)
    assert site.readings()["loops"] == 6, "a file is read on from where it was"


def test_it_stops_within_3_s_with_a_full_queue_and_hands_on_what_it_accepted(site: Site) -> None:
    port = site.port("web")
    site.nucleus.update_configuration(NAME, {"beatMs": 5000, "sensors": {"c": 1}})
    until(lambda: post(port, json.dumps(reading("c")).encode())[0] == 202, lambda: site.log)
    batch = json.dumps([reading("c", n) for n in range(400)]).encode()
    accepted = 1 + 400 * sum(post(port, batch)[0] == 202 for _ in range(40))  # 503 while its queue is full
    begun_s = time.monotonic()
    site.nucleus.stop_component(NAME)
    assert time.monotonic() - begun_s < 3
    assert site.nucleus.component_state(NAME) is ComponentState.FINISHED, site.log
    until(lambda: site.readings()["web"] == accepted, lambda: f"{site.readings()}; the log: {site.log}")


def test_an_update_is_let_through_once_the_readings_are_handed_on(site: Site) -> None:
    site.port("web")
    if site.nucleus.profile.name == "lite":
        assert site.log.count("the nucleus does not ask before an update") == 1
        return
    assert site.nucleus.announce_component_update("d-1", WAIT_S) == {NAME: 0}


def test_configuration_changes_apply_without_a_restart_and_faulty_ones_not_at_all(site: Site) -> None:
    port = site.port("web")
    pid = site.nucleus.component_pid(NAME)
    assert post(port, json.dumps(reading("c")).encode())[0] == 400
    site.nucleus.update_configuration(NAME, {"beatMs": 0, "sensors": {"c": 1}})
    until(lambda: "at fault" in site.log and "beatMs" in site.log, lambda: site.log)
    assert post(port, json.dumps(reading("c")).encode())[0] == 400
    site.nucleus.update_configuration(NAME, {"beatMs": 100})
    until(lambda: post(port, json.dumps(reading("c")).encode())[0] == 202, lambda: site.log)
    until(lambda: site.readings()["web"] == 1, lambda: site.log)
    assert site.nucleus.component_pid(NAME) == pid
