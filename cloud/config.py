"""What differs between one deployment and another, read from CDK context and checked before anything is built."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cloud.capacity.city import City
from cloud.capacity.sizing import Thresholds, size, thresholds

LOG_RETENTION_DAYS: Final = (1, 3, 7, 14, 30, 90, 180, 365)  # out of those that CloudWatch knows


class ConfigError(ValueError):
    """The CDK context cannot be deployed.

    Attributes
    ----------
    faults : tuple of str
        Every fault found, one sentence each.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__("CDK context: " + "; ".join(faults))


@dataclass(frozen=True, slots=True)
class Config:
    """One deployment of Roadside.

    Parameters
    ----------
    stage : one of the context's `stages`, whose values stand in for what the context itself leaves out
    keeps_data : whether what holds data refuses to be deleted, and outlives its stack
    sensors, gateways : size of the city
    window_s : length of the gateways' windows
    windows_days : how long windows stay in DynamoDB; longer than gateways keep what they must send
    retention_days : how long summaries of sensors and alerts stay there
    log_retention_days : one of LOG_RETENTION_DAYS
    ingest : `gateways`, or `raw` to build, for comparison, what sensors without gateways need beside it
    stream_mode : `provisioned` with as many shards as the city needs, or `on-demand`
    batching_s : for how long a processor waits for more records of the stream, which makes fewer calls
    table_mode : `provisioned` with capacity for the city's windows, which scales by itself, or `on-demand`
    stream_retention_h : how long the stream keeps messages
    trace_busy_functions : whether X-Ray traces also what runs every second, for a trace in each of them
    gather_acks : whether live windows are acknowledged every four minutes, many at once, and not each by itself
    segment_refresh_s : age at which an unchanged segment's current state is written again
    time_zone : of the city, whose hours and weekdays the dashboards show
    districts : parts of the city, as the catalogue names them; each has a thing group of gateways
    operations_email : who is told when an alarm begins or ends
    people_email, people_sms : who is told of what happens on the roads
    account, region : where to; None leaves the template free of both
    """

    stage: str = "dev"
    keeps_data: bool = False
    sensors: int = 50_000
    gateways: int = 200
    window_s: int = 10
    windows_days: int = 14
    retention_days: int = 14
    log_retention_days: int = 14
    ingest: str = "gateways"
    stream_mode: str = "provisioned"
    batching_s: int = 0
    table_mode: str = "on-demand"
    stream_retention_h: int = 168
    trace_busy_functions: bool = True
    gather_acks: bool = False
    segment_refresh_s: int = 900
    time_zone: str = "Etc/UTC"
    districts: tuple[str, ...] = (
        "Northgate",
        "Beacon Hill",
        "Saltmarsh",
        "Westfield",
        "Old Town",
        "Harbour",
        "Millbrook",
        "Southbank",
        "Lighthouse",
    )
    operations_email: str | None = None
    people_email: str | None = None
    people_sms: str | None = None
    account: str | None = None
    region: str | None = None

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> "Config":
        """The configuration in `context`; what is absent comes from its stage, and else keeps its default.

        Numbers and truth values may be texts, as `cdk -c key=value` passes them.

        Raises
        ------
        ConfigError
            With every fault at once.
        """
        faults: list[str] = []
        values: dict[str, Any] = {}
        context = _with_stage(context, faults)
        for field, kind in _KINDS.items():
            if context.get(field) is None:
                continue
            value = kind.read(context[field])
            if value is None:
                faults.append(f"{field} = {context[field]!r}: must be {kind.meaning}")
            else:
                values[field] = value
        if not faults and values.get("gateways", 0) > values.get("sensors", math.inf):
            faults.append(f"gateways = {values['gateways']}: must not outnumber the {values['sensors']} sensors")
        if faults:
            raise ConfigError(tuple(faults))
        return cls(**values)

    @property
    def city(self) -> City:
        """What capacity is computed for."""
        return City(self.sensors, self.gateways, self.window_s)

    @property
    def shards(self) -> int:
        """Shards of the stream."""
        return size(self.city).shards

    @property
    def thresholds(self) -> Thresholds:
        """Where alarms begin."""
        return thresholds(self.city)


def _with_stage(context: Mapping[str, Any], faults: list[str]) -> Mapping[str, Any]:
    """`context`, completed by what it says of its stage."""
    stages = context.get("stages")
    if stages is None:
        return context
    stage = context.get("stage") or Config.__dataclass_fields__["stage"].default
    if stage not in stages:
        faults.append(f"stage = {stage!r}: must be one of {', '.join(stages)}, the stages of cdk.json")
        return context
    unknown = stages[stage].keys() - Config.__dataclass_fields__.keys()
    if unknown:
        faults.append(f"stages: {stage} has no setting named {', '.join(sorted(unknown))}")
    return {**stages[stage], **{key: value for key, value in context.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a setting is read; `read` gives None for what is not one."""

    read: Callable[[object], Any | None]
    meaning: str


def _whole_number(least: int, most: int) -> _Kind:
    def read(value: object) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int | str):
            return None
        try:
            number = int(value)
        except ValueError:
            return None
        return number if least <= number <= most else None

    return _Kind(read, f"a whole number from {least} to {most}")


def _one_of(*choices: int) -> _Kind:
    def read(value: object) -> int | None:
        return next((choice for choice in choices if str(value) == str(choice)), None)

    return _Kind(read, f"one of {', '.join(map(str, choices))}")


def _text(pattern: str, meaning: str) -> _Kind:
    return _Kind(lambda value: value if isinstance(value, str) and re.fullmatch(pattern, value) else None, meaning)


def _names(value: object) -> tuple[str, ...] | None:
    """A list, or a text with commas; names that make the same thing group are one too many."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        return None
    if not all(isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 .'-]{0,63}", name) for name in names):
        return None
    slugs = {re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in names}
    return tuple(names) if len(slugs) == len(names) else None


_TRUTH: Final = _Kind(lambda value: {"true": True, "false": False}.get(str(value).lower()), "true or false")
_EMAIL: Final = _text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")
_KINDS: Final = {
    "stage": _text(r"[a-z][a-z0-9]{0,15}", "1 to 16 small letters and digits, a letter first"),
    "keeps_data": _TRUTH,
    "sensors": _whole_number(1, 100_000_000),
    "gateways": _whole_number(1, 1_000_000),
    "window_s": _whole_number(1, 3600),
    "windows_days": _whole_number(1, 3650),
    "retention_days": _whole_number(1, 3650),
    "log_retention_days": _one_of(*LOG_RETENTION_DAYS),
    "ingest": _text(r"gateways|raw", "gateways or raw"),
    "stream_mode": _text(r"provisioned|on-demand", "provisioned or on-demand"),
    "batching_s": _whole_number(0, 60),
    "table_mode": _text(r"provisioned|on-demand", "provisioned or on-demand"),
    "stream_retention_h": _whole_number(24, 8760),
    "trace_busy_functions": _TRUTH,
    "gather_acks": _TRUTH,
    "segment_refresh_s": _whole_number(10, 86_400),
    "time_zone": _text(r"[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)*", "a name of the tz database such as Europe/Berlin"),
    "districts": _Kind(_names, "a list of different names of 1 to 64 letters, digits, spaces, dots, ' or -"),
    "operations_email": _EMAIL,
    "people_email": _EMAIL,
    "people_sms": _text(r"\+[1-9]\d{6,14}", "a telephone number such as +491701234567"),
    "account": _text(r"\d{12}", "a text of 12 digits"),
    "region": _text(r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region such as eu-central-1"),
}
