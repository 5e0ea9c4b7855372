"""What differs between one deployment and another, read from CDK context and checked before anything is built."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LOG_RETENTION_DAYS: Final = (1, 3, 7, 14, 30, 90, 180, 365)  # out of those that CloudWatch knows

# A shard takes 1,000 records or 1 MiB each second.
_SHARD_RECORDS_PER_S: Final = 1000
_SHARD_BYTES_PER_S: Final = 1024 * 1024
# Design budget of a window's message: 1,024 bytes for 250 sensors; base64 and wrapper add half.
_STREAM_BYTES_PER_SENSOR: Final = 6.2
# Gateways that come back after an outage send their backlog on top of the live windows.
_HEADROOM: Final = 2


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
    stage : name of the deployment; `prod` keeps its data when the stack is deleted
    sensors, gateways : size of the city
    window_s : length of the gateways' windows
    retention_days : how long windows and alerts stay in DynamoDB
    log_retention_days : one of LOG_RETENTION_DAYS
    segment_refresh_s : age at which an unchanged segment's current state is written again
    operations_email : who is told when an alarm begins or ends
    people_email, people_sms : who is told of what happens on the roads
    account, region : where to; None leaves the template free of both
    """

    stage: str = "dev"
    sensors: int = 50_000
    gateways: int = 200
    window_s: int = 10
    retention_days: int = 90
    log_retention_days: int = 14
    segment_refresh_s: int = 300
    operations_email: str | None = None
    people_email: str | None = None
    people_sms: str | None = None
    account: str | None = None
    region: str | None = None

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> "Config":
        """The configuration in `context`; what is absent keeps its default.

        Numbers may be texts, as `cdk -c key=value` passes them.

        Raises
        ------
        ConfigError
            With every fault at once.
        """
        faults: list[str] = []
        values: dict[str, Any] = {}
        for field, (least, most) in _RANGES.items():
            if context.get(field) is None:
                continue
            number = _whole_number(context[field])
            if number is None or not least <= number <= most:
                faults.append(f"{field} = {context[field]!r}: must be a whole number from {least} to {most}")
            else:
                values[field] = number
        for field, (pattern, meaning) in _TEXTS.items():
            if context.get(field) is None:
                continue
            text = context[field]
            if not isinstance(text, str) or not re.fullmatch(pattern, text):
                faults.append(f"{field} = {text!r}: must be {meaning}")
            else:
                values[field] = text
        days = values.get("log_retention_days", LOG_RETENTION_DAYS[0])
        if days not in LOG_RETENTION_DAYS:
            faults.append(f"log_retention_days = {days}: must be one of {', '.join(map(str, LOG_RETENTION_DAYS))}")
        if not faults and values.get("gateways", 0) > values.get("sensors", math.inf):
            faults.append(f"gateways = {values['gateways']}: must not outnumber the {values['sensors']} sensors")
        if faults:
            raise ConfigError(tuple(faults))
        return cls(**values)

    @property
    def keeps_data(self) -> bool:
        """Whether tables outlive the stack."""
        return self.stage == "prod"

    @property
    def shards(self) -> int:
        """Shards that take all gateways' windows within the one second in which they all close."""
        records = self.gateways / _SHARD_RECORDS_PER_S
        volume = self.sensors * _STREAM_BYTES_PER_SENSOR / _SHARD_BYTES_PER_S
        return max(1, math.ceil(_HEADROOM * max(records, volume)))


_RANGES: Final = {
    "sensors": (1, 10_000_000),
    "gateways": (1, 100_000),
    "window_s": (1, 3600),
    "retention_days": (1, 3650),
    "log_retention_days": (1, 365),
    "segment_refresh_s": (10, 86_400),
}
_EMAIL: Final = (r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")
_TEXTS: Final = {
    "stage": (r"[a-z][a-z0-9]{0,15}", "1 to 16 small letters and digits, a letter first"),
    "operations_email": _EMAIL,
    "people_email": _EMAIL,
    "people_sms": (r"\+[1-9]\d{6,14}", "a telephone number such as +491701234567"),
    "account": (r"\d{12}", "a text of 12 digits"),
    "region": (r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region such as eu-central-1"),
}


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None
