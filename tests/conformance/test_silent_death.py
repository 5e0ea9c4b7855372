"""Nucleus lite loses subscriptions without a word. The Aggregator notices, and hears again without a restart."""

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from aggregator.pipeline import Pipeline
from aggregator.settings import AggregatorSettings
from aggregator.worker import ACKS, COMMANDS, ECHO, READINGS, AggregatorWorker
from roadside.contract import topics
from roadside.contract.codec import decode_window, encode_ack
from roadside.contract.summary import Ack
from roadside.runtime.greengrass import connect_greengrass
from roadside.runtime.service import Inbox
from roadside.runtime.status import StatusTeller
from roadside.runtime.store import GatewayStore
from simulator.local_nucleus import ComponentDeployment, LocalNucleus, ProfileName
from simulator.local_nucleus.fake_cloud import InMemoryCloud
from tests.unit.aggregator.rig import FRAMES, GATEWAY, START_MS, Reading, frame, settings

NAME = "city.roadside.Aggregator"
RECIPE = Path(__file__).parents[2] / "recipes" / f"{NAME}.yaml"
HASTE = 60  # a minute of the worker's clock in a second, so that its patience of minutes does not try the test's
WAIT_S = 20.0


class HastyClock:
    """Implements Clock."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    def steady_ms(self) -> int:
        return 1000 + int((time.monotonic() - self._began_s) * 1000 * HASTE)

    def wall_ms(self) -> int:
        return START_MS + self.steady_ms()


class Station:
    """The component's parts as its composition root puts them together, on a socket of the stand-in."""

    def __init__(self, profile: ProfileName, directory: Path) -> None:
        self.cloud = InMemoryCloud()
        self.nucleus = LocalNucleus(thing_name=GATEWAY, profile=profile, work_dir=directory, cloud=self.cloud)
        self.nucleus.start()
        configuration = msgspec.to_builtins(settings(window_seconds=10, allowed_lateness_ms=0))
        deployment = ComponentDeployment(RECIPE, directory, configuration_merge=configuration)
        self.nucleus.deploy(deployment, run=False)
        self.lost: queue.Queue[str] = queue.Queue()
        self.bus = connect_greengrass(
            self.lost.put, socket_path=str(self.nucleus.socket_path), auth_token=self.nucleus.auth_token(NAME)
        )
        self.clock, self.inbox = HastyClock(), Inbox()
        store = GatewayStore.open(None, START_MS)
        self.pipeline = Pipeline(GATEWAY, store, self.bus, AggregatorSettings(), steady_ms=self.clock.steady_ms())
        status = StatusTeller(NAME, self.bus, self.clock)
        self.worker = AggregatorWorker(self.pipeline, self.bus, self.bus, self.clock, status, self.bus)
        self.bus.subscribe_cloud(topics.acks(GATEWAY), self.inbox.handler(ACKS))
        self.bus.subscribe_cloud(topics.commands(GATEWAY), self.inbox.handler(COMMANDS))
        self.bus.subscribe_local(topics.status(NAME), self.inbox.handler(ECHO))
        self.worker.work([])
        self.bus.subscribe_local(topics.FRAMES_FILTER, self.inbox.handler(READINGS))

    def until(self, condition: Callable[[], bool]) -> None:
        """Meanwhile a sensor tells, and the cloud acknowledges all it has."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"it did not come to that in {WAIT_S} s"
            self.nucleus.publish_local(FRAMES, frame([Reading(10, self.clock.wall_ms())]))
            sequences = {
                decode_window(message.payload).sequence
                for message in self.cloud.published
                if message.topic == topics.uplink("windows", GATEWAY)
            }
            self.cloud.deliver(topics.acks(GATEWAY), encode_ack(Ack(START_MS, stored=tuple(sequences))))
            self.worker.work(self.inbox.take(0.02))

    @property
    def accepted(self) -> int:
        return self.pipeline.statistics(self.clock.wall_ms()).readings_accepted

    @property
    def acknowledged(self) -> int:
        return self.pipeline.statistics(self.clock.wall_ms()).uplink.acknowledged

    def close(self) -> None:
        self.bus.close()
        self.nucleus.stop()
        self.cloud.close()


@pytest.fixture(params=["classic", "lite"])
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Station]:
    made = Station(request.param, tmp_path)
    yield made
    made.close()


def test_readings_and_acknowledgements_flow_again_after_subscriptions_died_silently(station: Station) -> None:
    station.until(lambda: station.accepted > 0 and station.acknowledged > 0)
    station.nucleus.faults.silence_subscriptions()
    accepted, acknowledged = station.accepted, station.acknowledged
    station.until(lambda: station.accepted > accepted + 5 and station.acknowledged > acknowledged)
    assert station.lost.empty(), "a subscription that was ended on purpose is not lost"
