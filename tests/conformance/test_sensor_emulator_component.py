"""SensorEmulator, Aggregator and Monitor, the real processes from their zips, on one gateway.

False readings become windows, and the Monitor tells the cloud how the others are.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components import build
from roadside.contract import topics
from roadside.contract.codec import decode_window
from roadside.contract.heartbeat import Heartbeat, decode_heartbeat
from roadside.contract.summary import WindowSummary
from simulator.local_nucleus import ComponentDeployment, ComponentState, LocalNucleus
from simulator.local_nucleus.fake_cloud import InMemoryCloud

EMULATOR = "city.roadside.SensorEmulator"
AGGREGATOR = "city.roadside.Aggregator"
MONITOR = "city.roadside.Monitor"
GATEWAY = "gw-1"
WAIT_S = 25.0
SENSORS = 6
SEGMENTS = [
    {
        "id": "A6-N-12", "number": 12, "roadClass": "freeway", "freeFlowKmh": 100, "lanes": 3,
        "firstSensorNumber": 120, "sensors": [f"s{120 + place}" for place in range(SENSORS)],
    }
]  # fmt: skip


class Station:
    """A gateway with the three components."""

    def __init__(self, profile: Any, directory: Path) -> None:
        self.cloud = InMemoryCloud()
        self.nucleus = LocalNucleus(
            thing_name=GATEWAY, profile=profile, work_dir=directory / "gateway", cloud=self.cloud
        )
        self.nucleus.start()
        folders = ["aggregator", "sensor_emulator", "monitor"]
        aggregator, emulator, monitor = build.build_local(folders, directory / "build")
        self._deploy(monitor, {})
        self.until(lambda: self.nucleus.publish_local(topics.status("test.Listening"), b"") == 1)
        self._deploy(aggregator, {"windowSeconds": 1, "allowedLatenessMs": 500, "segments": SEGMENTS})
        self._deploy(emulator, {"demandShare": 1.0, "segments": SEGMENTS})

    def _deploy(self, local: build.LocalComponent, configuration: dict[str, Any]) -> None:
        deployment = ComponentDeployment(local.recipe, local.unarchived, Path(sys.prefix), configuration)
        self.nucleus.deploy(deployment)

    def windows(self) -> list[WindowSummary]:
        topic = topics.uplink("windows", GATEWAY)
        return [decode_window(each.payload) for each in self.cloud.published if each.topic == topic]

    def heartbeats(self) -> list[Heartbeat]:
        topic = topics.uplink("heartbeat", GATEWAY)
        return [decode_heartbeat(each.payload) for each in self.cloud.published if each.topic == topic]

    @property
    def log(self) -> str:
        paths = [self.nucleus.log_path(name) for name in (EMULATOR, AGGREGATOR, MONITOR)]
        return "".join(path.read_text() for path in paths if path.exists())

    def until(self, condition: Callable[[], Any]) -> None:
        deadline_s = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline_s, f"it did not come to that in time; the log:\n{self.log}"
            time.sleep(0.02)

    def close(self) -> None:
        self.nucleus.stop()
        self.cloud.close()


@pytest.fixture(params=["classic", "lite"])
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Station]:
    made = Station(request.param, tmp_path)
    yield made
    made.close()


def test_emulated_readings_become_windows_and_a_killed_component_is_told(station: Station) -> None:
    def full(window: WindowSummary) -> bool:
        [segment] = window.segments
        return (segment.number, segment.sensors_reporting, segment.readings_accepted) == (12, SENSORS, SENSORS)

    station.until(lambda: any(map(full, station.windows())))
    station.until(lambda: any(window.segments[0].vehicle_count for window in station.windows()))
    assert "these readings are false" in station.nucleus.log_path(EMULATOR).read_text()

    station.nucleus.kill_component(AGGREGATOR)
    station.until(lambda: any(each.reason == "change" for each in station.heartbeats()))
    [heartbeat] = [each for each in station.heartbeats() if each.reason == "change"]
    told = {each.component: each for each in heartbeat.components}
    assert {name: (each.state, each.crashes) for name, each in told.items()} == {
        AGGREGATOR: ("running", 1),
        EMULATOR: ("running", 0),
        MONITOR: ("running", 0),
    }
    assert told[AGGREGATOR].counters["windows"], "what was counted before the kill counts on"
    assert heartbeat.backlog_messages is not None

    began_s = time.monotonic()
    station.nucleus.stop_component(EMULATOR)
    assert time.monotonic() - began_s < 3.0
    assert station.nucleus.component_state(EMULATOR) is ComponentState.FINISHED
    assert station.nucleus.component_starts(EMULATOR) == 1
