"""The processes of a playground: what they take, and their end."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloud.playground import Playground, born
from simulator.run.interruption import descendants, running

PATIENCE_S: Final = 30.0  # for an orderly end: hundreds of connections, real gateways, the cloud
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Member:
    """A process, and what tells it from a later one of the same number."""

    pid: int
    born: str

    @property
    def is_alive(self) -> bool:
        return born(self.pid) == self.born


def family(pid: int) -> list[Member]:
    """The process and all that it started, and those started, and so on."""
    pids = [pid, *descendants({each: parent for each, (parent, _) in running().items()}, pid)]
    return [Member(each, since) for each in pids if (since := born(each)) is not None]


def resident_bytes(members: list[Member]) -> int:
    """Memory that the processes hold; what several share counts once for each."""
    total = 0
    for member in members:
        try:
            pages = (Path("/proc") / str(member.pid) / "statm").read_text(encoding="ascii").split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(pages) * os.sysconf("SC_PAGE_SIZE")
    return total


def stop(playground: Playground, patience_s: float = PATIENCE_S) -> int:
    """End everything that the playground started, and nothing else; how many processes had to be killed.

    It is asked to end first, and what is left after a while is killed.
    """
    if not playground.is_alive:
        return 0  # what it had started ended with it; its number may be somebody else's by now
    members = family(playground.pid)
    os.kill(playground.pid, signal.SIGTERM)
    _wait(members, patience_s)
    left = [member for member in members if member.is_alive]
    for member in left:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it ended by itself at last
    _wait(left, patience_s)
    return len(left)


def _wait(members: list[Member], patience_s: float) -> None:
    until_s = time.monotonic() + patience_s
    while any(member.is_alive for member in members) and time.monotonic() < until_s:
        time.sleep(_POLL_S)
