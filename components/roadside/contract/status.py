"""Status: what a component tells of itself on the gateway every INTERVAL_MS, for the Monitor to hear.

A status is small enough for nucleus lite, whatever a component counts. Counters only ever name what they count; a
reader takes those that it knows and passes the others on.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final, Literal, get_args

from roadside.contract.errors import DecodeError
from roadside.contract.json_object import check_choice, check_integer, check_text, encode_object, pick, read_object
from roadside.contract.summary import MAX_INTEGER

SCHEMA: Final = 1
INTERVAL_MS: Final = 10_000
MAX_COUNTERS: Final = 80  # of 48 characters and 16 digits: 5.5 KB, of the 7,000 bytes that always pass
COUNTER_NAME: Final = re.compile(r"[a-z0-9_.]{1,48}")

State = Literal["running", "idle", "stopping"]


@dataclass(frozen=True, slots=True)
class Status:
    """One component at one moment.

    Parameters
    ----------
    component : its Greengrass name
    version : its version
    state : "running"; "idle", nothing is configured for it to do; "stopping", its last word at an orderly end
    started_ms : when its process began
    sequence : how many statuses this process has told, this one included
    uptime_ms : for how long it has been running, by a clock that nobody sets
    counters : by name; a part before a dot says of what
    """

    component: str
    version: str
    state: State
    started_ms: int
    sequence: int
    uptime_ms: int
    counters: Mapping[str, int]

    def __post_init__(self) -> None:
        check_text("component", self.component)
        check_text("version", self.version, 64)
        check_choice("state", self.state, get_args(State))
        for field in ("started_ms", "sequence", "uptime_ms"):
            check_integer(field, getattr(self, field), MAX_INTEGER)
        check_counters(self.counters)


def check_counters(counters: object) -> None:
    """Raises DecodeError unless they are at most MAX_COUNTERS names with integers."""
    if not isinstance(counters, Mapping) or len(counters) > MAX_COUNTERS:
        raise DecodeError("counters", counters, f"must be an object of at most {MAX_COUNTERS} counters")
    for name, count in counters.items():
        if not COUNTER_NAME.fullmatch(name):
            raise DecodeError("counters", name, f"a name must match {COUNTER_NAME.pattern}")
        check_integer(f"counters.{name}", count, MAX_INTEGER)


def encode_status(status: Status) -> bytes:
    """The status as compact JSON with its schema."""
    return encode_object(SCHEMA, asdict(status))


def decode_status(payload: bytes) -> Status:
    """The status in `payload`. Raises DecodeError, and UnsupportedSchemaError for a schema of the future."""
    body = read_object(payload, "status", SCHEMA)
    return Status(**pick(body, "status", [field.name for field in fields(Status)]))
