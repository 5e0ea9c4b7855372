"""A fleet of one gateway or more in memory: tables that work, a bus that keeps what it is told, and a clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from aws_lambda_powertools import Logger

from cloud.functions.shared.acks import AckLedger
from cloud.functions.shared.announcer import NotAnnouncedError
from cloud.functions.shared.envelope import MessageId
from cloud.functions.sweep.gateway import Gateway, read_gateway, sweeps_attributes
from cloud.functions.sweep.liveness import Patience
from cloud.functions.sweep.sweep import NeighbourJudge, Outcome, Sweep
from cloud.functions.sweep.windows import StoredWindow
from roadside.contract.bus import Announcement, BusEvent
from roadside.contract.codec import encode_window
from roadside.contract.commands import ResendCommand
from roadside.contract.summary import Ack
from tests.unit.cloud.messages import EPOCH_MS, START_MS, make_window

GATEWAY = "gw-0001"
MINUTE_MS = 60_000


def window(
    place: int,
    *,
    gateway: str = GATEWAY,
    epoch_ms: int = EPOCH_MS,
    sequence: int | None = None,
    windows: int = 1,
    revision: int = 0,
    received_ms: int | None = None,
) -> StoredWindow:
    """The stored window at a place in time, counted in windows of 10 s; `windows` merged into one."""
    start_ms = START_MS + 10_000 * place
    end_ms = start_ms + 10_000 * windows
    made = make_window(
        sequence if sequence is not None else 100 + place, gateway=gateway, start_ms=start_ms, epoch_ms=epoch_ms
    )
    return StoredWindow(
        gateway=gateway,
        epoch_ms=epoch_ms,
        start_ms=start_ms,
        end_ms=end_ms,
        sequence=made.sequence,
        revision=revision,
        received_ms=end_ms + 3_000 if received_ms is None else received_ms,
        payload=encode_window(made),
    )


@dataclass
class Fleet:
    """Satisfies `sweep.Tables`, `sweep.EventAnnouncer` and `sweep.Acks`."""

    known: dict[str, Gateway] = field(default_factory=dict)
    stored: dict[str, dict[tuple[int, int], StoredWindow]] = field(default_factory=dict)
    told: dict[str, list[tuple[int, MessageId]]] = field(default_factory=dict)  # of sensors: start, message
    memories: dict[str, bytes] = field(default_factory=dict)
    segments: dict[int, tuple[str, int]] = field(default_factory=dict)  # of those with a state: gateway, updated_ms
    announced: dict[str, BusEvent] = field(default_factory=dict)
    sent: list[tuple[str, ResendCommand]] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    bus_fails: bool = False
    gathers_acks: bool = False
    reads: int = 0

    def add(self, *windows: StoredWindow) -> None:
        for each in windows:
            self.stored.setdefault(each.gateway, {})[each.start_ms, each.epoch_ms] = each
            self.known.setdefault(each.gateway, Gateway(each.gateway))

    def tell(self, name: str = GATEWAY, **changes: int) -> None:
        """What another function writes of a gateway."""
        self.known[name] = replace(self.known.get(name, Gateway(name)), **changes)  # type: ignore[arg-type]

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.announced.values()]

    def sweep(self, judges: Sequence[NeighbourJudge] = ()) -> Sweep:
        return Sweep(
            tables=self,
            announcer=self,
            send=lambda gateway, command: self.sent.append((gateway, command)),
            logger=Logger(service="test", level="CRITICAL"),
            patience=Patience(),
            segment_refresh_s=300,
            judges=judges,
            acks=self if self.gathers_acks else None,
        )

    def run(self, now_ms: int) -> Outcome:
        return self.sweep().run(now_ms)

    def publish(self, ledger: AckLedger) -> int:
        self.acks += [ack for _, ack in ledger.acks()]
        return 0

    def gateways(self) -> list[Gateway]:
        return list(self.known.values())

    def put_gateway(self, gateway: Gateway) -> bool:
        held = self.known[gateway.name]
        if held.version != gateway.version:
            return False
        kept = read_gateway({"gateway": {"S": gateway.name}, **sweeps_attributes(gateway)})
        self.known[gateway.name] = replace(
            held, **{name: getattr(kept, name) for name in ("status", "seen_ms", "gaps", "pending", "version")}
        )
        return True

    def windows(self, gateway: str, from_ms: int, until_ms: int) -> list[StoredWindow]:
        self.reads += 1
        items = sorted(self.stored.get(gateway, {}).items())
        return [each for (start_ms, _), each in items if from_ms <= start_ms < until_ms]

    def summaries(self, gateway: str, from_ms: int, until_ms: int) -> list[MessageId]:
        return [message for start_ms, message in self.told.get(gateway, ()) if from_ms <= start_ms < until_ms]

    def newest_window(self, gateway: str, before_ms: int | None = None) -> StoredWindow | None:
        items = sorted(self.stored.get(gateway, {}).items())
        found = [each for (start_ms, _), each in items if before_ms is None or start_ms < before_ms]
        return found[-1] if found else None

    def memory(self, name: str) -> bytes | None:
        return self.memories.get(name)

    def put_memory(self, name: str, memory: bytes) -> None:
        self.memories[name] = memory

    def stale_segments(self, before_ms: int) -> list[tuple[int, int]]:
        return [(number, updated) for number, (_, updated) in self.segments.items() if updated < before_ms]

    def clear_segment(self, number: int, *, gateway: str | None, until_ms: int) -> bool:
        owner, updated_ms = self.segments.get(number, ("", until_ms + 1))
        if updated_ms > until_ms or gateway not in (None, owner):
            return False
        del self.segments[number]
        return True

    def announce_all(self, events: Sequence[BusEvent], now_ms: int) -> tuple[Announcement, ...]:
        if self.bus_fails:
            raise NotAnnouncedError({event.event_id: "bus is down" for event in events})
        news = [event for event in events if event.event_id not in self.announced]
        self.announced |= {event.event_id: event for event in news}
        return tuple(Announcement(event, "info", "headline", "text", notify=True) for event in news)


def steady(places: Iterable[int], gateway: str = GATEWAY) -> list[StoredWindow]:
    return [window(place, gateway=gateway) for place in places]
