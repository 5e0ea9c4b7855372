"""Messages that are one JSON object with a schema: the strict part of reading them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

from roadside.contract.errors import DecodeError, UnsupportedSchemaError

T = TypeVar("T")

_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # JSON can escape half a character, UTF-8 cannot hold it


def read_object(payload: bytes, what: str, schema: int) -> dict[str, Any]:
    """The object in `payload`, whatever it holds beside its schema.

    Raises
    ------
    DecodeError
        Not JSON, or no object.
    UnsupportedSchemaError
        A schema of the future.
    """
    try:
        body: Any = json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DecodeError(what, payload[:60], f"is no JSON ({error})") from error
    if not isinstance(body, dict):
        raise DecodeError(what, payload[:60], "must be a JSON object")
    if type(body.get("schema")) is not int or body["schema"] != schema:
        raise UnsupportedSchemaError("schema", body.get("schema"), f"this version reads {schema}")
    return body


def pick(body: Any, what: str, names: Sequence[str]) -> dict[str, Any]:
    """The values of `names` in an object; what a later version may have added is passed over. Raises DecodeError."""
    if not isinstance(body, dict):
        raise DecodeError(what, body, "must be a JSON object")
    missing = [name for name in names if name not in body]
    if missing:
        raise DecodeError(what, missing, "fields are missing")
    return {name: body[name] for name in names}


def read_kind(body: dict[str, Any], what: str, types: Mapping[str, type[T]]) -> T:
    """The value that the object's `kind` makes of its other fields.

    Raises
    ------
    DecodeError
        A kind that is unknown, a field missing or out of its range.
    """
    kind = pick(body, what, ["kind"])["kind"]
    type_of_kind = types.get(kind) if isinstance(kind, str) else None
    if type_of_kind is None:
        raise DecodeError("kind", kind, f"must be one of {', '.join(types)}")
    return type_of_kind(**pick(body, what, [field.name for field in fields(type_of_kind)]))  # type: ignore[arg-type]


def encode_object(schema: int, body: dict[str, Any]) -> bytes:
    """Compact JSON of the body behind its schema."""
    return json.dumps({"schema": schema, **body}, separators=(",", ":"), allow_nan=False).encode()


def check_text(field: str, value: object, most: int = 128) -> None:
    """Raises DecodeError unless `value` is a text of 1 to `most` characters that UTF-8 can hold."""
    if not isinstance(value, str) or not 0 < len(value) <= most or _SURROGATE.search(value):
        raise DecodeError(field, value, f"must be a text in Unicode of 1 to {most} characters")


def check_integer(field: str, value: object, most: int) -> None:
    """Raises DecodeError unless `value` is an integer from 0 to `most`."""
    if type(value) is not int or not 0 <= value <= most:
        raise DecodeError(field, value, f"must be an integer from 0 to {most}")


def check_choice(field: str, value: object, choices: Sequence[str]) -> None:
    """Raises DecodeError unless `value` is one of `choices`."""
    if value not in choices:
        raise DecodeError(field, value, f"must be one of {', '.join(choices)}")


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
