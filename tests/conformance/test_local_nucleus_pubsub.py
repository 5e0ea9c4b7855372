"""Local publish/subscribe of the stand-in nucleus, through the unmodified AWS SDK."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from awscrt.exceptions import AwsCrtError
from awsiot.eventstreamrpc import ConnectionClosedError, StreamClosedError
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


def test_bytes_arrive_unchanged_and_in_order(bench: Bench) -> None:
    listener, speaker = bench.connect("test.One"), bench.connect("test.Two")
    events = listener.subscribe("in/a")
    payloads = [bytes([i % 256, 0, 255]) * 7 for i in range(300)]
    for payload in payloads:
        speaker.publish("in/a", payload)
    received = [events.get(timeout=WAIT_S).binary_message for _ in payloads]
    assert [message.message for message in received] == payloads
    assert {message.context.topic for message in received} == {"in/a"}


def test_publish_local_reaches_every_subscription_and_counts_them(bench: Bench) -> None:
    assert bench.nucleus.publish_local("in/b", b"nobody") == 0
    first, second = bench.connect("test.One").subscribe("in/b"), bench.connect("test.Two").subscribe("in/b")
    assert bench.nucleus.publish_local("in/b", b"both") == 2
    assert first.get(timeout=WAIT_S).binary_message.message == b"both"
    assert second.get(timeout=WAIT_S).binary_message.message == b"both"
    assert bench.nucleus.publish_local("in/c", b"elsewhere") == 0


def test_a_closed_subscription_hears_nothing(bench: Bench) -> None:
    component = bench.connect()
    answer, operation = component.client.subscribe_to_topic_async(topic="in/a", on_stream_event=lambda _: None)
    answer.result(WAIT_S)
    operation.close().result(WAIT_S)
    until(lambda: bench.nucleus.publish_local("in/a", b"x") == 0)


def test_what_the_policy_does_not_name_is_denied(bench: Bench) -> None:
    component = bench.connect()
    for attempt in (
        lambda: component.publish("other", b"x"),
        lambda: component.subscribe("other"),
        lambda: component.subscribe("#"),
        lambda: component.publish_to_cloud("up/gw-2/x"),
        lambda: component.subscribe_to_cloud("down/gw-1/+/x"),
    ):
        with pytest.raises(model.UnauthorizedError):
            attempt()
    component.publish("in/a", b"the connection survived")


def test_only_lite_takes_a_wildcard_in_a_published_topic(bench: Bench) -> None:
    component = bench.connect()
    if bench.nucleus.profile.name == "lite":
        component.publish("in/+", b"x")
    else:
        with pytest.raises(model.InvalidArgumentsError):
            component.publish("in/+", b"x")


def test_an_exact_subscription_hears_its_own_component(bench: Bench) -> None:
    component = bench.connect()
    events = component.subscribe("own/echo")
    component.publish("own/echo", b"heartbeat")
    assert events.get(timeout=WAIT_S).binary_message.message == b"heartbeat"


def test_receive_mode_is_honoured_by_classic_and_ignored_by_lite(bench: Bench) -> None:
    component = bench.connect()
    events = component.subscribe("own/echo", model.ReceiveMode.RECEIVE_MESSAGES_FROM_OTHERS)
    component.publish("own/echo", b"own")
    bench.nucleus.publish_local("own/echo", b"other")
    expected = [b"own", b"other"] if bench.nucleus.profile.name == "lite" else [b"other"]
    assert [events.get(timeout=WAIT_S).binary_message.message for _ in expected] == expected


def test_json_numbers_become_floats_on_classic_only(bench: Bench) -> None:
    component = bench.connect()
    events = component.subscribe("json")
    component.publish_json("json", {"n": 7, "f": 0.5, "s": "x", "b": True})
    value = events.get(timeout=WAIT_S).json_message.message
    assert value == {"n": 7, "f": 0.5, "s": "x", "b": True}
    assert type(value["n"]) is (float if bench.nucleus.profile.name == "classic" else int)
    assert value["b"] is True


def test_a_json_list_is_refused_by_classic(classic: Bench) -> None:
    with pytest.raises(model.InvalidArgumentsError):
        classic.connect().publish_json("json", [1])


def test_a_large_json_message_silences_lite_for_good(lite: Bench) -> None:
    component = lite.connect()
    events = component.subscribe("json")
    component.publish_json("json", {"items": list(range(44))})
    assert len(events.get(timeout=WAIT_S).json_message.message["items"]) == 44
    component.publish_json("json", {"items": list(range(45))})
    assert lite.nucleus.publish_local("json", b"after") == 0
    with pytest.raises(model.ServiceError):
        component.publish_json("json", {"items": list(range(200))})


def test_a_frame_over_ten_thousand_bytes_closes_a_lite_connection(lite: Bench) -> None:
    component = lite.connect()
    component.publish("in/a", bytes(7_299))
    with pytest.raises((AwsCrtError, ConnectionClosedError, StreamClosedError)):
        component.publish("in/a", bytes(7_500))
    component.disconnected.get(timeout=WAIT_S)


def test_classic_takes_a_large_frame(classic: Bench) -> None:
    component = classic.connect()
    events = component.subscribe("in/a")
    component.publish("in/a", bytes(100_000))
    assert len(events.get(timeout=WAIT_S).binary_message.message) == 100_000


def test_silenced_subscriptions_give_no_sign_and_new_ones_work(bench: Bench) -> None:
    component = bench.connect()
    dead = component.subscribe("own/echo")
    bench.nucleus.faults.silence_subscriptions()
    component.publish("own/echo", b"unheard")
    alive = component.subscribe("own/echo")
    component.publish("own/echo", b"heard")
    assert alive.get(timeout=WAIT_S).binary_message.message == b"heard"
    assert dead.empty()


def test_a_delay_slows_answers_and_keeps_order(bench: Bench) -> None:
    component = bench.connect()
    events = component.subscribe("in/a")
    bench.nucleus.faults.delay_ms = 50
    started = time.monotonic()
    message = [model.PublishMessage(binary_message=model.BinaryMessage(message=bytes([i]))) for i in range(20)]
    answers = [component.client.publish_to_topic_async(topic="in/a", publish_message=m) for m in message]
    bench.nucleus.faults.delay_ms = 0
    for answer in answers:
        answer.result(WAIT_S)
    assert time.monotonic() - started < WAIT_S
    assert [events.get(timeout=WAIT_S).binary_message.message[0] for _ in range(20)] == list(range(20))
