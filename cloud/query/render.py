"""Answers as tables for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from cloud.query.gateways import Gateway
from cloud.query.history import QUANTILES, Row
from cloud.query.instants import age, written
from cloud.query.segments import DistrictSummary, Latest, Segment
from cloud.query.sensors import SensorRow

_STATE_STYLES = {
    "congested": "bold red",
    "free": "green",
    "severe": "bold red",
    "heavy": "red",
    "moderate": "yellow",
    "offline": "bold red",
    "online": "green",
}
_SEVERITY_STYLES = {"critical": "bold red", "major": "red", "minor": "yellow"}


def latest_table(answers: Sequence[Latest], now_ms: int) -> Table:
    """Segments with their newest rows."""
    table = _table("segment|district|road|state|level#|km/h#|free flow#|occ. %#|vehicles#|age#")
    for latest in answers:
        segment, row = latest.segment, latest.row
        what = (segment.name, segment.district or _retired(segment), segment.road_class)
        if row is None:
            _add(table, *what, "never told", None, None, segment.free_flow_kmh)
            continue
        told = row.as_dict()
        _add(
            table,
            *what,
            told["congestion_state"],
            told["congestion_level"],
            told["average_speed_kmh"],
            segment.free_flow_kmh,
            _percent(told["occupancy"]),
            told["vehicle_count"],
            age(row.end_ms, now_ms),
        )
    return table


def history_table(rows: Iterable[Row]) -> Table:
    """One segment's rows, the oldest first."""
    quantiles = "|".join(f"{name.removesuffix('_kmh')}#" for name in QUANTILES)
    table = _table(f"from (UTC)|s#|vehicles#|km/h#|{quantiles}|occ. %#|level#|state|sensors#|notes")
    for row in rows:
        told = row.as_dict()
        notes = [
            f"edition {row.revision}" if row.revision else "",
            f"{row.windows} windows" if row.windows > 1 else "",
            "backfill" if row.backfill else "",
            f"{told['sensors_excluded']} excluded" if told["sensors_excluded"] else "",
        ]
        _add(
            table,
            written(row.start_ms),
            (row.end_ms - row.start_ms) // 1000,
            told["vehicle_count"],
            told["average_speed_kmh"],
            *(told[name] for name in QUANTILES),
            _percent(told["occupancy"]),
            told["congestion_level"],
            told["congestion_state"],
            told["sensors_reporting"],
            ", ".join(note for note in notes if note),
        )
    return table


def top_table(segments: Sequence[Segment], now_ms: int) -> Table:
    """Congested segments, the worst first."""
    table = _table("#|segment|district|road|band|level#|km/h#|free flow#|occ. %#|gateway|age#")
    for place, segment in enumerate(segments, 1):
        _add(
            table,
            place,
            segment.name,
            segment.district,
            segment.road_class,
            segment.band,
            segment.congestion_level,
            segment.average_speed_kmh,
            segment.free_flow_kmh,
            _percent(segment.occupancy),
            segment.gateway,
            age(segment.window_start_ms, now_ms),
        )
    return table


def district_table(summary: DistrictSummary) -> Table:
    """A district's sums by class of road, and all together."""
    told = summary.as_dict()
    span = f"{written(told['from_ms'])} to {written(told['to_ms'])}" if told["to_ms"] else "nothing told lately"
    table = _table("roads|segments#|silent#|congested#|km#|congested km#|vehicles#|km/h#|median#|occ. %#")
    table.title = f"{summary.district}, {span}"
    for name, sums in (*told["by_road_class"].items(), ("all", told)):
        if name == "all":
            table.add_section()
        _add(
            table,
            name,
            sums["segments"],
            sums["segments_silent"],
            sums["segments_congested"],
            sums["length_km"],
            sums["congested_km"],
            sums["vehicle_count"],
            sums["average_speed_kmh"],
            sums["p50_kmh"],
            _percent(sums["occupancy"]),
        )
    if told["worst"]:
        table.caption = "worst: " + ", ".join(
            f"{w['segment_id'] or w['segment']} ({w['level']})" for w in told["worst"]
        )
    return table


def districts_table(districts: Mapping[str, Sequence[Segment]]) -> Table:
    """All districts, by the states that the segments table holds."""
    table = _table("district|segments#|congested#|km#")
    for name, segments in districts.items():
        congested = sum(segment.congestion_state == "congested" for segment in segments)
        _add(table, name, len(segments), congested, round(sum(s.length_m or 0 for s in segments) / 1000, 1))
    return table


def sensor_table(rows: Iterable[SensorRow]) -> Table:
    """One sensor's intervals, the oldest first."""
    table = _table("from (UTC)|s#|gateway|readings#|vehicles#|km/h#|occ. %#|health")
    for row in rows:
        told = row.as_dict()
        _add(
            table,
            written(row.start_ms),
            (row.end_ms - row.start_ms) // 1000,
            row.gateway,
            told["readings_accepted"],
            told["vehicle_count"],
            told["average_speed_kmh"],
            _percent(told["occupancy"]),
            told["fault"] or "well",
        )
    return table


def alerts_table(alerts: Iterable[Mapping[str, Any]]) -> Table:
    """Events in the order given."""
    table = _table("when (UTC)|severity|kind|what|id|taken on by")
    for alert in alerts:
        _add(
            table,
            written(alert["occurred_ms"]),
            alert["severity"],
            alert["kind"],
            alert["headline"],
            alert["event_id"],
            alert.get("acknowledged_by"),
        )
    return table


def gateways_table(gateways: Iterable[Gateway], now_ms: int) -> Table:
    """Gateways in the order given."""
    table = _table("gateway|district|segments#|status|newest window|heartbeat|backlog min#|gaps#")
    for each in gateways:
        _add(
            table,
            each.gateway,
            "retired" if each.retired_ms else each.district,
            each.segment_count,
            each.status,
            age(each.newest_ms, now_ms),
            age(each.heartbeat_ms, now_ms),
            None if each.backlog_age_ms is None else each.backlog_age_ms // 60_000,
            each.gaps,
        )
    return table


def _table(columns: str) -> Table:
    """A table of these columns, between bars; those that end with # are numbers."""
    table = Table(title_justify="left", caption_justify="left")
    for column in columns.split("|"):
        is_number = column.endswith("#") and column != "#"
        table.add_column(column.removesuffix("#") if is_number else column, justify="right" if is_number else "left")
    return table


def _add(table: Table, *values: object) -> None:
    table.add_row(*(_cell(value) for value in values))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    style = _STATE_STYLES.get(text) or _SEVERITY_STYLES.get(text)
    text = text.replace("[", r"\[")
    return f"[{style}]{text}[/]" if style else text


def _percent(share: Any) -> float | None:
    return None if share is None else round(100 * share, 1)


def _retired(segment: Segment) -> str | None:
    return f"retired {written(segment.retired_ms)[:10]}" if segment.retired_ms else None
