"""A scenario on the roads of a city: which conditions and how much demand there are at any instant of the run.

Instants are seconds after the start of the run; the warm-up before it has negative ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from roadside.traffic import Network
from simulator.city.incidents import CityIncident
from simulator.city.layout import City, SegmentPlan
from simulator.city.scenario import Scenario, ScenarioError, seconds_of

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Conditions:
    """Weather in force from `start_s` up to `end_s` in some cells."""

    start_s: float
    end_s: float
    cells: Mask
    free_flow_share: float
    capacity_share: float


@dataclass(frozen=True, slots=True, eq=False)
class _DemandChange:
    """A factor on the demand of some entries and on-ramps, rising and falling within `rise_s`."""

    start_s: float
    end_s: float
    rise_s: float
    factor: float
    corridors: Mask
    cells: Mask

    def factor_at(self, time_s: float) -> float:
        inside_s = min(time_s - self.start_s, self.end_s - time_s)
        share = 1.0 if self.rise_s == 0.0 else min(inside_s / self.rise_s, 1.0)
        return 1.0 + (self.factor - 1.0) * share


class Staging:
    """What a scenario does to a city.

    Attributes
    ----------
    incidents : those that the scenario plans, and its closures

    Raises
    ------
    ScenarioError
        with every district and segment that the city does not have, and lanes that its segments do not have.
    """

    def __init__(self, scenario: Scenario, city: City) -> None:
        self.scenario = scenario
        self.start_time_of_day_s = seconds_of(scenario.start_time_of_day)
        self._city = city
        self._segments = {segment.segment_id: segment for segment in city.segments()}
        self._cells_of_district = _cells_of_districts(city)
        faults = tuple(self._faults())
        if faults:
            raise ScenarioError(f"scenario {scenario.name!r}", faults)
        self.incidents = tuple(self._incidents())
        self._weather = [
            _Conditions(*spell.span_s(self.start_time_of_day_s), self._cells(spell.districts), *spell.shares)
            for spell in scenario.weather
        ]
        self._changes = [*self._surges(), *self._diversions()]
        self._in_force: tuple[tuple[int, ...], Network] = ((), city.network)

    def network(self, time_s: float) -> Network:
        """The roads in the weather of that instant; the same object while the weather is the same."""
        spells = tuple(i for i, spell in enumerate(self._weather) if spell.start_s <= time_s < spell.end_s)
        if spells != self._in_force[0]:
            self._in_force = spells, self._in_weather(spells)
        return self._in_force[1]

    def demand_factors(self, time_s: float) -> tuple[FloatArray | None, FloatArray | None]:
        """Factors on the demand of entries, one per corridor, and of on-ramps, one per cell; None where it is usual."""
        under_way = [change for change in self._changes if change.start_s <= time_s < change.end_s]
        if not under_way:
            return None, None
        network = self._city.network
        entries, ramps = np.ones(network.corridor_count), np.ones(network.cell_count)
        for change in under_way:
            factor = change.factor_at(time_s)
            entries[change.corridors] *= factor
            ramps[change.cells] *= factor
        return entries, ramps

    def truth(self) -> dict[str, Any]:
        """What happens besides incidents, as plain values for a report; instants in seconds after the start."""

        def told(event: Any, **more: Any) -> dict[str, Any]:
            start_s, end_s = event.span_s(self.start_time_of_day_s)
            return {**more, "start_s": start_s, "end_s": end_s}

        return {
            "scenario": self.scenario.name,
            "start_time_of_day_s": self.start_time_of_day_s,
            "weather": [
                told(
                    spell,
                    kind=spell.kind,
                    districts=list(spell.districts),
                    free_flow_share=spell.shares[0],
                    capacity_share=spell.shares[1],
                )
                for spell in self.scenario.weather
            ],
            "surges": [
                told(surge, name=surge.name, at=surge.at, districts=list(surge.districts), factor=surge.factor)
                for surge in self.scenario.surge
            ],
            "closures": [
                told(closure, name=closure.name, segment_id=closure.segment, diverted_share=closure.diverted_share)
                for closure in self.scenario.closure
            ],
        }

    def _in_weather(self, spells: Iterable[int]) -> Network:
        """Of two spells over one cell the worse one counts, for speed and for capacity."""
        network = self._city.network
        free_flow, capacity = np.ones(network.cell_count), np.ones(network.cell_count)
        for spell in (self._weather[index] for index in spells):
            free_flow[spell.cells] = np.minimum(free_flow[spell.cells], spell.free_flow_share)
            capacity[spell.cells] = np.minimum(capacity[spell.cells], spell.capacity_share)
        return network.in_weather(free_flow, capacity)

    def _cells(self, districts: tuple[str, ...]) -> Mask:
        if not districts:
            return np.ones(self._city.network.cell_count, dtype=bool)
        covered: Mask = np.any([self._cells_of_district[district] for district in districts], axis=0)
        return covered

    def _surges(self) -> Iterator[_DemandChange]:
        network = self._city.network
        for surge in self.scenario.surge:
            cells = self._cells(surge.districts)
            yield _DemandChange(
                *surge.span_s(self.start_time_of_day_s),
                rise_s=60.0 * surge.rise_min,
                factor=surge.factor,
                corridors=cells[network.first_cell] & (surge.at != "on-ramps"),
                cells=cells & (surge.at != "entries"),
            )

    def _diversions(self) -> Iterator[_DemandChange]:
        """Those who stay away from a closed road: of its entry, and of its ramps upstream."""
        network = self._city.network
        for closure in self.scenario.closure:
            closed = self._city.segment_cells[self._segments[closure.segment].number][0]
            road = network.corridor_of_cell[closed]
            yield _DemandChange(
                *closure.span_s(self.start_time_of_day_s),
                rise_s=0.0,
                factor=1.0 - closure.diverted_share,
                corridors=np.arange(network.corridor_count) == road,
                cells=(network.corridor_of_cell == road) & (np.arange(network.cell_count) < closed),
            )

    def _incidents(self) -> Iterator[CityIncident]:
        for planned in self.scenario.incident:
            number = self._segments[planned.segment].number
            yield CityIncident(
                number, *planned.span_s(self.start_time_of_day_s), planned.lanes_blocked, cause="scenario"
            )
        for closure in self.scenario.closure:
            segment = self._segments[closure.segment]
            yield CityIncident(
                segment.number, *closure.span_s(self.start_time_of_day_s), segment.lanes, cause="closure"
            )

    def _faults(self) -> Iterator[str]:
        for table in ("weather", "surge"):
            for index, event in enumerate(getattr(self.scenario, table)):
                for district in event.districts:
                    if district not in self._cells_of_district:
                        known = ", ".join(sorted(self._cells_of_district))
                        yield f"{table}[{index}].districts = {district!r}: this city has {known}"
        for index, closure in enumerate(self.scenario.closure):
            if closure.segment not in self._segments:
                yield f"closure[{index}].segment = {closure.segment!r}: {self._advice(closure.segment)}"
        for index, incident in enumerate(self.scenario.incident):
            segment = self._segments.get(incident.segment)
            if segment is None:
                yield f"incident[{index}].segment = {incident.segment!r}: {self._advice(incident.segment)}"
            elif incident.lanes_blocked > segment.lanes:
                yield f"incident[{index}].lanes_blocked = {incident.lanes_blocked}: the segment has {segment.lanes}"

    def _advice(self, segment_id: str) -> str:
        """Which segments there are instead."""
        for gateway in self._city.gateways:
            if segment_id.startswith(f"{gateway.gateway_id}-"):
                return f"{gateway.gateway_id} has {_from_to(gateway.segments)}"
        first, last = self._city.gateways[0], self._city.gateways[-1]
        return (
            f"this city has gateways {first.gateway_id} to {last.gateway_id}, the first has {_from_to(first.segments)}"
        )


def _from_to(segments: tuple[SegmentPlan, ...]) -> str:
    return f"{segments[0].segment_id} to {segments[-1].segment_id}"


def _cells_of_districts(city: City) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for gateway in city.gateways:
        mask = masks.setdefault(gateway.district, np.zeros(city.network.cell_count, dtype=bool))
        for segment in gateway.segments:
            mask[slice(*city.segment_cells[segment.number])] = True
    return masks
