"""A power cut tears the end of what was being written; what had been committed before is there, whole, and once."""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from roadside.runtime.outbox import OutgoingMessage
from roadside.runtime.store import GatewayStore
from tests.unit.aggregator.rig import START_MS, Gateway, Reading, check_windows, settings

FRAME_HEADER_BYTES = 24  # of SQLite's write-ahead log
FRAME_BYTES = FRAME_HEADER_BYTES + 4096
MEMORY = Path("/dev/shm")  # noqa: S108  thousands of files that are synced: a disk would take minutes


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield made
    shutil.rmtree(made)


class Crossing:
    """A gateway whose files are kept after every second; its cloud has what was sent by then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gateway = Gateway(settings(), path=folder / "gateway.sqlite")
        self.told: set[Reading] = set()
        self.lengths: list[int] = []  # of the log, after each second

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            readings = {Reading(sensor, self.gateway.wall_ms) for sensor in (10, 20, 21)}
            self.gateway.receive(*readings)
            self.told |= readings
            self.gateway.pass_time(1000)
            self.lengths.append(self.log.stat().st_size)

    @property
    def log(self) -> Path:
        return self.folder / "gateway.sqlite-wal"

    def keep(self) -> tuple[bytes, bytes]:
        return (self.folder / "gateway.sqlite").read_bytes(), self.log.read_bytes()

    def cut(self, files: tuple[bytes, bytes], length: int) -> Path:
        """The files as a power cut leaves them when so much of the log had reached the disk."""
        path = self.folder / "cut.sqlite"
        path.write_bytes(files[0])
        path.with_name("cut.sqlite-wal").write_bytes(files[1][:length])
        path.with_name("cut.sqlite-shm").unlink(missing_ok=True)
        return path


Contents = tuple[list[OutgoingMessage | None], dict[str, bytes], list[bytes]]


def contents(path: Path) -> Contents:
    store = GatewayStore.open(path, START_MS + 10**9)
    assert store.quarantined is None
    assert store.epoch_ms == START_MS
    found = (
        [store.outbox.read(header.sequence) for header in store.outbox.headers()],
        store.state.items(),
        store.journal.records(),
    )
    store.close()
    return found


def test_a_journal_record_cut_at_any_byte_leaves_the_records_before_it(folder: Path) -> None:
    crossing = Crossing(folder)
    crossing.live(15)
    before, after = crossing.lengths[-2:]
    assert after - before == FRAME_BYTES, "one page"
    files = crossing.keep()
    whole, cut = contents(crossing.cut(files, after)), contents(crossing.cut(files, before))
    assert whole[2] == [*cut[2], whole[2][-1]]
    assert whole[:2] == cut[:2]
    for length in range(before, after):
        assert contents(crossing.cut(files, length)) == cut


def test_the_transaction_that_closes_a_window_is_there_whole_or_not_at_all_wherever_it_is_cut(folder: Path) -> None:
    crossing = Crossing(folder)
    crossing.gateway.cloud.reachable = False
    crossing.live(14)
    [(before, after)] = [pair for pair in pairwise(crossing.lengths) if pair[1] - pair[0] > FRAME_BYTES]
    files = crossing.keep()
    whole, cut = contents(crossing.cut(files, after)), contents(crossing.cut(files, before))
    assert len(whole[0]) == len(cut[0]) + 1
    assert not whole[2]
    frames = range(before, after, FRAME_BYTES)
    edges = {frame + byte for frame in frames for byte in (*range(-2, FRAME_HEADER_BYTES + 3), FRAME_BYTES - 1)}
    for length in sorted(edges | set(range(before, after, 61))):
        if before <= length < after:
            assert contents(crossing.cut(files, length)) == cut


def test_a_gateway_goes_on_from_any_cut_without_losing_or_repeating_what_was_committed(folder: Path) -> None:
    crossing = Crossing(folder)
    crossing.live(27)
    files = crossing.keep()
    gateway = crossing.gateway
    gateway.store.close()
    windows = dict(gateway.cloud.messages)
    checked = 0
    for second, (before, after) in enumerate(pairwise(crossing.lengths), start=1):
        for length in {before, before + FRAME_HEADER_BYTES, (before + after) // 2, after - 1}:
            restarted = Gateway(settings(), path=crossing.cut(files, length))
            # What the cloud had at that time: all that was committed before, since it is sent at once.
            known = {header.sequence for header in restarted.store.outbox.headers()}
            next_sequence = restarted.store.outbox._counters.value("sequence") + 1
            sent = {
                place: told for place, told in windows.items() if place[1] < next_sequence and place[1] not in known
            }
            restarted.cloud.messages = sent
            restarted.wall_ms = START_MS + 1000 * (second + 1)
            last = restarted.finish()
            certain = {reading for reading in crossing.told if reading.at_ms < START_MS + 1000 * second}
            at_risk = {reading for reading in crossing.told if reading.at_ms == START_MS + 1000 * second}
            check_windows(restarted.cloud.windows(last), certain, at_risk)
            restarted.store.close()
            checked += 1
    assert checked >= 26
