"""The conductor of chaos: each act once, in order, at the pace of the readings, and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from simulator.faults.conductor import ChaosConductor
from simulator.faults.network import Network
from simulator.faults.schedule import Act, Chaos
from simulator.fleet.fleet import Fleet
from simulator.fleet.pace import Pace


@dataclass
class Place:
    """A gateway, or the network: notes what is done to it."""

    name: str
    done: list[str] = field(default_factory=list)

    def __getattr__(self, doing: str) -> Any:
        return lambda *arguments: self.done.append(" ".join([doing, *map(str, arguments)]))

    @property
    def plan(self) -> SimpleNamespace:
        return SimpleNamespace(gateway_id=self.name)


def conductor(acts: list[Act], *, fed_s: float, running_s: float) -> tuple[ChaosConductor, list[Place], Place, Any]:
    places = [Place("gw-0"), Place("gw-1")]
    network = Place("network")
    pace = Pace()
    fleet = SimpleNamespace(real=places, gateways=places, fed_s=fed_s, pace=pace)
    told: list[str] = []
    start_s = pace.now_s() - running_s
    made = ChaosConductor(acts, cast("Fleet", fleet), cast("Network", network), start_s, told.append)
    return made, places, network, (fleet, told)


ACTS = [
    Act(1.0, Chaos.KILL_GATEWAY, 0),
    Act(2.0, Chaos.CLOUD_OUTAGE),
    Act(3.0, Chaos.CLOCK_STEP, 1, by_ms=-3_600_000),
    Act(4.0, Chaos.CLOUD_OUTAGE, begins=False),
    Act(5.0, Chaos.CLOCK_STEP, 1, begins=False, by_ms=3_600_000),
    Act(6.0, Chaos.IPC_DROP, 1),
]


def test_what_is_due_is_done_once_and_in_order_and_told() -> None:
    chaos, places, network, (_, told) = conductor(ACTS, fed_s=100, running_s=100)
    chaos.act()
    chaos.act()
    assert places[0].done == ["kill"]
    assert places[1].done == ["step_clock -3600000", "step_clock 0", "drop_ipc"]
    assert network.done == ["cut", "mend"]
    assert [(entry["fault"], entry["gateway"]) for entry in chaos.happened] == [
        (str(act.fault), "all" if act.gateway is None else f"gw-{act.gateway}") for act in ACTS
    ]
    assert chaos.counts() == {"kill-gateway": 1, "cloud-outage": 1, "clock-step": 1, "ipc-drop": 1}
    assert len(told) == len(ACTS)


def test_on_a_machine_that_is_behind_the_readings_set_the_pace() -> None:
    chaos, places, _, (fleet, _) = conductor(ACTS, fed_s=2.5, running_s=100)
    chaos.act()
    assert [entry["at_s"] for entry in chaos.happened] == [2.5, 2.5]
    fleet.fed_s = 3.5
    chaos.act()
    assert places[1].done == ["step_clock -3600000"]


def test_nothing_is_done_before_its_time() -> None:
    chaos, places, network, _ = conductor(ACTS, fed_s=100, running_s=0)
    chaos.act()
    assert [places[0].done, places[1].done, network.done] == [[], [], []]
    assert chaos.happened == []


def test_what_cannot_be_done_is_said() -> None:
    chaos, *_ = conductor([Act(0.0, Chaos.DISORDER)], fed_s=1, running_s=1)
    with pytest.raises(ValueError, match="nothing here can do that"):
        chaos.act()
