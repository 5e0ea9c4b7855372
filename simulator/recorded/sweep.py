"""The cloud's minutely pass over the windows of a replay: what lies on more than one gateway is judged here."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from aggregator.profile_file import LearnedProfile
from cloud.functions.sweep.incidents import LATELY_MS, Road, notices, passages
from cloud.functions.sweep.pairs import PairJudge, RoadSegment
from cloud.functions.sweep.pairs_timeline import PATIENCE_MS
from roadside.contract.bus import IncidentNotice, from_gateway
from roadside.contract.events import Event
from roadside.contract.summary import WindowSummary
from simulator.recorded.recording import RecordedGateway, iso

PASS_MS: Final = 60_000

AlertKind = Literal["congestion", "incident"]


class Alert(NamedTuple):
    """Something that began, was told at `detected_ms`, and ended, unless it still goes on."""

    event_id: str
    kind: AlertKind
    segment_id: str
    started_ms: int
    ended_ms: int | None
    detected_ms: int


class ReplaySweep:
    """Takes windows and events when the cloud has them, and makes a pass once a minute of data time.

    Attributes
    ----------
    told : by event_id, what the passes had to tell, with the instant of the pass
    """

    def __init__(self, gateways: Sequence[RecordedGateway], profile: LearnedProfile | None) -> None:
        segments = [
            RoadSegment(
                segment=segment.number,
                segment_id=segment.id,
                gateway=gateway.gateway_id,
                road_class=segment.road_class,
                free_flow_kmh=segment.free_flow_kmh,
                downstream=segment.downstream,
            )
            for gateway in gateways
            for segment in gateway.segments
        ]
        self.told: dict[str, tuple[int, IncidentNotice]] = {}
        self._judge = PairJudge(segments)
        for segment_id, learned in (profile.segments if profile is not None else {}).items():
            self._judge.teach(segment_id, (learned.first_quarter, learned.days))
        self._road = Road(segments)
        self._open: dict[tuple[int, int], IncidentNotice] = {}  # by segment and start
        self._lately: list[WindowSummary] = []
        self._next_pass_ms: int | None = None

    def take_window(self, window: WindowSummary) -> None:
        self._judge.take([window])
        if not window.revision:
            self._lately.append(window)

    def take_event(self, event: Event) -> None:
        notice = from_gateway(event)
        if isinstance(notice, IncidentNotice):
            self._follow(notice)

    def pass_if_due(self, now_ms: int) -> None:
        """Make the passes that are due by now."""
        if self._next_pass_ms is None:
            self._next_pass_ms = now_ms - now_ms % PASS_MS + PASS_MS
        while self._next_pass_ms <= now_ms:
            self._pass(self._next_pass_ms)
            self._next_pass_ms += PASS_MS

    def finish(self, now_ms: int) -> None:
        """Nothing more comes: wait until every window has been judged."""
        self.pass_if_due(now_ms + PATIENCE_MS + 2 * PASS_MS)

    def alerts(self) -> Iterator[Alert]:
        """Each suspicion of the cloud's own with its end."""
        notices = self.told.values()
        ends = {(n.segment_number, n.started_ms): told_ms for told_ms, n in notices if n.kind == "IncidentCleared"}
        for told_ms, notice in notices:
            if notice.kind == "IncidentSuspected":
                ended_ms = ends.get((notice.segment_number, notice.started_ms))
                yield Alert(notice.event_id, "incident", notice.segment_id, notice.started_ms, ended_ms, told_ms)

    def confirmation_rows(self) -> Iterator[tuple[str, ...]]:
        """Which suspicions were confirmed, and when."""
        for told_ms, notice in self.told.values():
            if notice.kind == "IncidentConfirmed":
                yield notice.event_id, notice.segment_id, iso(notice.started_ms), iso(told_ms)

    def _pass(self, now_ms: int) -> None:
        self._judge.judge(now_ms)
        for notice in notices(self._road, self._judge, [*self._open.values()], passages(self._lately, now_ms), now_ms):
            if notice.event_id not in self.told:
                self.told[notice.event_id] = now_ms, notice
                self._follow(notice)
        self._lately = [window for window in self._lately if window.window_start_ms >= now_ms - LATELY_MS]

    def _follow(self, notice: IncidentNotice) -> None:
        key = notice.segment_number, notice.started_ms
        if notice.kind == "IncidentSuspected":
            self._open[key] = notice
        elif notice.kind == "IncidentCleared":
            self._open.pop(key, None)
