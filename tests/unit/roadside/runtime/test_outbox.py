import pytest

from roadside.contract import topics
from roadside.runtime.database import ChecksumError
from roadside.runtime.outbox import MessageRefusedError, OutboxLimits, OutgoingMessage
from roadside.runtime.store import GatewayStore

NOW_MS = 1_800_000_000_000
TOPIC = "roadside/v1/g/windows"


def store_with(limits: OutboxLimits | None = None) -> GatewayStore:
    return GatewayStore.open(None, NOW_MS, limits)


def queue(
    store: GatewayStore,
    payload: bytes = b"p",
    kind: topics.CloudKind = "windows",
    created_ms: int = NOW_MS,
    topic: str = TOPIC,
) -> int:
    with store.transaction():
        sequence = store.outbox.next_sequence()
        store.outbox.add(OutgoingMessage(sequence, kind, topic, payload, created_ms))
    return sequence


def sequences(store: GatewayStore) -> list[int]:
    return [header.sequence for header in store.outbox.headers()]


def test_a_message_is_read_as_it_was_queued() -> None:
    store = store_with()
    sequence = queue(store, b"\x00\xff payload", "events", topic="t/é")
    assert store.outbox.read(sequence) == OutgoingMessage(sequence, "events", "t/é", b"\x00\xff payload", NOW_MS)
    assert store.outbox.read(sequence + 1) is None


def test_sequences_rise_by_one_and_an_undone_one_is_taken_again() -> None:
    store = store_with()
    assert [queue(store), queue(store)] == [1, 2]
    with pytest.raises(MessageRefusedError):
        queue(store, bytes(8000))
    assert queue(store) == 3


def test_an_acknowledged_sequence_is_not_used_again() -> None:
    store = store_with()
    store.outbox.settle([queue(store)], [], NOW_MS)
    assert queue(store) == 2


def test_uncommitted_messages_cannot_be_listed_for_sending() -> None:
    store = store_with()
    with store.transaction():
        store.outbox.next_sequence()
        with pytest.raises(RuntimeError, match="transaction"):
            store.outbox.headers()


@pytest.mark.parametrize(
    ("payload", "topic", "field"),
    [
        (bytes(7001), TOPIC, "payload"),
        (b"", "t" * 257, "topic"),
        (b"", "é" * 129, "topic"),
        (b"", "1/2/3/4/5/6/7/8/9", "topic"),
        (b"", "", "topic"),
        (b"", "roadside/+/windows", "topic"),
        (b"", "roadside/#", "topic"),
    ],
)
def test_what_could_never_be_sent_is_not_queued(payload: bytes, topic: str, field: str) -> None:
    store = store_with()
    with pytest.raises(MessageRefusedError) as caught:
        queue(store, payload, topic=topic)
    assert caught.value.field == field
    assert sequences(store) == []


def test_a_sequence_that_was_not_handed_out_is_refused() -> None:
    store = store_with()
    with pytest.raises(MessageRefusedError) as caught, store.transaction():
        store.outbox.add(OutgoingMessage(1, "windows", TOPIC, b"", NOW_MS))
    assert caught.value.field == "sequence"


def test_the_longest_topic_and_payload_pass_and_the_basic_ingest_prefix_is_free() -> None:
    store = store_with()
    queue(store, bytes(7000), topic="$aws/rules/roadside_windows/" + "t" * 256)
    queue(store, topic=topics.uplink("windows", "g" * 128))
    assert sequences(store) == [1, 2]


def test_acknowledged_messages_are_forgotten_and_unknown_ones_ignored() -> None:
    store = store_with()
    for _ in range(4):
        queue(store)
    store.outbox.settle([2, 3, 3, 99], [], NOW_MS)
    assert sequences(store) == [1, 4]
    totals = store.outbox.totals()
    assert (totals.messages, totals.acknowledged) == (2, 2)
    assert totals.bytes == 2 * (1 + len(TOPIC))


def test_refused_messages_become_dead_letters_and_can_be_revived() -> None:
    store = store_with()
    for payload in (b"one", b"two", b"three"):
        queue(store, payload)
    before = store.outbox.totals()
    store.outbox.settle([], [(2, "not authorised")], NOW_MS + 7)

    [letter] = store.outbox.dead_letters()
    assert (letter.message.payload, letter.reason, letter.refused_ms) == (b"two", "not authorised", NOW_MS + 7)
    assert sequences(store) == [1, 3]
    assert store.outbox.totals().refused == 1

    assert store.outbox.revive_dead_letters() == 1
    assert sequences(store) == [1, 2, 3]
    assert store.outbox.dead_letters() == []
    assert store.outbox.totals().bytes == before.bytes


def test_dead_letters_are_bounded_and_those_given_up_are_counted() -> None:
    store = store_with(OutboxLimits(max_dead_letter_bytes=2500))
    for _ in range(5):
        queue(store, bytes(1000))
    store.outbox.settle([], [(sequence, "no") for sequence in range(1, 6)], NOW_MS)
    assert [letter.message.sequence for letter in store.outbox.dead_letters()] == [4, 5]
    totals = store.outbox.totals()
    assert (totals.refused, totals.given_up) == (5, 3)


def test_a_full_outbox_gives_up_the_oldest_windows_first_and_events_last() -> None:
    size = 1000 + len(TOPIC)
    store = store_with(OutboxLimits(max_bytes=4 * size))
    queue(store, bytes(1000), "events")
    for _ in range(5):
        queue(store, bytes(1000))
    assert sequences(store) == [1, 4, 5, 6]
    for _ in range(4):
        queue(store, bytes(1000), "events")
    assert sequences(store) == [7, 8, 9, 10]
    totals = store.outbox.totals()
    assert (totals.messages, totals.bytes) == (4, 4 * size)
    assert (totals.given_up, totals.given_up_bytes) == (6, 6 * size)


def test_messages_over_the_age_limit_are_given_up() -> None:
    store = store_with(OutboxLimits(max_age_ms=1000))
    queue(store, kind="events", created_ms=NOW_MS)
    queue(store, created_ms=NOW_MS + 1)
    queue(store, created_ms=NOW_MS + 1001)
    assert sequences(store) == [2, 3]
    assert store.outbox.totals().given_up == 1
    assert store.outbox.totals().oldest_created_ms == NOW_MS + 1


def test_a_damaged_payload_is_noticed_when_it_is_read() -> None:
    store = store_with()
    queue(store, b"payload")
    with store.transaction():
        store._database.write("UPDATE outbox SET payload = CAST(replace(payload, 'pay', 'pry') AS BLOB)")
    with pytest.raises(ChecksumError, match="message 1"):
        store.outbox.read(1)
