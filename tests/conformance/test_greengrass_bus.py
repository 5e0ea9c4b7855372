"""The Greengrass adapter over the real SDK and a real socket, against the stand-in nucleus in both profiles."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from awsiot.greengrasscoreipc import model

from roadside.contract.codec import encode_ack
from roadside.contract.summary import Ack
from roadside.runtime.clock import SystemClock
from roadside.runtime.greengrass import GreengrassBus, connect_greengrass
from roadside.runtime.outbox import OutgoingMessage
from roadside.runtime.ports import (
    Bus,
    BusClosedError,
    BusRefusedError,
    BusUnavailableError,
    Configuration,
    Neighbours,
    Updates,
)
from roadside.runtime.store import GatewayStore
from roadside.runtime.uplink import Uplink
from roadside.runtime.uplink_settings import UplinkSettings
from simulator.local_nucleus import ComponentDeployment, LocalNucleus
from simulator.local_nucleus.fake_cloud import InMemoryCloud

WAIT_S = 10.0
RECIPE = """
RecipeFormatVersion: "2020-01-25"
ComponentName: test.Bus
ComponentVersion: "1.0.0"
ComponentType: aws.greengrass.generic
ComponentDescription: A component of the tests
ComponentPublisher: Tests
ComponentConfiguration:
  DefaultConfiguration:
    windowSeconds: 60
    output: {limits: [1, 2]}
    accessControl:
      aws.greengrass.ipc.pubsub:
        "test.Bus:pubsub:1": {operations: ["aws.greengrass#SubscribeToTopic"], resources: ["in/*"]}
        "test.Bus:pubsub:2": {operations: ["aws.greengrass#PublishToTopic"], resources: ["in/*"]}
      aws.greengrass.ipc.mqttproxy:
        "test.Bus:mqtt:1": {operations: ["aws.greengrass#PublishToIoTCore"], resources: ["up/#"]}
        "test.Bus:mqtt:2": {operations: ["aws.greengrass#SubscribeToIoTCore"], resources: ["down/+"]}
      aws.greengrass.Cli:
        "test.Bus:cli:1": {operations: ["aws.greengrass#RestartComponent"], resources: ["test.Other", "test.Nobody"]}
Manifests:
  - Platform: {os: linux, runtime: "*"}
    Lifecycle: {run: {Script: "exec sleep 60"}}
"""

Messages = queue.Queue[tuple[str, bytes]]


class Bench:
    """A nucleus, a cloud, and buses to clean up."""

    def __init__(self, profile: Any, directory: Path) -> None:
        self.cloud = InMemoryCloud()
        self.nucleus = LocalNucleus(thing_name="gw-1", profile=profile, work_dir=directory / "gw", cloud=self.cloud)
        self.nucleus.start()
        recipe = directory / "test.Bus.yaml"
        recipe.write_text(RECIPE)
        self.nucleus.deploy(ComponentDeployment(recipe_path=recipe, artifacts_dir=directory), run=False)
        self._directory = directory
        self.lost: queue.Queue[str] = queue.Queue()
        self._buses: list[GreengrassBus] = []

    def deploy(self, component: str, *, run: bool) -> None:
        """Another component, made of the same recipe."""
        recipe = self._directory / f"{component}.yaml"
        recipe.write_text(RECIPE.replace("test.Bus", component))
        self.nucleus.deploy(ComponentDeployment(recipe_path=recipe, artifacts_dir=self._directory), run=run)

    def connect(self, token: str | None = None, patience_s: float = 20.0, call_timeout_s: float = 5.0) -> GreengrassBus:
        bus = connect_greengrass(
            self.lost.put,
            socket_path=str(self.nucleus.socket_path),
            auth_token=token or self.nucleus.auth_token("test.Bus"),
            connect_timeout_s=5.0,
            patience_s=patience_s,
            call_timeout_s=call_timeout_s,
        )
        self._buses.append(bus)
        return bus

    def close(self) -> None:
        for bus in self._buses:
            bus.close()
        self.nucleus.stop()
        self.cloud.close()


@pytest.fixture(params=["classic", "lite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path)
    yield made
    made.close()


def collector() -> tuple[Messages, Callable[[str, bytes], None]]:
    messages: Messages = queue.Queue()
    return messages, lambda topic, payload: messages.put((topic, payload))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_the_bus_is_what_the_ports_say(bench: Bench) -> None:
    made = bench.connect()
    bus: Bus = made
    configuration: Configuration = made
    bus.publish_cloud("up/x", b"x")
    assert configuration.read()


def test_local_messages_arrive_in_order_with_their_topic_and_bytes(bench: Bench) -> None:
    bus = bench.connect()
    messages, handler = collector()
    bus.subscribe_local("in/+", handler)
    sent = [(f"in/{number % 3}", b"\x00\xff%d" % number) for number in range(100)]
    for topic, payload in sent:
        bus.publish_local(topic, payload)
    assert [messages.get(timeout=WAIT_S) for _ in sent] == sent
    assert messages.empty()


def test_a_json_message_comes_as_the_bytes_of_its_json(bench: Bench) -> None:
    bus = bench.connect()
    messages, handler = collector()
    bus.subscribe_local("in/json", handler)
    message = {"sensor": "s-1", "speed": 1.5, "text": "é"}

    publish = model.PublishMessage(json_message=model.JsonMessage(message=message))
    bus._client.publish_to_topic_async(topic="in/json", publish_message=publish).result(WAIT_S)
    topic, payload = messages.get(timeout=WAIT_S)
    assert topic == "in/json"
    assert payload == b'{"sensor":"s-1","speed":1.5,"text":"\\u00e9"}'


def test_publishing_reaches_the_cloud_with_qos_1_and_messages_come_back(bench: Bench) -> None:
    bus = bench.connect()
    messages, handler = collector()
    bus.subscribe_cloud("down/+", handler)
    bus.publish_cloud("up/windows", b"\x00\xff" * 3500)
    wait_for(lambda: len(bench.cloud.published) == 1)
    [published] = bench.cloud.published
    assert (published.topic, published.payload, published.qos) == ("up/windows", b"\x00\xff" * 3500, 1)
    bench.cloud.deliver("down/acks", b"\x01\x00")
    assert messages.get(timeout=WAIT_S) == ("down/acks", b"\x01\x00")


def test_what_is_published_once_goes_with_qos_0_and_is_not_kept_while_offline(bench: Bench) -> None:
    bus = bench.connect()
    bus.publish_cloud_once("up/heartbeat", b"{}")
    wait_for(lambda: [(each.payload, each.qos) for each in bench.cloud.published] == [(b"{}", 0)])
    bench.cloud.go_offline()
    with pytest.raises(BusUnavailableError):
        bus.publish_cloud_once("up/heartbeat", b"{}")


def test_another_component_is_restarted_where_the_nucleus_can(bench: Bench) -> None:
    neighbours: Neighbours = bench.connect()
    bench.deploy("test.Other", run=True)
    bench.deploy("test.Third", run=True)
    if bench.nucleus.profile.name == "classic":
        with pytest.raises(BusUnavailableError):
            neighbours.restart("test.Other")
        bench.deploy("aws.greengrass.Cli", run=False)
    first = bench.nucleus.component_pid("test.Other")
    neighbours.restart("test.Other")
    wait_for(lambda: bench.nucleus.component_starts("test.Other") == 2)
    assert bench.nucleus.component_pid("test.Other") != first
    with pytest.raises(BusRefusedError):
        neighbours.restart("test.Third")
    with pytest.raises(BusUnavailableError):
        neighbours.restart("test.Nobody")
    assert bench.nucleus.component_starts("test.Third") == 1


def test_another_components_configuration_is_read_without_its_access_control(bench: Bench) -> None:
    neighbours: Neighbours = bench.connect()
    bench.deploy("test.Other", run=False)
    bench.nucleus.update_configuration("test.Other", {"windowSeconds": "10"})
    assert neighbours.configuration_of("test.Other") | {"output": None} == {"windowSeconds": "10", "output": None}
    with pytest.raises(BusUnavailableError):
        neighbours.configuration_of("test.Nobody")


def test_an_update_waits_for_the_answer_where_the_nucleus_asks(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bus = bench.connect()
    updates: Updates = bus
    asked: queue.Queue[str] = queue.Queue()
    updates.on_update(asked.put)
    if bench.nucleus.profile.name == "lite":
        told = [record.getMessage() for record in caplog.records if record.name == "roadside.runtime.greengrass"]
        assert told == ["the nucleus does not ask before an update"]
        with pytest.raises(BusUnavailableError):
            bus.answer_update("d-1", 0)
        assert bench.lost.empty()
        return
    with pytest.raises(BusUnavailableError):  # it has not asked
        bus.answer_update("d-1", 0)
    for defer_ms in (250, 0):
        with ThreadPoolExecutor(1) as pool:
            announced = pool.submit(bench.nucleus.announce_component_update, "d-1", WAIT_S)
            assert asked.get(timeout=WAIT_S) == "d-1"
            bus.answer_update("d-1", defer_ms)
            assert announced.result(WAIT_S) == {"test.Bus": defer_ms}
    assert asked.empty(), "that an update is over is no question"


def test_what_is_not_authorised_is_refused_and_the_connection_stays(bench: Bench) -> None:
    bus = bench.connect()
    _, handler = collector()
    with pytest.raises(BusRefusedError):
        bus.publish_cloud("elsewhere", b"x")
    with pytest.raises(BusRefusedError):
        bus.publish_local("elsewhere", b"x")
    with pytest.raises(BusRefusedError):
        bus.subscribe_local("elsewhere", handler)
    with pytest.raises(BusRefusedError):
        bus.subscribe_cloud("elsewhere", handler)
    bus.publish_cloud("up/x", b"x")
    assert bench.lost.empty()


def test_a_full_spool_or_window_means_not_now(bench: Bench) -> None:
    bus = bench.connect()
    bench.nucleus.faults.spool_full = True
    with pytest.raises(BusUnavailableError):
        bus.publish_cloud("up/x", b"x")
    bench.nucleus.faults.spool_full = False
    bus.publish_cloud("up/x", b"x")


def test_offline_means_not_now_on_lite_and_is_spooled_on_classic(bench: Bench) -> None:
    bus = bench.connect()
    bench.cloud.go_offline()
    if bench.nucleus.profile.name == "lite":
        with pytest.raises(BusUnavailableError):
            bus.publish_cloud("up/x", b"x")
    else:
        bus.publish_cloud("up/x", b"x")
        bench.cloud.go_online()
        wait_for(lambda: len(bench.cloud.published) == 1)


def test_a_nucleus_that_does_not_answer_means_not_now(bench: Bench) -> None:
    bus = bench.connect(call_timeout_s=0.1)
    bench.nucleus.faults.delay_ms = 1000.0
    begun = time.monotonic()
    with pytest.raises(BusUnavailableError):
        bus.publish_cloud("up/x", b"x")
    assert time.monotonic() - begun < 0.9
    bench.nucleus.faults.delay_ms = 0.0


def test_a_dropped_connection_is_told_once_and_every_later_call_says_closed(bench: Bench) -> None:
    bus = bench.connect()
    _, handler = collector()
    bus.subscribe_local("in/+", handler)
    bus.subscribe_cloud("down/+", handler)
    bench.nucleus.drop_connections()
    assert bench.lost.get(timeout=WAIT_S)
    for call in (lambda: bus.publish_cloud("up/x", b"x"), bus.read, lambda: bus.subscribe_local("in/+", handler)):
        with pytest.raises(BusClosedError):
            call()
    assert bench.lost.empty()
    bus.close()


def test_closing_is_no_loss_and_may_be_repeated(bench: Bench) -> None:
    bus = bench.connect()
    _, handler = collector()
    bus.subscribe_local("in/+", handler)
    bus.subscribe_cloud("down/+", handler)
    bus.on_change(lambda: None)
    begun = time.monotonic()
    bus.close()
    bus.close()
    assert time.monotonic() - begun < 2
    wait_for(lambda: bench.nucleus.connection_count == 0)
    assert bench.lost.empty()
    with pytest.raises(BusClosedError):
        bus.publish_cloud("up/x", b"x")


def test_a_handler_that_raises_does_not_end_its_subscription(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bus = bench.connect()
    messages, handler = collector()

    def moody(topic: str, payload: bytes) -> None:
        handler(topic, payload)
        if payload == b"1":
            raise KeyError("handler")

    bus.subscribe_local("in/+", moody)
    for payload in (b"1", b"2"):
        bus.publish_local("in/x", payload)
    assert [messages.get(timeout=WAIT_S)[1] for _ in range(2)] == [b"1", b"2"]
    assert bench.lost.empty()


def test_the_configuration_comes_whole_without_access_control_and_changes_are_told(bench: Bench) -> None:
    bus = bench.connect()
    assert set(bus.read()) == {"windowSeconds", "output"}
    assert int(bus.read()["windowSeconds"]) == 60
    changes: queue.Queue[bool] = queue.Queue()
    bus.on_change(lambda: changes.put(True))
    bench.nucleus.update_configuration("test.Bus", {"windowSeconds": 30})
    assert changes.get(timeout=WAIT_S)
    assert int(bus.read()["windowSeconds"]) == 30


def test_the_first_connection_is_tried_again_until_the_nucleus_takes_it(bench: Bench) -> None:
    bench.nucleus.faults.refuse_connect = True
    threading.Timer(1.5, setattr, (bench.nucleus.faults, "refuse_connect", False)).start()
    bus = bench.connect()
    bus.publish_cloud("up/x", b"x")
    assert bench.lost.empty()


def test_a_token_that_is_not_ours_ends_in_closed_and_leaks_no_connection(bench: Bench) -> None:
    with pytest.raises(BusClosedError):
        bench.connect(token="A" * 16, patience_s=1.5)
    wait_for(lambda: bench.nucleus.connection_count == 0)


def test_without_a_nucleus_in_the_environment_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SVCUID", raising=False)
    with pytest.raises(BusRefusedError, match="SVCUID"):
        connect_greengrass(lambda _: None, socket_path="/nowhere")


def test_the_uplink_brings_every_message_through_an_outage_without_overrunning_the_nucleus(bench: Bench) -> None:
    """Store, uplink, SDK, nucleus and back: 30 messages, offline in the middle, acknowledged end to end."""
    bus = bench.connect()
    clock = SystemClock()
    acks, handler = collector()
    bus.subscribe_cloud("down/+", handler)
    store = GatewayStore.open(None, clock.wall_ms())
    settings = UplinkSettings(publishes_per_second=90, ack_timeout_ms=400, min_retry_ms=50, max_retry_ms=200)
    uplink = Uplink(store.outbox, store.epoch_ms, bus, settings)
    with store.transaction():
        for _ in range(30):
            sequence = store.outbox.next_sequence()
            store.outbox.add(OutgoingMessage(sequence, "events", "up/events", b"%d" % sequence, clock.wall_ms()))

    answered = 0
    deadline_ms = clock.steady_ms() + 30_000
    while store.outbox.headers():
        assert clock.steady_ms() < deadline_ms, uplink.statistics(clock.wall_ms())
        uplink.pump(clock.wall_ms(), clock.steady_ms())
        published = bench.cloud.published
        if answered < 10 <= len(published):
            bench.cloud.go_offline()
            threading.Timer(0.5, bench.cloud.go_online).start()
        for message in published[answered:]:
            bench.cloud.deliver("down/acks", encode_ack(Ack(store.epoch_ms, (int(message.payload),))))
        answered = len(published)
        try:
            uplink.on_ack(acks.get(timeout=0.01)[1], clock.wall_ms())
        except queue.Empty:
            continue

    assert {int(message.payload) for message in bench.cloud.published} == set(range(1, 31))
    statistics = uplink.statistics(clock.wall_ms())
    assert (statistics.acknowledged, statistics.refused, statistics.given_up) == (30, 0, 0)
    if bench.nucleus.profile.name == "lite":
        assert statistics.unavailable > 0, "the outage was not noticed"
    store.close()
