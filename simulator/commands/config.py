"""`--config FILE`: a command's flags as a TOML file, checked by the rules of the flags themselves.

The file's values take the place of the flags' defaults, so a flag on the command line wins, and a flag that is added to
a command is a key at once.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import typer
from typer.core import TyperOption

_TOML_TYPES: Final[Mapping[object, tuple[type, str]]] = {
    bool: (bool, "true or false"),
    int: (int, "an integer"),
    float: (float, "a number"),
}
"""What a flag's type is in TOML, and in words; all others are strings there."""


class ConfigError(ValueError):
    """A file that is no configuration of the command; one line for every mistake, with file, key, value and remedy."""


def from_file(context: typer.Context, path: Path | None) -> Path | None:
    """Let the file's values be the command's defaults: the callback of an eager `--config`.

    Raises
    ------
    typer.BadParameter
        with every mistake of the file.
    """
    if path is not None:
        flags = {
            parameter.opts[0].removeprefix("--"): parameter
            for parameter in context.command.params
            if isinstance(parameter, TyperOption) and parameter.name not in {"config", "help"}
        }
        try:
            values = read_config(path, flags, context)
        except ConfigError as error:
            raise typer.BadParameter(str(error)) from error
        context.default_map = {**(context.default_map or {}), **values}
    return path


def read_config(path: Path, flags: Mapping[str, TyperOption], context: typer.Context) -> dict[str, Any]:
    """The file's values by the name of the parameter they are for. Raises ConfigError, which names all mistakes."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for key, value in given.items():
        flag = flags.get(key)
        if flag is None:
            mistakes.append(f"{path}: {key} = {_shown(value)}: there is no such key; {_advice(key, flags)}")
        elif _type_of(flag) is str and _is_number(value):
            values[flag.name] = str(value)  # a word or a number, as a speed is
        elif not _fits(value, flag):
            mistakes.append(f"{path}: {key} = {_shown(value)}: give {_allowed(flag)}")
        elif refusal := _refusal(value, flag, context):
            mistakes.append(f"{path}: {key} = {_shown(value)}: {refusal}")
        else:
            values[flag.name] = value
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(value: object, flag: TyperOption) -> bool:
    """Whether TOML's type is the flag's: "5" is no number here, and true is not 1."""
    if flag.multiple:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    expected, _ = _TOML_TYPES.get(_type_of(flag), (str, ""))
    if isinstance(value, bool) or expected is bool:
        return isinstance(value, bool) and expected is bool
    return isinstance(value, (int, float) if expected is float else expected)


def _refusal(value: object, flag: TyperOption, context: typer.Context) -> str | None:
    """Why the flag does not take the value, in its own words where it has a check of its own; None if it does."""
    try:
        flag.process_value(context, value)
    except typer.BadParameter as error:
        return error.message if flag.callback is not None else f"give {_allowed(flag)}"
    return None


def _allowed(flag: TyperOption) -> str:
    choices = flag.type_descriptor.choices
    if choices:
        words = ", ".join(f'"{choice}"' for choice in choices)
        return f"a list of any of {words}" if flag.multiple else f"one of {words}"
    if flag.multiple:
        return "a list of strings"
    _, words = _TOML_TYPES.get(_type_of(flag), (str, "a string"))
    if flag.min is not None and flag.max is not None:
        return f"{words} from {flag.min:,} to {flag.max:,}"
    if flag.min is not None:
        return f"{words} of at least {flag.min:,}"
    return words if flag.max is None else f"{words} of at most {flag.max:,}"


def _type_of(flag: TyperOption) -> object:
    """The flag's type, of an optional one the type that it has where it is given."""
    annotation = flag.type_descriptor.annotation
    if get_origin(annotation) is None:
        return annotation
    return next((each for each in get_args(annotation) if each is not type(None)), annotation)


def _advice(key: str, flags: Mapping[str, TyperOption]) -> str:
    alike = difflib.get_close_matches(key.replace("_", "-"), flags, n=1)
    return f"did you mean {alike[0]}?" if alike else f"the keys are {', '.join(sorted(flags))}"


def _shown(value: object) -> str:
    """The value as TOML writes it, where that is short."""
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
