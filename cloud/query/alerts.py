"""Events of the alerts table: which fit a question. Pure."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any


def days_back(from_ms: int, until_ms: int) -> Iterator[str]:
    """UTC days such as 2026-11-25 from the one of `from_ms` back to the one of `until_ms`."""
    day, last = (datetime.fromtimestamp(instant / 1000, UTC).date() for instant in (from_ms, until_ms))
    while day >= last:
        yield day.isoformat()
        day -= timedelta(days=1)


def fits(item: Mapping[str, Any], kind: str | None, segment: str | None, gateway: str | None) -> bool:
    """Whether the event is of this kind, segment (number or name) and gateway; None asks for nothing.

    A kind may be the beginning of some: Congestion, Incident, Sensor, Gateway, Data.
    """
    if kind is not None and not item["kind"].lower().startswith(kind.lower()):
        return False
    if gateway is not None and item["gateway"] != gateway:
        return False
    return segment is None or segment in {str(item.get("segment_number")), json.loads(item["detail"]).get("segment_id")}


def with_detail(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item for programs: its detail opened, and nothing of how the table is kept."""
    told = {name: value for name, value in item.items() if name not in {"day", "t"}}
    return told | {"detail": json.loads(item["detail"])}
