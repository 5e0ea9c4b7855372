"""A stored window as the sweep reads it: its frame at once, its segments only where somebody asks for them. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError as ProtobufError

from roadside.contract import messages_pb2 as pb
from roadside.contract.codec import decode_window
from roadside.contract.errors import ContractError
from roadside.contract.summary import WindowSummary

if TYPE_CHECKING:
    Item = dict[str, Any]

MAX_WINDOW_MS: Final = 300_000  # of the coarsest that gateways merge


@dataclass(frozen=True, slots=True)
class StoredWindow:
    """One item of the windows table.

    Parameters
    ----------
    sequence : of its latest edition
    received_ms : when that one arrived at the latest; known to the second
    payload : the message
    """

    gateway: str
    epoch_ms: int
    start_ms: int
    end_ms: int
    sequence: int
    revision: int
    received_ms: int
    payload: bytes

    def summary(self) -> WindowSummary | None:
        """The window whole; None if this version cannot read it, which is then no pass's fault."""
        try:
            return decode_window(self.payload)
        except ContractError:
            return None


def stored_window(item: "Item", retention_s: int) -> StoredWindow | None:
    """The window in an item of the windows table; None if its message cannot be read.

    Parameters
    ----------
    retention_s : how long items live, by which the time to live tells when the window arrived
    """
    payload = bytes(item["b"]["B"])
    message = pb.WindowSummary()
    try:
        message.ParseFromString(payload)
    except ProtobufError:
        return None
    start_ms, _, epoch_ms = item["w"]["S"].partition("#")
    return StoredWindow(
        gateway=item["g"]["S"],
        epoch_ms=int(epoch_ms),
        start_ms=int(start_ms),
        end_ms=int(start_ms) + message.window_ms,
        sequence=int(item["q"]["N"]),
        revision=int(item["r"]["N"]),
        received_ms=1000 * (int(item["t"]["N"]) - retention_s) + 999,
        payload=payload,
    )
