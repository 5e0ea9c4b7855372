"""What becomes of suspicions: which pairs across gateways raise one, which are one blockage, and which are confirmed.

A suspicion is a gateway's, or comes from the judgement of a pair that no gateway sees whole (pairs.py). Decision 060
has the rules and what they are worth. What is open stands in the alerts table; what is judged, and whether it is part
of others' incidents, in the judge's memory. An event that is told again has the id that it had.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cloud.functions.sweep.pairs import PairJudge, RoadSegment
from cloud.functions.sweep.pairs_stretch import PairChange
from roadside.contract.bus import IncidentNotice, IncidentNoticeKind, cloud_event_id
from roadside.contract.summary import WindowSummary

LATELY_MS: Final = 75_000  # windows that begin within it tell how traffic flows now
STANDING_MS: Final = 60_000  # a suspicion that is gone sooner is not confirmed
FREE_SHARE: Final = 0.65  # of free flow, past what blocks
ONE_BLOCKAGE_STATIONS: Final = 3  # suspicions so close together are one
LONGEST_MS: Final = 70 * 60_000  # a detector gives up after an hour; what is open for longer, nobody has cleared


@dataclass(frozen=True, slots=True)
class Passage:
    """Vehicles with a speed that passed a segment lately, and the sum of their paces."""

    vehicles: int = 0
    pace_sum_ms_per_km: int = 0

    @property
    def speed_kmh(self) -> float | None:
        """Space mean; None where no vehicle passed."""
        return self.vehicles * 3_600_000 / self.pace_sum_ms_per_km if self.vehicles else None


def passages(windows: Iterable[WindowSummary], now_ms: int) -> dict[int, Passage]:
    """What passed each segment lately, by these windows, each of which is told once."""
    passed: dict[int, Passage] = {}
    for window in windows:
        for segment in window.segments if window.window_start_ms >= now_ms - LATELY_MS else ():
            sum_so_far = passed.get(segment.number, Passage())
            passed[segment.number] = Passage(
                sum_so_far.vehicles + segment.sketch.vehicle_count,
                sum_so_far.pace_sum_ms_per_km + segment.pace_sum_ms_per_km,
            )
    return passed


class Road:
    """Which freeway segment follows which, whatever gateways they are on."""

    def __init__(self, segments: Iterable[RoadSegment]) -> None:
        self._freeway = {segment.segment: segment for segment in segments if segment.road_class == "freeway"}
        self._ahead = {number: self._followed(number) for number in self._freeway}

    def past(self, segment: int) -> RoadSegment | None:
        """The freeway segment that traffic drives into next."""
        here = self._freeway.get(segment)
        return None if here is None or here.downstream is None else self._freeway.get(here.downstream)

    def stations_between(self, one: int, other: int) -> int | None:
        """How many stations the one is from the other, in either direction; None beyond ONE_BLOCKAGE_STATIONS."""
        ways = ((self._ahead.get(one, [one]), other), (self._ahead.get(other, [other]), one))
        return min((ahead.index(there) for ahead, there in ways if there in ahead), default=None)

    def _followed(self, segment: int) -> list[int]:
        road = [segment]
        while len(road) <= ONE_BLOCKAGE_STATIONS and (past := self.past(road[-1])) is not None:
            road.append(past.segment)
        return road


def notices(
    road: Road,
    judge: PairJudge,
    open_incidents: Sequence[IncidentNotice],
    passed: Mapping[int, Passage],
    now_ms: int,
) -> list[IncidentNotice]:
    """What there is to tell at the instant of a pass. Told again it changes nothing.

    Parameters
    ----------
    open_incidents : the suspicions that go on, of gateways and of the cloud, as they were announced
    passed : of the last minute
    """
    standing = {change.here.number: change for change in judge.standing()}
    told = [_cleared(incident, now_ms) for incident in open_incidents if _is_over(incident, standing)]
    over = {(incident.segment_number, incident.started_ms) for incident in told}
    going_on = [
        each
        for each in open_incidents
        if (each.segment_number, each.started_ms) not in over and now_ms - each.started_ms < LONGEST_MS
    ]
    for change in sorted(standing.values(), key=_age):
        if change.absorbed or _is_own(change, going_on):
            continue
        if any(road.stations_between(change.here.number, each.segment_number) is not None for each in going_on):
            judge.absorb(change.here.number)
        else:
            suspicion = _suspicion(change)
            told.append(suspicion)
            going_on.append(suspicion)
    seen = {each.segment_number for each in going_on} | set(standing)
    for incident in _one_of_each_blockage(road, going_on):
        if now_ms - incident.started_ms >= STANDING_MS and _is_backed(road, judge, standing, incident, seen, passed):
            told.append(_confirmed(road, incident, passed, now_ms))
    return told


def _is_over(incident: IncidentNotice, standing: Mapping[int, PairChange]) -> bool:
    """Whether it is a suspicion of the cloud's own that the judge no longer has; gateways clear theirs themselves."""
    if incident.event_id != _event_id("IncidentSuspected", incident):
        return False
    alert = standing.get(incident.segment_number)
    return alert is None or alert.started_ms != incident.started_ms


def _one_of_each_blockage(road: Road, incidents: Sequence[IncidentNotice]) -> Iterator[IncidentNotice]:
    """The first suspicion of each group that is close together, on however many gateways."""
    firsts: list[IncidentNotice] = []
    for incident in sorted(incidents, key=lambda each: (each.started_ms, each.segment_number)):
        if all(road.stations_between(incident.segment_number, each.segment_number) is None for each in firsts):
            firsts.append(incident)
            yield incident


def _is_backed(
    road: Road,
    judge: PairJudge,
    alerted: Collection[int],
    incident: IncidentNotice,
    seen: Collection[int],
    passed: Mapping[int, Passage],
) -> bool:
    """Whether a neighbouring pair sees it too; or traffic flows past it, and who sees beyond the border agrees."""
    here = incident.segment_number
    if any(road.stations_between(here, other) == 1 for other in seen):
        return True
    past = road.past(here)
    speed_kmh = passed.get(past.segment, Passage()).speed_kmh if past is not None else None
    if past is None or speed_kmh is None or speed_kmh < FREE_SHARE * past.free_flow_kmh:
        return False
    return here not in judge.pairs or here in alerted


def _is_own(change: PairChange, going_on: Sequence[IncidentNotice]) -> bool:
    """Whether the alert has been told already, and goes on."""
    event_id = _suspicion(change).event_id
    return any(each.event_id == event_id for each in going_on)


def _age(change: PairChange) -> tuple[int, int]:
    return change.started_ms, change.here.number


def _suspicion(change: PairChange) -> IncidentNotice:
    return IncidentNotice(
        kind="IncidentSuspected",
        event_id=cloud_event_id(change.here.gateway, "IncidentSuspected", change.here.number, change.started_ms),
        gateway=change.here.gateway,
        segment_id=change.here.segment_id,
        segment_number=change.here.number,
        downstream_segment_number=change.past.number,
        downstream_gateway=change.past.gateway,
        occurred_ms=change.occurred_ms,
        started_ms=change.started_ms,
        average_speed_kmh=round(change.speed_kmh, 1),
        downstream_speed_kmh=round(change.downstream_speed_kmh, 1),
        occupancy=None if change.occupancy is None else round(change.occupancy, 3),
        score=round(change.score, 2),
    )


def _cleared(incident: IncidentNotice, now_ms: int) -> IncidentNotice:
    event_id = _event_id("IncidentCleared", incident)
    return replace(incident, kind="IncidentCleared", event_id=event_id, occurred_ms=now_ms)


def _confirmed(road: Road, incident: IncidentNotice, passed: Mapping[int, Passage], now_ms: int) -> IncidentNotice:
    past = road.past(incident.segment_number)
    return replace(
        incident,
        kind="IncidentConfirmed",
        event_id=_event_id("IncidentConfirmed", incident),
        occurred_ms=now_ms,
        average_speed_kmh=_rounded(passed.get(incident.segment_number)),
        downstream_speed_kmh=_rounded(passed.get(past.segment) if past is not None else None),
    )


def _event_id(kind: IncidentNoticeKind, incident: IncidentNotice) -> str:
    return cloud_event_id(incident.gateway, kind, incident.segment_number, incident.started_ms)


def _rounded(passage: Passage | None) -> float | None:
    speed_kmh = passage.speed_kmh if passage is not None else None
    return None if speed_kmh is None else round(speed_kmh, 1)
