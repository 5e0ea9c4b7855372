"""What has to change so that the tables say what the catalogue says. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from cloud.catalogue.segments import CatalogueSegment

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Attributes = Mapping[str, AttributeValueTypeDef]

_TEXTS: Final = frozenset({"segment_id", "assigned_gateway", "district", "road_class"})
# In the table `gateway` is who told a segment's state last, and `segment` is the key.
_RENAMED: Final = {"gateway": "assigned_gateway"}
_COLUMN_OF: Final = {_RENAMED.get(field.name, field.name): field.name for field in fields(CatalogueSegment)[1:]}
OF_SEGMENT: Final = tuple(_COLUMN_OF)
"""Names of the attributes that the catalogue keeps in an item of the segments table."""
OF_GATEWAY: Final = ("district", "segment_count")
"""Likewise of the gateways table."""


@dataclass(frozen=True, slots=True)
class Change:
    """Attributes of one item to set and to remove."""

    key: "Attributes"
    attributes: "Attributes"
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Items by what becomes of them; nothing of it changes anything the second time."""

    added: tuple[Change, ...]
    updated: tuple[Change, ...]
    retired: tuple[Change, ...]
    unchanged: int

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.added + self.updated + self.retired


def segment_attributes(segment: CatalogueSegment) -> "dict[str, AttributeValueTypeDef]":
    """The catalogue's attributes of a segment's item; what it lacks has none."""
    attributes: dict[str, AttributeValueTypeDef] = {}
    for name, column in _COLUMN_OF.items():
        value = getattr(segment, column)
        if value is not None:
            attributes[name] = {"S": value} if name in _TEXTS else {"N": _number(value)}
    return attributes


def plan_segments(segments: Sequence[CatalogueSegment], stored: "Mapping[str, Attributes]", now_ms: int) -> Plan:
    """Compare the catalogue's segments with the items of the segments table.

    Parameters
    ----------
    stored : items by segment number, at least their attributes of the catalogue and `retired_ms`
    now_ms : when those that the catalogue no longer has are retired
    """
    wanted = {str(segment.segment): segment_attributes(segment) for segment in segments}
    return _plan("segment", "N", OF_SEGMENT, wanted, stored, now_ms)


def plan_gateways(segments: Sequence[CatalogueSegment], stored: "Mapping[str, Attributes]", now_ms: int) -> Plan:
    """Compare the catalogue's gateways with the items of the gateways table.

    A gateway is in the district of most of its segments.
    """
    districts: dict[str, Counter[str]] = {}
    for segment in segments:
        districts.setdefault(segment.gateway, Counter())[segment.district] += 1
    wanted: dict[str, Attributes] = {
        gateway: {"district": {"S": counts.most_common(1)[0][0]}, "segment_count": {"N": str(counts.total())}}
        for gateway, counts in districts.items()
    }
    return _plan("gateway", "S", OF_GATEWAY, wanted, stored, now_ms)


def _plan(
    key: str,
    key_type: str,
    names: Sequence[str],
    wanted: "Mapping[str, Attributes]",
    stored: "Mapping[str, Attributes]",
    now_ms: int,
) -> Plan:
    """Items of the catalogue are those with any attribute of `names`; others are nobody's to retire."""
    added: list[Change] = []
    updated: list[Change] = []
    for name, attributes in wanted.items():
        item = stored.get(name, {})
        removed = tuple(each for each in (*names, "retired_ms") if each in item and each not in attributes)
        if not removed and all(_is_same(item.get(each), value) for each, value in attributes.items()):
            continue
        is_new = not any(each in item for each in names)
        (added if is_new else updated).append(Change(_key(key, key_type, name), attributes, removed))
    retired = tuple(
        Change(_key(key, key_type, name), {"retired_ms": {"N": str(now_ms)}}, ("district",))
        for name, item in stored.items()
        if name not in wanted and "retired_ms" not in item and any(each in item for each in names)
    )
    return Plan(tuple(added), tuple(updated), retired, len(wanted) - len(added) - len(updated))


def _key(key: str, key_type: str, value: str) -> "Attributes":
    return {key: {"N": value} if key_type == "N" else {"S": value}}


def _is_same(stored: "AttributeValueTypeDef | None", wanted: "AttributeValueTypeDef") -> bool:
    if stored is not None and "N" in stored and "N" in wanted:
        return float(stored["N"]) == float(wanted["N"])  # DynamoDB has a way of its own to write a number
    return stored == wanted


def _number(value: float) -> str:
    """As DynamoDB gives it back: without a fraction of zero."""
    return str(int(value)) if value == int(value) else repr(value)
