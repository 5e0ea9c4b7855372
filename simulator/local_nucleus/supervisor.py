"""Runs one component's process: starts it, restarts it as the profile says, stops it.

One thread a component waits for its process. Stopping is SIGTERM to the whole process group, then SIGKILL.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .profiles import Profile

logger = logging.getLogger(__name__)


class ComponentState(StrEnum):
    """Where a component stands. `INSTALLED` is deployed and not started; `BROKEN` has used up its restart budget."""

    INSTALLED = "INSTALLED"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    ERRORED = "ERRORED"
    FINISHED = "FINISHED"
    BROKEN = "BROKEN"


RESTING_STATES = frozenset({ComponentState.INSTALLED, ComponentState.FINISHED, ComponentState.BROKEN})


@dataclass(frozen=True, slots=True)
class RunSpecification:
    """A component's process, ready to start: no recipe variable is left in it."""

    script: str
    environment: Mapping[str, str]
    directory: Path
    log_path: Path
    stop_timeout_s: float


class ComponentProcess:
    """The process of one component.

    Parameters
    ----------
    restart_budget
        Starts within the profile's interval, the first included; None for the profile's own number.
    """

    def __init__(
        self, name: str, specification: RunSpecification, profile: Profile, restart_budget: int | None = None
    ) -> None:
        self.specification = specification
        self._name = name
        self._profile = profile
        self._restart_budget = profile.restart_budget if restart_budget is None else restart_budget
        self._changed = threading.Condition()
        self._state = ComponentState.INSTALLED
        self._process: subprocess.Popen[bytes] | None = None
        self._stop_wanted = self._restart_wanted = False
        self._thread: threading.Thread | None = None
        self._starts: deque[float] = deque()
        self.start_count = 0

    @property
    def state(self) -> ComponentState:
        """The present state."""
        with self._changed:
            return self._state

    @property
    def pid(self) -> int | None:
        """The process id, or None while nothing runs. With `exec` in the script it is the component itself."""
        with self._changed:
            return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start a component that is at rest, with a fresh restart budget. Returns once the process exists.

        Raises
        ------
        OSError
            The shell or the log file cannot be opened.
        """
        with self._changed:
            if self._state not in RESTING_STATES:
                return
            self._stop_wanted = False
            self._starts.clear()
            process = self._launch()
        name = f"supervise-{self._name}"
        self._thread = threading.Thread(target=self._supervise, args=(process,), name=name, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """SIGKILL to the process group; the supervisor sees a failure and restarts."""
        with self._changed:
            self._signal(signal.SIGKILL)

    def fail(self) -> None:
        """The component called itself ERRORED: end it as a failure."""
        with self._changed:
            self._signal(signal.SIGTERM)

    def stop(self, first: signal.Signals = signal.SIGTERM) -> None:
        """SIGTERM, then SIGKILL after the specification's time; returns when the process is gone."""
        with self._changed:
            if self._state in RESTING_STATES:
                return
            self._stop_wanted = True
            self._set_state(ComponentState.STOPPING)
            self._signal(first)
            if not self._changed.wait_for(self._is_resting, self.specification.stop_timeout_s):
                logger.warning("%s ignores SIGTERM for %.1f s: SIGKILL", self._name, self.specification.stop_timeout_s)
                self._signal(signal.SIGKILL)
                self._changed.wait_for(self._is_resting)
        if self._thread is not None:
            self._thread.join()

    def cut_power(self) -> None:
        """SIGKILL at once and no restart, as when the machine goes dark; returns when the process is gone."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Begin to stop the process and start it anew, as RestartComponent asks; does not wait for it."""
        with self._changed:
            process = self._process
            if process is not None:
                self._restart_wanted = True
                self._set_state(ComponentState.STOPPING)
                self._signal(signal.SIGTERM)
                timer = threading.Timer(self.specification.stop_timeout_s, self._kill_if_running, (process,))
                timer.daemon = True
                timer.start()
        if process is None:
            self.start()

    def _kill_if_running(self, process: subprocess.Popen[bytes]) -> None:
        with self._changed:
            if self._process is process:
                self._signal(signal.SIGKILL)

    def wait_for_state(self, states: frozenset[ComponentState], timeout_s: float) -> bool:
        """Wait until the state is one of `states`; False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state in states, timeout_s)

    def wait_for_start(self, start_count: int, timeout_s: float) -> bool:
        """Wait until the component has been started that many times; False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self.start_count >= start_count, timeout_s)

    def _supervise(self, process: subprocess.Popen[bytes] | None) -> None:
        while process is not None:
            # Seen but not reaped: until wait() below nobody else can get this process id.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            with self._changed:
                self._signal(signal.SIGKILL)  # what the component started must not outlive it
                exit_code = process.wait()
                self._process = None
                process = self._next(exit_code)

    def _next(self, exit_code: int) -> subprocess.Popen[bytes] | None:
        """Decide after an exit; called with the lock held."""
        asked, self._restart_wanted = self._restart_wanted, False
        if self._stop_wanted or (exit_code == 0 and not asked):
            self._set_state(ComponentState.FINISHED)
            return None
        if asked and not self._profile.asked_restart_uses_budget:
            return self._launch(counts=False)
        self._set_state(ComponentState.ERRORED)
        now = time.monotonic()
        while self._starts and now - self._starts[0] > self._profile.restart_interval_s:
            self._starts.popleft()
        if len(self._starts) >= self._restart_budget:
            logger.error("%s ended with %d after %d starts: BROKEN", self._name, exit_code, len(self._starts))
            self._set_state(ComponentState.BROKEN)
            return None
        if asked:
            return self._launch()
        logger.warning("%s ended with %d: restart in %.1f s", self._name, exit_code, self._profile.restart_delay_s)
        if self._changed.wait_for(lambda: self._stop_wanted, self._profile.restart_delay_s):
            self._set_state(ComponentState.FINISHED)
            return None
        return self._launch()

    def _launch(self, *, counts: bool = True) -> subprocess.Popen[bytes]:
        specification = self.specification
        with specification.log_path.open("ab") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", specification.script],
                cwd=specification.directory,
                env=dict(specification.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._process = process
        if counts:
            self._starts.append(time.monotonic())
        self.start_count += 1
        self._set_state(ComponentState.RUNNING)
        return process

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, number)  # the group exists as long as its leader is not reaped

    def _set_state(self, state: ComponentState) -> None:
        self._state = state
        self._changed.notify_all()

    def _is_resting(self) -> bool:
        return self._state in RESTING_STATES
