"""A device's connection against the local cloud's broker, with policies enforced."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from simulator.fleet.mqtt import (
    DeviceConnection,
    DeviceConnectionError,
    DeviceOfflineError,
    PublishRefused,
    SubscribeRefused,
)
from simulator.local_cloud.devices import DeviceIdentity, register_devices
from simulator.local_cloud.local_cloud import LocalCloud, LocalCloudSettings

pytestmark = [
    pytest.mark.local_cloud,
    pytest.mark.skipif(not LocalCloudSettings().python.exists(), reason="no .venv-cloud (run: make test)"),
]

NOT_AUTHORIZED = 135
TIMEOUT_S = 10.0
PAYLOAD = bytes([0xFF, 0x00, 0xFE]) + b"window"
THING = "${iot:Connection.Thing.ThingName}"
ARN = "arn:aws:iot:us-east-1:000000000000"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": f"{ARN}:client/{THING}"},
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": f"{ARN}:topic/mine/{THING}/*"},
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": f"{ARN}:topicfilter/mine/{THING}/*"},
    ],
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud() as started:
        yield started


@pytest.fixture(scope="module")
def identity(cloud: LocalCloud) -> DeviceIdentity:
    cloud.client("iot").create_policy(policyName="mine", policyDocument=json.dumps(POLICY))
    return register_devices(cloud, ["gw-a"], "mine")[0]


def connection(cloud: LocalCloud, identity: DeviceIdentity, **instead: Any) -> DeviceConnection:
    return DeviceConnection(
        **{
            "host": cloud.mqtt_host,
            "port": cloud.mqtt_port,
            "thing_name": identity.thing_name,
            "certificate_pem": identity.certificate_pem.encode(),
            "private_key_pem": identity.private_key_pem.encode(),
            "ca_pem": identity.ca_pem.encode(),
            **instead,
        }
    )


@pytest.fixture
def device(cloud: LocalCloud, identity: DeviceIdentity) -> Iterator[DeviceConnection]:
    opened = connection(cloud, identity)
    opened.connect(TIMEOUT_S)
    yield opened
    opened.close()


class States:
    """What a connection announced, and a way to wait for the next word."""

    def __init__(self, device: DeviceConnection) -> None:
        self.heard: queue.SimpleQueue[bool] = queue.SimpleQueue()
        device.on_state(self.heard.put)

    def next(self) -> bool:
        return self.heard.get(timeout=TIMEOUT_S)


def result(future: Future[None]) -> None:
    future.result(TIMEOUT_S)


def inbox(device: DeviceConnection, topic_filter: str) -> queue.SimpleQueue[tuple[str, bytes]]:
    received: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    result(device.subscribe(topic_filter, lambda topic, payload: received.put((topic, payload))))
    return received


def test_connected_device_publishes_and_counts_what_was_acknowledged(device: DeviceConnection) -> None:
    assert device.connected
    result(device.publish("mine/gw-a/windows", PAYLOAD))
    result(device.publish("mine/gw-a/windows", b"", qos=0))
    assert (device.published_messages, device.published_bytes) == (2, len(PAYLOAD))


def test_publish_as_another_thing_is_refused_with_not_authorized_and_not_counted(device: DeviceConnection) -> None:
    with pytest.raises(PublishRefused) as refused:
        result(device.publish("mine/gw-b/windows", PAYLOAD))
    assert refused.value.reason_code == NOT_AUTHORIZED
    assert refused.value.topic == "mine/gw-b/windows"
    assert refused.value.thing_name == "gw-a"
    assert "135" in str(refused.value)
    assert device.published_messages == 0
    assert device.connected  # a refusal costs no connection
    result(device.publish("mine/gw-a/windows", PAYLOAD))


def test_subscription_brings_binary_messages_to_each_matching_handler(
    cloud: LocalCloud, device: DeviceConnection
) -> None:
    """A broker may send one copy for each filter; the handlers of both get all of them."""
    exact, wide = inbox(device, "mine/gw-a/acks"), inbox(device, "mine/gw-a/+")
    cloud.client("iot-data").publish(topic="mine/gw-a/acks", qos=1, payload=PAYLOAD)
    for received in (exact, wide):
        assert received.get(timeout=TIMEOUT_S) == ("mine/gw-a/acks", PAYLOAD)
    result(device.publish("mine/gw-a/echo", b"2"))
    assert ("mine/gw-a/echo", b"2") in [wide.get(timeout=TIMEOUT_S), wide.get(timeout=TIMEOUT_S)]


def test_subscription_to_another_things_topics_is_refused(device: DeviceConnection) -> None:
    with pytest.raises(SubscribeRefused) as refused:
        inbox(device, "mine/gw-b/acks")
    assert refused.value.topic_filter == "mine/gw-b/acks"
    assert refused.value.reason_code == NOT_AUTHORIZED


def test_topic_that_iot_core_would_not_take_is_refused_here(device: DeviceConnection) -> None:
    with pytest.raises(DeviceConnectionError, match="gw-a: "):
        result(device.publish("mine/gw-a/a/b/c/d/e/f/g", PAYLOAD))
    assert device.connected


def test_outage_fails_publishes_at_once_and_its_end_renews_the_subscriptions(
    cloud: LocalCloud, device: DeviceConnection
) -> None:
    received = inbox(device, "mine/gw-a/acks")
    states = States(device)
    device.go_offline()
    assert not device.connected
    assert states.next() is False
    offline = device.publish("mine/gw-a/windows", PAYLOAD)
    assert offline.done()
    with pytest.raises(DeviceOfflineError):
        offline.result()
    cloud.client("iot-data").publish(topic="mine/gw-a/acks", qos=1, payload=b"lost: the session is clean")

    during: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    result(device.subscribe("mine/gw-a/commands", lambda topic, payload: during.put((topic, payload))))
    device.go_online()
    assert states.next() is True
    result(device.publish("mine/gw-a/acks", b"after"))
    result(device.publish("mine/gw-a/commands", b"new"))
    assert received.get(timeout=TIMEOUT_S) == ("mine/gw-a/acks", b"after")
    assert during.get(timeout=TIMEOUT_S) == ("mine/gw-a/commands", b"new")


def test_going_offline_fails_what_is_open(device: DeviceConnection) -> None:
    futures = [device.publish("mine/gw-a/windows", PAYLOAD) for _ in range(50)]
    device.go_offline()
    ended = [future.exception(TIMEOUT_S) for future in futures]  # each settles, one way or the other
    assert all(error is None or isinstance(error, DeviceOfflineError) for error in ended)
    assert device.published_messages == ended.count(None)


def test_offline_and_online_twice_are_the_same_as_once(device: DeviceConnection) -> None:
    for go in (device.go_online, device.go_offline, device.go_offline, device.close):
        go()
    assert not device.connected
    device.connect(TIMEOUT_S)
    assert device.connected


def test_state_is_announced_from_a_thread_that_is_not_the_callers(device: DeviceConnection) -> None:
    threads: queue.SimpleQueue[str] = queue.SimpleQueue()
    device.on_state(lambda _: threads.put(threading.current_thread().name))
    device.go_offline()
    assert threads.get(timeout=TIMEOUT_S) != threading.current_thread().name


def refused(make: Callable[[], DeviceConnection]) -> DeviceConnectionError:
    opened = make()
    try:
        with pytest.raises(DeviceConnectionError) as error:
            opened.connect(3.0)
        assert not opened.connected
    finally:
        opened.close()
    return error.value


def test_another_things_name_is_refused(cloud: LocalCloud, identity: DeviceIdentity) -> None:
    error = refused(lambda: connection(cloud, identity, thing_name="gw-b"))
    assert "gw-b: the broker refused" in str(error)
    assert "NOT_AUTHORIZED" in str(error)


def test_certificate_of_nobody_is_refused(cloud: LocalCloud, identity: DeviceIdentity, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    error = refused(lambda: connection(cloud, identity, certificate_pem=certificate, private_key_pem=key))
    assert "gw-a: not connected after" in str(error)


def test_device_without_a_certificate_cannot_even_be_made(cloud: LocalCloud, identity: DeviceIdentity) -> None:
    with pytest.raises(Exception, match="AWS_"):
        connection(cloud, identity, certificate_pem=b"", private_key_pem=b"")


def test_broker_of_another_authority_is_not_trusted(
    cloud: LocalCloud, identity: DeviceIdentity, tmp_path: Path
) -> None:
    certificate, _ = self_signed(tmp_path)
    error = refused(lambda: connection(cloud, identity, ca_pem=certificate))
    assert "gw-a: not connected after" in str(error)


def test_nobody_at_the_other_end_is_told_in_time(cloud: LocalCloud, identity: DeviceIdentity) -> None:
    error = refused(lambda: connection(cloud, identity, port=1))
    assert "gw-a: not connected after 3.0 s: AWS_" in str(error)


def self_signed(tmp_path: Path) -> tuple[bytes, bytes]:
    """A certificate that no authority of the local cloud has signed, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=gw-a"]
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate of nobody's with")
    command = [openssl, *request, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return certificate.read_bytes(), key.read_bytes()
