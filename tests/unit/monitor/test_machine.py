"""What the kernel's texts tell of a machine."""

from pathlib import Path

import pytest

from monitor import machine
from monitor.machine import ClockState, CpuTimes
from monitor.probe import MachineProbe

STAT = "cpu  10132153 290696 3084719 46828483 16683 0 25195 175628 30 0\ncpu0 1393280 32966 572056 13343292\n"
MEMINFO = "MemTotal:        3884376 kB\nMemFree:          238276 kB\nMemAvailable:    2898612 kB\nBuffers: 1 kB\n"
BUSY = 10132153 + 290696 + 3084719 + 25195 + 175628


def test_busy_time_leaves_out_idling_and_waiting_and_counts_guests_once() -> None:
    assert machine.cpu_times(STAT) == CpuTimes(BUSY, BUSY + 46828483 + 16683)
    assert machine.cpu_times("cpu  1 2 3 4 5\n") == CpuTimes(6, 15), "a kernel of old, with fewer columns"


@pytest.mark.parametrize("text", ["", "cpu", "cpu 1 2 3", "intr 1 2 3 4 5 6", "cpu a b c d e"])
def test_stat_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"/proc/stat|invalid literal"):
        machine.cpu_times(text)


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        (CpuTimes(100, 1000), CpuTimes(150, 1200), 0.25),
        (CpuTimes(100, 1000), CpuTimes(100, 1000), None),
        (CpuTimes(100, 1000), CpuTimes(50, 900), None),  # the counters began anew
        (CpuTimes(100, 1000), CpuTimes(90, 1010), 0.0),
        (CpuTimes(100, 1000), CpuTimes(130, 1010), 1.0),
    ],
)
def test_cpu_share_is_that_of_the_time_in_between(before: CpuTimes, after: CpuTimes, share: float | None) -> None:
    assert machine.cpu_share(before, after) == share


def test_load_and_memory() -> None:
    assert machine.load_1min("0.62 0.45 0.31 2/345 6789\n") == 0.62
    assert machine.memory_bytes(MEMINFO) == (3884376 * 1024, 2898612 * 1024)
    for text in ("", "MemTotal: 1 kB\n", "MemTotal: 1 kB\nMemAvailable: x kB\n"):
        with pytest.raises(ValueError, match=r"/proc/meminfo|invalid literal"):
            machine.memory_bytes(text)
    with pytest.raises(ValueError, match="empty"):
        machine.load_1min(" \n")


@pytest.mark.parametrize(
    ("texts", "hottest"),
    [
        (["48312\n", "51000\n"], 51.0),
        (["-12500\n"], -12.5),
        (["-274000\n", "20000\n", "255000\n", "nonsense", ""], 20.0),
        ([], None),
        (["999999\n"], None),
    ],
)
def test_temperature_is_that_of_the_hottest_plausible_zone(texts: list[str], hottest: float | None) -> None:
    assert machine.hottest_c(texts) == hottest


@pytest.mark.parametrize(
    ("result", "status", "offset", "told"),
    [
        (0, 0x2001, -1_234_567, ClockState(synchronised=True, offset_ms=-1.235, error_ms=12.5)),
        (0, 0x0001, 1_500, ClockState(synchronised=True, offset_ms=1.5, error_ms=12.5)),
        (0, 0x2000, 0, ClockState(synchronised=True, error_ms=12.5)),  # chrony
        (5, 0x2001, 1, ClockState(synchronised=False)),
        (0, 0x0040, 1, ClockState(synchronised=False)),
        (-1, 0, 0, ClockState()),
    ],
)
def test_clock_is_judged_by_what_the_kernel_says_of_it(result: int, status: int, offset: int, told: ClockState) -> None:
    assert machine.clock_state(result, status, offset, 12_500) == told


def test_probe_tells_this_machine(tmp_path: Path) -> None:
    system = MachineProbe(tmp_path).look()
    assert system.memory_total_bytes
    assert system.memory_available_bytes
    assert system.memory_available_bytes <= system.memory_total_bytes
    assert system.state_free_bytes
    assert system.root_free_bytes
    assert system.load_1min is not None


def test_machine_that_tells_nothing_is_unknown_and_no_fault(tmp_path: Path) -> None:
    probe = MachineProbe(tmp_path / "absent", proc=tmp_path, thermal=tmp_path / "absent")
    system = probe.look()
    assert (system.cpu_share, system.load_1min, system.memory_total_bytes) == (None, None, None)
    assert (system.state_free_bytes, system.temperature_c) == (None, None)


def test_probe_reads_the_share_between_two_looks_and_every_zone_that_can_be_read(tmp_path: Path) -> None:
    for zone, text in (("thermal_zone0", "41000\n"), ("thermal_zone1", "47500\n")):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "temp").write_text(text)
    (tmp_path / "thermal_zone2" / "temp").mkdir(parents=True)
    (tmp_path / "stat").write_text("cpu 100 0 0 900 0\n")
    probe = MachineProbe(tmp_path, proc=tmp_path, thermal=tmp_path)
    (tmp_path / "stat").write_text("cpu 130 0 0 970 0\n")
    system = probe.look()
    assert (system.cpu_share, system.temperature_c) == (0.3, 47.5)
    assert probe.look().cpu_share is None
