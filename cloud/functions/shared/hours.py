"""The table of hours: which hours got windows since they were last rolled up, and from which gateways.

Two kinds of items: `h = "hours"`, `k` the hour (marked_ms: when a window of it was stored last; rolled_ms: when its
last rollup began to read), and `h` the hour, `k` each gateway with windows in it.

A processor marks an hour after it has stored a window of it, but not again within MARK_AGAIN_MS. So a window stored
at time s is followed or preceded by a mark that is at most MARK_AGAIN_MS, and the time that a batch takes, older than
s. An hour is due when its mark is younger than GRACE_MS before the start of its last rollup; hence no window is left
out, and a quiet hour is rolled up at most once more than needed.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Key = dict[str, AttributeValueTypeDef]

HOUR_MS: Final = 3_600_000
MARK_AGAIN_MS: Final = 60_000
GRACE_MS: Final = 300_000  # the above, a batch's longest minute, and three for clocks that differ
HOURS: Final = "hours"


def hour_of(instant_ms: int) -> int:
    """First instant of the UTC hour."""
    return instant_ms - instant_ms % HOUR_MS


def hours_key(hour_ms: int) -> "Key":
    """Key of the item that tells whether the hour is due."""
    return {"h": {"S": HOURS}, "k": {"S": str(hour_ms)}}


def member_key(hour_ms: int, gateway: str) -> "Key":
    """Key of the item that tells that the gateway has windows in the hour."""
    return {"h": {"S": str(hour_ms)}, "k": {"S": gateway}}


def is_due(marked_ms: int, rolled_ms: int) -> bool:
    """Whether windows may have been stored that the last rollup, begun at `rolled_ms`, has not read."""
    return marked_ms >= rolled_ms - GRACE_MS
