"""Every topic, rule name and rule statement of Roadside. Nothing else writes one.

Recipes, IoT policies and rules are tested against this module, so a topic changes here or nowhere.
"""

import re
from typing import Final, Literal

from roadside.contract.errors import InvalidTopicError

CloudKind = Literal["windows", "events", "sensors"]
# A heartbeat is not queued and not acknowledged: the next one follows. Readings come from sensors without a gateway.
EnvelopeKind = Literal[CloudKind, "heartbeat"]
RuleKind = Literal[EnvelopeKind, "readings"]

PRESENCE_KINDS: Final = ("connected", "disconnected")
PRESENCE_RULE: Final = "roadside_presence"

ROOT: Final = "roadside/v1"
MAX_TOPIC_BYTES: Final = 256  # IoT Core's limit, without the $aws/rules/<rule>/ prefix

# IoT thing names, less the colon: ids join names with it.
_NAME = re.compile(r"[A-Za-z0-9_\-]{1,128}")
_COMPONENT = re.compile(r"[A-Za-z0-9_\-.]{1,128}")

# Local publish/subscribe on the gateway.
READINGS_FILTER: Final = f"{ROOT}/readings/+"
READINGS_RESOURCE: Final = f"{ROOT}/readings/*"
FRAMES_FILTER: Final = f"{ROOT}/frames/+"
FRAMES_RESOURCE: Final = f"{ROOT}/frames/*"
STATUS_FILTER: Final = f"{ROOT}/status/+"
STATUS_RESOURCE: Final = f"{ROOT}/status/*"


def _name(field: str, value: str) -> str:
    if not _NAME.fullmatch(value):
        raise InvalidTopicError(field, value, "use 1 to 128 letters, digits, '-' or '_'")
    return value


def readings(sensor_id: str) -> str:
    """Local topic of one sensor's JSON readings."""
    return f"{ROOT}/readings/{_name('sensor_id', sensor_id)}"


def frames(source: str) -> str:
    """Local topic of the packed frames of one source."""
    return f"{ROOT}/frames/{_name('source', source)}"


def status(component: str) -> str:
    """Local topic on which a component, by its Greengrass name, tells its status."""
    if not _COMPONENT.fullmatch(component):
        raise InvalidTopicError("component", component, "use 1 to 128 letters, digits, '-', '_' or '.'")
    return f"{ROOT}/status/{component}"


def rule_name(kind: RuleKind) -> str:
    """Name of the IoT rule that takes `kind`; also the Basic Ingest prefix, which carries no messaging charge."""
    return f"roadside_{kind}"


def uplink(kind: RuleKind, gateway: str) -> str:
    """Basic Ingest topic on which a gateway publishes its windows, events, summaries of sensors or heartbeat."""
    return f"$aws/rules/{rule_name(kind)}/{ROOT}/{_name('gateway', gateway)}/{kind}"


def direct_reading(sensor: str) -> str:
    """Basic Ingest topic of a sensor that has no gateway and sends every reading to the cloud by itself."""
    return f"$aws/rules/{rule_name('readings')}/{ROOT}/{_name('sensor', sensor)}/readings"


def acks(gateway: str) -> str:
    """Topic on which the cloud acknowledges a gateway's messages."""
    return f"{ROOT}/{_name('gateway', gateway)}/acks"


def commands(gateway: str) -> str:
    """Topic on which the cloud asks something of a gateway."""
    return f"{ROOT}/{_name('gateway', gateway)}/commands"


def rule_sql(kind: EnvelopeKind) -> str:
    """Statement of the rule: wraps the body, whatever its bytes, and adds what the sender cannot forge.

    topic(3) is the gateway and topic(4) the kind, since with Basic Ingest the topic starts after the rule's name.
    """
    select = "SELECT encode(*, 'base64') AS payload, topic(3) AS gateway, timestamp() AS received_ms, topic(4) AS kind"
    return f"{select} FROM '{ROOT}/+/{kind}'"


def presence_rule_sql() -> str:
    """Statement of the rule for what IoT Core itself tells when a client, named as its gateway, comes or goes."""
    select = "SELECT topic(5) AS gateway, topic(4) AS kind, timestamp AS at_ms, sessionIdentifier AS session"
    return f"{select} FROM '$aws/events/presence/+/+'"


def is_name(value: object) -> bool:
    """Whether the value can be the name of a gateway."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def reading_rule_sql() -> str:
    """Statement of the rule for readings that come by themselves: the JSON, and what its sender cannot forge."""
    select = "SELECT *, topic(3) AS thing, timestamp() AS received_ms"
    return f"{select} FROM '{ROOT}/+/readings'"


def recipe_resource(topic_for: str) -> str:
    """`topic_for` with the gateway's name as the variable that Greengrass recipes know."""
    return topic_for.replace("THING", "{iot:thingName}")


def policy_resource(topic_for: str) -> str:
    """`topic_for` with the gateway's name as the variable that IoT policies know."""
    return topic_for.replace("THING", "${iot:Connection.Thing.ThingName}")
