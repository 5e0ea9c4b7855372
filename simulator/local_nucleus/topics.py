"""Topic rules: local publish/subscribe, MQTT, and what IoT Core accepts. Pure functions.

Local topics look like MQTT and are not: see `local_filter_matches`.
"""

from __future__ import annotations

MAX_IOT_CORE_TOPIC_BYTES = 256
MAX_IOT_CORE_TOPIC_SLASHES = 7
MAX_IOT_CORE_PAYLOAD_BYTES = 128 * 1024
_BASIC_INGEST = ("$aws", "rules")


def has_wildcard(topic: str) -> bool:
    """Whether a topic holds one of the characters that a publisher must not use."""
    return any(character in topic for character in "+#*")


def local_filter_matches(topic_filter: str, topic: str) -> bool:
    """Whether a local subscription hears a topic.

    Unlike MQTT, `a/#` does not match `a`, a trailing `/` on either side is ignored, and `#` matches `$x` too.
    """
    return _levels_match(_local_levels(topic_filter), _local_levels(topic), hash_matches_parent=False)


def mqtt_filter_matches(topic_filter: str, topic: str) -> bool:
    """Whether an MQTT subscription hears a topic (MQTT 5, section 4.7).

    `a/#` matches `a`; a filter that starts with a wildcard does not match a topic that starts with `$`.
    """
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    return _levels_match(topic_filter.split("/"), topic.split("/"), hash_matches_parent=True)


def iot_core_topic_fault(topic: str) -> str | None:
    """Why IoT Core would refuse a publish to this topic, or None. `$aws/rules/<rule>/` does not count."""
    levels = topic.split("/")
    if tuple(levels[:2]) == _BASIC_INGEST:
        levels = levels[3:]
    counted = "/".join(levels)
    if not counted:
        return "topic is empty"
    if "+" in counted or "#" in counted:
        return f"topic {topic!r} holds a wildcard"
    if len(counted.encode()) > MAX_IOT_CORE_TOPIC_BYTES:
        return f"topic has {len(counted.encode())} bytes; at most {MAX_IOT_CORE_TOPIC_BYTES} are allowed"
    if counted.count("/") > MAX_IOT_CORE_TOPIC_SLASHES:
        return f"topic has {counted.count('/')} slashes; at most {MAX_IOT_CORE_TOPIC_SLASHES} are allowed"
    return None


def _local_levels(topic: str) -> list[str]:
    return topic.removesuffix("/").split("/")


def _levels_match(wanted: list[str], levels: list[str], *, hash_matches_parent: bool) -> bool:
    for index, level in enumerate(wanted):
        if level == "#" and index == len(wanted) - 1:
            return index < len(levels) or hash_matches_parent
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)
