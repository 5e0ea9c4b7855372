"""What has to change so that the segments table says what the catalogue says. Pure."""

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
STATIC: Final = tuple(_COLUMN_OF)
"""Names of the attributes that the catalogue keeps in an item of the segments table."""


@dataclass(frozen=True, slots=True)
class Change:
    """Attributes of one segment's item to set and to remove."""

    segment: int
    attributes: "Attributes"
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Segments by what becomes of them; nothing of it changes anything the second time."""

    added: tuple[Change, ...]
    updated: tuple[Change, ...]
    retired: tuple[Change, ...]
    unchanged: int

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.added + self.updated + self.retired


def static_attributes(segment: CatalogueSegment) -> "dict[str, AttributeValueTypeDef]":
    """The catalogue's attributes of a segment's item; what it lacks has none."""
    attributes: dict[str, AttributeValueTypeDef] = {}
    for name, column in _COLUMN_OF.items():
        value = getattr(segment, column)
        if value is not None:
            attributes[name] = {"S": value} if name in _TEXTS else {"N": _number(value)}
    return attributes


def plan_load(segments: Sequence[CatalogueSegment], stored: "Mapping[int, Attributes]", now_ms: int) -> Plan:
    """Compare the catalogue with the items of the segments table.

    Parameters
    ----------
    stored : items by segment number, at least their attributes of the catalogue and `retired_ms`
    now_ms : when segments that the catalogue no longer has are retired
    """
    added: list[Change] = []
    updated: list[Change] = []
    for segment in segments:
        item = stored.get(segment.segment, {})
        wanted = static_attributes(segment)
        removed = tuple(name for name in (*STATIC, "retired_ms") if name in item and name not in wanted)
        if not removed and all(_is_same(item.get(name), value) for name, value in wanted.items()):
            continue
        is_new = not any(name in item for name in STATIC)
        (added if is_new else updated).append(Change(segment.segment, wanted, removed))
    listed = {segment.segment for segment in segments}
    retired = tuple(
        Change(number, {"retired_ms": {"N": str(now_ms)}}, ("district",))
        for number, item in stored.items()
        if number not in listed and "segment_id" in item and "retired_ms" not in item
    )
    unchanged = len(segments) - len(added) - len(updated)
    return Plan(tuple(added), tuple(updated), retired, unchanged)


def _is_same(stored: "AttributeValueTypeDef | None", wanted: "AttributeValueTypeDef") -> bool:
    if stored is not None and "N" in stored and "N" in wanted:
        return float(stored["N"]) == float(wanted["N"])  # DynamoDB has a way of its own to write a number
    return stored == wanted


def _number(value: float) -> str:
    """As DynamoDB gives it back: without a fraction of zero."""
    return str(int(value)) if value == int(value) else repr(value)
