"""Heartbeat: what a gateway tells the cloud of itself every few minutes, and at once when a component's state changes.

It is neither queued nor acknowledged: one that is lost is followed by the next, and its absence says enough. The cloud
adds when it came, so `sent_ms` also tells how far the gateway's clock is off.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from roadside.contract.errors import DecodeError
from roadside.contract.json_object import check_choice, check_integer, check_text, encode_object, pick, read_object
from roadside.contract.status import check_counters
from roadside.contract.summary import MAX_INTEGER

SCHEMA: Final = 1
INTERVAL_S: Final = 300  # between two, unless configured otherwise
MAX_COMPONENTS: Final = 16

Reason = Literal["beat", "change"]
ComponentState = Literal["running", "idle", "stopped", "silent", "missing"]


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """One component as the Monitor knows it.

    Parameters
    ----------
    component : its Greengrass name
    state : "running" and "idle" as it says itself; "stopped" after an orderly end; "silent", it has not been heard for
        longer than it may; "missing", it is expected and was never heard
    version, age_ms, uptime_ms : of its last status, and how long ago that was; None if it was never heard
    restarts : how often the Monitor has had it restarted
    crashes : how many of its processes were followed by another without having said that they end
    counters : those of its last status that are not 0
    """

    component: str
    state: ComponentState
    version: str | None
    age_ms: int | None
    uptime_ms: int | None
    restarts: int
    crashes: int
    counters: Mapping[str, int]

    def __post_init__(self) -> None:
        check_text("component", self.component)
        check_choice("state", self.state, get_args(ComponentState))
        if self.version is not None:
            check_text("version", self.version, 64)
        check_integer("restarts", self.restarts, MAX_INTEGER)
        check_integer("crashes", self.crashes, MAX_INTEGER)
        _check_known(self, ("age_ms", "uptime_ms"))
        check_counters(self.counters)


@dataclass(frozen=True, slots=True)
class SystemState:
    """The machine. Whatever it does not tell is None.

    Parameters
    ----------
    cpu_share : of all cores, busy since the heartbeat before, 0 to 1
    load_1min : the kernel's load average
    memory_total_bytes, memory_available_bytes : of the machine
    state_free_bytes, root_free_bytes : room on the disks of the components' state and of the system
    temperature_c : of its hottest part
    clock_synchronised : whether the kernel's clock follows a reference
    clock_offset_ms : what the kernel has still to correct, positive when its clock is slow
    clock_error_ms : how far the kernel thinks it may be off at most
    """

    cpu_share: float | None = None
    load_1min: float | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    state_free_bytes: int | None = None
    root_free_bytes: int | None = None
    temperature_c: float | None = None
    clock_synchronised: bool | None = None
    clock_offset_ms: float | None = None
    clock_error_ms: float | None = None

    def __post_init__(self) -> None:
        names = ("memory_total_bytes", "memory_available_bytes", "state_free_bytes", "root_free_bytes")
        _check_known(self, names)
        for name, (least, most) in _MEASURES.items():
            value = getattr(self, name)
            # A comparison with NaN is false, so the range refuses it as it refuses an infinity.
            if value is not None and (type(value) not in (int, float) or not least <= value <= most):
                raise DecodeError(name, value, f"must be null or a number from {least} to {most}")
        if self.clock_synchronised is not None and type(self.clock_synchronised) is not bool:
            raise DecodeError("clock_synchronised", self.clock_synchronised, "must be null, true or false")


_MEASURES: Final[dict[str, tuple[float, float]]] = {
    "cpu_share": (0, 1),
    "load_1min": (0, 1e6),
    "temperature_c": (-100, 300),
    "clock_offset_ms": (-1e12, 1e12),
    "clock_error_ms": (0, 1e12),
}


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One gateway at one moment.

    Parameters
    ----------
    gateway : the thing's name
    sent_ms : by the gateway's clock
    uptime_ms : for how long the Monitor has been running
    reason : "beat", it was time; "change", a component's state is another
    nucleus : version of Greengrass
    components : by name
    backlog_messages, backlog_bytes, backlog_age_ms : what waits for the cloud, and for how long its oldest has
    given_up : messages that were given up since the gateway's store began
    shed : readings and results that gave way for want of room, since their component started
    dead_letters : messages set aside because they can never be sent
    spent_bytes, budget_bytes : what was sent on this UTC day, and what may be, where a budget is kept
    system : the machine
    """

    gateway: str
    sent_ms: int
    uptime_ms: int
    reason: Reason
    nucleus: str | None
    components: tuple[ComponentHealth, ...]
    backlog_messages: int | None
    backlog_bytes: int | None
    backlog_age_ms: int | None
    given_up: int | None
    shed: int | None
    dead_letters: int | None
    spent_bytes: int | None
    budget_bytes: int | None
    system: SystemState

    def __post_init__(self) -> None:
        check_text("gateway", self.gateway)
        check_integer("sent_ms", self.sent_ms, MAX_INTEGER)
        check_integer("uptime_ms", self.uptime_ms, MAX_INTEGER)
        check_choice("reason", self.reason, get_args(Reason))
        if self.nucleus is not None:
            check_text("nucleus", self.nucleus, 64)
        _check_known(self, ("backlog_messages", "backlog_bytes", "backlog_age_ms"))
        _check_known(self, ("given_up", "shed", "dead_letters", "spent_bytes", "budget_bytes"))
        if len(self.components) > MAX_COMPONENTS:
            raise DecodeError("components", len(self.components), f"must be at most {MAX_COMPONENTS}")


def encode_heartbeat(heartbeat: Heartbeat) -> bytes:
    """The heartbeat as compact JSON with its schema."""
    return encode_object(SCHEMA, asdict(heartbeat))


def decode_heartbeat(payload: bytes) -> Heartbeat:
    """The heartbeat in `payload`. Raises DecodeError, and UnsupportedSchemaError for a schema of the future."""
    body = pick(read_object(payload, "heartbeat", SCHEMA), "heartbeat", _names(Heartbeat))
    components = body.pop("components")
    if not isinstance(components, list):
        raise DecodeError("components", components, "must be a list")
    system = pick(body.pop("system"), "system", _names(SystemState))
    return Heartbeat(
        **body,
        components=tuple(ComponentHealth(**pick(each, "components", _names(ComponentHealth))) for each in components),
        system=SystemState(**system),
    )


def _names(of_type: Any) -> list[str]:
    return [field.name for field in fields(of_type)]


def _check_known(value: object, names: tuple[str, ...]) -> None:
    """Each is None or an integer of at least 0."""
    for name in names:
        if getattr(value, name) is not None:
            check_integer(name, getattr(value, name), MAX_INTEGER)
