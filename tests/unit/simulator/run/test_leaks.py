"""Leaks: told from noise, from warming up, and from what a process holds on purpose."""

from __future__ import annotations

import os

import pytest

from simulator.run import leaks
from simulator.run.leaks import Growth, Memory, Process, rss_bytes


def grown(monkeypatch: pytest.MonkeyPatch, mb_at: object, *, seconds: int = 900, bound: float = 10.0) -> Growth:
    memory = Memory()
    for second in range(0, seconds, 5):
        monkeypatch.setattr(leaks, "rss_bytes", lambda _pid, second=second: 1e6 * mb_at(second))  # type: ignore[operator]
        memory.measure(second, {"one": Process(7, bound)})
    [growth] = memory.growth()
    return growth


def test_steady_growth_beyond_the_bound_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = grown(monkeypatch, lambda second: 50 + second / 36)
    assert growth.leaks
    assert growth.mb_per_hour == pytest.approx(100, rel=0.01)
    assert growth.in_words() == "one: 75 MB, +100.0 of 10 MB an hour"


def test_growth_within_the_bound_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not grown(monkeypatch, lambda second: 50 + second / 36, bound=120.0).leaks


def test_warming_up_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = grown(monkeypatch, lambda second: 50 + min(second, 390))
    assert (growth.leaks, growth.mb_per_hour) == (False, pytest.approx(0, abs=0.1))


def test_a_heap_that_breathes_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not grown(monkeypatch, lambda second: 50 + (5 if second > 800 else 0)).leaks


def test_a_life_that_was_too_short_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = grown(monkeypatch, lambda second: 50 + second, seconds=500)
    assert (growth.leaks, growth.mb_per_hour) == (False, None)
    assert "too short" in growth.in_words()


def test_of_a_restarted_process_the_longest_life_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    for second in range(0, 1200, 5):
        pid = 7 if second < 200 else 8
        monkeypatch.setattr(leaks, "rss_bytes", lambda _pid, second=second: 1e6 * (50 + second % 200 / 10))
        memory.measure(second, {"one": Process(pid, 10.0)})
    [growth] = memory.growth()
    assert growth.pid == 8
    assert memory.report()[0]["restarts"] == 1


def test_a_run_of_days_keeps_a_bounded_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "MAX_SAMPLES", 100)
    growth = grown(monkeypatch, lambda second: 50 + second / 36, seconds=20_000)
    assert growth.mb_per_hour == pytest.approx(100, rel=0.01)


def test_memory_of_this_process_is_read_and_that_of_none_is_0() -> None:
    assert rss_bytes(os.getpid()) > 1e6
    assert rss_bytes(2**22 + 1) == 0
