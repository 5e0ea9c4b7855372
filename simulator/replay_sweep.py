"""The cloud's minutely pass over the windows of a replay: what lies on more than one gateway is judged here."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from aggregator.profile_file import LearnedProfile, SegmentProfile
from cloud.functions.sweep.pairs import PairJudge, RoadSegment
from cloud.functions.sweep.pairs_profile import BINS, UNKNOWN
from cloud.functions.sweep.pairs_stretch import PairChange
from cloud.functions.sweep.pairs_timeline import PATIENCE_MS
from roadside.contract.summary import WindowSummary
from simulator.recording import RecordedGateway, iso

PASS_MS: Final = 60_000


class ReplaySweep:
    """Takes every edition of every window when the cloud has it, and judges once a minute of data time."""

    def __init__(self, gateways: Sequence[RecordedGateway], profile: LearnedProfile | None) -> None:
        self.judge = PairJudge(
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
        )
        for segment_id, learned in (profile.segments if profile is not None else {}).items():
            self.judge.teach(segment_id, _dense(learned))
        self.changes: list[tuple[int, PairChange]] = []  # with the instant of the pass that told it
        self._next_pass_ms: int | None = None

    def take(self, window: WindowSummary) -> None:
        self.judge.take([window])

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

    def event_rows(self) -> Iterator[tuple[str, ...]]:
        """Each alert with its end, as in events.csv."""
        ends = {(c.here.number, c.started_ms): told_ms for told_ms, c in self.changes if not c.detected}
        for told_ms, change in self.changes:
            if change.detected:
                end_ms = ends.get((change.here.number, change.started_ms))
                yield (
                    f"sweep:{change.here.number}:{change.started_ms}", "incident", change.here.segment_id,
                    iso(change.started_ms), "" if end_ms is None else iso(end_ms), iso(told_ms),
                )  # fmt: skip

    def _pass(self, now_ms: int) -> None:
        self.changes += [(now_ms, change) for change in self.judge.changes(now_ms)]


def _dense(learned: SegmentProfile) -> "list[array[int]]":
    days = []
    for known in learned.days:
        day = array("b", [UNKNOWN] * BINS)
        for quarter, usual in enumerate(known, learned.first_quarter):
            day[quarter] = UNKNOWN if usual is None else usual
        days.append(day)
    return days
