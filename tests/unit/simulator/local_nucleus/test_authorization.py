"""accessControl: deny by default, wildcards as each service has them."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.local_nucleus.authorization import (
    MQTT_PROXY_SERVICE,
    PUBSUB_SERVICE,
    AccessControl,
    AccessControlError,
    resource_pattern,
)


def policy(*resources: str, operations: tuple[str, ...] = ("aws.greengrass#PublishToTopic",)) -> dict[str, Any]:
    return {"p": {"policyDescription": "x", "operations": list(operations), "resources": list(resources)}}


@pytest.mark.parametrize(
    ("resource", "requested", "pubsub", "mqtt"),
    [
        ("a/b", "a/b", True, True),
        ("a/b", "a/b/c", False, False),
        ("a/*", "a/b/c", True, True),
        ("a/*", "a/", True, True),
        ("a/*", "a", False, False),
        ("a*c", "abbc", True, True),
        ("*", "anything/at/all", True, True),
        ("a/#", "a/#", True, True),
        ("a/#", "a/b/c", False, True),
        ("a/#", "a", False, True),
        ("a/+/c", "a/+/c", True, True),
        ("a/+/c", "a/b/c", False, True),
        ("a/+/c", "a/b/b/c", False, False),
        ("a+", "ab", False, False),
        ("#", "a/b", False, True),
        ("a/#/b", "a/x/b", False, False),
        ("a.b", "axb", False, False),
        ("a/${*}", "a/*", True, True),
        ("a/${*}", "a/b", False, False),
        ("cost${$}${?}", "cost$?", True, True),
    ],
)
def test_a_resource_covers_a_request(resource: str, requested: str, pubsub: bool, mqtt: bool) -> None:
    assert bool(resource_pattern(resource, mqtt=False).fullmatch(requested)) is pubsub
    assert bool(resource_pattern(resource, mqtt=True).fullmatch(requested)) is mqtt


def test_nothing_is_allowed_without_a_policy() -> None:
    documents: list[object] = [None, {}, {PUBSUB_SERVICE: {}}]
    for document in documents:
        assert not AccessControl(document, thing_name="t").allows(PUBSUB_SERVICE, "PublishToTopic", "a")


def test_service_operation_and_resource_must_all_fit() -> None:
    access = AccessControl({PUBSUB_SERVICE: policy("a")}, thing_name="t")
    assert access.allows(PUBSUB_SERVICE, "PublishToTopic", "a")
    assert not access.allows(PUBSUB_SERVICE, "SubscribeToTopic", "a")
    assert not access.allows(MQTT_PROXY_SERVICE, "PublishToTopic", "a")
    assert not access.allows(PUBSUB_SERVICE, "PublishToTopic", "b")


def test_a_star_allows_every_operation() -> None:
    access = AccessControl({PUBSUB_SERVICE: policy("a", operations=("*",))}, thing_name="t")
    assert access.allows(PUBSUB_SERVICE, "SubscribeToTopic", "a")


def test_the_thing_name_is_substituted_and_not_interpreted() -> None:
    access = AccessControl({PUBSUB_SERVICE: policy("up/{iot:thingName}/x")}, thing_name="gw.1")
    assert access.allows(PUBSUB_SERVICE, "PublishToTopic", "up/gw.1/x")
    assert not access.allows(PUBSUB_SERVICE, "PublishToTopic", "up/gwx1/x")


def test_policies_over_the_limit_allow_nothing() -> None:
    document = {PUBSUB_SERVICE: policy("a", "b" * 5_000)}
    assert AccessControl(document, thing_name="t").allows(PUBSUB_SERVICE, "PublishToTopic", "a")
    limited = AccessControl(document, thing_name="t", limit_bytes=4096)
    assert not limited.allows(PUBSUB_SERVICE, "PublishToTopic", "a")


@pytest.mark.parametrize(
    "document",
    [[], {PUBSUB_SERVICE: []}, {PUBSUB_SERVICE: {"p": None}}, {PUBSUB_SERVICE: {"p": {"operations": "x"}}}, 5],
)
def test_a_misshapen_block_is_refused(document: object) -> None:
    with pytest.raises(AccessControlError):
        AccessControl(document, thing_name="t")


def test_a_bare_question_mark_is_refused() -> None:
    with pytest.raises(AccessControlError, match=r"\$\{\?\}"):
        AccessControl({PUBSUB_SERVICE: policy("a?")}, thing_name="t")
