"""The command line of the tables: help that teaches, and one sentence where nobody can be asked."""

import re

import pytest
from typer.testing import CliRunner, Result

from cloud.query.__main__ import app

NOBODY = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": None,
    "AWS_SECRET_ACCESS_KEY": None,
    "AWS_PROFILE": None,
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_CONFIG_FILE": "/nonexistent",
    "COLUMNS": "200",
    "NO_COLOR": "1",
    "TERM": "dumb",
}


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=NOBODY)


def test_every_example_of_the_help_is_a_command_and_every_command_an_example() -> None:
    output = ask("--help").output
    examples = set(re.findall(r"python -m cloud\.query (\w+)", output))
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}

    assert examples == commands
    for command in commands:
        assert ask(command, "--help").exit_code == 0


@pytest.mark.parametrize("command", [["top"], ["district"], ["latest", "1"], ["history", "1"], ["alerts"]])
def test_without_credentials_it_is_said_how_to_get_some(command: list[str]) -> None:
    result = ask(*command)

    assert result.exit_code == 2
    assert "no AWS credentials" in result.stderr
    assert "--keep" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["latest"], ["history"], ["sensor", "x"], ["sensor", "-1"], ["ack", "id"], ["tip"]]
)
def test_wrong_arguments_are_a_usage_error(arguments: list[str]) -> None:
    assert ask(*arguments).exit_code == 2
