"""What a replay found, as files: windows.csv, states.csv, events.csv, confirmations.csv and sensor_faults.csv."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from roadside.contract.events import Event, SensorEvent
from roadside.contract.summary import CongestionState, SegmentSummary, WindowSummary
from simulator.recorded.collected import Collected
from simulator.recorded.recording import RecordedGateway, iso
from simulator.recorded.sweep import Alert

if TYPE_CHECKING:
    from _csv import Writer

Row = tuple[str | int | float, ...]
_iso = lru_cache(maxsize=4)(iso)  # neighbouring rows have the same window


def write_files(collected: Collected, gateways: Iterable[RecordedGateway], out: Path) -> None:
    """Write all of them into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    names = {segment.number: segment.id for plan in gateways for segment in plan.segments}
    with _table(out / "windows.csv") as windows, _table(out / "states.csv") as states:
        for window, segment in collected.by_time():
            name, start = names[segment.number], _iso(window.window_start_ms)
            speed = _cell(segment.average_speed_kmh, 2)
            windows.writerow((name, start, *_window_cells(window, segment, speed)))
            state = segment.congestion_state
            states.writerow((name, start, int(state is CongestionState.CONGESTED), speed, state.name.lower()))
    with _table(out / "events.csv") as events:
        events.writerows(_alert_row(alert) for alert in collected.alerts())
    with _table(out / "confirmations.csv") as confirmations:
        confirmations.writerows(collected.sweep.confirmation_rows())
    with _table(out / "sensor_faults.csv") as faults:
        faults.writerows(_fault_rows(collected.events.values()))


def _alert_row(alert: Alert) -> Row:
    end = "" if alert.ended_ms is None else iso(alert.ended_ms)
    return alert.event_id, alert.kind, alert.segment_id, iso(alert.started_ms), end, iso(alert.detected_ms)


def _window_cells(window: WindowSummary, segment: SegmentSummary, speed: str | float) -> Row:
    return (
        window.window_ms // 1000,
        window.revision,
        segment.vehicle_count,
        speed,
        _cell(segment.occupancy, 4),
        "" if segment.speed_min_dkmh is None else segment.speed_min_dkmh / 10,
        "" if segment.speed_max_dkmh is None else segment.speed_max_dkmh / 10,
        _cell(segment.speed_quantile_kmh(0.50, window.sketch_error_permille), 2),
        _cell(segment.speed_quantile_kmh(0.85, window.sketch_error_permille), 2),
        "" if segment.congestion_level is None else segment.congestion_level,
        segment.readings_accepted,
    )


def _fault_rows(events: Iterable[Event]) -> Iterable[Row]:
    """Each fault with the windows that it leaves out, from the events that told it and took it back."""
    told = sorted((e for e in events if isinstance(e, SensorEvent)), key=lambda e: (e.occurred_ms, e.sensor_number))
    ends = {(e.sensor_number, e.started_ms): e.effective_ms for e in told if e.kind == "SensorRecovered"}
    for event in told:
        if event.kind == "SensorFault":
            end_ms = ends.get((event.sensor_number, event.started_ms))
            start, end = iso(event.effective_ms), "" if end_ms is None else iso(end_ms)
            yield event.event_id, event.sensor_id, event.segment_id, event.fault, start, end


_HEADERS: Final = {
    "windows.csv": (
        "segment_id,interval_start,interval_s,revision,vehicle_count,average_speed_kmh,occupancy,min_speed_kmh,"
        "max_speed_kmh,p50_speed_kmh,p85_speed_kmh,congestion_level,readings"
    ),
    "states.csv": "segment_id,interval_start,congested,average_speed_kmh,state",
    "events.csv": "event_id,type,segment_id,start,end,detected_at",
    "confirmations.csv": "event_id,segment_id,start,confirmed_at",
    "sensor_faults.csv": "event_id,sensor_id,segment_id,fault,left_out_from,left_out_until",
}


@contextmanager
def _table(path: Path) -> "Iterator[Writer]":
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(_HEADERS[path.name] + "\n")
        yield csv.writer(stream, lineterminator="\n")


def _cell(value: float | None, digits: int) -> float | str:
    return "" if value is None else round(value, digits)
