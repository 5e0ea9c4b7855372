"""Who fell behind, and at what rate: nobody for a moment's lag; for a lasting one who is nearest to the sensor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.run.saturation import Behind, Lags, Part, saturation


def lags(published: int, *, client_s: float = 0.0, broker_s: float = 0.0, table_s: float = 0.0) -> Lags:
    return Lags(
        published, published, client_s, broker_s, table_s, cloud_cores=1.0 if broker_s > 1 else 0.5, client_cores=0.2
    )


def test_who_is_not_behind_at_the_end_has_kept_up() -> None:
    spike = [lags(100), lags(200, broker_s=4.0, table_s=4.0), lags(300, broker_s=3.0, table_s=3.0), lags(400)]
    found = saturation(spike, 4.0)
    assert found.behind == ()
    assert (found.asked_per_s, found.reached_per_s, found.answered_per_s) == (100, 100.0, None)
    assert found.cloud_cores == 0.75


@pytest.mark.parametrize(
    ("behind", "who"),
    [
        ({"broker_s": 2.0, "table_s": 2.1}, Part.BROKER),
        ({"broker_s": 0.1, "table_s": 2.1}, Part.FUNCTION),
        ({"client_s": 2.0, "broker_s": 0.5, "table_s": 2.1}, Part.CLIENT),
    ],
)
def test_a_lag_that_lasts_names_who_causes_it(behind: dict[str, float], who: Part) -> None:
    seconds = [lags(100), *(lags(100 * n, **behind) for n in (2, 3, 4))]
    assert saturation(seconds, 6.0).behind == (Behind(who, 1, 100),)


def test_every_limit_that_a_ramp_finds_is_told_in_its_order() -> None:
    """Each second 100 more are asked; the function falls behind at 1,000 a second and the broker at 1,500."""
    asked = [100 * n for n in range(1, 21)]
    published = [sum(asked[: n + 1]) for n in range(20)]
    seconds = [lags(total) for total in published[:10]]
    seconds += [lags(total, table_s=2.0) for total in published[10:15]]
    seconds += [
        replace(lags(total, broker_s=2.0, table_s=5.0), acknowledged=published[14] + 700 * n)
        for n, total in enumerate(published[15:], start=1)
    ]
    found = saturation(seconds, 40.0)
    assert found.behind == (Behind(Part.FUNCTION, 10, 1000), Behind(Part.BROKER, 15, 1500))
    assert found.asked_per_s == 2000
    assert found.answered_per_s == pytest.approx(700)
    assert found.reached_per_s == pytest.approx(sum(asked[10:]) / 30)
