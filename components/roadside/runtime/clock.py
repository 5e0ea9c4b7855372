"""Time for components, and time that a test or a simulation moves by hand."""

import time
from pathlib import Path
from typing import Final

BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The machine's own time. Implements Clock."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def boot_id(self) -> str:
        """Names the steady clock, which all processes share and a reboot starts anew; "" where Linux does not tell."""
        try:
            return BOOT_ID_FILE.read_text(encoding="ascii").strip()
        except OSError:
            return ""


class ManualClock:
    """Stands still until told otherwise. Implements Clock.

    Parameters
    ----------
    wall_ms, steady_ms : where both readings start
    """

    def __init__(self, wall_ms: int, steady_ms: int = 0) -> None:
        self._wall_ms = wall_ms
        self._steady_ms = steady_ms

    def wall_ms(self) -> int:
        return self._wall_ms

    def steady_ms(self) -> int:
        return self._steady_ms

    def advance(self, by_ms: int) -> None:
        """Let time pass. Raises ValueError if it would go back."""
        if by_ms < 0:
            raise ValueError(f"by_ms = {by_ms}: time does not go back; step_wall() sets the wall clock")
        self._wall_ms += by_ms
        self._steady_ms += by_ms

    def step_wall(self, by_ms: int) -> None:
        """Set the wall clock forward or back, as NTP does; the steady reading stays."""
        self._wall_ms += by_ms
