"""Damage at random bytes of the database: set aside and told, or noticed when it is read; never taken for the truth."""

from pathlib import Path
from random import Random

import pytest

from roadside.runtime.database import StoreError
from roadside.runtime.outbox import OutgoingMessage, WindowKey
from roadside.runtime.store import GatewayStore

NOW_MS = 1_800_000_000_000
MESSAGES = 40
TRIALS = 100


def payload_of(number: int) -> bytes:
    return Random(number).randbytes(600)  # noqa: S311


def filled(path: Path) -> bytes:
    store = GatewayStore.open(path, NOW_MS)
    for number in range(1, MESSAGES + 1):
        with store.transaction():
            sequence = store.outbox.next_sequence()
            key = WindowKey(10_000 * number, 10_000, 0)
            payload = payload_of(number)
            store.outbox.add(OutgoingMessage(sequence, "windows", "t/windows", payload, NOW_MS + number, key))
            store.state.put("aggregator", payload)
            store.journal.append(payload)
    store.outbox.settle(range(1, 6), [(6, "no")], NOW_MS)
    store.close()
    return path.read_bytes()


def flipped_bit(content: bytearray, random: Random) -> None:
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)


def overwritten_block(content: bytearray, random: Random) -> None:
    start = random.randrange(len(content) // 512) * 512
    content[start : start + 512] = random.choice([bytes(512), random.randbytes(512)])


def lost_end(content: bytearray, random: Random) -> None:
    del content[random.randrange(len(content)) :]


@pytest.mark.parametrize("damage", [flipped_bit, overwritten_block, lost_end])
def test_what_a_damaged_database_still_tells_is_true(damage: object, tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    whole = filled(path)
    random = Random(7)  # noqa: S311
    set_aside = 0
    for trial in range(TRIALS):
        content = bytearray(whole)
        damage(content, random)  # type: ignore[operator]
        path.write_bytes(content)
        store = GatewayStore.open(path, NOW_MS + 1)
        try:
            if store.quarantined is not None:
                set_aside += 1
                assert store.quarantined.reason
                assert store.epoch_ms > NOW_MS
                assert store.outbox.headers() == []
                continue
            assert tells_the_truth(store), f"trial {trial}"
        finally:
            store.close()
            for file in tmp_path.glob("*"):
                file.unlink()
    assert set_aside > 0


def tells_the_truth(store: GatewayStore) -> bool:
    """Whether it is of the same epoch and each message is as it was written, or says itself that it is damaged."""
    found = 0
    for header in store.outbox.headers():
        try:
            message = store.outbox.read(header.sequence)
        except StoreError as error:
            if error.fault != "corrupt":
                return False
        else:
            if message is None or message.payload != payload_of(header.sequence):
                return False
        found += 1
    with store.transaction():
        following = store.outbox.next_sequence()
    return store.epoch_ms == NOW_MS and found == MESSAGES - 6 and following == MESSAGES + 1
