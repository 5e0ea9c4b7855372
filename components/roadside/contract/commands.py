"""Commands: what the cloud may ask of a gateway, as JSON. Each may come twice, and then changes nothing more.

resend             send these messages of the epoch again now, if they are still held
reviveDeadLetters  send again what was refused, say after a missing permission was granted
reportNow          tell status and statistics now instead of at the next beat
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final

from roadside.contract.errors import DecodeError
from roadside.contract.json_object import check_choice, check_integer, check_text, encode_object, pick, read_object
from roadside.contract.summary import MAX_INTEGER

SCHEMA: Final = 1
MAX_RUNS: Final = 100
MAX_RUN_LENGTH: Final = 100_000


@dataclass(frozen=True, slots=True)
class ResendCommand:
    """Send again: `runs` of (first sequence, how many) of the epoch. `command_id` is the asker's, for the logs."""

    NAME: ClassVar[str] = "resend"

    command_id: str
    epoch_ms: int
    runs: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        check_text("command_id", self.command_id)
        check_integer("epoch_ms", self.epoch_ms, MAX_INTEGER)
        if not 1 <= len(self.runs) <= MAX_RUNS:
            raise DecodeError("runs", f"{len(self.runs)} runs", f"must be 1 to {MAX_RUNS}")
        for first, length in self.runs:
            check_integer("runs.first", first, MAX_INTEGER)
            check_integer("runs.length", length, MAX_RUN_LENGTH)


@dataclass(frozen=True, slots=True)
class ReviveDeadLettersCommand:
    """Send again what was set aside."""

    NAME: ClassVar[str] = "reviveDeadLetters"

    command_id: str

    def __post_init__(self) -> None:
        check_text("command_id", self.command_id)


@dataclass(frozen=True, slots=True)
class ReportNowCommand:
    """Tell status and statistics now."""

    NAME: ClassVar[str] = "reportNow"

    command_id: str

    def __post_init__(self) -> None:
        check_text("command_id", self.command_id)


Command = ResendCommand | ReviveDeadLettersCommand | ReportNowCommand
COMMANDS: Final[dict[str, type[Command]]] = {
    kind.NAME: kind for kind in (ResendCommand, ReviveDeadLettersCommand, ReportNowCommand)
}


def encode_command(command: Command) -> bytes:
    """The command as compact JSON."""
    return encode_object(SCHEMA, {"command": command.NAME, **asdict(command)})


def decode_command(payload: bytes) -> Command:
    """The command in `payload`; fields that a later version may add are passed over.

    Raises
    ------
    DecodeError
        Not JSON, no command that this version knows, a field missing or out of its range.
    UnsupportedSchemaError
        A schema of the future.
    """
    body = read_object(payload, "command", SCHEMA)
    name = body.get("command")
    check_choice("command", name, tuple(COMMANDS))
    kind = COMMANDS[str(name)]
    values = pick(body, "command", [field.name for field in fields(kind)])
    if "runs" in values:
        values["runs"] = _runs(values["runs"])
    return kind(**values)


def _runs(value: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list) or not all(isinstance(run, list) and len(run) == 2 for run in value):
        raise DecodeError("runs", value, "must be a list of [first sequence, how many]")
    return tuple((first, length) for first, length in value)
