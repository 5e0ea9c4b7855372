"""Topic rules, local and MQTT."""

from __future__ import annotations

import pytest

from simulator.local_nucleus.topics import (
    has_wildcard,
    iot_core_topic_fault,
    local_filter_matches,
    mqtt_filter_matches,
)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "local", "mqtt"),
    [
        ("a/b", "a/b", True, True),
        ("a/b", "a/B", False, False),
        ("a/b", "a", False, False),
        ("a", "a/b", False, False),
        ("a/+", "a/b", True, True),
        ("a/+", "a/b/c", False, False),
        ("a/+/c", "a/b/c", True, True),
        ("+", "a", True, True),
        ("+", "a/b", False, False),
        ("a/#", "a/b", True, True),
        ("a/#", "a/b/c", True, True),
        ("#", "a/b", True, True),
        ("a/#/b", "a/x/b", False, False),
        # where local topics are not MQTT
        ("a/#", "a", False, True),
        ("a/b/", "a/b", True, False),
        ("a/b", "a/b/", True, False),
        ("#", "$x", True, False),
        ("+/b", "$x/b", True, False),
        ("$x/#", "$x/b", True, True),
    ],
)
def test_a_filter_hears_a_topic(topic_filter: str, topic: str, local: bool, mqtt: bool) -> None:
    assert local_filter_matches(topic_filter, topic) is local
    assert mqtt_filter_matches(topic_filter, topic) is mqtt


@pytest.mark.parametrize("topic", ["a/+", "a/#", "a*"])
def test_wildcards_are_seen(topic: str) -> None:
    assert has_wildcard(topic)
    assert not has_wildcard("a/b$?")


@pytest.mark.parametrize(
    "topic",
    ["a", "1/2/3/4/5/6/7/8", "x" * 256, "$aws/rules/some_rule/1/2/3/4/5/6/7/8", "$aws/rules/some_rule/" + "x" * 256],
)
def test_iot_core_takes_a_topic(topic: str) -> None:
    assert iot_core_topic_fault(topic) is None


@pytest.mark.parametrize(
    "topic",
    ["", "$aws/rules/some_rule", "1/2/3/4/5/6/7/8/9", "x" * 257, "é" * 129, "a/+", "$aws/rules/r/1/2/3/4/5/6/7/8/9"],
)
def test_iot_core_refuses_a_topic(topic: str) -> None:
    assert iot_core_topic_fault(topic) is not None
