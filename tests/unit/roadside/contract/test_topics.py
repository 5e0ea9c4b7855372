"""Topics: who may be named in one, and how long they may become."""

import re
from collections.abc import Callable
from typing import get_args

import pytest

from roadside.contract import topics
from roadside.contract.errors import InvalidTopicError

BUILDERS: list[Callable[[str], str]] = [
    topics.readings,
    topics.frames,
    topics.acks,
    topics.commands,
    lambda gateway: topics.uplink("windows", gateway),
    lambda gateway: topics.uplink("events", gateway),
    lambda gateway: topics.uplink("heartbeat", gateway),
    topics.direct_reading,
    topics.status,
]
BAD_NAMES = ["", "a/b", "+", "#", "a b", "a:b", "ä", "a\n", "$aws", "a" * 129, "../x", "a\x00"]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("name", BAD_NAMES)
def test_name_that_is_no_topic_level_is_refused(build: Callable[[str], str], name: str) -> None:
    with pytest.raises(InvalidTopicError):
        build(name)


@pytest.mark.parametrize("build", BUILDERS)
def test_topic_of_the_longest_name_is_within_the_limit(build: Callable[[str], str]) -> None:
    topic = re.sub(r"^\$aws/rules/\w+/", "", build("g" * 128))

    assert len(topic.encode()) <= topics.MAX_TOPIC_BYTES
    assert topic.count("/") <= 7  # IoT Core's limit, without the Basic Ingest prefix


def test_local_filters_match_the_topics_they_are_for() -> None:
    for filter_, resource, build in (
        (topics.READINGS_FILTER, topics.READINGS_RESOURCE, topics.readings),
        (topics.FRAMES_FILTER, topics.FRAMES_RESOURCE, topics.frames),
        (topics.STATUS_FILTER, topics.STATUS_RESOURCE, topics.status),
    ):
        assert build("x") == filter_.replace("+", "x") == resource.replace("*", "x")


def test_rule_hears_what_sensors_without_a_gateway_send() -> None:
    heard = topics.direct_reading("s-1").removeprefix(f"$aws/rules/{topics.rule_name('readings')}/")

    assert topics.reading_rule_sql().endswith(f" FROM '{heard.replace('s-1', '+')}'")
    assert heard.split("/")[2] == "s-1"
    assert "topic(3) AS thing" in topics.reading_rule_sql()


@pytest.mark.parametrize("kind", get_args(topics.CloudKind))
def test_rule_hears_what_gateways_send_through_basic_ingest(kind: topics.CloudKind) -> None:
    heard = topics.uplink(kind, "gw-1").removeprefix(f"$aws/rules/{topics.rule_name(kind)}/")
    listened_to = topics.rule_sql(kind).partition("FROM '")[2].removesuffix("'")

    assert heard == listened_to.replace("+", "gw-1")
    (level,) = re.findall(r"topic\((\d)\) AS gateway", topics.rule_sql(kind))
    assert heard.split("/")[int(level) - 1] == "gw-1"
    (level,) = re.findall(r"topic\((\d)\) AS kind", topics.rule_sql(kind))
    assert heard.split("/")[int(level) - 1] == kind


def test_status_is_told_under_a_components_greengrass_name() -> None:
    assert topics.status("city.roadside.Monitor") == "roadside/v1/status/city.roadside.Monitor"


def test_variables_stand_where_the_gateway_is_named() -> None:
    assert topics.recipe_resource(topics.acks("THING")) == "roadside/v1/{iot:thingName}/acks"
    assert topics.policy_resource(topics.acks("THING")) == "roadside/v1/${iot:Connection.Thing.ThingName}/acks"
