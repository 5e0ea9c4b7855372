"""What stands behind the gateways of a run. A run asks nothing else of it, so any of them can stand there.

`local_target` deploys the stack to the local cloud. `memory_target` keeps the messages in this process by the rules of
the windows table, so that the edge is measured alone.
"""

from collections.abc import Collection
from typing import Any, Protocol

from roadside.contract.sensors import SensorSummary
from roadside.contract.summary import WindowSummary
from simulator.faults.conductor import Ways
from simulator.fleet.link import Connection
from simulator.run.leaks import Process
from simulator.run.options import Break
from simulator.verification.lake import Lake

StoredWindows = dict[tuple[str, int], list[WindowSummary]]
"""By gateway and window start; two epochs of one window are two."""


class Events(Protocol):
    """The events that reached the systems behind the cloud. `QueueReader` reads them from the deployed queue."""

    @property
    def count(self) -> int:
        """Congestion events so far, each counted once; others are not waited for."""
        ...

    @property
    def repeated(self) -> int:
        """How often an event came that had come before."""
        ...

    def events(self) -> list[dict[str, Any]]:
        """Each event once, as systems get it."""
        ...

    def received(self) -> list[dict[str, Any]]:
        """Every event with `received_ms`, the instant of its first reception, in that order."""
        ...

    def latencies_s(self, until_ms: float) -> list[float]:
        """From the end of a window to the reception of each congestion event that it led to, up to an instant."""
        ...


class Target(Protocol):
    """What takes a run's messages, acknowledges them and keeps what they say.

    Attributes
    ----------
    name : as it was asked for with `--target`
    is_spent : it takes no more readings, only what those led to that there were
    network : the ways to it, one for each gateway in the order of their admission, where they can be cut
    answers_at_once : a message is acknowledged before its publish returns, so nobody has to wait for it
    events : what it told to systems
    lake : where it can be asked; None where there is none, and the report says so
    """

    @property
    def name(self) -> str: ...

    @property
    def answers_at_once(self) -> bool: ...

    @property
    def is_spent(self) -> bool: ...

    @property
    def network(self) -> Ways | None: ...

    @property
    def events(self) -> Events: ...

    @property
    def lake(self) -> Lake | None: ...

    def admit(self, gateways: Collection[str]) -> None:
        """Let these gateways connect; before the first `connect`."""
        ...

    def connect(self, gateway: str) -> Connection:
        """A connection as that gateway, ready to be used. From any thread."""
        ...

    def end_of_readings(self) -> None:
        """From now on the gateways are silent because the run is over, which is no news for anybody."""
        ...

    def damage(self, how: Break) -> None:
        """Damage one stored window, so that a run shows that damage is found."""
        ...

    def windows(self, since_ms: int = 0, until_ms: int | None = None) -> StoredWindows:
        """The stored windows that start in [since_ms, until_ms)."""
        ...

    def sensors(self, since_ms: int = 0, until_ms: int | None = None) -> list[SensorSummary]:
        """The stored summaries of sensors whose intervals start in [since_ms, until_ms)."""
        ...

    def processes(self) -> dict[str, Process]:
        """Its processes on this machine, by what a person calls them."""
        ...

    def restart_functions(self) -> int:
        """End the processes of its functions, which start again when they are needed; how many there were."""
        ...

    def forget(self, before_ms: int) -> None:
        """Nobody will ask for what starts before then; what is kept in this process may go."""
        ...
