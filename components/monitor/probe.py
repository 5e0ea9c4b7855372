"""Looks at the machine: files of the kernel, disks, the clock. What it does not tell is None, whatever the reason."""

import ctypes
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from monitor import machine
from monitor.machine import ClockState, CpuTimes
from roadside.contract.heartbeat import SystemState

_PROC: Final = Path("/proc")
_THERMAL: Final = Path("/sys/class/thermal")
_Told = TypeVar("_Told")

_log = logging.getLogger(__name__)


class MachineProbe:
    """One machine.

    Parameters
    ----------
    state_dir : a folder on the disk that holds the components' state
    """

    def __init__(self, state_dir: Path, *, proc: Path = _PROC, thermal: Path = _THERMAL) -> None:
        self._state_dir = state_dir
        self._proc = proc
        self._thermal = thermal
        self._cpu_before = self._try(self._cpu_times)

    def look(self) -> SystemState:
        """Everything as it is now; the share of the CPU is that since the last look."""
        memory = self._try(lambda: machine.memory_bytes(self._read("meminfo")))
        clock = self._try(read_clock) or ClockState()
        return SystemState(
            cpu_share=self._cpu_share(),
            load_1min=self._try(lambda: machine.load_1min(self._read("loadavg"))),
            memory_total_bytes=memory[0] if memory else None,
            memory_available_bytes=memory[1] if memory else None,
            state_free_bytes=self._try(lambda: shutil.disk_usage(self._state_dir).free),
            root_free_bytes=self._try(lambda: shutil.disk_usage("/").free),
            temperature_c=self._try(self._temperature_c),
            clock_synchronised=clock.synchronised,
            clock_offset_ms=clock.offset_ms,
            clock_error_ms=clock.error_ms,
        )

    def _cpu_times(self) -> CpuTimes:
        return machine.cpu_times(self._read("stat"))

    def _cpu_share(self) -> float | None:
        before, self._cpu_before = self._cpu_before, self._try(self._cpu_times)
        return machine.cpu_share(before, self._cpu_before) if before and self._cpu_before else None

    def _temperature_c(self) -> float | None:
        texts = []
        for zone in self._thermal.glob("thermal_zone*/temp"):
            try:
                texts.append(zone.read_text("ascii"))
            except OSError:  # a zone that is switched off
                continue
        return machine.hottest_c(texts)

    def _read(self, name: str) -> str:
        return (self._proc / name).read_text("ascii", errors="replace")

    def _try(self, tell: Callable[[], _Told]) -> _Told | None:
        try:
            return tell()
        except (OSError, ValueError, AttributeError) as error:
            _log.debug("the machine does not tell", extra={"reason": repr(error)})
            return None


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>, of 64-bit Linux."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),  # of no interest here, and room for all of it
    ]


def read_clock() -> ClockState:
    """What the kernel thinks of its clock. Needs no right and no daemon's cooperation: reading changes nothing."""
    timex = _Timex()  # modes = 0: only read
    result = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    return machine.clock_state(result, timex.status, timex.offset, timex.maxerror)
