"""Which components are well, judged by what they tell and by what they no longer tell. Pure.

The watchdog hears its own component as well. While that echo is missing the local bus does not carry, so nobody is
judged: on nucleus lite subscriptions can die without a word, and a deaf watchdog would restart the whole gateway.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from roadside.contract.heartbeat import MAX_COMPONENTS, ComponentHealth, ComponentState
from roadside.contract.status import INTERVAL_MS, Status

# Nucleus lite grants three starts an hour, after which a component is broken: two of ours leave one for a crash.
RESTART_GAP_MS: Final = 30 * 60_000
# One that was never heard may still be installing, for which recipes give it 15 minutes.
INSTALL_MS: Final = 20 * 60_000
FORGET_STOPPED_MS: Final = 3_600_000  # stopped and not expected: it was taken off the gateway
ECHO_MS: Final = 3 * INTERVAL_MS // 2


@dataclass(slots=True)
class _Known:
    status: Status | None
    since_ms: int  # when it was last heard; before that, since when it has been expected
    restarts: int = 0
    crashes: int = 0
    restarted_ms: int | None = None


class Watchdog:
    """All times are steady.

    Parameters
    ----------
    own : the component it runs in, whose statuses are its hearing test
    silent_after_ms : how long a component may not be heard
    """

    def __init__(self, own: str, silent_after_ms: int, now_ms: int) -> None:
        self._own = own
        self._silent_after_ms = silent_after_ms
        self._expected: frozenset[str] = frozenset()
        self._known: dict[str, _Known] = {own: _Known(None, now_ms)}
        self._hearing_since_ms = now_ms

    def configure(self, silent_after_ms: int, expected: Collection[str], now_ms: int) -> None:
        """Change what is expected, and when; a component newly expected has from now on to be heard."""
        self._silent_after_ms = silent_after_ms
        self._expected = frozenset(expected)
        for name in sorted(self._expected):
            self._known.setdefault(name, _Known(None, now_ms))
        for name in [name for name, known in self._known.items() if known.status is None]:
            if name not in self._expected and name != self._own:
                del self._known[name]

    def hear(self, status: Status, now_ms: int) -> None:
        """Take a status. Beyond MAX_COMPONENTS, names that are new are passed over."""
        if status.component == self._own and self.deaf(now_ms):
            self._hearing_since_ms = now_ms  # what was missed meanwhile counts against nobody
        known = self._known.get(status.component)
        if known is None and len(self._known) < MAX_COMPONENTS:
            known = self._known[status.component] = _Known(None, now_ms)
        if known is None:
            return
        before = known.status
        if before is not None and before.started_ms != status.started_ms and before.state != "stopping":
            known.crashes += 1
        known.status, known.since_ms = status, now_ms

    def echo_age_ms(self, now_ms: int) -> int:
        """How long the own echo has not come."""
        return now_ms - self._known[self._own].since_ms

    def deaf(self, now_ms: int) -> bool:
        """Whether the own echo is overdue."""
        return self.echo_age_ms(now_ms) > ECHO_MS

    def components(self, now_ms: int) -> tuple[ComponentHealth, ...]:
        """Everybody's state, by name; a component that is expected but still has time to be heard is not among them."""
        found = []
        for name, known in sorted(self._known.items()):
            state = self._state(name, known, now_ms)
            if state is None:
                continue
            status = known.status
            found.append(
                ComponentHealth(
                    component=name,
                    state=state,
                    version=status.version if status else None,
                    age_ms=now_ms - known.since_ms if status else None,
                    uptime_ms=status.uptime_ms if status else None,
                    restarts=known.restarts,
                    crashes=known.crashes,
                    counters=status.counters if status else {},
                )
            )
        return tuple(found)

    def to_restart(self, now_ms: int) -> list[str]:
        """Components that should be restarted now; each is named again only after RESTART_GAP_MS."""
        due = []
        for component in self.components(now_ms):
            known = self._known[component.component]
            rested = known.restarted_ms is None or now_ms - known.restarted_ms >= RESTART_GAP_MS
            installed = component.state == "missing" and now_ms - known.since_ms > INSTALL_MS
            if rested and (component.state == "silent" or installed):
                known.restarted_ms = now_ms
                due.append(component.component)
        return due

    def restarted(self, component: str) -> None:
        """The nucleus has agreed to restart it."""
        self._known[component].restarts += 1

    def forget(self, now_ms: int) -> None:
        """Drop components that ended in order long ago and that nobody expects."""
        for name, known in list(self._known.items()):
            stopped = known.status is not None and known.status.state == "stopping"
            if stopped and name not in self._expected and now_ms - known.since_ms > FORGET_STOPPED_MS:
                del self._known[name]

    def _state(self, name: str, known: _Known, now_ms: int) -> ComponentState | None:
        silent_ms = now_ms - max(known.since_ms, self._hearing_since_ms)
        overdue = silent_ms > self._silent_after_ms and not self.deaf(now_ms)
        if known.status is None:
            return "missing" if overdue and name != self._own else None
        if known.status.state == "stopping":
            return "stopped"
        return "silent" if overdue else known.status.state
