"""Carries out a schedule of faults on a running fleet, and keeps account of what happened."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from simulator.faults.network import Network
from simulator.faults.schedule import Act, Chaos
from simulator.fleet.fleet import Fleet


class ChaosConductor:
    """Does what is due whenever it is asked. All on the thread that serves the fleet.

    Attributes
    ----------
    happened : what was done, in order, as the report tells it; `at_s` is when it was done, in seconds of readings
    """

    def __init__(
        self,
        acts: Sequence[Act],
        fleet: Fleet,
        network: Network | None,
        start_s: float,
        tell: Callable[[str], None],
    ) -> None:
        self.happened: list[dict[str, Any]] = []
        self._waiting = list(acts)
        self._fleet = fleet
        self._network = network
        self._start_s = start_s
        self._tell = tell

    def act(self) -> None:
        """Do what is due, in order.

        On a machine that is behind the readings set the pace, so that as many of them meet a fault as were to.
        """
        while self._waiting and self._now_s() >= self._waiting[0].at_s:
            act = self._waiting.pop(0)
            at_s = self._now_s()
            self._do(act)
            self._note(act, min(at_s, self._fleet.pace.now_s() - self._start_s))

    def end(self) -> None:
        """Let nothing more begin, and end at once what has begun: the readings are over before their time."""
        begun = self.active()
        for act in self._waiting:
            if not act.begins and (act.fault, self._name(act)) in begun:
                self._do(act)
                self._note(act, self._now_s())
        self._waiting.clear()

    def active(self) -> list[tuple[str, str]]:
        """What goes on at this moment, by fault and gateway; a kill or a lost connection is over at once."""
        lasting = {(act.fault, self._name(act)) for act in self._waiting if not act.begins}
        begun = [(entry["fault"], entry["gateway"]) for entry in self.happened if not entry.get("ends")]
        return sorted({each for each in begun if each in lasting})

    def _name(self, act: Act) -> str:
        return "all" if act.gateway is None else self._fleet.gateways[act.gateway].plan.gateway_id

    def _now_s(self) -> float:
        return min(self._fleet.pace.now_s() - self._start_s, self._fleet.fed_s)

    def counts(self) -> dict[str, int]:
        """How often each kind of fault began."""
        return dict(Counter(entry["fault"] for entry in self.happened if not entry.get("ends")))

    def _do(self, act: Act) -> None:
        match act.fault:
            case Chaos.KILL_GATEWAY if act.gateway is not None:
                self._fleet.real[act.gateway].kill()
            case Chaos.IPC_DROP if act.gateway is not None:
                self._fleet.real[act.gateway].drop_ipc()
            case Chaos.UPLINK_FULL if act.gateway is not None:
                self._fleet.real[act.gateway].nucleus.faults.spool_full = act.begins
            case Chaos.CLOCK_STEP if act.gateway is not None:
                self._fleet.gateways[act.gateway].step_clock(act.by_ms if act.begins else 0)
            case Chaos.CLOUD_OUTAGE if self._network is not None:
                if act.begins:
                    self._network.cut()
                else:
                    self._network.mend()
            case _:
                raise ValueError(f"{act}: nothing here can do that")

    def _note(self, act: Act, at_s: float) -> None:
        name = self._name(act)
        entry: dict[str, Any] = {"at_s": round(at_s, 2), "fault": str(act.fault), "gateway": name}
        words = f"{act.fault} {name}"
        if act.by_ms:
            entry["by_ms"] = act.by_ms
            words += f" {act.by_ms:+d} ms"
        if not act.begins:
            entry["ends"] = True
            words += " ends"
        self.happened.append(entry)
        # A clock steps on every other gateway of a city; only those are told that are processes.
        if act.fault is not Chaos.CLOCK_STEP or (act.gateway or 0) < len(self._fleet.real):
            self._tell(f"{at_s:6.1f} s  {words}")
