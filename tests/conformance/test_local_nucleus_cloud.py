"""The MQTT proxy of the stand-in nucleus, through the unmodified AWS SDK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from awsiot.greengrasscoreipc import model

from tests.conformance.local_nucleus_rig import WAIT_S, Bench, open_bench, until


@pytest.fixture(params=["classic", "lite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench(request.param, tmp_path)


@pytest.fixture
def classic(tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench("classic", tmp_path)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench("lite", tmp_path)


def test_a_publish_reaches_the_cloud(bench: Bench) -> None:
    component = bench.connect()
    component.publish_to_cloud("up/gw-1/windows", b"\x00\xff")
    until(lambda: len(bench.cloud.published) == 1)
    message = bench.cloud.published[0]
    assert (message.topic, message.payload, message.qos) == ("up/gw-1/windows", b"\x00\xff", 1)


def test_qos_is_required(bench: Bench) -> None:
    with pytest.raises(model.InvalidArgumentsError):
        bench.connect().publish_to_cloud("up/gw-1/x", qos=None)


def test_classic_spools_while_offline_and_sends_in_order(classic: Bench) -> None:
    component = classic.connect()
    classic.cloud.go_offline()
    for i in range(20):
        component.publish_to_cloud("up/gw-1/x", bytes([i]))
    with pytest.raises(model.ServiceError):
        component.publish_to_cloud("up/gw-1/x", b"volatile", qos="0")
    assert classic.cloud.published == []
    classic.cloud.go_online()
    until(lambda: classic.nucleus.cloud_counters.acknowledged == 20)
    assert [message.payload[0] for message in classic.cloud.published] == list(range(20))


def test_classic_refuses_when_its_spool_is_full(classic: Bench) -> None:
    component = classic.connect()
    classic.cloud.go_offline()
    size = 128 * 1024
    for _ in range(20):
        component.publish_to_cloud("up/gw-1/x", bytes(size))
    with pytest.raises(model.ServiceError) as refused:
        component.publish_to_cloud("up/gw-1/x", b"x")
    assert refused.value.message == "Message spool is full. Message could not be added."
    classic.cloud.go_online()
    until(lambda: classic.nucleus.cloud_counters.acknowledged > 0)
    component.publish_to_cloud("up/gw-1/x", b"x")


def test_classic_has_five_in_flight_and_sends_again_after_an_outage(classic: Bench) -> None:
    component = classic.connect()
    classic.cloud.holds_acknowledgements = True
    for i in range(8):
        component.publish_to_cloud("up/gw-1/x", bytes([i]))
    until(lambda: len(classic.cloud.published) == 5)
    classic.cloud.go_offline()
    classic.cloud.holds_acknowledgements = False
    classic.cloud.go_online()
    until(lambda: classic.nucleus.cloud_counters.acknowledged == 8)
    assert [message.payload[0] for message in classic.cloud.published] == [*range(5), *range(8)]


def test_classic_drops_a_message_that_the_cloud_refuses_again_and_again(classic: Bench) -> None:
    component = classic.connect()
    classic.cloud.refuses.add("up/gw-1/poison")
    component.publish_to_cloud("up/gw-1/poison")
    component.publish_to_cloud("up/gw-1/x")
    until(lambda: classic.nucleus.cloud_counters.failed == 1)
    until(lambda: [message.topic for message in classic.cloud.published] == ["up/gw-1/x"])


def test_lite_fails_at_once_while_offline_and_sends_nothing_later(lite: Bench) -> None:
    component = lite.connect()
    lite.cloud.go_offline()
    for qos in ("0", "1"):
        with pytest.raises(model.ServiceError) as refused:
            component.publish_to_cloud("up/gw-1/x", qos=qos)
        assert refused.value.message is None
    lite.cloud.go_online()
    component.publish_to_cloud("up/gw-1/x", b"now")
    assert [message.payload for message in lite.cloud.published] == [b"now"]


def test_lite_refuses_the_eleventh_unacknowledged_publish(lite: Bench) -> None:
    component = lite.connect()
    lite.cloud.holds_acknowledgements = True
    for _ in range(10):
        component.publish_to_cloud("up/gw-1/x")
    with pytest.raises(model.ServiceError):
        component.publish_to_cloud("up/gw-1/x")
    lite.cloud.acknowledge_all()
    until(lambda: lite.nucleus.cloud_counters.acknowledged == 10)
    component.publish_to_cloud("up/gw-1/x")


def test_lite_refuses_beyond_fifteen_thousand_unacknowledged_bytes(lite: Bench) -> None:
    component = lite.connect()
    lite.cloud.holds_acknowledgements = True
    for _ in range(2):
        component.publish_to_cloud("up/gw-1/x", bytes(7_000))
    with pytest.raises(model.ServiceError):
        component.publish_to_cloud("up/gw-1/x", bytes(7_000))


def test_a_full_spool_can_be_injected(bench: Bench) -> None:
    component = bench.connect()
    bench.nucleus.faults.spool_full = True
    with pytest.raises(model.ServiceError):
        component.publish_to_cloud("up/gw-1/x")
    bench.nucleus.faults.spool_full = False
    component.publish_to_cloud("up/gw-1/x")


def test_what_iot_core_cannot_take_is_refused(classic: Bench) -> None:
    component = classic.connect()
    for topic, payload in (
        ("up/gw-1/3/4/5/6/7/8/9", b""),
        ("up/gw-1/" + "x" * 256, b""),
        ("up/gw-1/x", bytes(128 * 1024 + 1)),
    ):
        with pytest.raises(model.ServiceError):
            component.publish_to_cloud(topic, payload)


def test_cloud_messages_reach_the_subscriber(bench: Bench) -> None:
    component = bench.connect()
    events = component.subscribe_to_cloud("down/gw-1/+")
    assert bench.cloud.deliver("down/gw-1/acks", b"ack") == 1
    message = events.get(timeout=WAIT_S).message
    assert (message.topic_name, message.payload) == ("down/gw-1/acks", b"ack")


def test_a_component_that_comes_back_subscribes_again(bench: Bench) -> None:
    bench.connect().subscribe_to_cloud("down/gw-1/+")
    bench.nucleus.drop_connections()
    events = bench.connect().subscribe_to_cloud("down/gw-1/+")
    bench.cloud.deliver("down/gw-1/acks", b"ack")
    assert events.get(timeout=WAIT_S).message.payload == b"ack"
    assert bench.cloud.filters == ["down/gw-1/+"]


def test_a_refused_cloud_subscription_is_a_service_error(bench: Bench) -> None:
    component = bench.connect()
    bench.cloud.refuses.add("down/gw-1/x")
    with pytest.raises(model.ServiceError):
        component.subscribe_to_cloud("down/gw-1/x")


def test_a_large_cloud_message_never_arrives_on_lite(lite: Bench) -> None:
    events = lite.connect().subscribe_to_cloud("down/gw-1/+")
    lite.cloud.deliver("down/gw-1/a", bytes(5_000))
    lite.cloud.deliver("down/gw-1/a", b"small")
    assert events.get(timeout=WAIT_S).message.payload == b"small"
