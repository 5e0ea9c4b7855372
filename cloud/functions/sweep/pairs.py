"""Incidents between stations of which no gateway sees all: the pairs over a border, and those whose way on crosses one.

A gateway judges its own pairs; at its last one it cannot tell whether traffic flows on behind the border, and the one
over the border nobody owns. Both are judged here, once a minute, by the windows that the gateways have sent.
The judgement is deterministic: it follows from the windows and the instants of the passes, and what is repeated
after a crash finds the memory as it was.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloud.functions.sweep.pairs_profile import LearnedDays
from cloud.functions.sweep.pairs_rules import PairRules
from cloud.functions.sweep.pairs_stretch import PairChange, Station, Stretch
from cloud.functions.sweep.pairs_timeline import Timeline
from roadside.contract.summary import WindowSummary


@dataclass(frozen=True, slots=True)
class RoadSegment:
    """What the catalogue says of a segment that matters here, by the names of its columns."""

    segment: int
    segment_id: str
    gateway: str
    road_class: str
    free_flow_kmh: float
    downstream: int | None


class PairJudge:
    """All stretches of a city. `take` windows in any order and any number of times; then `judge` once a pass."""

    def __init__(self, segments: Iterable[RoadSegment], rules: PairRules | None = None) -> None:
        rules = rules or PairRules()
        self.stretches = [Stretch(stations, pairs, rules) for stations, pairs in stretches(segments)]
        self.timelines = [Timeline(stretch.stations) for stretch in self.stretches]
        self._timelines_of: dict[str, list[Timeline]] = {}
        for timeline in self.timelines:
            for gateway in timeline.waiting:
                self._timelines_of.setdefault(gateway, []).append(timeline)

    @property
    def gateways(self) -> frozenset[str]:
        """Those whose windows are wanted."""
        return frozenset(self._timelines_of)

    @property
    def learned(self) -> bool:
        """Whether a profile has changed since the last pass."""
        return any(profile.changed for stretch in self.stretches for profile in stretch.profiles)

    @property
    def pairs(self) -> frozenset[int]:
        """Numbers of the segments at which a judged pair begins."""
        return frozenset(station.number for stretch in self.stretches for station in stretch.stations[: stretch.pairs])

    def standing(self) -> list[PairChange]:
        """The alerts that are up, as they were raised, with the speeds of now."""
        return [change for stretch in self.stretches for change in stretch.standing()]

    def absorb(self, number: int) -> None:
        """The alert of the pair that begins there is part of an incident of others, for as long as it is up."""
        for stretch in self.stretches:
            stretch.absorb(number)

    def wants(self, gateway: str, start_ms: int, epoch_ms: int, revision: int) -> bool:
        """Whether such a window would change anything, for those who have not decoded it yet."""
        timelines = self._timelines_of.get(gateway, ())
        return any(timeline.wants(gateway, start_ms, epoch_ms, revision) for timeline in timelines)

    def take(self, windows: Iterable[WindowSummary]) -> None:
        """Let windows wait for the next pass; what is known of them already changes nothing."""
        for window in windows:
            for timeline in self._timelines_of.get(window.gateway, ()):
                timeline.take(window)

    def teach(self, segment_id: str, learned: LearnedDays) -> bool:
        """Let the pair that begins at a segment begin with days learned elsewhere; whether one does."""
        pairs = (pair for stretch in self.stretches for pair in zip(stretch.stations, stretch.profiles, strict=False))
        return any([profile.teach(learned) for station, profile in pairs if station.segment_id == segment_id])

    def judge(self, now_ms: int) -> list[PairChange]:
        """Judge what is due at the instant of a pass; the alerts raised and cleared by it."""
        changes: list[PairChange] = []
        for stretch, timeline in zip(self.stretches, self.timelines, strict=True):
            for step in timeline.steps(now_ms):
                stretch.skip(step.gap_ms)
                changes += stretch.step(step.told, step.end_ms, step.step_ms)
        return changes


def stretches(segments: Iterable[RoadSegment]) -> Iterator[tuple[Sequence[Station], int]]:
    """Stations in driving direction and the number of their judged pairs: neighbouring pairs share a stretch."""
    freeway = {segment.segment: segment for segment in segments if segment.road_class == "freeway"}
    crossing = {number for number in freeway if _crosses(number, freeway)}
    entered = {freeway[number].downstream for number in crossing}
    done: set[int] = set()
    for number in [*sorted(crossing - entered), *sorted(crossing)]:  # the latter for roads that are rings
        road = [number]
        while road[-1] in crossing - done:
            done.add(road[-1])
            road.append(freeway[road[-1]].downstream)  # type: ignore[arg-type]  # what crosses has one
        pairs = len(road) - 1
        if pairs:
            beyond = freeway[road[-1]].downstream
            yield [_station(freeway[here]) for here in [*road, *([beyond] if beyond in freeway else [])]], pairs


def _crosses(number: int, freeway: Mapping[int, RoadSegment]) -> bool:
    """Whether the pair that begins here, or the station past it, lies on more than one gateway."""
    here = freeway[number]
    past = freeway.get(here.downstream) if here.downstream is not None else None
    if past is None:
        return False
    beyond = freeway.get(past.downstream) if past.downstream is not None else None
    return past.gateway != here.gateway or (beyond is not None and beyond.gateway != here.gateway)


def _station(segment: RoadSegment) -> Station:
    return Station(segment.segment, segment.segment_id, segment.gateway, segment.free_flow_kmh)
