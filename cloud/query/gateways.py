"""Gateways: what the gateways table knows of one, and its newest window. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_NO_GATEWAY = "#"  # the sweep keeps its memory under keys that begin so


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway.

    Parameters
    ----------
    status : online or offline as last announced, unknown before the first sweep
    newest_ms : end of its newest window; None where none is stored
    heartbeat_ms : when its last heartbeat arrived
    backlog_age_ms : for how long the oldest of its messages had waited then
    gaps : runs of windows that are missing
    """

    gateway: str
    district: str | None
    segment_count: int | None
    status: str
    newest_ms: int | None
    heartbeat_ms: int | None
    backlog_age_ms: int | None
    gaps: int
    retired_ms: int | None

    @property
    def seen_ms(self) -> int | None:
        """Its last sign of life."""
        return max((at for at in (self.newest_ms, self.heartbeat_ms) if at), default=None)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"seen_ms": self.seen_ms}


def is_gateway(item: Mapping[str, Any]) -> bool:
    """Whether the item is one of a gateway."""
    return not str(item["gateway"]).startswith(_NO_GATEWAY)


def gateway_of(item: Mapping[str, Any], newest_ms: int | None) -> Gateway:
    """The gateway of an item as plain values."""
    return Gateway(
        gateway=item["gateway"],
        district=item.get("district"),
        segment_count=item.get("segment_count"),
        status=item.get("status", "unknown"),
        newest_ms=newest_ms,
        heartbeat_ms=item.get("heartbeat_ms"),
        backlog_age_ms=item.get("backlog_age_ms"),
        gaps=len(json.loads(item.get("gaps", "[]"))),
        retired_ms=item.get("retired_ms"),
    )
