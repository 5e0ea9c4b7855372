"""No cloud behind the gateways, only its rules: what a message leads to, decided in this process. See target.py.

The functions' own logic reads a message and says what is poison. Windows are kept as their table keeps them: by
gateway, window start and epoch, if they are new or a higher revision. Then a message is acknowledged, at once. So a run
measures the edge, and can be as fast as that. There is no stream, no lake, no current state and no bus.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from typing import Any, Final, get_args

from cloud.functions.alerts.logic import read_event_in
from cloud.functions.processor.logic import SensorsRecord, read_message
from cloud.functions.shared.acks import AckLedger
from cloud.functions.shared.envelope import Envelope, MessageId, PoisonError
from cloud.functions.shared.wording import headline, severity, text
from roadside.contract import topics
from roadside.contract.bus import Announcement, BusEvent, detail, from_gateway
from roadside.contract.codec import decode_window, encode_ack
from roadside.contract.sensors import SensorSummary, decode_sensors
from simulator.fleet.link import Connection
from simulator.fleet.mqtt import PublishRefused
from simulator.run.leaks import Process
from simulator.run.local_target import damaged_window
from simulator.run.options import Break
from simulator.run.target import StoredWindows
from simulator.verification.alerts import CONGESTION

KINDS: Final = get_args(topics.CloudKind)

Handler = Callable[[str, bytes], None]


def wall_ms() -> int:
    """The machine's time."""
    return time.time_ns() // 1_000_000


class MemoryEvents:
    """The events that reached a memory target. Implements Events."""

    def __init__(self) -> None:
        self._events: dict[str, dict[str, Any]] = {}
        self._received_ms: dict[str, int] = {}
        self._copies: Counter[str] = Counter()
        self.count = 0

    @property
    def repeated(self) -> int:
        return sum(self._copies.values()) - len(self._copies)

    def take(self, event: BusEvent, now_ms: int) -> None:
        """An event has come, perhaps again. It is told to systems in the words of the deployed stack."""
        self._copies[event.event_id] += 1
        if event.event_id in self._events:
            return
        words = Announcement(event, severity(event), headline(event), text(event), notify=False)
        self._events[event.event_id] = detail(words)
        self._received_ms[event.event_id] = now_ms
        self.count += event.kind in CONGESTION

    def events(self) -> list[dict[str, Any]]:
        return list(self._events.values())

    def received(self) -> list[dict[str, Any]]:
        return [{**event, "received_ms": self._received_ms[event_id]} for event_id, event in self._events.items()]

    def latencies_s(self, until_ms: float) -> list[float]:  # noqa: ARG002 - whatever the instant
        """None: no event is under way here for any time that would say something of a cloud."""
        return []


class MemoryWays:
    """The ways of the gateways to a memory target, in the order of their admission. Implements Ways."""

    def __init__(self) -> None:
        self.connections: dict[str, _MemoryConnection] = {}

    def cut(self, ways: Iterable[int]) -> None:
        self._switch(ways, connected=False)

    def mend(self, ways: Iterable[int]) -> None:
        self._switch(ways, connected=True)

    def _switch(self, ways: Iterable[int], *, connected: bool) -> None:
        connections = list(self.connections.values())
        for way in ways:
            connections[way].connected = connected


class MemoryTarget:
    """Keeps messages in memory. Implements Target, for gateways that publish from one thread.

    Parameters
    ----------
    now_ms : tells the time at which messages come

    Attributes
    ----------
    parked : how many messages were poison
    """

    name = "memory"
    answers_at_once = True
    is_spent = False
    lake = None

    def __init__(self, now_ms: Callable[[], int] = wall_ms) -> None:
        self.now_ms = now_ms
        self.events = MemoryEvents()
        self.parked = 0
        self.network = MemoryWays()
        self._windows: dict[tuple[str, int, int], tuple[int, bytes]] = {}  # (gateway, start, epoch) -> revision, body
        self._sensors: dict[tuple[str, int, int, int], bytes] = {}  # (gateway, start, epoch, part) -> body

    def admit(self, gateways: Collection[str]) -> None:
        for gateway in gateways:
            self.connect(gateway)

    def connect(self, gateway: str) -> Connection:
        return self.network.connections.setdefault(gateway, _MemoryConnection(gateway, self))

    def take(self, envelope: Envelope, ledger: AckLedger) -> None:
        """Keep a message by the rules of its table, and note in the ledger what its gateway is to be told."""
        try:
            ledger.stored(self._keep(envelope))
        except PoisonError as poison:
            self.parked += 1
            if poison.message_id is not None:
                ledger.refused(poison.message_id, poison.reason)

    def end_of_readings(self) -> None:
        """Nobody here waits for anything."""

    def damage(self, how: Break) -> None:
        key, (revision, payload) = next(iter(self._windows.items()))
        if how is Break.MISSING:
            del self._windows[key]
        else:
            self._windows[key] = revision, damaged_window(payload)

    def windows(self, since_ms: int = 0, until_ms: int | None = None) -> StoredWindows:
        stored: StoredWindows = defaultdict(list)
        for (gateway, start_ms, _), (_, payload) in self._windows.items():
            if since_ms <= start_ms and (until_ms is None or start_ms < until_ms):
                stored[gateway, start_ms].append(decode_window(payload))
        return stored

    def sensors(self, since_ms: int = 0, until_ms: int | None = None) -> list[SensorSummary]:
        return [
            decode_sensors(payload)
            for (_, start_ms, _, _), payload in self._sensors.items()
            if since_ms <= start_ms and (until_ms is None or start_ms < until_ms)
        ]

    def processes(self) -> dict[str, Process]:
        return {}

    def restart_functions(self) -> int:
        return 0

    def forget(self, before_ms: int) -> None:
        self._windows = {key: kept for key, kept in self._windows.items() if key[1] >= before_ms}
        self._sensors = {key: kept for key, kept in self._sensors.items() if key[1] >= before_ms}

    def _keep(self, envelope: Envelope) -> MessageId:
        if envelope.kind == "events":
            event = read_event_in(envelope)
            self.events.take(from_gateway(event.event), envelope.received_ms)
            return event.message_id
        record = read_message(envelope)
        if isinstance(record, SensorsRecord):
            summary = record.summary
            place = summary.gateway, summary.interval_start_ms, summary.epoch_ms, summary.part
            self._sensors.setdefault(place, envelope.payload)
            return record.message_id
        window = record.window
        key = window.gateway, window.window_start_ms, window.epoch_ms
        if key not in self._windows or self._windows[key][0] < window.revision:
            self._windows[key] = window.revision, envelope.payload
        return record.message_id


class _MemoryConnection:
    """A gateway's connection to a memory target; what it publishes is acknowledged before `publish` returns."""

    def __init__(self, gateway: str, target: MemoryTarget) -> None:
        self.connected = True
        self._gateway = gateway
        self._target = target
        self._kinds: dict[str, topics.CloudKind] = {topics.uplink(kind, gateway): kind for kind in KINDS}
        self._handlers: list[tuple[str, Handler]] = []

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> Future[None]:  # noqa: ARG002 - nothing is lost here
        published: Future[None] = Future()
        if (kind := self._kinds.get(topic)) is None:
            published.set_exception(PublishRefused(self._gateway, topic, 135, "not authorized"))
            return published
        published.set_result(None)
        ledger = AckLedger()
        self._target.take(
            Envelope(self._gateway, received_ms=self._target.now_ms(), payload=payload, kind=kind), ledger
        )
        for _, ack in ledger.acks():
            for topic_filter, handler in self._handlers:
                if topic_filter == topics.acks(self._gateway):
                    handler(topic_filter, encode_ack(ack))
        return published

    def subscribe(self, topic_filter: str, handler: Handler) -> Future[None]:
        if (topic_filter, handler) not in self._handlers:
            self._handlers.append((topic_filter, handler))
        granted: Future[None] = Future()
        granted.set_result(None)
        return granted

    def on_state(self, callback: Callable[[bool], None]) -> None:
        """For a nucleus, of which none stands here."""

    def close(self) -> None:
        self._handlers.clear()
