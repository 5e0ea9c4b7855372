"""A plan of faults: what is to go wrong in a run, as data. Read from TOML, validated whole, fitted to a run.

    written_for_s = 60            # optional: a run of another length stretches all times in proportion

    [[fault]]
    name = "a lossy radio"
    kind = "loss"                 # see kinds.py
    start_s = 5
    duration_s = 10
    gateways = ["gw-0001", 3]     # optional: ids, indices from 0, or "all", "real", "in-process"
    gateway_share = 0.5           # optional: of those, as many as the share says, by lot
    sensor_share = 0.1            # optional, where sensors or their readings are struck: of the gateways' sensors
    share = 0.2                   # what the kind takes

What is struck follows from the seed and the fault's name, so leaving one fault out changes nothing in the others.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from simulator.faults.kinds import HOUR_MS, RULES, Kind, Strikes

Tier = Literal["all", "real", "in-process"]
TIERS: Final = ("all", "real", "in-process")
MOST_RUN_S: Final = 7 * 86_400
LATE_SKEW_MS: Final = (-30_000, -100)  # readings come late, and count
TOO_LATE_SKEW_MS: Final = -600_000  # twice as old as corrections are taken
FUTURE_SKEW_MS: Final = 2 * HOUR_MS  # ahead of every clock that a fault steps
_COMMON: Final = ("name", "kind", "start_s", "duration_s", "gateways", "gateway_share", "sensor_share")


class FaultPlanError(ValueError):
    """A plan that cannot be; the message names every mistake, a line each."""

    def __init__(self, where: str, mistakes: Iterable[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("\n".join(f"{where}: {mistake}" for mistake in self.mistakes))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong from `start_s` for `duration_s`, in seconds of the run's readings.

    Parameters
    ----------
    gateways : by index or id, or a tier of them
    gateway_share, sensor_share : how many of those, and of their sensors, are struck
    numbers : what the kind takes, defaults included
    whole_run : whether it lasts from the first second to the last, however long the run is
    """

    name: str
    kind: Kind
    start_s: float = 0.0
    duration_s: float = 0.0
    gateways: Tier | tuple[int | str, ...] = "all"
    gateway_share: float = 1.0
    sensor_share: float = 1.0
    numbers: Mapping[str, float] = field(default_factory=dict)
    whole_run: bool = False

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s

    @property
    def refused_as(self) -> str | None:
        """Why a gateway refuses what this fault makes of readings, in its own words; None where it takes them."""
        if self.kind is Kind.POISON:
            return "bad_occupancy"
        skew_ms = self.numbers.get("skew_ms", 0)
        return "future" if skew_ms > 0 else "too_late" if skew_ms < LATE_SKEW_MS[0] else None

    def active(self, second: int) -> bool:
        """Whether readings that are measured in that second meet it."""
        return self.whole_run or self.start_s <= second < self.end_s


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """All that is to go wrong. `written_for_s` is the length of the run that the times are meant for; None for any."""

    faults: tuple[Fault, ...] = ()
    written_for_s: float | None = None
    where: str = ""

    @property
    def cuts_ways(self) -> bool:
        """Whether the way of some gateway to the cloud is going to be cut."""
        return any(fault.kind in (Kind.CLOUD_OUTAGE, Kind.NETWORK_PARTITION, Kind.POWER_CUT) for fault in self.faults)

    def fitted(self, duration_s: float) -> "FaultPlan":
        """The plan for a run of that length."""
        if self.written_for_s is None:
            return self
        stretch = duration_s / self.written_for_s
        faults = tuple(
            fault
            if fault.whole_run
            else replace(
                fault,
                start_s=fault.start_s * stretch,
                duration_s=fault.duration_s * stretch,
                numbers={**fault.numbers, **_stretched_interval(fault, stretch)},
            )
            for fault in self.faults
        )
        return replace(self, faults=faults, written_for_s=None)


def joined(*plans: FaultPlan) -> FaultPlan:
    """All of these plans in one, fitted already. Their names are taken to differ."""
    where = " and ".join(dict.fromkeys(plan.where for plan in plans if plan.where))
    return FaultPlan(tuple(fault for plan in plans for fault in plan.faults), where=where)


def everyday() -> tuple[Fault, ...]:
    """What happens on the best of days between sensors and gateways; part of every run."""
    return (
        Fault("everyday repeats", Kind.DUPLICATES, whole_run=True, numbers={"share": 0.01}),
        Fault("everyday disorder", Kind.DISORDER, whole_run=True, numbers={"share": 0.01}),
        Fault(
            "everyday delays",
            Kind.DELAY,
            whole_run=True,
            numbers={"share": 0.0005, "least_delay_s": 5, "most_delay_s": 8},
        ),
        Fault("everyday nonsense", Kind.POISON, whole_run=True, numbers={"share": 0.0002, "messages_per_s": 0}),
    )


def read_plan(path: Path) -> FaultPlan:
    """The plan in a TOML file.

    Raises
    ------
    FaultPlanError
        The file is no TOML, or no plan: every mistake is named.
    OSError
        It cannot be read.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FaultPlanError(str(path), [f"this is no TOML: {error}"]) from error
    return plan_of(told, str(path))


def plan_of(told: Mapping[str, Any], where: str) -> FaultPlan:
    """The plan that a TOML document tells. Raises FaultPlanError with every mistake."""
    mistakes = [
        f"{key} = {_shown(told[key])}: there is no such key; {_advice(key, ('fault', 'written_for_s'))}"
        for key in told
        if key not in ("fault", "written_for_s")
    ]
    written_for_s = told.get("written_for_s")
    if written_for_s is not None and not _is_number(written_for_s, 1, MOST_RUN_S):
        mistakes.append(f"written_for_s = {_shown(written_for_s)}: give the seconds of a run, 1 to {MOST_RUN_S}")
        written_for_s = None
    entries = told.get("fault", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise FaultPlanError(where, [*mistakes, "there is no fault: begin each with a line [[fault]]"])
    faults: list[Fault] = []
    for place, entry in enumerate(entries, start=1):
        found = list(_mistakes(entry))
        named = f'fault {place} "{entry["name"]}"' if isinstance(entry.get("name"), str) else f"fault {place}"
        if any(entry.get("name") == fault.name for fault in faults):
            found.append(f'name = "{entry["name"]}": another fault has it; give each a name of its own')
        mistakes += [f"{named}: {mistake}" for mistake in found]
        if not found:
            faults.append(_fault(entry))
            if written_for_s is not None and faults[-1].end_s > written_for_s:
                mistakes.append(f"{named}: {_too_long(faults[-1], written_for_s)}; or raise written_for_s")
    if mistakes:
        raise FaultPlanError(where, mistakes)
    return FaultPlan(tuple(faults), written_for_s, where)


def _too_long(fault: Fault, run_s: float) -> str:
    return f"start_s + duration_s = {fault.end_s:g}: this is after the end at {run_s:g} s; begin sooner or last shorter"


def _fault(entry: Mapping[str, Any]) -> Fault:
    kind = Kind(entry["kind"])
    gateways = entry.get("gateways", "all")
    return Fault(
        name=entry["name"],
        kind=kind,
        start_s=float(entry["start_s"]),
        duration_s=float(entry["duration_s"]),
        gateways=gateways if isinstance(gateways, str) else tuple(gateways),  # type: ignore[arg-type]  # checked
        gateway_share=float(entry.get("gateway_share", 1.0)),
        sensor_share=float(entry.get("sensor_share", 1.0)),
        numbers={name: entry.get(name, number.default) for name, number in RULES[kind].numbers.items()},
    )


def _mistakes(entry: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with one fault, each with field, value and advice."""
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        yield f"name = {_shown(name)}: give it a name in words, which the report will use"
    for key, least in (("start_s", 0.0), ("duration_s", 0.1)):
        if not _is_number(entry.get(key), least, MOST_RUN_S):
            yield f"{key} = {_shown(entry.get(key))}: give seconds of the run, {least:g} to {MOST_RUN_S}"
    for key in ("gateway_share", "sensor_share"):
        if key in entry and (not _is_number(entry[key], 0, 1) or not entry[key]):
            yield f"{key} = {_shown(entry[key])}: give a share above 0 and up to 1"
    gateways = entry.get("gateways", "all")
    is_list = isinstance(gateways, list) and gateways and all(_names_gateway(one) for one in gateways)
    if not is_list and gateways not in TIERS:
        yield f"gateways = {_shown(gateways)}: give a list of ids or indices from 0, or one of {', '.join(TIERS)}"
    kind = entry.get("kind")
    if kind not in list(Kind):
        yield f"kind = {_shown(kind)}: {_advice(kind, tuple(Kind))}"
        return
    rules = RULES[Kind(kind)]
    known = (*_COMMON, *rules.numbers)
    for key in entry:
        if key not in known:
            yield f"{key} = {_shown(entry[key])}: a fault of kind {kind} has no such key; {_advice(key, known)}"
    for key, number in rules.numbers.items():
        value = entry.get(key, number.default)
        whole = number.whole and isinstance(value, float)
        if whole or not _is_number(value, number.least, number.most):
            of = "a whole number" if number.whole else "a number"
            yield f"{key} = {_shown(value)}: give {of} from {number.least:g} to {number.most:g}"
        else:
            yield from _mistaken_value(Kind(kind), key, value, entry)
    yield from _mistaken_target(Kind(kind), rules.strikes, entry)


def _mistaken_value(kind: Kind, key: str, value: float, entry: Mapping[str, Any]) -> Iterator[str]:
    """What is in range and yet makes no sense."""
    if key == "share" and not value and not entry.get("messages_per_s"):
        more = "; or messages_per_s" if kind is Kind.POISON else ""
        yield f"share = {value:g}: nothing would happen; give a share above 0{more}"
    if key == "most_delay_s" and _is_number(entry.get("least_delay_s"), 0, 60) and value < entry["least_delay_s"]:
        yield f"most_delay_s = {value:g}: give at least least_delay_s = {entry['least_delay_s']:g}"
    if key == "step_ms" and not value:
        yield "step_ms = 0: nothing would happen; give milliseconds, negative ones for a step back"
    if key == "skew_ms":
        counts = LATE_SKEW_MS[0] <= value <= LATE_SKEW_MS[1]
        if not (counts or value <= TOO_LATE_SKEW_MS or value >= FUTURE_SKEW_MS):
            yield (
                f"skew_ms = {value:g}: give {LATE_SKEW_MS[0]} to {LATE_SKEW_MS[1]} (readings come late), at most "
                f"{TOO_LATE_SKEW_MS} (too late for every correction) or at least {FUTURE_SKEW_MS} (refused as of the "
                f"future); between them it would be chance what a gateway does"
            )
        elif not value % 1000:
            yield (
                f"skew_ms = {value:g}: give no whole seconds, {value + 500:g} say; or readings get the instants of "
                f"others and count as their repetitions"
            )


def _mistaken_target(kind: Kind, strikes: Strikes, entry: Mapping[str, Any]) -> Iterator[str]:
    if strikes in (Strikes.GATEWAYS, Strikes.CLOUD) and "sensor_share" in entry:
        yield f"sensor_share = {_shown(entry['sensor_share'])}: {kind} strikes no sensors; leave it out"
    if strikes is Strikes.CLOUD:
        for key in ("gateways", "gateway_share"):
            if key in entry:
                yield f"{key} = {_shown(entry[key])}: {kind} strikes all; leave it out or use network-partition"
    is_all = entry.get("gateways", "all") == "all" and entry.get("gateway_share", 1) == 1
    if kind is Kind.NETWORK_PARTITION and is_all:
        yield 'gateways = "all": a partition leaves some connected; give gateways or gateway_share, or use cloud-outage'


def _stretched_interval(fault: Fault, stretch: float) -> dict[str, float]:
    return {"every_s": fault.numbers["every_s"] * stretch} if "every_s" in fault.numbers else {}


def _is_number(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _names_gateway(value: object) -> bool:
    return (isinstance(value, str) and bool(value)) or (_is_number(value, 0, 1e6) and isinstance(value, int))


def _advice(told: object, known: tuple[str, ...]) -> str:
    near = get_close_matches(str(told), known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"use one of {', '.join(known)}"


def _shown(value: object) -> str:
    return "nothing" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
