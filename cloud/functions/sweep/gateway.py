"""A gateway as the gateways table knows it: what it told, what the broker saw, and what the sweep remembers. Pure.

Each writer has attributes of its own: the alerts function heartbeat_ms, clock_offset_ms, backlog_age_ms, health,
presence and presence_ms; the sweep status, seen_ms, gaps, pending and version.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from cloud.functions.sweep.gaps import Gap
from roadside.contract.bus import TYPES, BusEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

Status = Literal["unknown", "online", "offline"]

# Keys of the table's items that are no gateways: no gateway's name begins so.
NOT_A_GATEWAY: Final = "#"


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway before or after a pass.

    Parameters
    ----------
    heartbeat_ms : when its last heartbeat arrived, 0 for never
    clock_offset_ms : how far its clock is ahead of ours, by that heartbeat
    backlog_age_ms : for how long the oldest message had waited for the cloud then, 0 if it did not say
    connected_ms, disconnected_ms : the last of its comings and goings that the broker saw, the other one 0
    status : as last announced
    seen_ms : its last sign of life before it went offline; 0 while it is online
    gaps : windows that are missing
    pending : events that follow from the status and the gaps, and may not have been announced
    version : of the sweep's attributes
    """

    name: str
    heartbeat_ms: int = 0
    clock_offset_ms: int = 0
    backlog_age_ms: int = 0
    connected_ms: int = 0
    disconnected_ms: int = 0
    status: Status = "unknown"
    seen_ms: int = 0
    gaps: tuple[Gap, ...] = ()
    pending: tuple[BusEvent, ...] = ()
    version: int = 0


def read_gateway(item: "Item") -> Gateway:
    """The gateway in an item of the gateways table."""

    def whole(name: str) -> int:
        return int(item[name]["N"]) if name in item else 0

    presence_ms, presence = whole("presence_ms"), item["presence"]["S"] if "presence" in item else ""
    return Gateway(
        name=item["gateway"]["S"],
        heartbeat_ms=whole("heartbeat_ms"),
        clock_offset_ms=whole("clock_offset_ms"),
        backlog_age_ms=whole("backlog_age_ms"),
        connected_ms=presence_ms if presence == "connected" else 0,
        disconnected_ms=presence_ms if presence == "disconnected" else 0,
        status=item["status"]["S"] if "status" in item else "unknown",  # type: ignore[arg-type]
        seen_ms=whole("seen_ms"),
        gaps=tuple(Gap.from_json(gap) for gap in _list(item, "gaps")),
        pending=tuple(TYPES[event["kind"]](**event) for event in _list(item, "pending")),
        version=whole("version"),
    )


def sweeps_attributes(gateway: Gateway) -> "dict[str, AttributeValueTypeDef]":
    """What the sweep keeps of a gateway in its item; the version is the one after the gateway's."""
    return {
        "status": {"S": gateway.status},
        "seen_ms": {"N": str(gateway.seen_ms)},
        "gaps": {"S": _text([gap.as_json() for gap in gateway.gaps])},
        "pending": {"S": _text([asdict(event) for event in gateway.pending])},
        "version": {"N": str(gateway.version + 1)},
    }


def _list(item: "Item", name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(item[name]["S"]) if name in item else []
    return found


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
