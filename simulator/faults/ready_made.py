"""What `--chaos` stands for: a plan for each kind of fault, and for all of them, that fits any run and fleet."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from simulator.faults.kinds import RULES, Kind, Strikes
from simulator.faults.plan import Fault, FaultPlan, FaultPlanError, Tier

ALL: Final = "all"
NONE: Final = "none"
WORDS: Final = (NONE, ALL, *(str(kind) for kind in Kind))

# Of the run: when each kind begins and how long it lasts at most, seconds or share of the run, whichever is less. The
# first seconds are left in peace, so that every gateway has begun.
_TIMES: Final[Mapping[Kind, tuple[float, float, float]]] = {
    Kind.POWER_CUT: (0.25, 6.0, 0.15),
    Kind.THROTTLING: (0.2, 4.0, 0.25),
    Kind.CLOUD_OUTAGE: (0.45, 10.0, 0.25),
    Kind.NETWORK_PARTITION: (0.3, 10.0, 0.25),
    Kind.CLOCK_STEP: (0.45, 8.0, 0.2),
    Kind.POISON: (0.15, 10.0, 0.5),
    Kind.LOSS: (0.3, 10.0, 0.25),
    Kind.CLOCK_SKEW: (0.3, 10.0, 0.25),
}
_NUMBERS: Final[Mapping[Kind, Mapping[str, float]]] = {
    Kind.LOSS: {"share": 0.05},
    Kind.DUPLICATES: {"share": 0.1},
    Kind.DISORDER: {"share": 0.1},
    Kind.DELAY: {"share": 0.01},
    Kind.POISON: {"share": 0.01, "messages_per_s": 2.0},
    Kind.CLOCK_SKEW: {"skew_ms": -1500},
    Kind.GATEWAY_CRASH: {"every_s": 15.0},
    Kind.IPC_DROP: {"every_s": 30.0},
}
_SHARES: Final[Mapping[Kind, float]] = {  # of the gateways in this process
    Kind.GATEWAY_CRASH: 0.1,
    Kind.POWER_CUT: 0.1,
    Kind.NETWORK_PARTITION: 0.25,
    Kind.THROTTLING: 0.25,
    Kind.CLOCK_STEP: 0.25,
    Kind.POISON: 0.25,
}
_SENSOR_SHARE: Final = 0.01


def ready_made(words: Iterable[str], *, duration_s: float, gateways: int, gateways_real: int) -> FaultPlan:
    """The plan that words of `--chaos` stand for.

    Raises FaultPlanError for a word that this fleet cannot suffer; `all` leaves such a kind out.
    """
    asked = set(words) - {NONE}
    kinds = [kind for kind in Kind if str(kind) in asked or ALL in asked]
    helpless = [kind for kind in kinds if RULES[kind].needs_process and not gateways_real]
    named = [f"{kind} needs a real gateway: give --gateways-real 1 or more" for kind in helpless if str(kind) in asked]
    if named:
        raise FaultPlanError("--chaos", named)
    tiers: list[Tier] = ["real"] if gateways_real else []
    tiers += ["in-process"] if gateways > gateways_real else []
    faults = [fault for kind in kinds if kind not in helpless for fault in _faults(kind, duration_s, tiers)]
    return FaultPlan(tuple(faults), where="--chaos")


def _faults(kind: Kind, duration_s: float, tiers: list[Tier]) -> list[Fault]:
    """One fault, or one for each tier of the fleet where more of one are struck than of the other."""
    numbers = {name: number.default for name, number in RULES[kind].numbers.items() if number.default is not None}
    numbers |= _NUMBERS.get(kind, {})
    first_s = min(3.0, duration_s / 4)
    begins, lasts_s, share = _TIMES.get(kind, (0.0, duration_s, 1.0))
    start_s = max(first_s, begins * duration_s)
    for_s = min(lasts_s, share * duration_s, duration_s - 1 - start_s)
    if kind not in _SHARES:
        sensor_share = _SENSOR_SHARE if RULES[kind].strikes is Strikes.SENSORS else 1.0
        return [Fault(f"chaos: {kind}", kind, start_s, for_s, sensor_share=sensor_share, numbers=numbers)]
    halves = kind in (Kind.POWER_CUT, Kind.NETWORK_PARTITION)
    shares = {"real": 0.5 if halves else 1.0, "in-process": _SHARES[kind]}
    faults = [
        Fault(f"chaos: {kind}, {tier}", kind, start_s, for_s, tier, shares[tier], numbers=numbers) for tier in tiers
    ]
    if kind is not Kind.CLOCK_STEP:
        return faults
    back_s = start_s + for_s + 0.01 * duration_s  # forward first, then back, on gateways that the lot chooses anew
    return [
        *(replace(fault, name=f"{fault.name}, forward") for fault in faults),
        *(
            replace(
                fault,
                name=f"{fault.name}, back",
                start_s=back_s,
                duration_s=min(for_s, duration_s - 1 - back_s),
                numbers={"step_ms": -fault.numbers["step_ms"]},
            )
            for fault in faults
        ),
    ]
