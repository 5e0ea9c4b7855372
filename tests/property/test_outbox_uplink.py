"""The uplink against a cloud that loses, delays, repeats and reorders messages and acknowledgements."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.contract.codec import encode_ack
from roadside.contract.summary import Ack
from roadside.runtime.outbox import OutgoingMessage
from roadside.runtime.ports import BusUnavailableError
from roadside.runtime.store import GatewayStore
from roadside.runtime.uplink import Uplink
from roadside.runtime.uplink_settings import UplinkSettings

WALL_MS = 1_800_000_000_000
EPOCH_MS = WALL_MS - 1


@dataclass
class Weather:
    """How badly the way to the cloud behaves; shares are of messages."""

    loss: float
    repetition: float
    unavailable: float
    max_delay_ms: int


@dataclass
class FakeCloud:
    """Stores what arrives and acknowledges it, over a bad way there and back. A working fake: time is the test's."""

    weather: Weather
    random: Random
    now_ms: int = 0
    stored: Counter[int] = field(default_factory=Counter)
    published: list[tuple[int, int]] = field(default_factory=list)  # (when, sequence)
    arriving: list[tuple[int, int]] = field(default_factory=list)
    acks: list[tuple[int, int]] = field(default_factory=list)

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        if self.random.random() < self.weather.unavailable:
            raise BusUnavailableError
        sequence = int(payload)
        self.published.append((self.now_ms, sequence))
        self.arriving += self._travel(sequence)

    def step(self, now_ms: int) -> list[bytes]:
        """Take what has arrived; returns the acknowledgements that have come back."""
        self.now_ms = now_ms
        for item in [item for item in self.arriving if item[0] <= now_ms]:
            self.arriving.remove(item)
            self.stored[item[1]] += 1
            self.acks += self._travel(item[1])
        back = [item for item in self.acks if item[0] <= now_ms]
        for item in back:
            self.acks.remove(item)
        self.random.shuffle(back)
        return [encode_ack(Ack(EPOCH_MS, stored=(sequence,))) for _, sequence in back]

    def _travel(self, sequence: int) -> list[tuple[int, int]]:
        copies = 0 if self.random.random() < self.weather.loss else 1
        copies += self.random.random() < self.weather.repetition
        return [(self.now_ms + self.random.randint(0, self.weather.max_delay_ms), sequence) for _ in range(copies)]


weathers = st.builds(
    Weather,
    loss=st.sampled_from([0.0, 0.2, 0.7]),
    repetition=st.sampled_from([0.0, 0.5]),
    unavailable=st.sampled_from([0.0, 0.3]),
    max_delay_ms=st.sampled_from([0, 500, 90_000]),
)


@settings(max_examples=80, deadline=None)
@given(
    weather=weathers,
    kinds=st.lists(st.sampled_from(["events", "windows", "windows", "sensors"]), min_size=1, max_size=40),
    gap_ms=st.sampled_from([0, 10, 3000]),
    rate=st.sampled_from([1, 5, 20]),
    window=st.sampled_from([1, 3, 8]),
    restart_every=st.sampled_from([0, 7]),
    seed=st.integers(0, 2**32),
)
def test_every_message_is_stored_and_acknowledged_and_none_is_sent_after_its_acknowledgement(
    *, weather: Weather, kinds: list[str], gap_ms: int, rate: int, window: int, restart_every: int, seed: int
) -> None:
    cloud = FakeCloud(weather, Random(seed))  # noqa: S311
    store = GatewayStore.open(None, EPOCH_MS)
    limits = UplinkSettings(publishes_per_second=rate, window=window, max_resend_ms=60_000)
    uplink = Uplink(store.outbox, EPOCH_MS, cloud, limits, on_late=bytes)
    acknowledged: dict[int, int] = {}
    outstanding = set[int]()
    now_ms = steps = published = 0
    waiting = list(kinds)
    last_restart_ms = -1000
    while waiting or store.outbox.headers():
        steps += 1
        assert steps < 20_000, "the outbox does not drain"
        if waiting:
            with store.transaction():
                sequence = store.outbox.next_sequence()
                kind = waiting.pop(0)
                message = OutgoingMessage(sequence, kind, "t", b"%d" % sequence, WALL_MS + now_ms)  # type: ignore[arg-type]
                store.outbox.add(message, offered=kind != "windows" or uplink.takes_live)
            outstanding.add(sequence)
        for ack in cloud.step(now_ms):
            uplink.on_ack(ack, WALL_MS + now_ms)
        for sequence in outstanding - {header.sequence for header in store.outbox.headers()}:
            acknowledged[sequence] = now_ms
            outstanding.discard(sequence)
        if restart_every and steps % restart_every == 0 and now_ms - last_restart_ms >= 1000:
            uplink = Uplink(store.outbox, EPOCH_MS, cloud, limits, on_late=bytes)
            last_restart_ms = now_ms
        wake_ms = uplink.pump(WALL_MS + now_ms, now_ms)
        assert wake_ms > now_ms
        for at_ms, sequence in cloud.published[published:]:
            assert sequence not in acknowledged, f"{sequence} sent at {at_ms}, acknowledged at {acknowledged[sequence]}"
        published = len(cloud.published)
        events = [at_ms for at_ms, _ in cloud.arriving + cloud.acks]
        now_ms = now_ms + gap_ms if waiting else max(now_ms + 1, min([wake_ms, *events]))

    assert set(cloud.stored) == set(range(1, len(kinds) + 1))
    assert store.outbox.totals().acknowledged == len(kinds)
    assert store.outbox.totals().bytes == 0
    if not restart_every:
        times = [at_ms for at_ms, _ in cloud.published]
        assert all(later - earlier >= 1000 for earlier, later in zip(times, times[rate:], strict=False))
