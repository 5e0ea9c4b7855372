"""Windows of several gateways, in whatever order they come, as steps of time that all of them have told of.

A step is judged once. Until then a higher revision replaces a window and a repetition meets itself; a window that
begins before what was judged is passed over, late, repaired or coarse as it may be. A gateway that has not told of a
step for `PATIENCE_MS` after its end is taken to be silent in it.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from cloud.functions.sweep.pairs_rules import STANDING_OCCUPANCY, STANDING_PACE_MS_PER_KM, STEP_MS
from cloud.functions.sweep.pairs_stretch import Station, Told
from roadside.contract.summary import SegmentSummary, WindowSummary

PATIENCE_MS: Final = 75_000  # more than a minute, so that each window has a second pass to be there
CATCH_UP_MS: Final = 300_000  # what is older when a pass comes to it helps nobody any more


class Piece(NamedTuple):
    """What one window told of a gateway's stations, in their order."""

    window_ms: int
    revision: int
    told: tuple[Told, ...]


class Step(NamedTuple):
    """What each station told between two instants; `gap_ms` before it nobody told anything."""

    end_ms: int
    step_ms: int
    gap_ms: int
    told: tuple[Told, ...]


class Timeline:
    """The windows of the gateways of a few stations that are not judged yet.

    Attributes
    ----------
    judged_until_ms : None before the first step
    waiting : by gateway, by start and epoch of the window
    """

    def __init__(self, stations: Sequence[Station]) -> None:
        self._stations = tuple(stations)
        self.judged_until_ms: int | None = None
        self.waiting: dict[str, dict[tuple[int, int], Piece]] = {station.gateway: {} for station in stations}

    def wants(self, gateway: str, start_ms: int, epoch_ms: int, revision: int) -> bool:
        """Whether a window of one of the gateways is neither past its turn nor known."""
        held = self.waiting[gateway].get((start_ms, epoch_ms))
        is_past = self.judged_until_ms is not None and start_ms < self.judged_until_ms
        return not is_past and (held is None or held.revision < revision)

    def take(self, window: WindowSummary) -> None:
        """Let a window of one of the gateways wait for its turn, if it is wanted."""
        start_ms = window.window_start_ms
        if not self.wants(window.gateway, start_ms, window.epoch_ms, window.revision):
            return
        summaries = {segment.number: segment for segment in window.segments}
        told = tuple(
            _told_of(summaries.get(station.number)) for station in self._stations if station.gateway == window.gateway
        )
        self.waiting[window.gateway][start_ms, window.epoch_ms] = Piece(window.window_ms, window.revision, told)

    def steps(self, now_ms: int) -> Iterator[Step]:
        """The steps that are due, in order."""
        self._forget_before(now_ms - CATCH_UP_MS)
        begin_ms = self.judged_until_ms
        while starts := [start_ms for waiting in self.waiting.values() for start_ms, _ in waiting]:
            if begin_ms is None:
                begin_ms = min(starts)
            ends = {gateway: self._ends(gateway, begin_ms) for gateway in self.waiting}
            end_ms = min(set.intersection(*ends.values()), default=None)
            if end_ms is None:
                if now_ms < begin_ms + STEP_MS + PATIENCE_MS:
                    return
                end_ms = min(set.union(*ends.values()), default=None)
            if end_ms is None:  # nobody tells of this time; go on where somebody does
                if min(starts) == begin_ms:
                    self._forget_before(begin_ms + STEP_MS)  # a window that is shorter than a step and stands alone
                begin_ms = None
                continue
            gap_ms = begin_ms - (begin_ms if self.judged_until_ms is None else self.judged_until_ms)
            talking = {gateway for gateway in ends if end_ms in ends[gateway]}
            told = self._told(begin_ms, end_ms, talking)
            self.judged_until_ms = end_ms
            self._forget_before(end_ms)
            yield Step(end_ms, end_ms - begin_ms, gap_ms, told)
            begin_ms = end_ms

    def _ends(self, gateway: str, begin_ms: int) -> set[int]:
        """Instants at least a step away up to which the gateway's windows tell of everything from `begin_ms` on."""
        ends, end_ms = set(), begin_ms
        for (start_ms, _), piece in sorted(self.waiting[gateway].items()):
            if start_ms > end_ms:
                break
            if start_ms == end_ms:  # else of another epoch, beside one that was counted
                end_ms += piece.window_ms
                if end_ms - begin_ms >= STEP_MS:
                    ends.add(end_ms)
        return ends

    def _told(self, begin_ms: int, end_ms: int, talking: set[str]) -> tuple[Told, ...]:
        """What each station told of the step."""
        rows: dict[str, list[tuple[Told, ...]]] = {gateway: [] for gateway in self.waiting}
        for gateway in talking:
            for (start_ms, _), piece in sorted(self.waiting[gateway].items()):
                if begin_ms <= start_ms and start_ms + piece.window_ms <= end_ms:
                    rows[gateway].append(piece.told)
        columns = {gateway: iter(list(zip(*told, strict=True))) for gateway, told in rows.items()}
        return tuple(_added(next(columns[station.gateway], ())) for station in self._stations)

    def _forget_before(self, instant_ms: int) -> None:
        for waiting in self.waiting.values():
            for key in [key for key in waiting if key[0] < instant_ms]:
                del waiting[key]


def _told_of(segment: SegmentSummary | None) -> Told:
    if segment is None or not segment.readings_accepted:
        return Told()
    # As the core does: a queue that does not move counts as a vehicle that stands.
    stands = not segment.vehicle_count and (segment.occupancy or 0) > STANDING_OCCUPANCY
    return Told(
        is_whole=True,
        vehicles=segment.sketch.vehicle_count + stands,
        pace_sum_ms_per_km=segment.pace_sum_ms_per_km + stands * STANDING_PACE_MS_PER_KM,
        occupied_ms=segment.occupied_ms,
        observed_ms=segment.observed_ms,
        lanes=segment.lane_vehicles,
    )


def _added(parts: Sequence[Told]) -> Told:
    """A station's windows as one."""
    if len(parts) < 2:
        return parts[0] if parts else Told()
    lanes = [part.lanes for part in parts]
    alike = all(len(told) == len(lanes[0]) for told in lanes)
    return Told(
        is_whole=all(part.is_whole for part in parts),
        vehicles=sum(part.vehicles for part in parts),
        pace_sum_ms_per_km=sum(part.pace_sum_ms_per_km for part in parts),
        occupied_ms=sum(part.occupied_ms for part in parts),
        observed_ms=sum(part.observed_ms for part in parts),
        lanes=tuple(_sum_or_none(told) for told in zip(*lanes, strict=True)) if alike else (),
    )


def _sum_or_none(told: Sequence[int | None]) -> int | None:
    known = [vehicles for vehicles in told if vehicles is not None]
    return sum(known) if len(known) == len(told) else None
