import pytest

from roadside.runtime.clock import ManualClock, SystemClock


def test_the_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(1000)
    clock.advance(5)
    clock.step_wall(-900)
    assert (clock.wall_ms(), clock.steady_ms()) == (105, 5)


def test_manual_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="-1"):
        ManualClock(1000).advance(-1)


def test_the_system_clock_is_in_this_century_and_does_not_go_back() -> None:
    clock = SystemClock()
    assert 1_700_000_000_000 < clock.wall_ms() < 4_000_000_000_000
    readings = [clock.steady_ms() for _ in range(100)]
    assert readings == sorted(readings)
