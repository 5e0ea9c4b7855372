import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from roadside.runtime.database import StoreError
from roadside.runtime.outbox import OutgoingMessage
from roadside.runtime.store import APPLICATION_ID, MAX_QUARANTINED, GatewayStore

NOW_MS = 1_800_000_000_000


def queue(store: GatewayStore, payload: bytes = b"payload") -> int:
    sequence = store.outbox.next_sequence()
    store.outbox.add(OutgoingMessage(sequence, "windows", "roadside/v1/g/windows", payload, NOW_MS))
    return sequence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


def filled(path: Path, messages: int = 3) -> GatewayStore:
    store = GatewayStore.open(path, NOW_MS)
    with store.transaction():
        for index in range(messages):
            queue(store, b"%d" % index * 500)
        store.state.put("aggregator", b"snapshot")
        store.journal.append(b"first")
        store.journal.append(b"second")
    return store


def test_everything_is_there_again_after_reopening(path: Path) -> None:
    filled(path).close()

    store = GatewayStore.open(path, NOW_MS + 5000)

    assert store.epoch_ms == NOW_MS
    assert store.quarantined is None
    assert [header.sequence for header in store.outbox.headers()] == [1, 2, 3]
    assert store.state.items() == {"aggregator": b"snapshot"}
    assert store.journal.records() == [b"first", b"second"]
    store.close()


def test_a_transaction_that_raises_leaves_nothing_behind(path: Path) -> None:
    store = filled(path)

    def change_all_and_fail() -> None:
        with store.transaction():
            queue(store)
            store.state.put("aggregator", b"newer")
            store.state.delete("aggregator")
            store.journal.clear()
            raise KeyError("the caller's own")

    with pytest.raises(KeyError):
        change_all_and_fail()

    assert store.outbox.totals().messages == 3
    assert store.state.items() == {"aggregator": b"snapshot"}
    assert store.journal.records() == [b"first", b"second"]
    with store.transaction():
        assert store.outbox.next_sequence() == 4
    store.close()


def test_writing_outside_a_transaction_is_a_mistake_of_the_caller() -> None:
    store = GatewayStore.open(None, NOW_MS)
    with pytest.raises(RuntimeError, match="transaction"):
        store.state.put("key", b"value")
    with pytest.raises(RuntimeError, match="transaction"):
        store.outbox.next_sequence()


def test_transactions_do_not_nest() -> None:
    store = GatewayStore.open(None, NOW_MS)
    with pytest.raises(RuntimeError, match="nest"), store.transaction(), store.transaction():
        pass


def test_a_second_process_cannot_open_the_file(path: Path) -> None:
    store = filled(path)
    with pytest.raises(StoreError) as caught:
        GatewayStore.open(path, NOW_MS)
    assert caught.value.fault == "locked"
    assert list(path.parent.glob("*.quarantined-*")) == []
    store.close()


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        GatewayStore.open(tmp_path / "missing" / "gateway.db", NOW_MS)
    assert caught.value.fault == "failed"


def test_a_full_disk_undoes_the_whole_transaction_and_the_next_one_succeeds(path: Path) -> None:
    store = filled(path)
    pages = store._database.query("PRAGMA page_count")[0][0]
    store._database.query(f"PRAGMA max_page_count = {pages + 2}")

    def change_and_fill() -> None:
        with store.transaction():
            store.state.put("aggregator", b"newer")
            for _ in range(20):
                queue(store, bytes(5000))

    with pytest.raises(StoreError) as caught:
        change_and_fill()

    assert caught.value.fault == "full"
    assert store.outbox.totals().messages == 3
    assert store.state.items() == {"aggregator": b"snapshot"}
    store._database.query("PRAGMA max_page_count = 100000")
    with store.transaction():
        assert queue(store, bytes(5000)) == 4
    store.close()


def test_a_write_that_the_system_refuses_loses_nothing_that_was_committed(path: Path) -> None:
    """A file size limit makes the writes themselves fail, as a full disk does."""
    program = textwrap.dedent(
        f"""
        import pathlib, resource, signal, sys
        sys.path[:0] = {sys.path!r}
        from roadside.runtime.database import StoreError
        from roadside.runtime.outbox import OutgoingMessage
        from roadside.runtime.store import GatewayStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = GatewayStore.open(pathlib.Path({str(path)!r}), {NOW_MS})
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        committed = 0
        try:
            while True:
                with store.transaction():
                    sequence = store.outbox.next_sequence()
                    store.outbox.add(OutgoingMessage(sequence, "windows", "t", bytes(6000), {NOW_MS}))
                committed += 1
        except StoreError as error:
            assert error.fault in ("full", "failed"), error.fault
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        with store.transaction():
            assert store.outbox.next_sequence() == committed + 1
        assert store.outbox.totals().messages == committed > 10
        print(committed)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    store = GatewayStore.open(path, NOW_MS)
    assert store.quarantined is None
    assert len(store.outbox.headers()) == int(done.stdout)
    store.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert signal.getsignal(signal.SIGXFSZ) is not None


def corrupt_header(path: Path) -> None:
    path.write_bytes(b"not a database at all" + path.read_bytes()[21:])


def corrupt_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_text(path: Path) -> None:
    path.write_text("hello " * 2000)


def replace_by_foreign_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE songs (title TEXT)")
    foreign.close()


def make_it_a_later_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def flip_a_bit_of_the_state(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE state SET value = CAST(replace(value, 'snap', 'slap') AS BLOB)")
    connection.close()


def flip_a_bit_of_the_journal(path: Path) -> None:
    content = path.read_bytes()
    assert content.count(b"second") == 1
    path.write_bytes(content.replace(b"second", b"sekond"))


@pytest.mark.parametrize(
    "damage",
    [
        corrupt_header,
        corrupt_pages,
        truncate,
        empty,
        replace_by_text,
        replace_by_foreign_database,
        make_it_a_later_version,
        flip_a_bit_of_the_state,
        flip_a_bit_of_the_journal,
    ],
)
def test_a_damaged_or_foreign_file_is_set_aside_and_a_new_epoch_begins(path: Path, damage: object) -> None:
    filled(path, messages=40).close()
    damage(path)  # type: ignore[operator]

    store = GatewayStore.open(path, NOW_MS + 1)

    assert store.quarantined is not None
    assert store.quarantined.reason
    assert store.quarantined.path.exists()
    assert store.epoch_ms > NOW_MS
    assert store.outbox.headers() == []
    assert store.state.items() == {}
    with store.transaction():
        assert queue(store) == 1
    store.close()
    again = GatewayStore.open(path, NOW_MS + 2)
    assert again.quarantined is None
    assert again.epoch_ms == store.epoch_ms
    again.close()


def test_epochs_rise_even_if_the_clock_stands_still_and_few_damaged_files_are_kept(path: Path) -> None:
    epochs = []
    for _ in range(5):
        store = GatewayStore.open(path, NOW_MS)
        epochs.append(store.epoch_ms)
        store.close()
        corrupt_header(path)
    assert epochs == sorted(set(epochs))
    assert len(list(path.parent.glob("*.quarantined-*"))) == MAX_QUARANTINED


def test_a_log_left_behind_without_its_file_is_not_taken_for_a_database(path: Path, tmp_path: Path) -> None:
    """As after a crash while a damaged file was set aside."""
    store = filled(path)
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size > 0
    other = tmp_path / "other.db"
    other.with_name("other.db-wal").write_bytes(log.read_bytes())
    fresh = GatewayStore.open(other, NOW_MS + 9)
    assert fresh.epoch_ms == NOW_MS + 9
    assert fresh.outbox.headers() == []
    fresh.close()
    store.close()


def test_what_was_only_in_the_log_is_there_after_a_power_cut(path: Path, tmp_path: Path) -> None:
    store = filled(path)
    other = tmp_path / "other.db"
    for suffix in ("", "-wal"):
        other.with_name(other.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    recovered = GatewayStore.open(other, NOW_MS + 9)
    assert recovered.quarantined is None
    assert len(recovered.outbox.headers()) == 3
    recovered.close()
    store.close()


def test_a_log_cut_at_any_length_yields_a_whole_number_of_transactions(path: Path, tmp_path: Path) -> None:
    """A power cut tears the end of the log; what was committed before the tear stays, whole and in order."""
    store = GatewayStore.open(path, NOW_MS)
    ends = []  # the log's length after each commit
    log = path.with_name(path.name + "-wal")
    for number in range(6):
        with store.transaction():
            queue(store, b"%d" % number * 300)
            queue(store, b"%d" % number * 3000)
            store.state.put("number", b"%d" % number)
        ends.append(log.stat().st_size)
    content, written = path.read_bytes(), log.read_bytes()
    store.close()
    for length in range(ends[0], len(written) + 1, 501):
        copy = tmp_path / f"cut-{length}.db"
        copy.write_bytes(content)
        copy.with_name(copy.name + "-wal").write_bytes(written[:length])
        cut = GatewayStore.open(copy, NOW_MS + 9)
        committed = sum(end <= length for end in ends)
        assert cut.quarantined is None
        assert len(cut.outbox.headers()) == 2 * committed
        assert cut.state.items() == {"number": b"%d" % (committed - 1)}
        cut.close()
