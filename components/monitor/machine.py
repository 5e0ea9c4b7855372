"""What Linux tells of a machine, read from its texts. Pure; ValueError where a text is not as expected."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_IDLE_COLUMNS: Final = (3, 4)  # idle, iowait
_COUNTED_COLUMNS: Final = 8  # guest times, which follow, are part of user time already
_PLAUSIBLE_C: Final = (-60.0, 150.0)

# <sys/timex.h>
_TIME_ERROR: Final = 5
_STA_PLL: Final = 0x0001
_STA_UNSYNC: Final = 0x0040
_STA_NANO: Final = 0x2000


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Time of all cores since boot, in the kernel's ticks."""

    busy: int
    total: int


def cpu_times(proc_stat: str) -> CpuTimes:
    """Of the first line of /proc/stat."""
    columns = proc_stat.partition("\n")[0].split()
    ticks = [int(column) for column in columns[1 : _COUNTED_COLUMNS + 1]]
    if columns[:1] != ["cpu"] or len(ticks) <= max(_IDLE_COLUMNS):
        raise ValueError(f"/proc/stat begins with {proc_stat[:40]!r}; the times of all cores are expected")
    return CpuTimes(sum(ticks) - sum(ticks[column] for column in _IDLE_COLUMNS), sum(ticks))


def cpu_share(before: CpuTimes, after: CpuTimes) -> float | None:
    """Share of time that cores were busy in between, 0 to 1; None if no time has passed."""
    total = after.total - before.total
    if total <= 0:
        return None
    return round(min(1.0, max(0.0, (after.busy - before.busy) / total)), 3)  # iowait may go back


def load_1min(proc_loadavg: str) -> float:
    """Of /proc/loadavg."""
    return float(proc_loadavg.split(maxsplit=1)[0]) if proc_loadavg.strip() else _unknown("/proc/loadavg", "is empty")


def memory_bytes(proc_meminfo: str) -> tuple[int, int]:
    """Total and available memory, of /proc/meminfo."""
    lines = dict(line.partition(":")[::2] for line in proc_meminfo.splitlines())
    found = []
    for name in ("MemTotal", "MemAvailable"):
        number, _, unit = lines.get(name, "").strip().partition(" ")
        if unit != "kB":
            _unknown("/proc/meminfo", f"has no {name} in kB")
        found.append(int(number) * 1024)
    total, available = found
    return total, available


def hottest_c(zone_texts: Iterable[str]) -> float | None:
    """The highest plausible of the temperatures in /sys/class/thermal/thermal_zone*/temp; None if there is none."""
    low, high = _PLAUSIBLE_C
    degrees = [int(text) / 1000 for text in zone_texts if text.strip().lstrip("-").isdecimal()]
    return max((each for each in degrees if low <= each <= high), default=None)


@dataclass(frozen=True, slots=True)
class ClockState:
    """How well the kernel's clock follows a reference."""

    synchronised: bool | None = None
    offset_ms: float | None = None
    error_ms: float | None = None


def clock_state(result: int, status: int, offset: int, max_error_us: int) -> ClockState:
    """Of what adjtimex(2) returned and filled in.

    The offset is the kernel's only where its own loop steers the clock (systemd-timesyncd, ntpd); chrony steers by
    itself and leaves 0 there, which is not an offset.
    """
    if result < 0:
        return ClockState()
    if result == _TIME_ERROR or status & _STA_UNSYNC:
        return ClockState(synchronised=False)
    per_ms = 1e6 if status & _STA_NANO else 1e3
    offset_ms = round(offset / per_ms, 3) if status & _STA_PLL else None
    return ClockState(synchronised=True, offset_ms=offset_ms, error_ms=round(max_error_us / 1e3, 3))


def _unknown(what: str, why: str) -> float:
    raise ValueError(f"{what} {why}")
