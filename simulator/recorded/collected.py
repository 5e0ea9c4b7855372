"""What the cloud would hold after a replay: the last edition of every window, and every alert with its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from roadside.contract.events import CongestionEvent, Event, IncidentEvent
from roadside.contract.summary import SegmentSummary, WindowSummary
from simulator.recorded.sweep import Alert, AlertKind, ReplaySweep


@dataclass(slots=True)
class Collected:
    """What the cloud would hold: the last edition of every window, and all events; and what it found itself."""

    sweep: ReplaySweep
    windows: dict[tuple[int, int], WindowSummary] = field(default_factory=dict)  # by first segment number and start
    events: dict[str, Event] = field(default_factory=dict)
    messages: int = 0
    message_bytes: int = 0

    def by_time(self) -> Iterator[tuple[WindowSummary, SegmentSummary]]:
        """Windows by start, in each all gateways' segments by number."""
        for _, windows in groupby(sorted(self.windows.values(), key=_start), key=_start):
            rows = [(window, segment) for window in windows for segment in window.segments]
            yield from sorted(rows, key=lambda row: row[1].number)

    def alerts(self) -> Iterator[Alert]:
        """What gateways told, in the order of time; then what the cloud suspected by itself."""
        told = [event for event in self.events.values() if isinstance(event, CongestionEvent | IncidentEvent)]
        ordered = sorted(told, key=lambda event: (event.occurred_ms, event.segment_number, event.kind))
        ends = {(_KINDS[e.kind], e.segment_number, e.started_ms): e.occurred_ms for e in ordered if e.kind in _CLEARING}
        for event in ordered:
            if event.kind not in _CLEARING:
                kind = _KINDS[event.kind]
                ended_ms = ends.get((kind, event.segment_number, event.started_ms))
                yield Alert(event.event_id, kind, event.segment_id, event.started_ms, ended_ms, event.occurred_ms)
        yield from self.sweep.alerts()


def _start(window: WindowSummary) -> int:
    return window.window_start_ms


_KINDS: Final[dict[str, AlertKind]] = {
    "CongestionStarted": "congestion",
    "CongestionCleared": "congestion",
    "IncidentDetected": "incident",
    "IncidentCleared": "incident",
}
_CLEARING: Final = ("CongestionCleared", "IncidentCleared")
