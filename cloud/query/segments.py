"""Segments and districts as the tables tell of them. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from cloud.query.history import Row, merge_rows

_WORST_SHOWN: Final = 5
# A table gives 90.0 back as 90.
_FRACTIONS: Final = ("length_m", "free_flow_kmh", "latitude", "longitude", "average_speed_kmh", "occupancy")


@dataclass(frozen=True, slots=True)
class Segment:
    """An item of the segments table: what the segment is, and the state that was last written.

    What is None is not known: without `segment_id` the catalogue does not know it, without `window_start_ms` no gateway
    has told of it.
    """

    segment: int
    segment_id: str | None = None
    district: str | None = None
    road_class: str | None = None
    lanes: int | None = None
    length_m: float | None = None
    free_flow_kmh: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    downstream: int | None = None
    retired_ms: int | None = None
    assigned_gateway: str | None = None
    gateway: str | None = None
    window_start_ms: int | None = None
    congestion_state: str | None = None
    congestion_level: int | None = None
    band: str | None = None
    average_speed_kmh: float | None = None
    occupancy: float | None = None
    vehicle_count: int | None = None
    updated_ms: int | None = None

    @property
    def name(self) -> str:
        return self.segment_id or str(self.segment)

    @property
    def gateways(self) -> tuple[str, ...]:
        """Whose windows may tell of it: who did last, and who shall."""
        return tuple(dict.fromkeys(name for name in (self.gateway, self.assigned_gateway) if name))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def segment_of(item: Mapping[str, Any]) -> Segment:
    """The segment of an item as plain values; attributes that are none of its fields are passed over."""
    known = {name: item[name] for name in Segment.__dataclass_fields__ if name in item}
    return Segment(**known | {name: float(known[name]) for name in _FRACTIONS if name in known})


@dataclass(frozen=True, slots=True)
class Latest:
    """A segment and its newest row; None where no window of it is stored."""

    segment: Segment
    row: Row | None

    def as_dict(self) -> dict[str, Any]:
        """What the segment is and its newest row, for programs; the row's values replace those of the table's state."""
        table = self.segment.as_dict()
        return table | (self.row.as_dict() if self.row else {})


@dataclass(frozen=True, slots=True)
class DistrictSummary:
    """A district in its segments' newest windows.

    Parameters
    ----------
    by_road_class : the segments of each class, by their newest rows
    """

    district: str
    by_road_class: dict[str, tuple[Latest, ...]]

    @property
    def segments(self) -> tuple[Latest, ...]:
        return tuple(latest for segments in self.by_road_class.values() for latest in segments)

    def as_dict(self) -> dict[str, Any]:
        worst = sorted(
            (latest for latest in self.segments if _is_congested(latest)),
            key=lambda latest: -_level(latest),
        )
        return {
            "district": self.district,
            **_sums(self.segments),
            "by_road_class": {name: _sums(segments) for name, segments in self.by_road_class.items()},
            "worst": [
                {"segment": latest.segment.segment, "segment_id": latest.segment.segment_id, "level": _level(latest)}
                for latest in worst[:_WORST_SHOWN]
            ],
        }


def summarise(district: str, segments: Sequence[Latest]) -> DistrictSummary:
    """The district of these segments."""
    by_class: dict[str, list[Latest]] = {}
    for latest in segments:
        by_class.setdefault(latest.segment.road_class or "unknown", []).append(latest)
    return DistrictSummary(district, {name: tuple(by_class[name]) for name in sorted(by_class)})


def _sums(segments: Sequence[Latest]) -> dict[str, Any]:
    told = [latest.row for latest in segments if latest.row]
    merged = merge_rows(told).as_dict() if told else {}
    states = Counter(row.summary.congestion_state.name.lower() for row in told)
    return {
        "segments": len(segments),
        "segments_silent": len(segments) - len(told),
        "segments_congested": states["congested"],
        "segments_free": states["free"],
        "length_km": _length_km(segments),
        "congested_km": _length_km([latest for latest in segments if _is_congested(latest)]),
        "from_ms": merged.get("start_ms"),
        "to_ms": merged.get("end_ms"),
        "vehicle_count": merged.get("vehicle_count", 0),
        "average_speed_kmh": merged.get("average_speed_kmh"),
        "p50_kmh": merged.get("p50_kmh"),
        "occupancy": merged.get("occupancy"),
    }


def _length_km(segments: Sequence[Latest]) -> float:
    return round(sum(latest.segment.length_m or 0.0 for latest in segments) / 1000, 3)


def _is_congested(latest: Latest) -> bool:
    return latest.row is not None and latest.row.summary.congestion_state.name == "CONGESTED"


def _level(latest: Latest) -> int:
    return (latest.row.summary.congestion_level if latest.row else None) or 0
