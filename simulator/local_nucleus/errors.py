"""Errors of the stand-in: those that travel to a component, and those of its operator."""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal[
    "FailedUpdateConditionCheckError",
    "InvalidArgumentsError",
    "ResourceNotFoundError",
    "ServiceError",
    "UnauthorizedError",
]


class RpcError(Exception):
    """An operation refused; sent to the component as `aws.greengrass#<code>`."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class LocalNucleusError(Exception):
    """The operator of the stand-in asked for something it cannot do."""


class RecipeError(LocalNucleusError):
    """A recipe that the nucleus would refuse, or that uses what the stand-in does not model."""


class UnknownComponentError(LocalNucleusError):
    """No component of this name is deployed."""

    def __init__(self, component: str) -> None:
        super().__init__(f"component {component!r} is not deployed; call deploy() first")
        self.component = component
