"""kill -9 at any instant: what was reported as committed is there, whole, and no sequence is used twice."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path
from random import Random

from roadside.runtime.store import GatewayStore

KILLS = 30
NOW_MS = 1_800_000_000_000

# Reports each commit on stdout after it happened: "<sequence of the event> <sequences acknowledged>".
WRITER = textwrap.dedent(
    f"""
    import pathlib, sys
    sys.path[:0] = {sys.path!r}
    from roadside.runtime.outbox import OutgoingMessage
    from roadside.runtime.store import GatewayStore
    store = GatewayStore.open(pathlib.Path(sys.argv[1]), {NOW_MS})
    outbox = store.outbox
    print("ready", flush=True)
    while True:
        with store.transaction():
            pair = []
            for kind in ("events", "windows"):
                sequence = outbox.next_sequence()
                outbox.add(OutgoingMessage(sequence, kind, "t", b"%d" % sequence * 400, {NOW_MS}))
                pair.append(sequence)
            store.state.put("last", b"%d" % pair[1])
            store.journal.append(b"%d" % pair[1])
        print("queued", *pair, flush=True)
        if pair[1] % 10 == 0:
            oldest = [header.sequence for header in outbox.headers()][:8]
            outbox.settle(oldest, [], {NOW_MS})
            print("settled", *oldest, flush=True)
            with store.transaction():
                store.journal.clear()
            print("cleared", pair[1], flush=True)
    """
)


def run_and_kill(path: Path, after_s: float) -> list[list[str]]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    first = writer.stdout.readline()
    assert first == "ready\n"
    time.sleep(after_s)  # the instant of the kill is meant to be arbitrary
    writer.kill()
    reported = writer.stdout.read()  # communicate() would pass over what readline() has buffered
    writer.stdout.close()
    writer.wait(timeout=10)
    # The kill may tear the last report, which then counts as not made.
    return [line.split() for line in reported.splitlines(keepends=True) if line.endswith("\n")]


def test_kill_at_random_instants_loses_no_commit_and_repeats_no_sequence(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    random = Random(20)  # noqa: S311
    queued, settled = set[int](), set[int]()
    commits = 0
    for _ in range(KILLS):
        reports = run_and_kill(path, random.uniform(0.0, 0.12))
        for what, *numbers in reports:
            sequences = set(map(int, numbers))
            if what == "queued":
                assert not sequences & queued, "a sequence was used twice"
                queued |= sequences
                commits += 1
            elif what == "settled":
                settled |= sequences

        store = GatewayStore.open(path, NOW_MS + 1)
        assert store.quarantined is None
        assert store.epoch_ms == NOW_MS
        present = {header.sequence for header in store.outbox.headers()}
        # A settlement may have been committed and not yet reported: then it is the eight oldest, all or none.
        missing = queued - settled - present
        assert missing == set() or missing == set(sorted(missing | present)[:8])
        assert len(missing) in (0, 8)
        settled |= missing
        assert not settled & present, "an acknowledged message came back"
        # So may one pair have been queued: both or none of it.
        extra = present - queued
        assert len(extra) in (0, 2)
        queued |= extra
        last = int(store.state.items().get("last", b"0"))
        assert last == max(queued, default=0), "state and outbox differ"
        journal = [int(record) for record in store.journal.records()]
        assert journal == sorted(journal)
        if journal:
            assert journal[-1] == last
        for sequence in present:
            message = store.outbox.read(sequence)
            assert message is not None
            assert message.payload == b"%d" % sequence * 400
        totals = store.outbox.totals()
        assert totals.messages == len(present)
        assert totals.acknowledged == len(settled)
        assert totals.bytes == sum(len(b"%d" % sequence) * 400 + 1 for sequence in present)
        store.close()
    assert commits > KILLS
