"""Windows, summaries of sensors and segment states as DynamoDB items, and what an item weighs. Pure.

A window's item has one-letter names because they count: with a gateway name of up to 15 letters an item is at most
60 bytes larger than the message in it, so that a message of 964 bytes costs one write unit.
"""

from typing import TYPE_CHECKING, Final, Literal, TypedDict

from cloud.functions.processor.logic import SegmentState, SensorsRecord, WindowRecord
from cloud.functions.shared.bands import band_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = dict[str, AttributeValueTypeDef]

    class Update(TypedDict):
        """The parameters that UpdateItem and an update in a transaction share, less the table."""

        Key: Item
        UpdateExpression: str
        ConditionExpression: str
        ReturnValuesOnConditionCheckFailure: Literal["ALL_OLD"]
        ExpressionAttributeNames: dict[str, str]
        ExpressionAttributeValues: Item


MAX_WINDOW_ITEM_BYTES: Final = 1024
_NO_STATE_OR_AN_OLDER: Final = (
    "attribute_not_exists(#window_start_ms) OR #window_start_ms < :window_start_ms OR "
    "(#window_start_ms = :window_start_ms AND (#epoch < :epoch OR (#epoch = :epoch AND #revision < :revision)))"
)
_DAY_S: Final = 86_400


def window_key(window_start_ms: int, epoch_ms: int) -> str:
    """Sort key: windows in order of time, and two epochs of one window beside each other.

    Their readings are disjoint, so a reader adds them.
    """
    return f"{window_start_ms}#{epoch_ms}"


def window_item(record: WindowRecord, retention_days: int) -> "Item":
    """Item of the windows table: g gateway, w key, r revision, q sequence, b message, t time to live."""
    window = record.window
    return {
        "g": {"S": window.gateway},
        "w": {"S": window_key(window.window_start_ms, window.epoch_ms)},
        "r": {"N": str(window.revision)},
        "q": {"N": str(window.sequence)},
        "b": {"B": record.envelope.payload},
        "t": {"N": str(record.envelope.received_ms // 1000 + retention_days * _DAY_S)},
    }


def sensors_key(interval_start_ms: int, epoch_ms: int, part: int) -> str:
    """Sort key: intervals in order of time, and the parts of each beside each other."""
    return f"{interval_start_ms}#{epoch_ms}#{part:03d}"


def sensors_item(record: SensorsRecord, retention_days: int) -> "Item":
    """Item of the sensors table: g gateway, s key, q sequence, b message, t time to live."""
    summary = record.summary
    return {
        "g": {"S": summary.gateway},
        "s": {"S": sensors_key(summary.interval_start_ms, summary.epoch_ms, summary.part)},
        "q": {"N": str(summary.sequence)},
        "b": {"B": record.envelope.payload},
        "t": {"N": str(record.envelope.received_ms // 1000 + retention_days * _DAY_S)},
    }


def segment_update(state: SegmentState) -> "Update":
    """What makes the segment's item tell `state`, unless it tells of a newer one.

    It sets what is known, removes what is not, and leaves alone what others keep in the item: the catalogue's
    attributes, which never change with the traffic.
    """
    numbers = {
        "window_start_ms": state.window_start_ms,
        "epoch": state.epoch,
        "revision": state.revision,
        "vehicle_count": state.vehicle_count,
        "average_speed_kmh": state.average_speed_kmh,
        "occupancy": state.occupancy,
        "congestion_level": state.congestion_level,
        "updated_ms": state.updated_ms,
    }
    texts = {
        "gateway": state.gateway,
        "congestion_state": state.congestion_state,
        "band": band_of(state.congestion_state, state.congestion_level),
    }
    known: dict[str, AttributeValueTypeDef] = {name: {"N": str(v)} for name, v in numbers.items() if v is not None}
    known |= {name: {"S": text} for name, text in texts.items() if text is not None}
    unknown = [name for name in (*numbers, *texts) if name not in known]
    removal = f" REMOVE {', '.join(f'#{name}' for name in unknown)}" if unknown else ""
    return {
        "Key": {"segment": {"N": str(state.segment)}},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in known) + removal,
        "ConditionExpression": _NO_STATE_OR_AN_OLDER,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        "ExpressionAttributeNames": {f"#{name}": name for name in (*known, *unknown)},
        "ExpressionAttributeValues": {f":{name}": value for name, value in known.items()},
    }


def segment_state(item: "Item") -> SegmentState | None:
    """The state in an item of the segments table; None in one of which no gateway has told yet."""
    if "window_start_ms" not in item:
        return None

    def whole(name: str) -> int:
        return int(item[name]["N"])

    def fraction(name: str) -> float | None:
        return float(item[name]["N"]) if name in item else None

    return SegmentState(
        segment=whole("segment"),
        gateway=item["gateway"]["S"],
        window_start_ms=whole("window_start_ms"),
        epoch=whole("epoch"),
        revision=whole("revision"),
        vehicle_count=whole("vehicle_count"),
        average_speed_kmh=fraction("average_speed_kmh"),
        occupancy=fraction("occupancy"),
        congestion_level=whole("congestion_level") if "congestion_level" in item else None,
        congestion_state=item["congestion_state"]["S"],
        updated_ms=whole("updated_ms"),
    )


def item_bytes(item: "Item") -> int:
    """Size that DynamoDB bills, for items of texts, numbers and bytes.

    Names and texts count as UTF-8, bytes as they are, a number one byte and one more for every two significant
    digits (Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats").
    """
    size = 0
    for name, value in item.items():
        size += len(name.encode())
        if "S" in value:
            size += len(value["S"].encode())
        elif "B" in value:
            size += len(bytes(value["B"]))
        else:
            size += 1 + (_significant_digits(value["N"]) + 1) // 2
    return size


def _significant_digits(number: str) -> int:
    return len(number.lstrip("-").replace(".", "").strip("0")) or 1
