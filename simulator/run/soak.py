"""A run of hours: every part is restarted in turn, and the memory of every process is watched."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from simulator.faults.kinds import Kind
from simulator.faults.plan import Fault, FaultPlan
from simulator.faults.schedule import LEAST_DURATION_S
from simulator.fleet.fleet import Fleet
from simulator.run.leaks import Memory, Process
from simulator.run.options import RunOptions, TargetName
from simulator.run.target import Target

MEASURE_EVERY_S: Final = 5
RESTARTED_SHARE: Final = 0.6  # of the run; after that nothing is restarted, so that slopes are of lives long enough
LONGEST_SPACING_S: Final = 300.0
OUTAGE_S: Final = 10.0
FUNCTIONS: Final[Literal["restart-functions"]] = "restart-functions"
SIMULATOR_MB_PER_HOUR: Final = 60.0  # alerts, latencies, names of windows, rows of the recorder: what a report needs
GATEWAY_MB_PER_HOUR: Final = 10.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A part that is restarted at an instant of the run; FUNCTIONS, or a kind of fault, on gateways or on all."""

    at_s: float
    part: Kind | Literal["restart-functions"]
    gateways: tuple[int, ...] = ()


def turns(options: RunOptions) -> list[Turn]:
    """What is restarted when.

    The Aggregator of a gateway that is a process, of one in this process, a connection to the nucleus, every connection
    to the cloud, the cloud's functions; and again, with the next gateways, until `RESTARTED_SHARE` of the run is over.
    """
    real, others = options.gateways_real, options.gateways - options.gateways_real
    parts: list[tuple[Kind | Literal["restart-functions"], int, int]] = []  # part, first gateway, how many take turns
    if real:
        parts += [(Kind.GATEWAY_CRASH, 0, real), (Kind.IPC_DROP, 0, real)]
    if others:
        parts.append((Kind.GATEWAY_CRASH, real, others))
    if options.target is TargetName.LOCAL:
        parts += [(Kind.CLOUD_OUTAGE, 0, 0), (FUNCTIONS, 0, 0)]
    last_s = RESTARTED_SHARE * options.duration_s
    spacing_s = min(LONGEST_SPACING_S, last_s / len(parts))
    found = []
    for number in range(int(last_s / spacing_s + 1e-9)):
        part, first, count = parts[number % len(parts)]
        gateways = (first + number // len(parts) % count,) if count else ()
        found.append(Turn((number + 0.5) * spacing_s, part, gateways))
    return found


def restarts(options: RunOptions) -> FaultPlan:
    """Those of the turns that the conductor of faults carries out."""
    faults = []
    for number, turn in enumerate(turns(options), start=1):
        if turn.part == FUNCTIONS:
            continue
        kind, name = Kind(turn.part), f"turn {number} of the soak"
        if kind is Kind.CLOUD_OUTAGE:
            for_s = max(LEAST_DURATION_S, min(OUTAGE_S, options.duration_s / 20))
            faults.append(Fault(name, kind, turn.at_s, for_s))
        else:
            numbers = {"every_s": 0.0}
            faults.append(Fault(name, kind, turn.at_s, LEAST_DURATION_S, gateways=turn.gateways, numbers=numbers))
    return FaultPlan(tuple(faults), where="--hours")


class Soak:
    """Watches memory, and restarts the cloud's functions when it is their turn.

    Attributes
    ----------
    happened : what was restarted here, as the report tells faults
    """

    def __init__(self, options: RunOptions, fleet: Fleet, target: Target, tell: Callable[[str], None]) -> None:
        self.memory = Memory()
        self.happened: list[dict[str, Any]] = []
        self._due_s = [turn.at_s for turn in turns(options) if turn.part == FUNCTIONS] if options.soak else []
        self._fleet = fleet
        self._target = target
        self._tell = tell

    def on_second(self, second: int) -> None:
        if second % MEASURE_EVERY_S == 0:
            self.memory.measure(second, self._processes())
        while self._due_s and self._due_s[0] <= second:
            self._due_s.pop(0)
            ended = self._target.restart_functions()
            self.happened.append({"at_s": second, "fault": FUNCTIONS, "gateway": "cloud", "processes": ended})
            self._tell(f"{second:6.1f} s  {FUNCTIONS} cloud, {ended} processes")

    def _processes(self) -> dict[str, Process]:
        gateways = {
            real.plan.gateway_id: Process(pid, GATEWAY_MB_PER_HOUR)
            for real in self._fleet.real
            if (pid := real.pid) is not None
        }
        shards = {
            f"gateways, part {number}": Process(pid, SIMULATOR_MB_PER_HOUR)
            for number, pid in enumerate(self._fleet.shard_pids(), start=1)
        }
        own = Process(os.getpid(), SIMULATOR_MB_PER_HOUR)
        return {"simulator": own, **shards, **gateways, **self._target.processes()}
