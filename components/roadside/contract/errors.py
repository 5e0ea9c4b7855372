"""What can be wrong with a message. One base, so that a shell can count and park whatever the contract refuses."""

from reprlib import Repr
from typing import Final

# Shows a part of any value: repr() would fail at lists nested as deeply as JSON can be.
_SHOWN: Final = Repr()
_SHOWN.maxstring = _SHOWN.maxlong = _SHOWN.maxother = 80


class ContractError(ValueError):
    """A message or value breaks the contract.

    Attributes
    ----------
    field : str
        The field at fault, or the whole message's name.
    value : object
        What stood there, shortened for logs.
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        shown = _SHOWN.repr(value)
        self.field = field
        self.value = shown if len(shown) <= 80 else shown[:77] + "..."
        self.reason = reason
        super().__init__(f"{field} = {self.value}: {reason}")


class DecodeError(ContractError):
    """The peer sent bytes that are no message of ours."""


class UnsupportedSchemaError(DecodeError):
    """The message has a layout that this version does not know; update the reader."""


class InvalidTopicError(ContractError):
    """A name cannot be a level of an MQTT topic."""
