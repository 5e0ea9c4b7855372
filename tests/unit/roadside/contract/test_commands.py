import json
from typing import Any

import pytest

from roadside.contract.commands import (
    MAX_RUN_LENGTH,
    MAX_RUNS,
    Command,
    ReportNowCommand,
    ResendCommand,
    ReviveDeadLettersCommand,
    decode_command,
    encode_command,
)
from roadside.contract.errors import DecodeError

RESEND = ResendCommand("c-1", 1_790_000_000_123, ((3, 2), (900, 1)))


@pytest.mark.parametrize("command", [RESEND, ReviveDeadLettersCommand("c-2"), ReportNowCommand("c-3")])
def test_a_command_comes_back_as_it_went(command: Command) -> None:
    assert decode_command(encode_command(command)) == command


def test_fields_of_a_later_version_are_passed_over() -> None:
    body = json.loads(encode_command(RESEND)) | {"urgency": 5}
    assert decode_command(json.dumps(body).encode()) == RESEND


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("command", {"command": "reboot"}),
        ("command", {"command": None}),
        ("command", {"command": ["resend"]}),
        ("schema", {"schema": 2}),
        ("schema", {"schema": True}),
        ("command_id", {"command_id": ""}),
        ("command_id", {"command_id": 7}),
        ("command_id", {"command_id": "x" * 129}),
        ("epoch_ms", {"epoch_ms": -1}),
        ("epoch_ms", {"epoch_ms": "1"}),
        ("runs", {"runs": []}),
        ("runs", {"runs": {}}),
        ("runs", {"runs": [[1, 2, 3]]}),
        ("runs", {"runs": [7]}),
        ("runs", {"runs": [[1, 1]] * (MAX_RUNS + 1)}),
        ("runs.first", {"runs": [["1", 1]]}),
        ("runs.first", {"runs": [[1.0, 1]]}),
        ("runs.length", {"runs": [[1, MAX_RUN_LENGTH + 1]]}),
        ("runs.length", {"runs": [[1, -1]]}),
    ],
)
def test_what_is_no_command_is_refused_with_the_field_at_fault(field: str, changes: dict[str, Any]) -> None:
    body = json.loads(encode_command(RESEND)) | changes
    with pytest.raises(DecodeError) as caught:
        decode_command(json.dumps(body).encode())
    assert caught.value.field == field


@pytest.mark.parametrize("missing", ["command_id", "epoch_ms", "runs"])
def test_a_missing_field_is_named(missing: str) -> None:
    body = json.loads(encode_command(RESEND))
    del body[missing]
    with pytest.raises(DecodeError, match=missing):
        decode_command(json.dumps(body).encode())


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"null", b'{"schema":NaN}', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_command(payload)
