"""`DeviceConnection`: one device's MQTT 5 connection over mutual TLS, as a gateway has it.

Built on the AWS Common Runtime's client with the flow control that AWS prescribes for IoT Core (100 publishes and
512 KiB a second). Nothing is queued while offline: a publish is acknowledged by the broker or its future fails. Pass
one `ClientBootstrap` to all connections of a fleet, so that they share an event loop group's threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from functools import partial
from typing import Any

from awscrt import io, mqtt5

from simulator.local_nucleus.topics import iot_core_topic_fault, mqtt_filter_matches

MessageHandler = Callable[[str, bytes], None]
StateCallback = Callable[[bool], None]

_FIRST_FAILURE_CODE = 0x80
_STOP_TIMEOUT_S = 10.0

logger = logging.getLogger(__name__)


class DeviceConnectionError(Exception):
    """The connection, or something asked of it, failed.

    Attributes
    ----------
    thing_name
        The device.
    """

    def __init__(self, thing_name: str, message: str) -> None:
        super().__init__(f"{thing_name}: {message}")
        self.thing_name = thing_name


class DeviceOfflineError(DeviceConnectionError):
    """There is no connection, or it ended before the broker answered; a publish may or may not have arrived."""


class PublishRefused(DeviceConnectionError):  # noqa: N818 - named for what the broker did
    """The broker answered a publish with a failure.

    Attributes
    ----------
    topic
        Where the message should have gone.
    reason_code
        The PUBACK's reason code (135 is "not authorized"), or None where it is none that MQTT defines.
    """

    def __init__(self, thing_name: str, topic: str, reason_code: int | None, reason: str | None) -> None:
        detail = f" ({reason})" if reason else ""
        super().__init__(thing_name, f"publish to {topic} refused with reason code {reason_code}{detail}")
        self.topic = topic
        self.reason_code = reason_code


class SubscribeRefused(DeviceConnectionError):  # noqa: N818 - named for what the broker did
    """The broker answered a subscription with a failure.

    Attributes
    ----------
    topic_filter
        What was asked for.
    reason_code
        The SUBACK's reason code, or None where it is none that MQTT defines.
    """

    def __init__(self, thing_name: str, topic_filter: str, reason_code: int | None) -> None:
        super().__init__(thing_name, f"subscription to {topic_filter} refused with reason code {reason_code}")
        self.topic_filter = topic_filter
        self.reason_code = reason_code


@dataclass(frozen=True, slots=True)
class _Subscription:
    topic_filter: str
    handler: MessageHandler


class DeviceConnection:
    """A device's connection. Satisfies `simulator.local_nucleus.CloudLink`.

    Callbacks run and futures complete on the runtime's event loop threads: they must not block, nor call `connect`,
    `go_offline` or `close`. Every session is clean: what the broker has for the device while it is offline is lost.

    Parameters
    ----------
    host, port
        The broker. The host must be a name in the broker's certificate.
    thing_name
        Also the client id.
    certificate_pem, private_key_pem
        The device's identity.
    ca_pem
        What the broker's certificate is checked against; None for the machine's own authorities.
    bootstrap
        Shared by the connections of a fleet; None for the runtime's default one.
    keep_alive_s
        Idle time after which the connection is probed.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        thing_name: str,
        certificate_pem: bytes,
        private_key_pem: bytes,
        ca_pem: bytes | None,
        bootstrap: io.ClientBootstrap | None = None,
        keep_alive_s: int = 60,
    ) -> None:
        self.thing_name = thing_name
        self._published_messages = 0
        self._published_bytes = 0
        self._state = threading.Condition()
        self._connected = False
        self._wanted = False
        self._refusal: str | None = None
        self._last_failure = "no attempt has ended yet"
        self._subscriptions: list[_Subscription] = []
        self._state_callbacks: list[StateCallback] = []
        self._open_futures: set[Future[Any]] = set()
        tls = io.TlsContextOptions.create_client_with_mtls(  # type: ignore[no-untyped-call]
            certificate_pem, private_key_pem
        )
        if ca_pem is not None:
            tls.override_default_trust_store(ca_pem)
        tls_context = io.ClientTlsContext(tls)  # type: ignore[no-untyped-call]
        self._client = mqtt5.Client(
            mqtt5.ClientOptions(
                host_name=host,
                port=port,
                bootstrap=bootstrap,  # type: ignore[arg-type]  # None is its default
                tls_ctx=tls_context,
                connect_options=mqtt5.ConnectPacket(client_id=thing_name, keep_alive_interval_sec=keep_alive_s),
                session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
                extended_validation_and_flow_control_options=(
                    mqtt5.ExtendedValidationAndFlowControlOptions.AWS_IOT_CORE_DEFAULTS
                ),
                offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
                retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.FULL,
                min_reconnect_delay_ms=250,
                max_reconnect_delay_ms=5_000,
                on_publish_callback_fn=self._on_message,
                on_lifecycle_event_stopped_fn=self._on_stopped,
                on_lifecycle_event_connection_success_fn=self._on_connected,
                on_lifecycle_event_connection_failure_fn=self._on_failure,
                on_lifecycle_event_disconnection_fn=self._on_disconnected,
                disable_metrics=True,
            )
        )

    # life

    def connect(self, timeout_s: float) -> None:
        """Connect, trying again until the time is over unless the broker refuses.

        Raises
        ------
        DeviceConnectionError
            With the broker's or the last attempt's reason.
        """
        self.go_online()
        with self._state:
            self._state.wait_for(lambda: self._connected or self._refusal is not None, timeout_s)
            if self._connected:
                return
            reason = self._refusal or f"not connected after {timeout_s:.1f} s: {self._last_failure}"
        self.go_offline()
        raise DeviceConnectionError(self.thing_name, reason)

    def go_offline(self) -> None:
        """Disconnect and stay away, as in an outage. Open futures fail. Returns when the connection is gone."""
        with self._state:
            if not self._wanted:
                return
            self._wanted = False
        self._client.stop()
        with self._state:
            # Not the runtime's "stopped": after a failed TLS handshake that takes up to half a minute.
            if not self._state.wait_for(lambda: not self._connected, _STOP_TIMEOUT_S):
                raise DeviceConnectionError(self.thing_name, f"did not disconnect within {_STOP_TIMEOUT_S:.0f} s")

    def go_online(self) -> None:
        """End the outage: connect in the background and re-make the subscriptions. Returns at once."""
        with self._state:
            if self._wanted:
                return
            self._wanted = True
            self._refusal = None
        self._client.start()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Disconnect for good. Idempotent."""
        self.go_offline()

    # use

    @property
    def connected(self) -> bool:
        """Whether there is a session with the broker now."""
        with self._state:
            return self._connected

    @property
    def published_messages(self) -> int:
        """Publishes that the broker acknowledged (QoS 1) or that were sent (QoS 0)."""
        with self._state:
            return self._published_messages

    @property
    def published_bytes(self) -> int:
        """Payload bytes of those publishes; topics and headers are not counted."""
        with self._state:
            return self._published_bytes

    def on_state(self, callback: StateCallback) -> None:
        """Call `callback(connected)` at every change. On a reconnect the subscriptions have been asked for before."""
        with self._state:
            self._state_callbacks.append(callback)

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:
        """Publish. The future completes at the acknowledgement (QoS 1) or once sent (QoS 0).

        It fails with `DeviceOfflineError` (at once while offline, later where the connection ends first),
        `PublishRefused`, or `DeviceConnectionError` for a topic or a message that IoT Core would not take.
        """
        future: Future[None] = Future()
        fault = iot_core_topic_fault(topic)
        if fault is not None:
            future.set_exception(DeviceConnectionError(self.thing_name, fault))
            return future
        if not self._admit(future):
            future.set_exception(DeviceOfflineError(self.thing_name, "offline"))
            return future
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS(qos))
        finish = partial(self._published, topic, len(payload), qos)
        self._forward(lambda: self._client.publish(packet), future, finish)
        return future

    def subscribe(self, topic_filter: str, handler: MessageHandler) -> Future[None]:
        """Call `handler(topic, payload)` for matching messages from now on, over reconnects.

        The future completes when the broker grants it, at once while offline (it is made with the next connection),
        and fails with `SubscribeRefused`, which also forgets the handler. A message that several filters match goes to
        each of their handlers, once for every copy that the broker sends (it may send one for each filter).
        """
        subscription = _Subscription(topic_filter, handler)
        future: Future[None] = Future()
        with self._state:
            if subscription not in self._subscriptions:  # asked for again, it is renewed
                self._subscriptions.append(subscription)
        if self._admit(future):
            self._send_subscription(subscription, future)
        else:
            future.set_result(None)
        return future

    # inside

    def _admit(self, future: Future[None]) -> bool:
        """Register a future as open, to fail with the connection; False while there is none."""
        with self._state:
            if self._connected:
                self._open_futures.add(future)
            return self._connected

    def _forward(
        self,
        send: Callable[[], Future[Any]],
        future: Future[None],
        finish: Callable[[Any], DeviceConnectionError | None],
    ) -> None:
        """Complete `future` by the outcome of a client operation; `finish` judges a result."""

        def done(sent: Future[Any]) -> None:
            error = sent.exception()
            self._settle(future, self._failed(error) if error is not None else finish(sent.result()))

        try:
            sent = send()
        except Exception as error:  # noqa: BLE001 - the runtime raises its own and built-in types alike
            self._settle(future, self._failed(error))
            return
        sent.add_done_callback(done)

    def _settle(self, future: Future[None], error: DeviceConnectionError | None) -> None:
        with self._state:
            self._open_futures.discard(future)
        try:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        except InvalidStateError:
            logger.debug("%s: an answer came after the connection had ended", self.thing_name)

    def _failed(self, error: BaseException) -> DeviceConnectionError:
        kind = DeviceConnectionError if self.connected else DeviceOfflineError
        failure = kind(self.thing_name, str(error))
        failure.__cause__ = error
        return failure

    def _published(
        self, topic: str, size: int, qos: int, completion: mqtt5.PublishCompletionData
    ) -> PublishRefused | None:
        if qos > 0:
            code = completion.puback.reason_code
            if code is None or code >= _FIRST_FAILURE_CODE:
                reason = completion.puback.reason_string
                return PublishRefused(self.thing_name, topic, None if code is None else int(code), reason)
        with self._state:
            self._published_messages += 1
            self._published_bytes += size
        return None

    def _send_subscription(self, subscription: _Subscription, future: Future[None]) -> None:
        packet = mqtt5.SubscribePacket([mqtt5.Subscription(subscription.topic_filter, mqtt5.QoS.AT_LEAST_ONCE)])
        self._forward(lambda: self._client.subscribe(packet), future, partial(self._subscribed, subscription))

    def _subscribed(self, subscription: _Subscription, answer: mqtt5.SubackPacket) -> SubscribeRefused | None:
        code = answer.reason_codes[0]
        if code is not None and code < _FIRST_FAILURE_CODE:
            return None
        with self._state:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
        error = SubscribeRefused(self.thing_name, subscription.topic_filter, None if code is None else int(code))
        logger.warning("%s", error)
        return error

    # the runtime's callbacks

    def _on_message(self, data: mqtt5.PublishReceivedData) -> None:
        topic, payload = data.publish_packet.topic, bytes(data.publish_packet.payload or b"")
        with self._state:
            handlers = [s.handler for s in self._subscriptions if mqtt_filter_matches(s.topic_filter, topic)]
        for handler in handlers:
            handler(topic, payload)

    def _on_connected(self, _: mqtt5.LifecycleConnectSuccessData) -> None:
        with self._state:
            self._connected = True
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            future: Future[None] = Future()
            if self._admit(future):
                self._send_subscription(subscription, future)
        self._announce(connected=True)

    def _on_failure(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        with self._state:
            self._last_failure = str(data.exception)
            if data.connack_packet is not None:
                self._refusal = f"the broker refused with {data.connack_packet.reason_code!r}: {data.exception}"
            self._state.notify_all()
        logger.info("%s: connection attempt failed: %s", self.thing_name, data.exception)

    def _on_disconnected(self, data: mqtt5.LifecycleDisconnectData) -> None:
        self._lost(str(data.exception))

    def _on_stopped(self, _: mqtt5.LifecycleStoppedData) -> None:
        self._lost("stopped")

    def _lost(self, reason: str) -> None:
        """Fail what is open now: the runtime itself would keep unacknowledged publishes open until it is back."""
        with self._state:
            was_connected, self._connected = self._connected, False
            self._last_failure = reason
            orphans = list(self._open_futures)
        for future in orphans:
            self._settle(future, DeviceOfflineError(self.thing_name, f"the connection ended: {reason}"))
        if was_connected:
            self._announce(connected=False)

    def _announce(self, *, connected: bool) -> None:
        with self._state:
            self._state.notify_all()
            callbacks = list(self._state_callbacks)
        for callback in callbacks:
            callback(connected)
