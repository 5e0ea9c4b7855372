"""Items of DynamoDB as plain values. Pure."""

from collections.abc import Mapping
from typing import Any


def plain(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Texts, numbers, bytes and truth values as Python has them."""
    return {name: _value(value) for name, value in item.items()}


def _value(typed: Mapping[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    match kind:
        case "N":
            return int(value) if value.lstrip("-").isdecimal() else float(value)
        case "NULL":
            return None
        case "L":
            return [_value(each) for each in value]
        case "M":
            return plain(value)
        case _:
            return value
