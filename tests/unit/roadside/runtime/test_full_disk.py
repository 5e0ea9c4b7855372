"""A file system that is really full, in a name space of its own: the queue can still be emptied, and filled again."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

NOW_MS = 1_800_000_000_000
DISK_KIB = 2500

PROGRAM = textwrap.dedent(
    f"""
    import logging, pathlib, sys
    sys.path[:0] = {sys.path!r}
    logging.disable(logging.CRITICAL)
    from roadside.runtime.database import StoreError
    from roadside.runtime.outbox import OutgoingMessage
    from roadside.runtime.store import GatewayStore
    folder = pathlib.Path(sys.argv[1])
    store = GatewayStore.open(folder / "gateway.db", {NOW_MS})
    outbox = store.outbox

    def add():
        with store.transaction():
            sequence = outbox.next_sequence()
            outbox.add(OutgoingMessage(sequence, "windows", "t", b"%4d" % sequence * 225, {NOW_MS}))
            store.state.put("last", b"%d" % sequence)
        return sequence

    def fill():
        last = refusals = 0
        while refusals < 5:  # the first may only have used up what was kept
            try:
                last = add()
                refusals = 0
            except StoreError as error:
                assert error.fault == "full", error
                refusals += 1
        return last

    queued = fill()
    assert queued > 300, queued
    for _ in range(2):
        waiting = [header.sequence for header in outbox.headers()]
        assert waiting[-1] == queued
        while waiting:
            outbox.settle(waiting[:8], [], {NOW_MS})
            waiting = waiting[8:]
        assert outbox.totals().messages == 0
        before, queued = queued, fill()
        assert queued > before + 200, (before, queued)
    messages = outbox.headers()
    store.close()
    store = GatewayStore.open(folder / "gateway.db", {NOW_MS})
    assert store.quarantined is None
    assert store.outbox.headers() == messages
    assert store.state.items() == {{"last": b"%d" % queued}}
    print("drained", queued)
    """
)


def test_a_full_disk_can_be_drained_and_filled_again(tmp_path: Path) -> None:
    mounting = f"mount -t tmpfs -o size={DISK_KIB}k tmpfs {tmp_path} && exec {sys.executable} -c '{{}}' {tmp_path}"
    try:
        able = subprocess.run(
            ["unshare", "-rm", "sh", "-c", mounting.format("pass")], capture_output=True, timeout=30, check=False
        ).returncode
    except FileNotFoundError:
        able = 1
    if able != 0:
        pytest.skip("this machine lets nobody mount a small file system")
    script = tmp_path.with_name("fill_and_drain.py")
    script.write_text(PROGRAM)
    mount = f"mount -t tmpfs -o size={DISK_KIB}k tmpfs {tmp_path} && exec {sys.executable} {script} {tmp_path}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("drained")
