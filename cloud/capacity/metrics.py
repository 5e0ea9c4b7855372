"""The metrics of our own, by function: CloudWatch bills each for the hours in which it is told. Pure.

Functions do not tell a count of zero (`cloud/functions/shared/counts.py`), so what goes wrong is billed only while it
does. A test compares this with what the functions tell.
"""

from typing import Final

ALWAYS: Final = {
    "processor": ("WindowsStored", "SensorSummariesStored", "SegmentStatesWritten", "MessagesReplayed"),
    "alerts": ("EventsPublished", "EventsReplayed"),
    "sweep": (
        "Gateways",
        "GatewaysOffline",
        "DataGaps",
        "SegmentsCongested",
        "EventsAnnounced",
        "SegmentsCleared",
    ),
    "rollup": ("HoursRolledUp", "WindowsRolledUp"),
}
"""Told in every hour of a city that is well."""

AT_TIMES: Final = {
    "processor": ("WindowsFromFuture", "LakeRecordsFailed", "RecordsParked", "RecordsFailed", "AcksFailed"),
    "alerts": (
        "SignsRefused",
        "SignsOutdated",
        "HeartbeatsNotUnderstood",
        "EventsParked",
        "EventsFailed",
        "AcksFailed",
    ),
    "sweep": (
        "GatewaysUnread",
        "GatewaysFailed",
        "ResendsAsked",
        "CommandsFailed",
        "AcksFailed",
        "JudgesFailed",
        "WindowsStalled",
    ),
    "rollup": ("HoursLeft", "HoursExpired"),
    "provisioning": ("LetIn", "Refused"),
}
"""Told while something goes wrong, or a gateway is new."""

_HOURS_AT_TIMES: Final = 0.1  # the part of all hours


def billed() -> float:
    """Metrics of a whole month."""
    always, at_times = (sum(map(len, names.values())) for names in (ALWAYS, AT_TIMES))
    return always + _HOURS_AT_TIMES * at_times
