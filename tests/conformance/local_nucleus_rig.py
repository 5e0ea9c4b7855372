"""The rig of the stand-in nucleus's conformance tests: two components, a cloud in memory, the unmodified AWS SDK."""

from __future__ import annotations

import datetime
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import awsiot.greengrasscoreipc
from awsiot.eventstreamrpc import LifecycleHandler
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2

from simulator.local_nucleus import ComponentDeployment, LocalNucleus, ProfileName
from simulator.local_nucleus.fake_cloud import InMemoryCloud

WAIT_S = 5.0
RECIPE = """
RecipeFormatVersion: "2020-01-25"
ComponentName: {name}
ComponentVersion: "1.0.0"
ComponentType: aws.greengrass.generic
ComponentDescription: A component of the tests
ComponentPublisher: Tests
ComponentConfiguration:
  DefaultConfiguration:
    windowSeconds: 60
    enabled: true
    output: {{localTopic: out/x, limits: [1, 2]}}
    accessControl:
      aws.greengrass.ipc.pubsub:
        "{name}:pubsub:1": {{operations: ["aws.greengrass#SubscribeToTopic"], resources: ["in/*", "own/echo", "json"]}}
        "{name}:pubsub:2": {{operations: ["aws.greengrass#PublishToTopic"], resources: ["in/*", "own/echo", "json"]}}
      aws.greengrass.ipc.mqttproxy:
        "{name}:mqtt:1": {{operations: ["aws.greengrass#PublishToIoTCore"], resources: ["up/{{iot:thingName}}/#"]}}
        "{name}:mqtt:2": {{operations: ["aws.greengrass#SubscribeToIoTCore"], resources: ["down/{{iot:thingName}}/+"]}}
Manifests:
  - Platform: {{os: linux, runtime: "*"}}
    Lifecycle: {{run: {{Script: "sleep 60"}}}}
"""


class Connected:
    """A component's client as our runtime builds it, with the SDK's callbacks gathered in queues."""

    def __init__(self, nucleus: LocalNucleus, name: str, token: str | None = None) -> None:
        self.disconnected: queue.Queue[Exception | None] = queue.Queue()

        class Lifecycle(LifecycleHandler):  # type: ignore[misc]
            def on_disconnect(_, reason: Exception | None) -> None:  # noqa: N805
                self.disconnected.put(reason)

        ipc = awsiot.greengrasscoreipc.connect(
            ipc_socket=str(nucleus.socket_path),
            authtoken=token or nucleus.auth_token(name),
            lifecycle_handler=Lifecycle(),
            timeout=WAIT_S,
        )
        self.client = GreengrassCoreIPCClientV2(client=ipc, executor=ThreadPoolExecutor(1))

    def publish(self, topic: str, payload: bytes) -> None:
        message = model.PublishMessage(binary_message=model.BinaryMessage(message=payload))
        self.client.publish_to_topic_async(topic=topic, publish_message=message).result(WAIT_S)

    def publish_json(self, topic: str, value: Any) -> None:
        message = model.PublishMessage(json_message=model.JsonMessage(message=value))
        self.client.publish_to_topic_async(topic=topic, publish_message=message).result(WAIT_S)

    def subscribe(self, topic: str, receive_mode: str | None = None) -> queue.Queue[Any]:
        events: queue.Queue[Any] = queue.Queue()
        answer, _ = self.client.subscribe_to_topic_async(
            topic=topic, receive_mode=receive_mode, on_stream_event=events.put, on_stream_error=lambda _: False
        )
        answer.result(WAIT_S)
        return events

    def publish_to_cloud(self, topic: str, payload: bytes = b"x", qos: str | None = "1") -> None:
        self.client.publish_to_iot_core_async(topic_name=topic, qos=qos, payload=payload).result(WAIT_S)

    def subscribe_to_cloud(self, topic_filter: str) -> queue.Queue[Any]:
        events: queue.Queue[Any] = queue.Queue()
        answer, _ = self.client.subscribe_to_iot_core_async(
            topic_name=topic_filter, qos="1", on_stream_event=events.put, on_stream_error=lambda _: False
        )
        answer.result(WAIT_S)
        return events

    def configuration(self, *path: str, component: str | None = None) -> Any:
        answer = self.client.get_configuration_async(component_name=component, key_path=list(path))
        return answer.result(WAIT_S).value

    def update(self, values: dict[str, Any], *path: str, at: datetime.datetime | None = None) -> None:
        at = at or datetime.datetime.now(datetime.UTC)
        self.client.update_configuration_async(key_path=list(path), value_to_merge=values, timestamp=at).result(WAIT_S)

    def subscribe_to_configuration(self, *path: str, component: str | None = None) -> queue.Queue[Any]:
        events: queue.Queue[Any] = queue.Queue()
        answer, _ = self.client.subscribe_to_configuration_update_async(
            component_name=component,
            key_path=list(path),
            on_stream_event=lambda event: events.put(event.configuration_update_event.key_path),
            on_stream_error=lambda _: False,
        )
        answer.result(WAIT_S)
        return events


class Bench:
    """A nucleus with two deployed components, and everything to clean up."""

    def __init__(self, profile: Any, directory: Path) -> None:
        self.cloud = InMemoryCloud()
        self.nucleus = LocalNucleus(
            thing_name="gw-1", profile=profile, work_dir=directory / "gateway", cloud=self.cloud
        )
        self.nucleus.start()
        for name in ("test.One", "test.Two"):
            recipe = directory / f"{name}.yaml"
            recipe.write_text(RECIPE.format(name=name))
            self.nucleus.deploy(ComponentDeployment(recipe_path=recipe, artifacts_dir=directory), run=False)
        self._open: list[Connected] = []

    def connect(self, name: str = "test.One", token: str | None = None) -> Connected:
        connected = Connected(self.nucleus, name, token)
        self._open.append(connected)
        return connected

    def close(self) -> None:
        for connected in self._open:
            closed = connected.client.close()
            closed.exception(WAIT_S)
        self.nucleus.stop()
        self.cloud.close()


def open_bench(profile: ProfileName, directory: Path) -> Iterator[Bench]:
    """A fixture's body."""
    bench = Bench(profile, directory)
    yield bench
    bench.close()


def until(condition: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.002)
