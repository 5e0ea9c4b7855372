"""An uplink with its store and a bus that can fail, for the tests of it."""

from collections.abc import Callable

from roadside.contract.codec import encode_ack
from roadside.contract.summary import Ack, SegmentSummary, WindowSummary
from roadside.contract.topics import CloudKind
from roadside.runtime.outbox import OutgoingMessage
from roadside.runtime.store import GatewayStore
from roadside.runtime.uplink import Uplink
from roadside.runtime.uplink_settings import UplinkSettings

WALL_MS = 1_800_000_000_000
WINDOW = WindowSummary("g", 1, 1, 0, 10_000, (SegmentSummary(7),))
MANY = UplinkSettings(publishes_per_second=90, window=90)


Fault = Callable[[bytes], Exception | None]


def fine(_payload: bytes) -> None:
    return None


def failing(error: Exception) -> Fault:
    return lambda _payload: error


class Bus:
    """Remembers what was published; `fault` may raise instead."""

    def __init__(self) -> None:
        self.published: list[bytes] = []
        self.fault: Fault = fine

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        if error := self.fault(payload):
            raise error
        self.published.append(payload)


class Bench:
    """An uplink with its store and bus; time is given with each call, and wall time runs with it."""

    def __init__(self, settings: UplinkSettings = MANY, on_late: Callable[[bytes], bytes] | None = bytes) -> None:
        self.store = GatewayStore.open(None, WALL_MS)
        self.bus = Bus()
        self.settings = settings
        self.on_late = on_late
        self.restart()

    def restart(self) -> None:
        self.uplink = Uplink(self.store.outbox, self.store.epoch_ms, self.bus, self.settings, self.on_late)

    def queue(self, payload: bytes, kind: CloudKind = "windows", at_ms: int = 0, *, offered: bool = True) -> int:
        with self.store.transaction():
            sequence = self.store.outbox.next_sequence()
            message = OutgoingMessage(sequence, kind, "topic", payload, WALL_MS + at_ms)
            self.store.outbox.add(message, offered=offered)
        return sequence

    def offered(self) -> list[int]:
        return [header.sequence for header in self.store.outbox.headers() if header.offered]

    def pump(self, at_ms: int = 0) -> int:
        return self.uplink.pump(WALL_MS + at_ms, at_ms)

    def acknowledge(
        self,
        *stored: int,
        refused: tuple[tuple[int, str], ...] = (),
        epoch_ms: int = WALL_MS,
        gathered: bool = False,
    ) -> None:
        self.uplink.on_ack(encode_ack(Ack(epoch_ms, stored, refused, gathered)), WALL_MS)

    def take(self) -> list[bytes]:
        taken, self.bus.published = self.bus.published, []
        return taken
