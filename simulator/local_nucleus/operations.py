"""The operations that the stand-in serves, and how it refuses the rest. Lives on the nucleus's event loop."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from .authorization import CLI_SERVICE, MQTT_PROXY_SERVICE, PUBSUB_SERVICE, AccessControl
from .cloud_proxy import CloudProxy
from .configuration import (
    Change,
    ComponentConfiguration,
    KeyNotFoundError,
    KeyPath,
    StaleUpdateError,
    integers_as_floats,
)
from .errors import RpcError
from .profiles import Profile
from .pubsub import RECEIVE_MODES, LocalBus
from .session import Stream, UnknownOperationError
from .topics import has_wildcard
from .updates import ComponentUpdates

MODEL_OPERATIONS = frozenset(
    {
        "AuthorizeClientDeviceAction",
        "CancelLocalDeployment",
        "CreateDebugPassword",
        "CreateLocalDeployment",
        "DeferComponentUpdate",
        "DeleteThingShadow",
        "GetClientDeviceAuthToken",
        "GetComponentDetails",
        "GetConfiguration",
        "GetLocalDeploymentStatus",
        "GetSecretValue",
        "GetThingShadow",
        "ListComponents",
        "ListLocalDeployments",
        "ListNamedShadowsForThing",
        "PauseComponent",
        "PublishToIoTCore",
        "PublishToTopic",
        "PutComponentMetric",
        "RestartComponent",
        "ResumeComponent",
        "SendConfigurationValidityReport",
        "StopComponent",
        "SubscribeToCertificateUpdates",
        "SubscribeToComponentUpdates",
        "SubscribeToConfigurationUpdate",
        "SubscribeToIoTCore",
        "SubscribeToTopic",
        "SubscribeToValidateConfigurationUpdates",
        "UpdateConfiguration",
        "UpdateState",
        "UpdateThingShadow",
        "ValidateAuthorizationToken",
        "VerifyClientDeviceIdentity",
    }
)
"""Every operation of the service model; the profile says which of them are served."""
ACCESS_CONTROL = "accessControl"
_STATES = ("RUNNING", "ERRORED", "STARTING", "STOPPING")

Request = dict[str, Any]


class Components(Protocol):
    """What the operations ask about the deployed components."""

    def configuration_of(self, component: str) -> ComponentConfiguration | None: ...

    def access_control_of(self, component: str) -> AccessControl: ...

    def report_state(self, component: str, state: str) -> None: ...

    def request_restart(self, component: str) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _ConfigurationSubscription:
    component: str
    path: KeyPath
    stream: Stream


class Operations:
    """Serves requests of authenticated components."""

    def __init__(self, profile: Profile, components: Components, bus: LocalBus, cloud: CloudProxy) -> None:
        self.updates = ComponentUpdates()
        self._profile = profile
        self._components = components
        self._bus = bus
        self._cloud = cloud
        self._configuration_subscriptions: dict[_ConfigurationSubscription, None] = {}
        self._cloud_subscriptions = 0
        self._served: dict[str, Callable[[str, Request, Stream], None]] = {
            "PublishToTopic": self._publish_to_topic,
            "SubscribeToTopic": self._subscribe_to_topic,
            "PublishToIoTCore": self._publish_to_iot_core,
            "SubscribeToIoTCore": self._subscribe_to_iot_core,
            "GetConfiguration": self._get_configuration,
            "UpdateConfiguration": self._update_configuration,
            "SubscribeToConfigurationUpdate": self._subscribe_to_configuration_update,
            "UpdateState": self._update_state,
            "RestartComponent": self._restart_component,
            "SubscribeToComponentUpdates": self._subscribe_to_component_updates,
            "DeferComponentUpdate": self._defer_component_update,
        }

    def dispatch(self, component: str, operation: str, request: Request, stream: Stream) -> None:
        """Serve one request, or refuse it as the profile's nucleus does.

        Raises
        ------
        RpcError, UnknownOperationError
        """
        if operation in self._profile.operations:
            self._served[operation](component, request, stream)
        elif not self._profile.terminates_plain_responses:
            raise RpcError("ServiceError", "")
        elif operation == "PutComponentMetric":
            raise RpcError("UnauthorizedError", f"{component} may not call {operation}: kept for aws.* components")
        elif operation in MODEL_OPERATIONS:
            raise RpcError("ServiceError", f"Operation aws.greengrass#{operation} is not supported by Greengrass")
        else:
            raise UnknownOperationError(operation)

    def configuration_changed(self, component: str, changes: list[Change]) -> None:
        """Tell the subscribers which leaves changed; the events carry the path only."""
        for change in changes:
            body = {"configurationUpdateEvent": {"componentName": component, "keyPath": list(change.path)}}
            payload = json.dumps(body).encode()
            repeats = self._profile.new_leaf_events if change.is_new else 1
            for subscription in list(self._configuration_subscriptions):
                if subscription.component == component and change.path[: len(subscription.path)] == subscription.path:
                    for _ in range(repeats):
                        subscription.stream.send_event("ConfigurationUpdateEvents", payload)

    def silence(self) -> None:
        """Kill all present topic subscriptions silently."""
        self._bus.silence()
        self._cloud.silence()

    # local publish/subscribe

    def _publish_to_topic(self, component: str, request: Request, stream: Stream) -> None:
        topic = _text(request, "topic")
        limit = self._profile.max_local_topic_chars
        if limit is not None and len(topic) > limit:
            raise RpcError("ServiceError", f"topic has {len(topic)} characters; at most {limit} are allowed")
        self._authorize(component, PUBSUB_SERVICE, "PublishToTopic", topic)
        if self._profile.wildcard_publish_refused and has_wildcard(topic):
            raise RpcError("InvalidArgumentsError", "Publish topic must not contain a wildcard.")
        message = _object(request, "publishMessage")
        if len(message) != 1 or not message.keys() <= {"binaryMessage", "jsonMessage"}:
            raise RpcError("InvalidArgumentsError", "publishMessage needs one of binaryMessage and jsonMessage")
        if "binaryMessage" in message:
            payload = _blob(_object(message, "binaryMessage"), "message")
            self._bus.publish_binary(topic, payload, component)
        else:
            self._bus.publish_json(topic, _object(message, "jsonMessage").get("message"), component)
        stream.respond({})

    def _subscribe_to_topic(self, component: str, request: Request, stream: Stream) -> None:
        topic = _text(request, "topic")
        self._authorize(component, PUBSUB_SERVICE, "SubscribeToTopic", topic)
        if not topic:
            raise RpcError("InvalidArgumentsError", "Subscribe topic must not be empty")
        receive_mode = request.get("receiveMode")
        if receive_mode is not None and receive_mode not in RECEIVE_MODES:
            raise RpcError("InvalidArgumentsError", f"receiveMode {receive_mode!r} is none of {RECEIVE_MODES}")
        self._check_subscriptions()
        self._bus.subscribe(topic, component, receive_mode, stream)
        stream.accept({"topicName": topic})

    # IoT Core

    def _publish_to_iot_core(self, component: str, request: Request, stream: Stream) -> None:
        topic = _text(request, "topicName")
        qos = _qos(request)
        payload = _blob(request, "payload")
        self._authorize(component, MQTT_PROXY_SERVICE, "PublishToIoTCore", topic)
        self._cloud.publish(topic, payload, qos)
        stream.respond({})

    def _subscribe_to_iot_core(self, component: str, request: Request, stream: Stream) -> None:
        topic_filter = _text(request, "topicName")
        _qos(request)
        self._authorize(component, MQTT_PROXY_SERVICE, "SubscribeToIoTCore", topic_filter)
        self._check_subscriptions()

        def deliver(topic: str, payload: bytes) -> None:
            body = {"message": {"topicName": topic, "payload": base64.b64encode(payload).decode()}}
            stream.send_event("IoTCoreMessage", json.dumps(body).encode())

        def subscribed(fault: BaseException | None) -> None:
            if fault is None:
                stream.accept({})
            else:
                stream.fail(RpcError("ServiceError", f"Subscribe to {topic_filter} failed: {fault}"))

        # What arrives before the answer is dropped, because the stream is not accepted yet: so does the real one.
        stop = self._cloud.subscribe(topic_filter, deliver, subscribed)
        self._cloud_subscriptions += 1
        stream.on_closed(partial(self._end_cloud_subscription, stop))
        if stream.closed:
            self._end_cloud_subscription(stop)

    def _end_cloud_subscription(self, stop: Callable[[], None]) -> None:
        self._cloud_subscriptions -= 1
        stop()

    # configuration

    def _get_configuration(self, component: str, request: Request, stream: Stream) -> None:
        name = _text(request, "componentName", component)
        path = _path(request)
        configuration = self._configuration(name)
        try:
            value = configuration.get(path)
        except KeyNotFoundError as error:
            raise RpcError("ResourceNotFoundError", "Key not found") from error
        if not isinstance(value, dict):
            value = {configuration.spelled(path)[-1]: value}
        stream.respond({"componentName": name, "value": value})

    def _update_configuration(self, component: str, request: Request, stream: Stream) -> None:
        path = _path(request)
        values = _object(request, "valueToMerge")
        if "timestamp" not in request and self._profile.update_needs_timestamp:
            raise RpcError("InvalidArgumentsError", "timestamp is required")
        timestamp_s = request.get("timestamp", time.time())
        if not isinstance(timestamp_s, int | float) or isinstance(timestamp_s, bool):
            raise RpcError("InvalidArgumentsError", f"timestamp {timestamp_s!r} is not a number of seconds")
        first_keys = path[:1] if path else tuple(values)
        if any(key.casefold() == ACCESS_CONTROL.casefold() for key in first_keys):
            raise RpcError("InvalidArgumentsError", f"{ACCESS_CONTROL} cannot be updated")
        if self._profile.json_numbers_are_floats:
            values = integers_as_floats(values)
        try:
            changes = self._configuration(component).merge(
                path, values, int(timestamp_s * 1000), skip_stale=self._profile.stale_update_is_ignored
            )
        except StaleUpdateError as error:
            message = "Proposed timestamp is older than the config's latest modified timestamp"
            raise RpcError("FailedUpdateConditionCheckError", message) from error
        stream.respond({})
        self.configuration_changed(component, changes)

    def _subscribe_to_configuration_update(self, component: str, request: Request, stream: Stream) -> None:
        name = _text(request, "componentName", component)
        configuration = self._configuration(name)
        path = configuration.spelled(_path(request))
        try:
            configuration.get(path)
        except KeyNotFoundError as error:
            raise RpcError("ResourceNotFoundError", "Key not found") from error
        subscription = _ConfigurationSubscription(name, path, stream)
        self._configuration_subscriptions[subscription] = None
        stream.on_closed(lambda: self._configuration_subscriptions.pop(subscription, None))
        stream.accept({})

    # lifecycle

    def _update_state(self, component: str, request: Request, stream: Stream) -> None:
        state = _text(request, "state")
        if state not in _STATES:
            raise RpcError("InvalidArgumentsError", f"state {state!r} is none of {_STATES}")
        stream.respond({})
        self._components.report_state(component, state)

    def _restart_component(self, component: str, request: Request, stream: Stream) -> None:
        name = _text(request, "componentName")
        if self._profile.restart_needs_cli and self._components.configuration_of(CLI_SERVICE) is None:
            raise RpcError("ServiceError", "Operation aws.greengrass#RestartComponent is not supported by Greengrass")
        self._authorize(component, CLI_SERVICE, "RestartComponent", name)
        if self._components.configuration_of(name) is None:
            raise RpcError("ResourceNotFoundError", f"Component with name {name} not found")
        self._components.request_restart(name)
        stream.respond({"restartStatus": "SUCCEEDED"})

    def _subscribe_to_component_updates(self, component: str, request: Request, stream: Stream) -> None:  # noqa: ARG002
        self.updates.subscribe(component, stream)
        stream.accept({})

    def _defer_component_update(self, component: str, request: Request, stream: Stream) -> None:
        deployment_id = _text(request, "deploymentId")
        recheck_after_ms = request.get("recheckAfterMs", 0)
        if not isinstance(recheck_after_ms, int | float) or isinstance(recheck_after_ms, bool):
            raise RpcError("InvalidArgumentsError", f"recheckAfterMs {recheck_after_ms!r} is not a number")
        self.updates.defer(component, deployment_id, int(recheck_after_ms))
        stream.respond({})

    # shared

    def _authorize(self, component: str, service: str, operation: str, resource: str) -> None:
        if not self._components.access_control_of(component).allows(service, operation, resource):
            raise RpcError(
                "UnauthorizedError",
                f"Principal {component} is not authorized to perform {service}:aws.greengrass#{operation} "
                f"on resource {resource}",
            )

    def _configuration(self, component: str) -> ComponentConfiguration:
        configuration = self._components.configuration_of(component)
        if configuration is None:
            raise RpcError("ResourceNotFoundError", "Key not found")
        return configuration

    def _check_subscriptions(self) -> None:
        if len(self._bus) + self._cloud_subscriptions >= self._profile.max_subscriptions:
            raise RpcError("ServiceError", f"no more than {self._profile.max_subscriptions} subscriptions")


def _text(request: Request, name: str, default: str | None = None) -> str:
    value = request.get(name, default)
    if not isinstance(value, str):
        raise RpcError("InvalidArgumentsError", f"{name} is {value!r}; a string is required")
    return value


def _object(request: Request, name: str) -> dict[str, Any]:
    value = request.get(name)
    if not isinstance(value, dict):
        raise RpcError("InvalidArgumentsError", f"{name} is missing or not an object")
    return value


def _blob(request: Request, name: str) -> bytes:
    value = _text(request, name)
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise RpcError("InvalidArgumentsError", f"{name} is not base64: {error}") from error


def _path(request: Request) -> KeyPath:
    value = request.get("keyPath") or []
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise RpcError("InvalidArgumentsError", f"keyPath {value!r} is not a list of strings")
    return tuple(value)


def _qos(request: Request) -> int:
    value = request.get("qos")
    if value not in ("0", "1"):
        raise RpcError("InvalidArgumentsError", f"qos {value!r} is none of '0', '1'")
    return int(value)
