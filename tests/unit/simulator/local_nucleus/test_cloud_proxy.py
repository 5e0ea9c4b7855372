"""The rate limiter of the spool, with the time given."""

from __future__ import annotations

import pytest

from simulator.local_nucleus.cloud_proxy import RateLimiter


def test_a_second_of_publishes_passes_at_once_and_then_the_rate_holds() -> None:
    limiter = RateLimiter(100.0)
    now_s, passed = 50.0, 0
    while now_s < 60.0:
        wait_s = limiter.wait_s(now_s, 1)
        if wait_s == 0:
            limiter.take(1)
            passed += 1
        else:
            now_s += wait_s + 1e-9
    assert passed == pytest.approx(100 + 1000, abs=2)


def test_something_larger_than_a_second_of_bytes_still_passes() -> None:
    limiter = RateLimiter(10.0)
    assert limiter.wait_s(0.0, 1_000) == 0
    limiter.take(1_000)
    assert limiter.wait_s(0.0, 1) == pytest.approx(99.1)
