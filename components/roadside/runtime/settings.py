"""A component's settings: read from its configuration as a whole or not at all, with every fault told at once.

A settings type is a frozen msgspec.Struct with `rename="camel"`, a default for every key (an upgrade keeps old
configurations, so new keys are missing there) and bounds as `Annotated[int, msgspec.Meta(ge=1)]`. What concerns
several fields goes into `__post_init__`, which raises ValueError.

Values are coerced, since nucleus lite turns every scalar of a YAML recipe into a string and classic every integer
into a float: '60' and 60.0 are 60, 'true' is True, 'null' is None wherever None is allowed.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

ACCESS_CONTROL: Final = "accessControl"

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class SettingsFault:
    """One thing that is wrong: the key as written in the configuration, its value shortened for logs, and why."""

    field: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field} = {self.value}: {self.reason}"


class SettingsError(ValueError):
    """A configuration that cannot be used; the settings in force stay in force.

    Attributes
    ----------
    faults : tuple of SettingsFault
        All of them, in the order of the settings' fields.
    """

    def __init__(self, faults: tuple[SettingsFault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(map(str, faults)))


def load_settings(settings_type: type[_Settings], tree: Mapping[str, Any]) -> _Settings:
    """The settings in a configuration tree; `accessControl`, which nuclei hand out with it, is left aside.

    Raises
    ------
    SettingsError
        With every fault: values of a wrong type or out of bounds, unknown keys, missing keys without a default.
    """
    faults: list[SettingsFault] = []
    settings = _struct(settings_type, {key: tree[key] for key in tree if key != ACCESS_CONTROL}, "", faults)
    if faults:
        raise SettingsError(tuple(faults))
    assert isinstance(settings, settings_type)  # noqa: S101  for the type checker: there were no faults
    return settings


def _struct(struct_type: type[msgspec.Struct], tree: Any, path: str, faults: list[SettingsFault]) -> Any:
    if not isinstance(tree, Mapping):
        faults.append(_fault(path, tree, "expected an object"))
        return None
    before = len(faults)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct_type)}
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in tree:
            values[field.name] = _value(field.type, tree[key], _join(path, key), faults)
        elif field.required:
            faults.append(SettingsFault(_join(path, key), "missing", "must be given"))
    for key in tree:
        if key not in fields:
            faults.append(_fault(_join(path, str(key)), tree[key], _unknown(str(key), list(fields))))
    if len(faults) > before:
        return None
    try:
        return struct_type(**values)
    except ValueError as error:  # of __post_init__
        faults.append(_fault(path or "settings", dict(tree), str(error)))
        return None


def _value(expected: Any, value: Any, path: str, faults: list[SettingsFault]) -> Any:
    options = get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)
    if NoneType in options and (value is None or value == "null"):
        return None
    for option in options:
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return _struct(option, value, path, faults)
    item_type = _struct_item_type(expected)
    if item_type is not None and isinstance(value, list):
        items = [_struct(item_type, item, f"{path}[{index}]", faults) for index, item in enumerate(value)]
        return tuple(items) if get_origin(expected) is tuple else items
    try:
        converted = msgspec.convert(value, expected, strict=False)
    except msgspec.ValidationError as error:
        reason, _, inside = str(error).replace("`", "").partition(" - at $")
        faults.append(_fault(path + inside, value, reason[:1].lower() + reason[1:]))
        return None
    if not _is_finite(converted):
        faults.append(_fault(path, value, "must be a finite number"))
    return converted


def _struct_item_type(expected: Any) -> type[msgspec.Struct] | None:
    arguments = get_args(expected)
    if get_origin(expected) in (list, tuple) and isinstance(arguments[0], type):
        return arguments[0] if issubclass(arguments[0], msgspec.Struct) else None
    return None


def _is_finite(value: Any) -> bool:
    """No NaN and no infinity anywhere in a converted value; bounds would let a NaN pass."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return True


def _unknown(key: str, known: list[str]) -> str:
    by_lower_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(key.lower(), by_lower_case, n=3)
    if close:
        return "unknown key, did you mean " + " or ".join(repr(by_lower_case[name]) for name in close) + "?"
    return "unknown key, known are " + ", ".join(sorted(known))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _fault(path: str, value: Any, reason: str) -> SettingsFault:
    shown = repr(value)
    return SettingsFault(path, shown if len(shown) <= 80 else shown[:77] + "...", reason)
