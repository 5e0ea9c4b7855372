"""The nucleus as the ports of components, over its IPC socket. The only module that knows the AWS SDK.

What shaped it, on both nuclei: a connection that drops never comes back (the token may be refused for good), so its
loss is reported and the process is expected to end; calls have no timeout of their own; an error's text may be empty,
so errors are judged by class; a first connect may take long after boot, and only three process starts an hour are
granted on nucleus lite, so it is tried again here.
"""

import concurrent.futures
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from awscrt.exceptions import AwsCrtError
from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup, SocketDomain, SocketOptions
from awsiot.eventstreamrpc import (
    Connection,
    ConnectionClosedError,
    EventStreamError,
    EventStreamOperationError,
    LifecycleHandler,
    MessageAmendment,
    SerializeError,
)
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.client import GreengrassCoreIPCClient
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2

from roadside.runtime.ports import (
    BusClosedError,
    BusError,
    BusRefusedError,
    BusUnavailableError,
    MessageHandler,
    Side,
)
from roadside.runtime.settings import ACCESS_CONTROL

CONNECT_TIMEOUT_S: Final = 30.0
CONNECT_PATIENCE_S: Final = 600.0
CALL_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 1.0
_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 30.0
_SOCKET_VARIABLE: Final = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
_TOKEN_VARIABLE: Final = "SVCUID"  # noqa: S105  a variable's name

_log = logging.getLogger(__name__)


def connect_greengrass(
    on_lost: Callable[[str], None],
    *,
    socket_path: str | None = None,
    auth_token: str | None = None,
    event_loop_group: EventLoopGroup | None = None,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    patience_s: float = CONNECT_PATIENCE_S,
    call_timeout_s: float = CALL_TIMEOUT_S,
) -> "GreengrassBus":
    """Connect to the nucleus that started this process, trying again for `patience_s`.

    Parameters
    ----------
    on_lost : called once, on the network thread, with the reason when the connection or a subscription ends by itself
    socket_path, auth_token : by default from the environment that the nucleus sets
    event_loop_group : threads for the network; one of its own by default, a shared one for many connections

    Raises
    ------
    BusRefusedError
        The environment names no nucleus.
    BusClosedError
        No connection within `patience_s`.
    """
    socket_path = socket_path or os.environ.get(_SOCKET_VARIABLE)
    auth_token = auth_token or os.environ.get(_TOKEN_VARIABLE)
    if not socket_path or not auth_token:
        raise BusRefusedError(f"{_SOCKET_VARIABLE} or {_TOKEN_VARIABLE} is not set: a nucleus must start this process")
    group = event_loop_group or EventLoopGroup(num_threads=1)  # type: ignore[no-untyped-call]
    deadline_s = time.monotonic() + patience_s
    retry_s = _FIRST_RETRY_S
    while True:
        lifecycle = _Lifecycle(on_lost)
        try:
            connection = _open(socket_path, auth_token, group, lifecycle, connect_timeout_s)
            return GreengrassBus(GreengrassCoreIPCClient(connection), lifecycle, call_timeout_s)
        except BusUnavailableError as error:
            if time.monotonic() + retry_s > deadline_s:
                raise BusClosedError(f"no connection to the nucleus in {patience_s:g} s ({error})") from error
            _log.warning("cannot connect to the nucleus yet", extra={"reason": str(error)})
        time.sleep(retry_s)
        retry_s = min(2 * retry_s, _LONGEST_RETRY_S)


class _Lifecycle(LifecycleHandler):
    """Reports the end of a connection once, unless we asked for it."""

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._told = False
        self.closed = threading.Event()

    def on_disconnect(self, reason: Exception | None) -> None:
        self.lost(f"disconnected ({reason!r})")

    def on_error(self, error: Exception) -> bool:
        _log.error("the nucleus reports a protocol error", extra={"reason": repr(error)})
        return True

    def expect_end(self) -> None:
        with self._lock:
            self._told = True

    def lost(self, reason: str) -> None:
        with self._lock:
            told, self._told = self._told, True
        self.closed.set()
        if not told:
            self._on_lost(reason)


def _open(
    socket_path: str, auth_token: str, group: EventLoopGroup, lifecycle: _Lifecycle, timeout_s: float
) -> Connection:
    options = SocketOptions()  # type: ignore[no-untyped-call]
    options.domain = SocketDomain.Local
    resolver = DefaultHostResolver(group)  # type: ignore[no-untyped-call]
    connection = Connection(
        host_name=socket_path,
        port=0,
        bootstrap=ClientBootstrap(group, resolver),  # type: ignore[no-untyped-call]
        socket_options=options,
        connect_message_amender=MessageAmendment.create_static_authtoken_amender(auth_token),
    )
    try:
        connection.connect(lifecycle).result(timeout_s)
    except (AwsCrtError, RuntimeError, OSError, concurrent.futures.TimeoutError) as error:
        connection.close()  # an attempt left open would leak its socket
        raise BusUnavailableError(repr(error)) from error
    return connection


class GreengrassBus:
    """Implements Bus, Configuration, Neighbours and Updates. Make it with `connect_greengrass`; one a process.

    Handlers run on the network thread: they may only enqueue, and a call of the bus from one would deadlock.
    """

    def __init__(self, client: GreengrassCoreIPCClient, lifecycle: _Lifecycle, call_timeout_s: float) -> None:
        # Without an executor handlers keep the order of messages, which its pool of threads would not.
        self._client = GreengrassCoreIPCClientV2(client=client, executor=None)
        self._lifecycle = lifecycle
        self._call_timeout_s = call_timeout_s
        self._subscriptions: list[_Subscription] = []

    def subscribe_local(self, topic_filter: str, handler: MessageHandler) -> None:
        """Hand every local message on `topic_filter` to `handler`, in order; JSON messages come as its bytes.

        The nuclei differ in whether a component hears itself: lite always lets it, so this asks for it on both.
        """

        def on_event(event: model.SubscriptionResponseMessage) -> None:
            message = event.binary_message or event.json_message
            if message is None:
                return
            payload: Any = message.message or b""
            if isinstance(message, model.JsonMessage):
                payload = json.dumps(message.message, separators=(",", ":")).encode()
            topic = message.context.topic if message.context else None
            handler(topic or topic_filter, payload)

        self._subscribe(
            "local",
            topic_filter,
            self._client.subscribe_to_topic_async,
            topic=topic_filter,
            receive_mode=model.ReceiveMode.RECEIVE_ALL_MESSAGES,
            on_stream_event=on_event,
        )

    def subscribe_cloud(self, topic_filter: str, handler: MessageHandler) -> None:
        """Hand every message from the cloud on `topic_filter` to `handler`, in order."""

        def on_event(event: model.IoTCoreMessage) -> None:
            if event.message is not None:
                handler(event.message.topic_name or topic_filter, event.message.payload or b"")

        self._subscribe(
            "cloud",
            topic_filter,
            self._client.subscribe_to_iot_core_async,
            topic_name=topic_filter,
            qos=model.QOS.AT_LEAST_ONCE,
            on_stream_event=on_event,
        )

    def publish_local(self, topic: str, payload: bytes) -> None:
        """Hand `payload` to the local subscribers of `topic` as a binary message. Raises as `publish_cloud`."""
        message = model.PublishMessage(binary_message=model.BinaryMessage(message=payload))
        with self._judged(f"publish to local {topic}"):
            self._await(self._client.publish_to_topic_async(topic=topic, publish_message=message))

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        """Hand `payload` on towards the cloud, QoS 1. Waits for the nucleus only, at most `call_timeout_s`.

        Raises
        ------
        BusUnavailableError, BusRefusedError, BusClosedError
        """
        self._publish_cloud(topic, payload, model.QOS.AT_LEAST_ONCE)

    def publish_cloud_once(self, topic: str, payload: bytes) -> None:
        """Hand `payload` on towards the cloud, QoS 0: offline it is refused and not kept. Raises as `publish_cloud`."""
        self._publish_cloud(topic, payload, model.QOS.AT_MOST_ONCE)

    def _publish_cloud(self, topic: str, payload: bytes, qos: str) -> None:
        with self._judged(f"publish to cloud {topic}"):
            self._await(self._client.publish_to_iot_core_async(topic_name=topic, qos=qos, payload=payload))

    def read(self) -> dict[str, Any]:
        """The component's configuration, without accessControl. Raises BusError."""
        return self._configuration(None)

    def configuration_of(self, component: str) -> dict[str, Any]:
        """Another component's configuration, without accessControl. Raises BusError."""
        return self._configuration(component)

    def _configuration(self, component: str | None) -> dict[str, Any]:
        with self._judged(f"read the configuration of {component or 'this component'}"):
            response = self._await(self._client.get_configuration_async(component_name=component, key_path=[]))
        tree: dict[str, Any] = response.value or {}
        return {key: value for key, value in tree.items() if key != ACCESS_CONTROL}

    def restart(self, component: str) -> None:
        """Have the nucleus restart another component. Raises BusError."""
        with self._judged(f"restart {component}"):
            response = self._await(self._client.restart_component_async(component_name=component))
        if response.restart_status != model.RequestStatus.SUCCEEDED:
            raise BusUnavailableError(f"restart {component}: {response.message or response.restart_status}")

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call `notify` after a change, possibly several times for one; read again on a timer as well.

        Nucleus lite stops to notify after a component was revised.
        """
        self._subscribe(
            "nucleus",
            "configuration",
            self._client.subscribe_to_configuration_update_async,
            key_path=[],
            on_stream_event=lambda _event: notify(),
        )

    def on_update(self, ask: Callable[[str], None]) -> None:
        """Call `ask` with the deployment's id before each update, where the nucleus asks at all: lite does not."""

        def on_event(event: model.ComponentUpdatePolicyEvents) -> None:
            if event.pre_update_event is not None:
                ask(event.pre_update_event.deployment_id or "")

        try:
            self._subscribe(
                "nucleus", "updates", self._client.subscribe_to_component_updates_async, on_stream_event=on_event
            )
        except BusUnavailableError as error:  # what a nucleus says of an operation that it does not have
            _log.info("the nucleus does not ask before an update", extra={"reason": str(error)})

    def answer_update(self, deployment_id: str, defer_ms: int) -> None:
        """Let the update go on (0), or have the nucleus ask again after `defer_ms`. Raises as `publish_cloud`."""
        with self._judged(f"answer to update {deployment_id}"):
            self._await(
                self._client.defer_component_update_async(deployment_id=deployment_id, recheck_after_ms=defer_ms)
            )

    def close(self) -> None:
        """End all subscriptions, then the connection; waits a second for each at most, and raises nothing.

        Ending subscriptions first matters: nucleus lite can lock up for good when subscribers just vanish.
        """
        self._lifecycle.expect_end()
        endings = [ending for subscription in self._subscriptions if (ending := subscription.end()) is not None]
        concurrent.futures.wait(endings, timeout=CLOSE_TIMEOUT_S)
        self._subscriptions.clear()
        try:
            self._client.close().result(CLOSE_TIMEOUT_S)
        except (AwsCrtError, RuntimeError, concurrent.futures.TimeoutError) as error:
            # A connection that the nucleus ended first, or a stream whose end comes late: it is closed either way.
            _log.debug("the connection did not close cleanly", extra={"reason": repr(error)})

    def renew(self, side: Side) -> None:
        """End the subscriptions of that side and make them anew, the dead ones and the others. Raises BusError.

        Ended first, since lite would hand every message to both, and takes only so many.
        """
        mine = [subscription for subscription in self._subscriptions if subscription.side == side]
        endings = [ending for subscription in mine if (ending := subscription.end()) is not None]
        concurrent.futures.wait(endings, timeout=CLOSE_TIMEOUT_S)
        failed: BusError | None = None
        for subscription in mine:
            try:
                self._begin(subscription)
            except BusClosedError:
                raise
            except BusError as error:
                failed = error
        if failed is not None:
            raise failed

    def _subscribe(self, side: str, what: str, start: Callable[..., tuple[Any, Any]], **arguments: Any) -> None:
        subscription = _Subscription(side, what, partial(start, **arguments), self._lifecycle)
        self._begin(subscription)
        self._subscriptions.append(subscription)

    def _begin(self, subscription: "_Subscription") -> None:
        with self._judged(f"subscribe to {subscription.side} {subscription.what}"):
            self._await(subscription.begin())
        subscription.agreed()

    def _await(self, response: "concurrent.futures.Future[Any]") -> Any:
        return response.result(self._call_timeout_s)

    @contextmanager
    def _judged(self, doing: str) -> Iterator[None]:
        """Turn whatever the SDK raises into a BusError, by class alone."""
        try:
            yield
        except concurrent.futures.TimeoutError as error:
            raise BusUnavailableError(f"{doing}: no answer within {self._call_timeout_s:g} s") from error
        except (
            AwsCrtError,
            EventStreamError,
            EventStreamOperationError,
            RuntimeError,  # ConnectionClosedError, StreamClosedError, SerializeError and more
            model.GreengrassCoreIPCError,
        ) as error:
            raise self._bus_error(error)(f"{doing}: {error!r}") from error

    def _bus_error(self, error: Exception) -> type[BusError]:
        if isinstance(error, ConnectionClosedError) or self._lifecycle.closed.is_set():
            return BusClosedError
        if isinstance(error, _REFUSALS):
            return BusRefusedError
        return BusUnavailableError


class _Subscription:
    """One stream of messages, which may be ended and begun again.

    It is lost if it ends after the nucleus had agreed to it and before we end it: a refused one also ends.
    """

    def __init__(self, side: str, what: str, start: Callable[..., tuple[Any, Any]], lifecycle: _Lifecycle) -> None:
        self.side = side
        self.what = what
        self._start = start
        self._lifecycle = lifecycle
        self._operation: Any = None
        self._wanted = threading.Event()
        self._ended = threading.Event()

    def begin(self) -> "concurrent.futures.Future[Any]":
        """Ask the nucleus for it; the answer."""
        self._wanted, self._ended = threading.Event(), threading.Event()
        wanted, ended = self._wanted, self._ended

        def on_closed() -> None:
            ended.set()
            self._report_if_lost(wanted, ended)

        response: concurrent.futures.Future[Any]
        response, self._operation = self._start(on_stream_error=self._on_error, on_stream_closed=on_closed)
        return response

    def agreed(self) -> None:
        """The nucleus has answered yes."""
        self._wanted.set()
        self._report_if_lost(self._wanted, self._ended)

    def end(self) -> "concurrent.futures.Future[Any] | None":
        """End it, if it has begun; told when it has ended."""
        self._wanted.clear()
        operation, self._operation = self._operation, None
        return None if operation is None else operation.close()

    def _report_if_lost(self, wanted: threading.Event, ended: threading.Event) -> None:
        if wanted.is_set() and ended.is_set():
            self._lifecycle.lost(f"the nucleus ended the subscription to {self.side} {self.what}")

    def _on_error(self, error: Exception) -> bool:
        _log.warning("cannot read a message", extra={"subscription": self.what, "reason": repr(error)})
        return False  # keep the stream; True and None would end it


# No retry helps. All else may pass: ServiceError above all, which is what a nucleus says when it is offline or full.
_REFUSALS: Final = (model.UnauthorizedError, model.InvalidArgumentsError, SerializeError)
