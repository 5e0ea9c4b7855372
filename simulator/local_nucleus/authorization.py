"""accessControl: which component may do what to which topic. Pure, and deny by default.

A policy's resource is matched against the *requested string*: a subscription's filter is not interpreted. In
`aws.greengrass.ipc.pubsub` only `*` is a wildcard (it spans `/`), so the policy `a/#` allows the filter `a/#` and not
`a/b`; in `aws.greengrass.ipc.mqttproxy` the whole levels `+` and `#` work as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PUBSUB_SERVICE = "aws.greengrass.ipc.pubsub"
MQTT_PROXY_SERVICE = "aws.greengrass.ipc.mqttproxy"
CLI_SERVICE = "aws.greengrass.Cli"
_OPERATION_PREFIX = "aws.greengrass#"
_THING_NAME = "{iot:thingName}"
_ESCAPE = re.compile(r"\$\{(.)\}", re.DOTALL)


class AccessControlError(Exception):
    """An accessControl block that cannot be read; the message names the policy."""


@dataclass(frozen=True, slots=True)
class _Policy:
    service: str
    operations: frozenset[str]
    resources: tuple[re.Pattern[str], ...]


class AccessControl:
    """The policies of one component.

    Parameters
    ----------
    document
        The value of `accessControl` in the component's configuration, or None: nothing is allowed.
    thing_name
        Substituted for `{iot:thingName}` in resources.
    limit_bytes
        Where given, policies above this size in all allow nothing.

    Raises
    ------
    AccessControlError
        A policy of the wrong shape.
    """

    def __init__(self, document: object, *, thing_name: str, limit_bytes: int | None = None) -> None:
        self._policies: list[_Policy] = []
        if document is None:
            return
        if limit_bytes is not None and len(json.dumps(document, separators=(",", ":"))) > limit_bytes:
            return
        for service, policies in _mapping(document, "accessControl").items():
            for policy_id, policy in _mapping(policies, service).items():
                self._policies.append(_read_policy(service, policy_id, _mapping(policy, policy_id), thing_name))

    def allows(self, service: str, operation: str, resource: str) -> bool:
        """Whether one policy of `service` lists the operation (short name, or `*`) and a matching resource."""
        return any(
            policy.service == service
            and not policy.operations.isdisjoint((operation, "*"))
            and any(pattern.fullmatch(resource) for pattern in policy.resources)
            for policy in self._policies
        )


def _read_policy(service: str, policy_id: str, policy: Mapping[str, Any], thing_name: str) -> _Policy:
    operations = _strings(policy.get("operations"), f"{policy_id}: operations")
    resources = _strings(policy.get("resources"), f"{policy_id}: resources")
    mqtt = service == MQTT_PROXY_SERVICE
    return _Policy(
        service,
        frozenset(operation.removeprefix(_OPERATION_PREFIX) for operation in operations),
        tuple(resource_pattern(resource.replace(_THING_NAME, thing_name), mqtt=mqtt) for resource in resources),
    )


def resource_pattern(resource: str, *, mqtt: bool) -> re.Pattern[str]:
    """A resource as a regular expression.

    `${*}`, `${$}` and `${?}` are the literal characters. With `mqtt`, a whole level `+` is one level and a last level
    `#` is the level above and everything under it; elsewhere both are literal.

    Raises
    ------
    AccessControlError
        A bare `?`, which is reserved.
    """
    levels = resource.split("/")
    parts = []
    for index, level in enumerate(levels):
        separator = "/" if index else ""
        if mqtt and level == "#" and index == len(levels) - 1:
            parts.append("(?:/.*)?" if index else ".*")
        elif mqtt and level == "+":
            parts.append(separator + "[^/]*")
        else:
            parts.append(separator + _glob(level, resource))
    return re.compile("".join(parts), re.DOTALL)


def _glob(level: str, resource: str) -> str:
    pattern = ""
    position = 0
    while position < len(level):
        escape = _ESCAPE.match(level, position)
        if escape:
            pattern += re.escape(escape[1])
            position = escape.end()
            continue
        if level[position] == "?":
            raise AccessControlError(f"resource {resource!r} holds a bare '?'; write '${{?}}' for the character")
        pattern += ".*" if level[position] == "*" else re.escape(level[position])
        position += 1
    return pattern


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise AccessControlError(f"{where} is {value!r}; it must be a mapping")
    return value


def _strings(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise AccessControlError(f"{where} is {value!r}; it must be a list of strings")
    return value
