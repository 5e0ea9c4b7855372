"""A plan of faults on a fleet: whom each fault strikes, and what is to be done when. Pure; `conductor` carries it out.

Lots are drawn from the seed and the fault's name.
"""

import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.faults.kinds import RULES, Kind, Strikes
from simulator.faults.plan import LATE_SKEW_MS, Fault, FaultPlan, FaultPlanError

SLICES: Final = 4  # of a second at most, at whose ends readings are handed over
LEAST_DURATION_S: Final = 0.5
PEACE_AFTER_POWER_CUT_S: Final = 3  # so that a gateway that comes back hears of the time from its sensors
MOST_ACTS: Final = 100_000
LASTING: Final = frozenset(
    {Kind.CLOCK_STEP, Kind.POWER_CUT, Kind.CLOUD_OUTAGE, Kind.NETWORK_PARTITION, Kind.THROTTLING}
)
SINGLE: Final = frozenset({Kind.GATEWAY_CRASH, Kind.IPC_DROP})

BoolColumn = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What a plan must know of the fleet: the first `gateways_real` are processes; sensors count through the city."""

    gateway_ids: tuple[str, ...]
    sensor_counts: tuple[int, ...]
    gateways_real: int
    duration_s: float

    @property
    def sensor_count(self) -> int:
        return sum(self.sensor_counts)


@dataclass(frozen=True, slots=True, eq=False)
class Struck:
    """A fault and what it strikes: gateways by index, and sensors, bool by number, None for all of the city."""

    fault: Fault
    gateways: tuple[int, ...]
    sensors: BoolColumn | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do at an instant of the run. `gateway` is an index, or None for all."""

    at_s: float
    fault: Fault
    gateway: int | None = None
    begins: bool = True
    number: int = 0  # of a message of poison


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that goes wrong in one run; `acts` are in order."""

    struck: tuple[Struck, ...]
    acts: tuple[Act, ...]

    def strikes(self, *kinds: Kind) -> set[int]:
        """Indices of the gateways that a fault of these kinds is aimed at."""
        return {gateway for one in self.struck if one.fault.kind in kinds for gateway in one.gateways}


def schedule(plan: FaultPlan, facts: FleetFacts, seed: int) -> Schedule:
    """What happens to whom and when. Raises FaultPlanError with everything that this fleet or run cannot do."""
    plan = plan.fitted(facts.duration_s)
    struck: list[Struck] = []
    acts: list[Act] = []
    mistakes: list[str] = []
    named = Counter(fault.name for fault in plan.faults)
    for fault in plan.faults:
        found = list(_misfits(fault, facts))
        if named[fault.name] > 1:
            found.append("another fault has this name, of the plan or of every day; give it a name of its own")
        mistakes += [f'fault "{fault.name}": {mistake}' for mistake in found]
        if found:
            continue
        rng = np.random.default_rng([seed, 4, zlib.crc32(fault.name.encode())])
        struck.append(_struck(fault, facts, rng))
        acts += _acts(struck[-1], rng)
    mistakes += _clashes(struck, facts)
    if mistakes:
        raise FaultPlanError(plan.where, mistakes)
    return Schedule(tuple(struck), tuple(sorted(acts, key=lambda act: act.at_s)))


def dark_slices(fault: Fault, slices: int = SLICES) -> tuple[int, int]:
    """The slices [first, end) of the run, so many a second, in which a gateway without power takes no readings."""
    return math.ceil(fault.start_s * slices), math.ceil(fault.end_s * slices)


def _misfits(fault: Fault, facts: FleetFacts) -> Iterator[str]:
    """What the fleet or the length of the run does not allow."""
    if not fault.whole_run and fault.end_s > facts.duration_s:
        yield (
            f"start_s + duration_s = {fault.end_s:g}: the run ends at {facts.duration_s:g} s; "
            f"give --duration {math.ceil(fault.end_s)} or more, or written_for_s to the plan"
        )
    elif not fault.whole_run and fault.duration_s < LEAST_DURATION_S:
        yield (
            f"duration_s = {fault.duration_s:.2g} in a run of {facts.duration_s:g} s: give a --duration that leaves it "
            f"{LEAST_DURATION_S:g} s"
        )
    if fault.kind is Kind.POWER_CUT and facts.duration_s - PEACE_AFTER_POWER_CUT_S < fault.end_s <= facts.duration_s:
        yield (
            f"start_s + duration_s = {fault.end_s:g}: the power must be back {PEACE_AFTER_POWER_CUT_S} s before the "
            f"run ends at {facts.duration_s:g} s; begin sooner"
        )
    skew_ms = fault.numbers.get("skew_ms", 0)
    if LATE_SKEW_MS[0] <= skew_ms < 0 and 1000 * fault.start_s + skew_ms < 0:
        yield (
            f"start_s = {fault.start_s:g} with skew_ms = {skew_ms:g}: its readings would be older than the run; "
            f"begin after {-skew_ms / 1000:g} s"
        )
    if RULES[fault.kind].needs_process and not facts.gateways_real:
        yield (
            f"kind = {fault.kind}: only a gateway that is a process of its own can suffer it; give --gateways-real 1 "
            f"or more"
        )
    elif not _candidates(fault, facts):
        flag = "--gateways-real 1 or more" if fault.gateways == "real" else "fewer --gateways-real than --gateways"
        yield f'gateways = "{fault.gateways}": this fleet has none; give {flag}'
    if isinstance(fault.gateways, tuple):
        for gateway in fault.gateways:
            index = _index(gateway, facts)
            if index is None:
                last = len(facts.gateway_ids) - 1
                yield (
                    f"gateways = {gateway!r}: this fleet has no such gateway; give 0 to {last}, or an id from "
                    f"{facts.gateway_ids[0]} to {facts.gateway_ids[last]}"
                )
            elif RULES[fault.kind].needs_process and facts.gateways_real and index >= facts.gateways_real:
                yield (
                    f"gateways = {gateway!r}: it is no process of its own, which {fault.kind} needs; give one below "
                    f"{facts.gateways_real}"
                )


def _clashes(struck: Sequence[Struck], facts: FleetFacts) -> Iterator[str]:
    """Faults that must not meet on one gateway: after a reboot with a wrong clock nothing knows the time."""
    for cut in (one for one in struck if one.fault.kind is Kind.POWER_CUT):
        for other in struck:
            overlaps = cut.fault.start_s <= other.fault.end_s and other.fault.start_s <= cut.fault.end_s
            common = set(cut.gateways) & set(other.gateways)
            if not overlaps or not common or other is cut:
                continue
            where = facts.gateway_ids[min(common)]
            if other.fault.kind is Kind.CLOCK_STEP:
                yield (
                    f'fault "{cut.fault.name}": it meets "{other.fault.name}" on {where}, which would come back with a '
                    f"wrong clock and know no time; give them other times or gateways"
                )
            if other.fault.kind is Kind.POWER_CUT and cut.fault.name < other.fault.name:
                yield (
                    f'fault "{cut.fault.name}": it meets "{other.fault.name}" on {where}; give them other times or '
                    f"gateways"
                )


def _index(gateway: int | str, facts: FleetFacts) -> int | None:
    if isinstance(gateway, str):
        return facts.gateway_ids.index(gateway) if gateway in facts.gateway_ids else None
    return gateway if gateway < len(facts.gateway_ids) else None


def _candidates(fault: Fault, facts: FleetFacts) -> list[int]:
    if isinstance(fault.gateways, tuple):
        return sorted({index for gateway in fault.gateways if (index := _index(gateway, facts)) is not None})
    first = facts.gateways_real if fault.gateways == "in-process" else 0
    only_real = fault.gateways == "real" or RULES[fault.kind].needs_process
    return list(range(first, facts.gateways_real if only_real else len(facts.gateway_ids)))


def _struck(fault: Fault, facts: FleetFacts, rng: np.random.Generator) -> Struck:
    candidates = _candidates(fault, facts)
    gateways = tuple(sorted(rng.permutation(candidates)[: math.ceil(fault.gateway_share * len(candidates))].tolist()))
    of_sensors = RULES[fault.kind].strikes in (Strikes.READINGS, Strikes.SENSORS)
    if not of_sensors or (len(gateways) == len(facts.gateway_ids) and fault.sensor_share == 1):
        return Struck(fault, gateways)
    gateway_of_sensor = np.repeat(np.arange(len(facts.sensor_counts)), facts.sensor_counts)
    sensors = np.flatnonzero(np.isin(gateway_of_sensor, gateways))
    chosen = rng.permutation(sensors)[: math.ceil(fault.sensor_share * len(sensors))]
    is_struck = np.zeros(facts.sensor_count, dtype=bool)
    is_struck[chosen] = True
    return Struck(fault, gateways, is_struck)


def _acts(struck: Struck, rng: np.random.Generator) -> Iterator[Act]:
    """What has to be done for a fault; nothing for those that only change readings."""
    fault = struck.fault
    targets: Sequence[int | None] = [None] if fault.kind is Kind.CLOUD_OUTAGE else struck.gateways
    for gateway in targets:
        if fault.kind is Kind.POWER_CUT:
            first, end = dark_slices(fault)
            yield Act(first / SLICES, fault, gateway)
            yield Act(end / SLICES, fault, gateway, begins=False)
        elif fault.kind in LASTING:
            yield Act(fault.start_s, fault, gateway)
            yield Act(fault.end_s, fault, gateway, begins=False)
        elif fault.kind in SINGLE:
            for at_s in _instants(fault, fault.numbers["every_s"], rng):
                yield Act(at_s, fault, gateway)
        elif fault.kind is Kind.POISON and fault.numbers["messages_per_s"]:
            for number, at_s in enumerate(_instants(fault, 1 / fault.numbers["messages_per_s"], rng)):
                yield Act(at_s, fault, gateway, number=number)


def _instants(fault: Fault, every_s: float, rng: np.random.Generator) -> list[float]:
    """By lot, one in each of equal parts of the fault's time; without `every_s` one alone."""
    parts = min(MOST_ACTS, max(1, int(fault.duration_s / every_s))) if every_s else 1
    length_s = fault.duration_s / parts
    return [fault.start_s + (part + float(rng.random())) * length_s for part in range(parts)]
