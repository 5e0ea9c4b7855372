"""The stand-in nucleus serves the unmodified AWS SDK over its real socket: connections, operations, hostile peers."""

from __future__ import annotations

import json
import queue
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from awscrt.exceptions import AwsCrtError
from awsiot.eventstreamrpc import AccessDeniedError, ConnectionClosedError
from awsiot.greengrasscoreipc import model
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.local_nucleus import LocalNucleus, ProfileName
from simulator.local_nucleus.frames import Frame, FrameDecoder, MessageFlags, MessageType, encode_frame
from simulator.local_nucleus.profiles import PROFILES
from tests.conformance.local_nucleus_rig import WAIT_S, Bench, open_bench, until

ALWAYS_FIELDS = ("topic", "topicName", "qos", "valueToMerge")
OTHER_FIELDS = (
    *("payload", "publishMessage", "binaryMessage", "jsonMessage", "message", "receiveMode", "componentName"),
    *("keyPath", "timestamp", "state", "deploymentId", "recheckAfterMs", "authToken"),
)
FIELDS = ALWAYS_FIELDS + OTHER_FIELDS


@pytest.fixture(params=["classic", "lite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench(request.param, tmp_path)


@pytest.fixture
def classic(tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench("classic", tmp_path)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench("lite", tmp_path)


def test_a_component_connects_with_its_token(bench: Bench) -> None:
    bench.connect()
    assert bench.nucleus.connection_count == 1


def test_a_bad_token_is_refused(bench: Bench) -> None:
    # The closing socket may overtake the refusing CONNECT_ACK of the classic nucleus, so both errors are right.
    with pytest.raises((AccessDeniedError, AwsCrtError)):
        bench.connect(token="NOT-A-TOKEN")
    until(lambda: bench.nucleus.connection_count == 0)


def test_refused_connections_are_refused_until_the_fault_ends(bench: Bench) -> None:
    bench.nucleus.faults.refuse_connect = True
    with pytest.raises(AwsCrtError):
        bench.connect()
    bench.nucleus.faults.refuse_connect = False
    bench.connect()


def test_a_dropped_socket_is_seen_and_final(bench: Bench) -> None:
    component = bench.connect()
    component.subscribe("in/a")
    bench.nucleus.drop_connections()
    assert isinstance(component.disconnected.get(timeout=WAIT_S), AwsCrtError)
    with pytest.raises(ConnectionClosedError):
        component.publish("in/a", b"x")
    assert bench.nucleus.publish_local("in/a", b"x") == 0
    bench.connect().publish("in/a", b"x")


def test_lite_takes_fifty_connections(lite: Bench) -> None:
    for _ in range(50):
        lite.connect()
    with pytest.raises(AwsCrtError):
        lite.connect()


def test_put_component_metric_is_refused(bench: Bench) -> None:
    metric = model.Metric(name="n", unit="COUNT", value=1.0)
    expected = model.ServiceError if bench.nucleus.profile.name == "lite" else model.UnauthorizedError
    component = bench.connect()
    with pytest.raises(expected):
        component.client.put_component_metric_async(metrics=[metric]).result(WAIT_S)
    component.publish("in/a", b"the connection survived")


def test_an_operation_that_is_not_modelled_is_refused(bench: Bench) -> None:
    component = bench.connect()
    with pytest.raises(model.ServiceError):
        component.client.list_components_async().result(WAIT_S)
    with pytest.raises(model.ServiceError):
        component.client.get_thing_shadow_async(thing_name="gw-1", shadow_name="").result(WAIT_S)


def test_update_state_is_accepted(bench: Bench) -> None:
    bench.connect().client.update_state_async(state=model.ReportedLifecycleState.RUNNING).result(WAIT_S)


def test_an_update_waits_for_the_component_on_classic(classic: Bench) -> None:
    component = classic.connect()
    with pytest.raises(model.InvalidArgumentsError):
        component.client.defer_component_update_async(deployment_id="d-1").result(WAIT_S)
    events: queue.Queue[Any] = queue.Queue()
    answer, _ = component.client.subscribe_to_component_updates_async(on_stream_event=events.put)
    answer.result(WAIT_S)
    with pytest.raises(model.ServiceError):
        component.client.defer_component_update_async(deployment_id="d-1").result(WAIT_S)
    with ThreadPoolExecutor(1) as pool:
        announced = pool.submit(classic.nucleus.announce_component_update, "d-1", WAIT_S)
        assert events.get(timeout=WAIT_S).pre_update_event.deployment_id == "d-1"
        component.client.defer_component_update_async(deployment_id="d-1", recheck_after_ms=250).result(WAIT_S)
        assert announced.result(WAIT_S) == {"test.One": 250}


def test_lite_has_no_component_updates(lite: Bench) -> None:
    answer, _ = lite.connect().client.subscribe_to_component_updates_async(on_stream_event=lambda _: None)
    with pytest.raises(model.ServiceError):
        answer.result(WAIT_S)


# hostile peers


def connect_frame(nucleus: LocalNucleus) -> bytes:
    payload = b'{"authToken":"%s"}' % nucleus.auth_token("test.One").encode()
    return encode_frame(Frame(MessageType.CONNECT, 0, headers={":version": "0.1.0"}, payload=payload))


def request(stream_id: int, operation: str, payload: bytes) -> bytes:
    headers = {"operation": f"aws.greengrass#{operation}"}
    return encode_frame(Frame(MessageType.APPLICATION_MESSAGE, stream_id, headers=headers, payload=payload))


def test_garbage_closes_its_own_connection_and_no_other(bench: Bench) -> None:
    component = bench.connect()
    events = component.subscribe("in/a")
    good = encode_frame(Frame(MessageType.CONNECT, 0, payload=b'{"authToken": "x"}'))
    for data in (b"\x00" * 64, b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", good[:-1] + b"\x00", bytes(range(256)) * 40):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(WAIT_S)
            peer.connect(str(bench.nucleus.socket_path))
            try:
                peer.sendall(data)
                while peer.recv(4096):
                    pass
            except ConnectionError:
                continue  # a reset is as good an end as an empty read
    component.publish("in/a", b"still here")
    assert events.get(timeout=WAIT_S).binary_message.message == b"still here"


def test_a_malformed_request_ends_its_stream_only(bench: Bench) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(WAIT_S)
        peer.connect(str(bench.nucleus.socket_path))
        bodies = (b"{", b"[1]", b'{"topic": NaN}', b'{"topic": 5}', b"{}", b"[" * 9_000, b"\xff")
        requests = [request(i, "PublishToTopic", body) for i, body in enumerate(bodies, 1)]
        decoder = FrameDecoder(1_000_000)
        peer.sendall(connect_frame(bench.nucleus) + b"".join(requests))
        answers: list[Frame] = []
        while len(answers) < 1 + len(bodies):
            data = peer.recv(65_536)
            assert data, "the connection was closed"
            answers += decoder.feed(data)
    assert answers[0].message_type is MessageType.CONNECT_ACK
    assert [answer.message_type for answer in answers[1:]] == [MessageType.APPLICATION_ERROR] * len(bodies)
    assert [answer.stream_id for answer in answers[1:]] == list(range(1, len(bodies) + 1))


def test_a_component_that_stops_reading_holds_a_bounded_buffer(classic: Bench) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(WAIT_S)
        peer.connect(str(classic.nucleus.socket_path))
        peer.sendall(connect_frame(classic.nucleus) + request(1, "SubscribeToTopic", b'{"topic": "in/a"}'))
        until(lambda: classic.nucleus.publish_local("in/a", b"") == 1)
        healthy = classic.connect("test.Two").subscribe("in/a")
        sent = 0
        while classic.nucleus.publish_local("in/a", bytes(100_000)) == 2:
            sent += 1
            assert sent < 200, "the buffer has no bound"
        assert classic.nucleus.counters.dropped_events == 1
        for _ in range(sent + 1):
            healthy.get(timeout=WAIT_S)


texts = st.sampled_from(
    ["in/a", "json", "up/gw-1/x", "down/gw-1/x", "0", "1", "YWI=", "RUNNING", "test.Two", ""]
) | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
# Half of the bodies have the right fields, so that the fault comes late; the ids are in order but for a few.
plausible = st.fixed_dictionaries(
    {
        "topic": st.sampled_from(["in/a", "json"]) | texts,
        "topicName": st.sampled_from(["up/gw-1/x", "down/gw-1/x"]) | texts,
        "qos": st.sampled_from(["0", "1"]) | scalars,
        "valueToMerge": st.just({"a": {"b": 1}}) | json_values,
    },
    optional={field: json_values for field in OTHER_FIELDS},
)
bodies = (plausible | st.dictionaries(st.sampled_from(FIELDS), json_values)).map(lambda body: json.dumps(body).encode())
frames = st.builds(
    lambda kind, skip, flags, operation, body: (
        kind,
        skip,
        MessageFlags(flags),
        {"operation": f"aws.greengrass#{operation}"},
        body,
    ),
    st.sampled_from([MessageType.APPLICATION_MESSAGE] * 80 + list(MessageType)),
    st.sampled_from([0] * 80 + [-3, -1, 1]),
    st.sampled_from([0] * 20 + [1, 2, 3]),
    st.sampled_from([*sorted(PROFILES["classic"].operations), "PutComponentMetric", "ListComponents", "Nonsense", ""]),
    bodies | st.binary(max_size=20),
)


@pytest.mark.parametrize("profile", ["classic", "lite"])
def test_no_request_whatever_is_a_fault_inside_the_nucleus(
    profile: ProfileName, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(profile, tmp_path)

    @settings(max_examples=80, deadline=None)
    @given(st.lists(frames, min_size=1, max_size=12), st.sampled_from([True, True, True, False]))
    def attack(sent: list[tuple[MessageType, int, MessageFlags, dict[str, str], bytes]], known: bool) -> None:
        wire = b"".join(
            encode_frame(Frame(kind, index + skip, flags, headers, body))
            for index, (kind, skip, flags, headers, body) in enumerate(sent, 1)
        )
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(WAIT_S)
            peer.connect(str(bench.nucleus.socket_path))
            try:
                peer.sendall((connect_frame(bench.nucleus) if known else b"") + wire)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65_536):
                    pass
            except ConnectionError:
                return  # the nucleus had enough of it

    try:
        attack()
        bench.connect("test.Two").publish("in/a", b"still here")
    finally:
        bench.close()
    # asyncio reports an exception in a connection's code here, and nowhere else.
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
