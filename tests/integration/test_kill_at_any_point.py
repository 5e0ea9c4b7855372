"""kill -9 at 200 random instants of one gateway's life, on a real file: what was closed stays, nothing counts twice."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import pytest

from roadside.contract import topics
from roadside.contract.codec import decode_window
from roadside.contract.events import CongestionEvent, decode_event
from roadside.contract.summary import WindowSummary
from tests.integration import killed_gateway
from tests.integration.killed_gateway import MESSAGE, RESTORED, STEP_MS, TOLD, readings_of
from tests.unit.aggregator.rig import GATEWAY, START_MS, Reading, check_windows

KILLS = 200
MOST_STEPS = 16  # of a process; some end while they still read the state
MOST_S = 0.004  # that it goes on after the step at which its end was decided
PROMISED_LOSS_MS = 1000
LAST_STEPS = 40
WAIT_S = 60.0


@dataclass
class Account:
    """What was told to the gateway, what it may have lost, and what the cloud has of it."""

    told: set[Reading] = field(default_factory=set)
    perhaps: set[Reading] = field(default_factory=set)
    messages: dict[tuple[int, int], WindowSummary | CongestionEvent] = field(default_factory=dict)
    next_step: int = 0
    first_step: int = 0
    at_risk: int = 0  # readings, since a process told what it had found
    lost: int = 0
    restarts_seen: int = 0

    def begin(self) -> None:
        """A new process goes on where the one before was killed."""
        self.first_step = self.next_step

    def take(self, said: bytes) -> None:
        """Note what a process says."""
        kind, content = said[:1], said[1:]
        if kind == TOLD:
            self.next_step = int(content) + 1
            self.told |= set(readings_of(int(content)))
        elif kind == MESSAGE:
            self._store(*content.split(b" ", 1))
        elif kind == RESTORED:
            self._restored(int(content))

    def killed(self) -> None:
        """Of the last second that this process was told, nobody knows what was written down."""
        risky = range(max(self.first_step, self.next_step - PROMISED_LOSS_MS // STEP_MS), self.next_step)
        earlier = {reading for step in range(max(0, risky.start - 100), risky.start) for reading in readings_of(step)}
        at_risk = {reading for step in risky for reading in readings_of(step)} - (earlier - self.perhaps)
        self.perhaps |= at_risk
        self.at_risk += len(at_risk)  # not only of the last process: one that is killed at its start tells nothing

    def _restored(self, accepted: int) -> None:
        """A new process has every reading once, but for those of the seconds before the kills."""
        lost = len(self.told) - accepted
        assert 0 <= lost <= len(self.perhaps), "lost, or counted twice"
        assert lost - self.lost <= self.at_risk, "lost more than the last second"
        self.lost = lost
        self.at_risk = 0
        self.restarts_seen += 1

    def _store(self, topic: bytes, payload: bytes) -> None:
        is_window = topic.decode() == topics.uplink("windows", GATEWAY)
        message = replace(decode_window(payload), backfill=False) if is_window else decode_event(payload)
        assert isinstance(message, WindowSummary | CongestionEvent)
        known = self.messages.setdefault((message.epoch_ms, message.sequence), message)
        assert known == message, "one sequence, two contents"


def _all(pipe: Connection) -> Iterator[bytes]:
    while True:
        try:
            yield pipe.recv_bytes()
        except EOFError:
            return


@pytest.mark.slow
def test_kill_9_at_200_random_points_loses_no_closed_window_and_counts_none_twice(tmp_path: Path) -> None:
    # A server that has imported everything forks each process, in milliseconds and without this one's threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([killed_gateway.__name__])
    random = Random(1)  # noqa: S311
    account = Account()
    path = tmp_path / "gateway.sqlite"

    def live(last_step: int | None, kill_after_steps: int | None) -> None:
        ours, theirs = context.Pipe(duplex=False)
        arguments = (path, theirs, account.next_step, last_step)
        process = context.Process(target=killed_gateway.run, args=arguments, daemon=True)
        account.begin()
        process.start()
        theirs.close()
        if kill_after_steps is not None:
            while account.next_step < account.first_step + kill_after_steps:
                account.take(ours.recv_bytes())
            process.join(random.uniform(0, MOST_S))
            assert process.is_alive(), "it ended by itself"
            process.kill()
        for said in _all(ours):
            account.take(said)
        process.join(WAIT_S)
        assert process.exitcode == (0 if kill_after_steps is None else -9)
        ours.close()

    live(LAST_STEPS, None)
    for _ in range(KILLS):
        live(None, max(0, random.randrange(-MOST_STEPS // 4, MOST_STEPS)))
        account.killed()
    live(account.next_step + LAST_STEPS, None)

    assert not list(tmp_path.glob("*.quarantined-*"))
    [epoch_ms] = {epoch_ms for epoch_ms, _ in account.messages}
    sequences = {sequence for _, sequence in account.messages}
    assert sequences == set(range(1, len(sequences) + 1)), "every message that was queued has come"
    stored = [message for _, message in sorted(account.messages.items())]
    windows = [message for message in stored if isinstance(message, WindowSummary)]
    check_windows(windows, account.told - account.perhaps, account.perhaps)
    # The kills fell into the life of a gateway, not all before its first window.
    assert epoch_ms == START_MS
    assert account.restarts_seen > KILLS / 4
    assert len(windows) > KILLS / 4
