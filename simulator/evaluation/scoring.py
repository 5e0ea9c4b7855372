"""How alerts and states of freeways compare with the truth: counts, which add over days and seeds. Pure.

Stations are counted along their road in driving direction; k is the last station before an incident.

alert     Events of one queue are one alert: an event told within ten minutes of an alert's end, at most three stations
          from that alert's last event, belongs to it. The alert keeps the time and place of its first event.
detected  An incident is, by the first alert told at a station from k - 2 to k + 1, from its start until a minute after
          its end. The time to detect it is that alert's, less the start.
false     An alert is, unless it detects an incident or tells of an incident's queue or wave: at a station from k - 8 to
          k + 1, from the start until ten minutes after the end. What stands already when an incident begins detects
          nothing.
visible   An incident is, whose own segment or the one before is slower than 60 km/h for two minutes while it lasts.
          What nobody can see counts as missed all the same; the share of the visible is told beside.
state     Minute by minute and station by station: congested in truth where the space mean speed of all vehicles is
          below 0.6 of free flow (without vehicles it is not). The answer is the last one known at the minute's end, and
          a window's state is known at its end; it holds for five minutes, then the answer is "not congested".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.evaluation.labels import MINUTE_S, Labels, TrueIncident

UPSTREAM, DOWNSTREAM = 2, 1  # stations from k, of an alert that detects
WAVE_UPSTREAM: Final = 8
AFTER_END_S: Final = 60.0
WAVE_AFTER_END_S: Final = 600.0
MERGED_WITHIN_S: Final = 600.0
MERGED_STATIONS: Final = 3
VISIBLE_KMH: Final = 60.0
VISIBLE_MINUTES: Final = 2
CONGESTED_SHARE: Final = 0.6
STATE_HOLDS_S: Final = 300.0


class Told(NamedTuple):
    """An event of an incident, as somebody heard of it; epoch seconds."""

    segment_id: str
    detected_s: float
    ended_s: float | None


@dataclass(frozen=True, slots=True, eq=False)
class StatesTold:
    """The states of one segment's windows: when each was known, epoch seconds and ascending, and what it was."""

    known_s: npt.NDArray[np.float64]
    congested: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of one day, or of many.

    Attributes
    ----------
    times_to_detect_s : one for each incident detected, in the order of the incidents
    events, false_events : before events of one queue are made one alert
    right, wrong, missed : minutes congested in both, in the answer alone, in the truth alone
    """

    station_hours: float = 0.0
    incidents: int = 0
    visible: int = 0
    detected: int = 0
    visible_detected: int = 0
    times_to_detect_s: tuple[float, ...] = ()
    alerts: int = 0
    false_alerts: int = 0
    events: int = 0
    false_events: int = 0
    station_minutes: int = 0
    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def detection_rate(self) -> float | None:
        return _share(self.detected, self.incidents)

    @property
    def false_alerts_per_station_hour(self) -> float | None:
        return _share(self.false_alerts, self.station_hours)

    def time_to_detect_s(self, quantile: float) -> float | None:
        return float(np.quantile(self.times_to_detect_s, quantile)) if self.times_to_detect_s else None

    @property
    def precision(self) -> float | None:
        return _share(self.right, self.right + self.wrong)

    @property
    def recall(self) -> float | None:
        return _share(self.right, self.right + self.missed)

    @property
    def f1(self) -> float | None:
        return _share(2 * self.right, 2 * self.right + self.wrong + self.missed)


def total(scores: Sequence[Score]) -> Score:
    """All of them as one: every count added up."""
    times = tuple(chain.from_iterable(score.times_to_detect_s for score in scores))
    counts = {name: sum([getattr(score, name) for score in scores]) for name in _COUNTS}
    return Score(times_to_detect_s=times, **counts)


def score(labels: Labels, events: Iterable[Told], states: Mapping[str, StatesTold]) -> Score:
    """Events of other roads than the labels' are left out."""
    told = list(events)
    found = [_score_states(labels, states)]
    for road, segments in labels.roads.items():
        place = {segment: index for index, segment in enumerate(segments)}
        own = sorted(
            (event.detected_s, _end_s(event, labels), place[event.segment_id])
            for event in told
            if event.segment_id in place
        )
        incidents = [incident for incident in labels.incidents if incident.road == road]
        found.append(_score_road(labels, incidents, own))
    return total(found)


_COUNTS: Final = tuple(field.name for field in fields(Score) if field.name != "times_to_detect_s")


def _end_s(event: Told, labels: Labels) -> float:
    """What is still open lasts until the end; nothing ends before it was told."""
    return max(event.detected_s, labels.end_s if event.ended_s is None else event.ended_s)


@dataclass(slots=True)
class _Alert:
    """Events of one queue."""

    detected_s: float
    ended_s: float
    station: int
    last_station: int


def _score_road(labels: Labels, incidents: Sequence[TrueIncident], events: Sequence[tuple[float, float, int]]) -> Score:
    alerts = _merged(events)
    each = [_Alert(*event, event[-1]) for event in events]
    times = [_time_to_detect_s(incident, alerts) for incident in incidents]
    visible = [_is_visible(labels, incident) for incident in incidents]
    return Score(
        incidents=len(incidents),
        visible=sum(visible),
        detected=sum(time is not None for time in times),
        visible_detected=sum(time is not None and seen for time, seen in zip(times, visible, strict=True)),
        times_to_detect_s=tuple(time for time in times if time is not None),
        alerts=len(alerts),
        false_alerts=sum(_is_false(alert, incidents) for alert in alerts),
        events=len(each),
        false_events=sum(_is_false(event, incidents) for event in each),
    )


def _merged(events: Sequence[tuple[float, float, int]]) -> list[_Alert]:
    alerts: list[_Alert] = []
    for detected_s, ended_s, station in events:
        for alert in alerts:
            if detected_s <= alert.ended_s + MERGED_WITHIN_S and abs(station - alert.last_station) <= MERGED_STATIONS:
                alert.ended_s, alert.last_station = max(alert.ended_s, ended_s), station
                break
        else:
            alerts.append(_Alert(detected_s, ended_s, station, station))
    return alerts


def _detects(alert: _Alert, incident: TrueIncident, upstream: int, after_end_s: float) -> bool:
    return (
        incident.station - upstream <= alert.station <= incident.station + DOWNSTREAM
        and incident.start_s <= alert.detected_s <= incident.end_s + after_end_s
    )


def _time_to_detect_s(incident: TrueIncident, alerts: Sequence[_Alert]) -> float | None:
    times = [alert.detected_s for alert in alerts if _detects(alert, incident, UPSTREAM, AFTER_END_S)]
    return min(times) - incident.start_s if times else None


def _is_false(alert: _Alert, incidents: Sequence[TrueIncident]) -> bool:
    """An alert that detects lies within the queue's bounds as well."""
    return not any(_detects(alert, incident, WAVE_UPSTREAM, WAVE_AFTER_END_S) for incident in incidents)


def _is_visible(labels: Labels, incident: TrueIncident) -> bool:
    stations = labels.stations
    columns = [stations.index(segment) for segment in incident.segments]
    during = (labels.minutes_s > incident.start_s - MINUTE_S) & (labels.minutes_s <= incident.end_s)
    slow = labels.speed_kmh[during][:, columns] < VISIBLE_KMH  # NaN is not
    return int(slow.any(axis=1).sum()) >= VISIBLE_MINUTES


def _score_states(labels: Labels, states: Mapping[str, StatesTold]) -> Score:
    truth = labels.speed_kmh < CONGESTED_SHARE * labels.free_flow_kmh  # NaN is not
    answer = np.zeros_like(truth)
    minute_ends_s = labels.minutes_s + MINUTE_S
    for column, segment in enumerate(labels.stations):
        told = states.get(segment)
        if told is None or not told.known_s.size:
            continue
        last = np.searchsorted(told.known_s, minute_ends_s + 1e-6, side="right") - 1
        age_s = minute_ends_s - told.known_s[np.maximum(last, 0)]
        answer[:, column] = (last >= 0) & (age_s <= STATE_HOLDS_S) & told.congested[np.maximum(last, 0)]
    return Score(
        station_hours=labels.station_hours,
        station_minutes=truth.size,
        right=int((answer & truth).sum()),
        wrong=int((answer & ~truth).sum()),
        missed=int((~answer & truth).sum()),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
