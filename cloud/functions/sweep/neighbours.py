"""What neighbours tell: a pass's part that judges pairs of stations across gateways and confirms incidents.

The judgement is in `pairs` and `incidents`; here it is put together with what it needs of the tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from cloud.functions.sweep import pairs_memory
from cloud.functions.sweep.incidents import LATELY_MS, Passage, Road, notices, passages
from cloud.functions.sweep.pairs import PairJudge, RoadSegment
from cloud.functions.sweep.pairs_profile import LearnedDays
from cloud.functions.sweep.windows import StoredWindow
from roadside.contract.bus import BusEvent, IncidentNotice
from roadside.contract.summary import WindowSummary

ROAD_AGE_MS: Final = 15 * 60_000  # after which the catalogue is read again
_MEMORY: Final = "pairs"
_PROFILES: Final = "profiles"


class Tables(Protocol):
    """What is needed of the tables; `store.Store` says what each does."""

    def road_segments(self) -> list[RoadSegment]: ...
    def memory(self, name: str) -> bytes | None: ...
    def put_memory(self, name: str, memory: bytes) -> None: ...


class OpenIncidents(Protocol):
    """What is needed of the alerts table."""

    def open_incidents(self) -> list[IncidentNotice]:
        """The suspicions that go on, as they were announced."""


class Neighbours:
    """Satisfies `sweep.NeighbourJudge`. Between passes nothing but the catalogue is kept in the process."""

    def __init__(self, tables: Tables, alerts: OpenIncidents) -> None:
        self._tables = tables
        self._alerts = alerts
        self._segments: list[RoadSegment] = []
        self._road = Road(())
        self._read_ms: int | None = None
        self._judged: PairJudge | None = None

    def judge(self, windows: Mapping[str, Sequence[StoredWindow]], now_ms: int) -> list[BusEvent]:
        """What follows from the windows since the last pass, by gateway in order of time; passes overlap."""
        self._read_road(now_ms)
        judge = self._judged = _take_up(self._tables, self._segments)
        for gateway in sorted(judge.gateways & windows.keys()):
            wanted = [w for w in windows[gateway] if judge.wants(gateway, w.start_ms, w.epoch_ms, w.revision)]
            judge.take(_readable(wanted))
        judge.judge(now_ms)
        going_on = self._alerts.open_incidents()
        told: list[BusEvent] = []
        told += notices(self._road, judge, going_on, self._passed(going_on, judge, windows, now_ms), now_ms)
        return told

    def commit(self) -> None:
        """Keep the memory: all is announced."""
        if self._judged is None:
            return
        for place, piece in enumerate(pairs_memory.dump(self._judged)):
            self._tables.put_memory(f"{_MEMORY}-{place}", piece)
        if self._judged.learned:
            _keep_profiles(self._tables, self._judged)
        self._judged = None

    def _read_road(self, now_ms: int) -> None:
        if self._read_ms is None or not 0 <= now_ms - self._read_ms < ROAD_AGE_MS:
            self._segments = self._tables.road_segments()
            self._road = Road(self._segments)
            self._read_ms = now_ms

    def _passed(
        self,
        going_on: Sequence[IncidentNotice],
        judge: PairJudge,
        windows: Mapping[str, Sequence[StoredWindow]],
        now_ms: int,
    ) -> dict[int, Passage]:
        """What passed lately on the gateways of open incidents and of the stations past them."""
        here = {each.segment_number for each in going_on} | {change.here.number for change in judge.standing()}
        past = {segment.gateway for number in here if (segment := self._road.past(number)) is not None}
        wanted = past | {each.gateway for each in going_on}
        lately = [w for gateway in wanted for w in windows.get(gateway, ()) if w.start_ms >= now_ms - LATELY_MS]
        return passages(_readable(lately), now_ms)


def teach(tables: Tables, days: Mapping[str, LearnedDays]) -> tuple[int, int]:
    """Let the pairs that have learned nothing yet begin with these days, by the segment at which a pair begins.

    Returns
    -------
    tuple of int
        How many pairs begin with them, and how many there are.
    """
    judge = _take_up(tables, tables.road_segments())
    begun = sum(judge.teach(segment_id, learned) for segment_id, learned in days.items())
    _keep_profiles(tables, judge)
    return begun, sum(stretch.pairs for stretch in judge.stretches)


def _take_up(tables: Tables, segments: Sequence[RoadSegment]) -> PairJudge:
    judge = PairJudge(segments)
    if judge.stretches:
        pairs_memory.restore(judge, _pieces(tables, _MEMORY))
        pairs_memory.restore_profiles(judge, _pieces(tables, _PROFILES))
    return judge


def _pieces(tables: Tables, name: str) -> Iterator[bytes]:
    place = 0
    while (piece := tables.memory(f"{name}-{place}")) is not None:
        yield piece
        place += 1


def _keep_profiles(tables: Tables, judge: PairJudge) -> None:
    for place, piece in enumerate(pairs_memory.dump_profiles(judge)):
        tables.put_memory(f"{_PROFILES}-{place}", piece)


def _readable(windows: Sequence[StoredWindow]) -> Iterator[WindowSummary]:
    return (summary for window in windows if (summary := window.summary()) is not None)
