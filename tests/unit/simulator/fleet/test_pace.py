"""The time of a run's readings beside the machine's."""

from __future__ import annotations

import time

import pytest

from simulator.fleet.pace import Pace


def test_in_real_time_the_runs_clock_is_the_machines() -> None:
    pace = Pace()
    assert pace.now_s() == pytest.approx(time.time(), abs=1)
    assert pace.wait_s(pace.now_s() + 100) == pytest.approx(100, abs=1)
    pace.reach(pace.now_s() + 100)
    assert pace.now_s() == pytest.approx(time.time(), abs=1)


def test_as_fast_as_work_allows_nobody_waits_and_time_goes_where_it_is_sent() -> None:
    pace = Pace(None, seconds=600)
    began_s = pace.now_s()
    assert began_s == pytest.approx(time.time() - 600, abs=1)
    assert pace.wait_s(began_s + 500) <= 0
    pace.reach(began_s + 500)
    pace.reach(began_s + 400)
    assert pace.now_s() == began_s + 500


def test_at_ten_times_real_time_ten_seconds_of_readings_take_one() -> None:
    pace = Pace(10.0, seconds=600)
    pace.start()
    assert pace.wait_s(pace.now_s() + 100) == pytest.approx(10, abs=0.5)
    began_s = pace.now_s()
    pace.reach(began_s + 100)
    assert pace.now_s() == began_s


def test_time_of_readings_never_passes_the_machines() -> None:
    pace = Pace(None, seconds=10)
    assert pace.wait_s(time.time() + 5) == pytest.approx(5, abs=0.5)
    pace.reach(time.time() + 5)
    assert pace.now_s() <= time.time()


def test_a_run_can_go_on_in_real_time_from_where_it_is() -> None:
    pace = Pace(None, seconds=600)
    pace.reach(pace.now_s() + 100)
    pace.start(speed=1.0)
    assert pace.wait_s(pace.now_s() + 7) == pytest.approx(7, abs=0.5)
