"""What a run breaks on purpose, as data: faults by name, their parameters with units, and a schedule.

The schedule is a pure function of the seed, the run's length and its gateways; `conductor` carries it out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from simulator.faults.delivery import DeliveryFaults


class Chaos(StrEnum):
    """A kind of fault, or all of them, or none."""

    NONE = "none"
    ALL = "all"
    KILL_GATEWAY = "kill-gateway"  # SIGKILL of a real Aggregator, again and again
    IPC_DROP = "ipc-drop"  # the nucleus ends a component's connection
    CLOUD_OUTAGE = "cloud-outage"  # every gateway's connection is cut, and new ones are refused for a while
    UPLINK_FULL = "uplink-full"  # the nucleus takes no message for the cloud for a while
    CLOCK_STEP = "clock-step"  # a gateway's wall clock steps by an hour, and back
    DISORDER = "disorder"  # more readings late, on time for their window or not
    DUPLICATES = "duplicates"  # more readings sent twice


NEEDS_REAL_GATEWAY: Final = frozenset({Chaos.KILL_GATEWAY, Chaos.IPC_DROP, Chaos.UPLINK_FULL})
_KINDS: Final = frozenset(Chaos) - {Chaos.NONE, Chaos.ALL}


def expand(chosen: Iterable[Chaos]) -> frozenset[Chaos]:
    """The kinds of faults that were asked for."""
    asked = frozenset(chosen)
    return _KINDS if Chaos.ALL in asked else asked - {Chaos.NONE}


@dataclass(frozen=True, slots=True)
class ChaosParameters:
    """How often and how much.

    Parameters
    ----------
    kill_every_s, drop_every_s : mean time between two of a real gateway, and there is at least one
    outage_s, full_s, stepped_s : how long each lasts, at most a quarter of the run
    clock_step_ms : forward or back, as the lot falls
    stepped_share : of the gateways, those whose clock steps
    disordered_share, late_share, duplicate_share : of all readings; see `DeliveryFaults`
    """

    kill_every_s: float = 15.0
    drop_every_s: float = 30.0
    outage_s: float = 10.0
    full_s: float = 4.0
    stepped_s: float = 8.0
    clock_step_ms: int = 3_600_000
    stepped_share: float = 0.5
    disordered_share: float = 0.1
    late_share: float = 0.01
    duplicate_share: float = 0.1


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do. `gateway` is an index, or None for all; `by_ms` belongs to a step of the clock."""

    at_s: float
    fault: Chaos
    gateway: int | None = None
    begins: bool = True
    by_ms: int = 0


def delivery_faults(chaos: frozenset[Chaos], base: DeliveryFaults, parameters: ChaosParameters) -> DeliveryFaults:
    """What chaos makes of the way between sensors and gateways."""
    if Chaos.DISORDER in chaos:
        base = replace(base, disordered_share=parameters.disordered_share, late_share=parameters.late_share)
    if Chaos.DUPLICATES in chaos:
        base = replace(base, duplicate_share=parameters.duplicate_share)
    return base


def schedule(
    chaos: frozenset[Chaos],
    *,
    seed: int,
    duration_s: int,
    gateways: int,
    gateways_real: int,
    parameters: ChaosParameters | None = None,
) -> list[Act]:
    """What happens when, in order. The first seconds are left in peace, so that every gateway has begun."""
    parameters = parameters or ChaosParameters()
    rng = np.random.default_rng([seed, 4])
    first_s, last_s = min(3.0, duration_s / 4), duration_s - 1.0
    acts: list[Act] = []

    def instants(every_s: float) -> list[float]:
        """Random ones, one in each of equal parts of the time."""
        parts = max(1, int((last_s - first_s) / every_s))
        length_s = (last_s - first_s) / parts
        return [first_s + (part + float(rng.random())) * length_s for part in range(parts)]

    def lasting(fault: Chaos, for_s: float, gateway: int | None, by_ms: int = 0) -> list[Act]:
        for_s = min(for_s, duration_s / 4)
        at_s = first_s + float(rng.random()) * max(0.0, last_s - for_s - first_s)
        return [Act(at_s, fault, gateway, True, by_ms), Act(at_s + for_s, fault, gateway, False, -by_ms)]

    # Each kind draws from the same generator in a fixed order, whether it was asked for or not: so leaving one out
    # changes nothing in the others.
    for real in range(gateways_real):
        acts += [Act(at_s, Chaos.KILL_GATEWAY, real) for at_s in instants(parameters.kill_every_s)]
        acts += [Act(at_s, Chaos.IPC_DROP, real) for at_s in instants(parameters.drop_every_s)]
        acts += lasting(Chaos.UPLINK_FULL, parameters.full_s, real)
    acts += lasting(Chaos.CLOUD_OUTAGE, parameters.outage_s, None)
    for gateway in range(gateways):
        by_ms = parameters.clock_step_ms * (1 if rng.random() < 0.5 else -1)
        steps = lasting(Chaos.CLOCK_STEP, parameters.stepped_s, gateway, by_ms)
        if rng.random() < parameters.stepped_share or gateway < gateways_real:
            acts += steps
    return sorted((act for act in acts if act.fault in chaos), key=lambda act: act.at_s)
