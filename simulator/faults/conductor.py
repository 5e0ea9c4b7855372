"""Carries out a schedule of faults on a running fleet, and keeps account of what it did and what came of it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from simulator.faults.kinds import Kind
from simulator.faults.plan import Fault
from simulator.faults.poison import poison
from simulator.faults.schedule import Act, Schedule, Struck

MEASURE_S: Final = 1.0
LATE_AFTER_MS: Final = 4000  # beyond the lateness that windows wait; in peace a window is stored sooner
REMEMBERED_WINDOWS: Final = 100  # of a gateway, when it is looked for what is not stored yet


class Gateway(Protocol):
    """What the conductor can do to a gateway. What it does at once returns how many readings that put at risk."""

    @property
    def gateway_id(self) -> str: ...

    @property
    def stored_starts_ms(self) -> Collection[int]:
        """Starts of the windows that the cloud has acknowledged."""
        ...

    @property
    def lost(self) -> int | None:
        """Readings that its ends have cost so far; None where nobody can tell yet."""
        ...

    def crash(self) -> int: ...

    def power_off(self) -> int: ...

    def power_on(self) -> None: ...

    def step_clock(self, offset_ms: int) -> None: ...

    def throttle(self, delay_ms: float | None) -> None: ...

    def poison(self, topic: str, payload: bytes) -> bool: ...


class RealGateway(Gateway, Protocol):
    """A gateway that is a process of its own, under a nucleus."""

    def drop_ipc(self) -> int: ...


class Fleet(Protocol):
    """The gateways in the order of the schedule, and how far their readings have come."""

    @property
    def gateways(self) -> Sequence[Gateway]: ...

    @property
    def real(self) -> Sequence[RealGateway]: ...

    @property
    def fed_s(self) -> float: ...

    @property
    def first_seconds(self) -> npt.NDArray[np.int64]:
        """From when the sensors of each gateway measure, int64 [gateways]."""
        ...


class Ways(Protocol):
    """The ways of the gateways to the cloud. `Network` is the one over TCP."""

    def cut(self, ways: Iterable[int]) -> None: ...

    def mend(self, ways: Iterable[int]) -> None: ...


@dataclass(slots=True)
class Record:
    """What was done for a fault, and what came of it. Times in seconds of the run.

    times : how often something was done: kills, cuts, messages of poison
    readings_at_risk : handed over within the second before an end, by gateway
    readings_lost : to those ends, of gateways that can tell at once
    back_after_s : from its end until all windows that had closed by then were stored; None if it never came to that
    """

    struck: Struck
    began_s: float | None = None
    ended_s: float | None = None
    times: int = 0
    acts_left: int = 0
    readings_at_risk: Counter[int] = field(default_factory=Counter)
    readings_lost: int = 0
    messages_taken: int = 0
    back_after_s: float | None = None
    windows_waiting_most: int = 0
    windows_late: set[tuple[int, int]] = field(default_factory=set)  # gateway, start


class Conductor:
    """Does what is due whenever it is asked. All on the thread that serves the fleet.

    Attributes
    ----------
    happened : what was done, in order, as the report tells it; `at_s` is when it was done, in seconds of readings
    records : by name of the fault
    """

    def __init__(
        self,
        schedule: Schedule,
        fleet: Fleet,
        ways: Ways | None,
        start_ms: int,
        *,
        window_ms: int,
        lateness_ms: int,
        now_s: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        self.happened: list[dict[str, Any]] = []
        self.records = {one.fault.name: Record(one) for one in schedule.struck}
        for act in schedule.acts:
            self.records[act.fault.name].acts_left += 1
        self._waiting = list(reversed(schedule.acts))
        self._done: list[Act] = []
        self._fleet = fleet
        self._ways = ways
        self._start_ms = start_ms
        self._window_ms = window_ms
        self._lateness_ms = lateness_ms
        self._tell = tell
        self._clock_s = now_s
        self._cuts: Counter[int] = Counter()  # by way, the faults that hold it cut
        self._offsets_ms: Counter[int] = Counter()  # by gateway, what all steps of its clock come to
        self._measured_s = 0.0

    def act(self) -> None:
        """Do what is due, in order.

        On a machine that is behind the readings set the pace, so that as many of them meet a fault as were to.
        """
        while self._waiting and self._now_s() >= self._waiting[-1].at_s:
            self._do_together(self._due_together())
        now_s = self._elapsed_s()
        if now_s >= self._measured_s + MEASURE_S:
            self._measured_s = now_s
            self._measure(now_s)

    def end(self) -> None:
        """Let nothing more begin, and end at once what has begun: the readings are over before their time."""
        begun = self._begun()
        self._waiting = [act for act in self._waiting if not act.begins and (act.fault.name, act.gateway) in begun]
        while self._waiting:
            self._do_together(self._due_together())

    def active(self) -> list[tuple[str, str]]:
        """What goes on at this moment and on whom; a kill or a lost connection is over at once."""
        lasting = {(act.fault.name, act.gateway) for act in self._waiting if not act.begins}
        on_whom: dict[str, list[int | None]] = defaultdict(list)
        for name, gateway in self._begun() & lasting:
            on_whom[name].append(gateway)
        return sorted((name, self._whom(gateways)) for name, gateways in on_whom.items())

    def _whom(self, gateways: Sequence[int | None]) -> str:
        return self._name(gateways[0]) if len(gateways) == 1 else f"{len(gateways)} gateways"

    def _begun(self) -> set[tuple[str, int | None]]:
        return {(act.fault.name, act.gateway) for act in self._done if act.begins}

    def counts(self) -> dict[str, int]:
        """How often each kind of fault began."""
        return dict(Counter(entry["fault"] for entry in self.happened if not entry.get("ends")))

    def _name(self, gateway: int | None) -> str:
        return "all" if gateway is None else self._fleet.gateways[gateway].gateway_id

    def _elapsed_s(self) -> float:
        return self._clock_s() - self._start_ms / 1000

    def _now_s(self) -> float:
        return min(self._elapsed_s(), self._fleet.fed_s)

    def _due_together(self) -> list[Act]:
        """The next act, and all of the same fault at the same instant."""
        acts = [self._waiting.pop()]
        first = acts[0]
        while self._waiting:
            following = self._waiting[-1]
            if (following.at_s, following.fault.name, following.begins) != (first.at_s, first.fault.name, first.begins):
                break
            acts.append(self._waiting.pop())
        return acts

    def _do_together(self, acts: list[Act]) -> None:
        record, fault, begins = self.records[acts[0].fault.name], acts[0].fault, acts[0].begins
        at_s = min(self._now_s(), self._elapsed_s())
        if fault.kind in (Kind.CLOUD_OUTAGE, Kind.NETWORK_PARTITION, Kind.POWER_CUT):
            self._switch_ways([way for act in acts for way in self._gateways_of(act)], on=not begins)
        for act in acts:
            for gateway in self._gateways_of(act):
                self._do_to(act, gateway, record)
        self._done += acts
        record.acts_left -= len(acts)
        if begins:
            record.times += len(acts)
            record.began_s = at_s if record.began_s is None else record.began_s
        if not record.acts_left:
            record.ended_s = self._elapsed_s()
        self._note(fault, acts, at_s, begins)

    def _gateways_of(self, act: Act) -> Sequence[int]:
        return range(len(self._fleet.gateways)) if act.gateway is None else (act.gateway,)

    def _do_to(self, act: Act, index: int, record: Record) -> None:
        gateway = self._fleet.gateways[index]
        lost = gateway.lost or 0
        at_risk = self._do(act, index, record)
        if at_risk:
            record.readings_at_risk[index] += at_risk
        record.readings_lost += (gateway.lost or 0) - lost

    def _do(self, act: Act, index: int, record: Record) -> int:
        """Do it to one gateway; how many readings it put at risk."""
        gateway = self._fleet.gateways[index]
        match act.fault.kind:
            case Kind.GATEWAY_CRASH:
                return gateway.crash()
            case Kind.IPC_DROP:
                return self._fleet.real[index].drop_ipc()
            case Kind.POWER_CUT:
                if act.begins:
                    return gateway.power_off()
                gateway.power_on()
            case Kind.THROTTLING:
                gateway.throttle(act.fault.numbers["delay_ms"] if act.begins else None)
            case Kind.CLOCK_STEP:
                self._offsets_ms[index] += int(act.fault.numbers["step_ms"]) * (1 if act.begins else -1)
                gateway.step_clock(self._offsets_ms[index])
            case Kind.POISON:
                record.messages_taken += gateway.poison(*poison(act.number))
            case Kind.CLOUD_OUTAGE | Kind.NETWORK_PARTITION:
                pass  # it was their ways that were switched
            case _:
                raise ValueError(f"{act}: nothing here can do that")
        return 0

    def _switch_ways(self, ways: list[int], *, on: bool) -> None:
        """A way is open while no fault holds it cut."""
        if self._ways is None:
            raise ValueError("the ways to this cloud cannot be cut")
        self._cuts.update(dict.fromkeys(ways, -1 if on else 1))
        switched = [way for way in ways if self._cuts[way] == (0 if on else 1)]
        (self._ways.mend if on else self._ways.cut)(switched)

    def _measure(self, now_s: float) -> None:
        """See what is late of the gateways of each fault that goes on, or is not got over yet."""
        late: dict[int, set[int]] = {}
        for record in self.records.values():
            if record.began_s is None or record.back_after_s is not None:
                continue
            gateways = record.struck.gateways
            for index in gateways:
                if index not in late:
                    late[index] = self._missing_starts_ms(index, now_s - LATE_AFTER_MS / 1000)
            waiting = {(index, start_ms) for index in gateways for start_ms in late[index]}
            record.windows_late |= waiting
            record.windows_waiting_most = max(record.windows_waiting_most, len(waiting))
            if record.ended_s is None or waiting:
                continue
            if not any(self._missing_starts_ms(index, record.ended_s) for index in gateways):
                record.back_after_s = max(0.0, now_s - record.ended_s)

    def _missing_starts_ms(self, index: int, closed_by_s: float) -> set[int]:
        """Windows of a gateway that closed by then and are not stored yet."""
        due_ms = int(1000 * min(closed_by_s, self._fleet.fed_s)) + self._start_ms - self._lateness_ms
        begins_ms = self._start_ms + 1000 * int(self._fleet.first_seconds[index])
        first_ms = begins_ms // self._window_ms * self._window_ms
        last_ms = due_ms // self._window_ms * self._window_ms - self._window_ms
        first_ms = max(first_ms, last_ms - REMEMBERED_WINDOWS * self._window_ms)
        stored = self._fleet.gateways[index].stored_starts_ms
        return {start for start in range(first_ms, last_ms + 1, self._window_ms) if start not in stored}

    def _note(self, fault: Fault, acts: list[Act], at_s: float, begins: bool) -> None:
        """An entry for each gateway; a line for people, but for poison, of which there is plenty."""
        for act in acts:
            name = self._name(act.gateway)
            entry: dict[str, Any] = {
                "at_s": round(at_s, 2),
                "fault": str(fault.kind),
                "name": fault.name,
                "gateway": name,
            }
            if not begins:
                entry["ends"] = True
            self.happened.append(entry)
        if fault.kind is not Kind.POISON:
            whom = self._whom([act.gateway for act in acts])
            self._tell(f"{at_s:6.1f} s  {fault.name}: {fault.kind} {whom}{'' if begins else ' ends'}")
