"""Who fell behind, and at what rate: nobody for a moment's lag; for a lasting one who is nearest to the sensor."""

from __future__ import annotations

import pytest

from simulator.run.saturation import Bottleneck, Lags, saturation


def lags(published: int, *, client_s: float = 0.0, broker_s: float = 0.0, table_s: float = 0.0) -> Lags:
    return Lags(
        published, published, client_s, broker_s, table_s, cloud_cores=1.0 if broker_s > 1 else 0.5, client_cores=0.2
    )


def test_who_is_not_behind_at_the_end_has_kept_up() -> None:
    spike = [lags(100), lags(200, broker_s=4.0, table_s=4.0), lags(300, broker_s=3.0, table_s=3.0), lags(400)]
    found = saturation(spike, 4.0)
    assert found.bottleneck is None
    assert (found.asked_per_s, found.reached_per_s, found.cloud_cores) == (100.0, 100.0, 0.75)


@pytest.mark.parametrize(
    ("behind", "who"),
    [
        ({"broker_s": 2.0, "table_s": 2.1}, Bottleneck.BROKER),
        ({"broker_s": 0.1, "table_s": 2.1}, Bottleneck.FUNCTION),
        ({"client_s": 2.0, "broker_s": 1.5, "table_s": 2.1}, Bottleneck.CLIENT),
    ],
)
def test_a_lag_that_lasts_names_who_causes_it(behind: dict[str, float], who: Bottleneck) -> None:
    seconds = [lags(100), *(lags(100 * n, **behind) for n in (2, 3, 4))]
    found = saturation(seconds, 6.0)
    assert found.bottleneck is who
    assert found.from_s == 1


def test_the_rate_that_was_reached_counts_until_the_last_reading_is_stored() -> None:
    """Each second 100 more are asked; past 1,000 a second somebody falls behind, and the rest takes 20 s more."""
    asked = [100 * n for n in range(1, 21)]
    published = [sum(asked[: n + 1]) for n in range(20)]
    seconds = [
        lags(all_, broker_s=0.0 if n < 10 else 2.0, table_s=0.0 if n < 10 else 2.0) for n, all_ in enumerate(published)
    ]
    found = saturation(seconds, 40.0)
    assert found.bottleneck is Bottleneck.BROKER
    assert (found.from_s, found.asked_then_per_s, found.asked_per_s) == (10, 1000.0, 2000.0)
    assert found.reached_per_s == pytest.approx(sum(asked[10:]) / 30)
    assert found.cloud_cores == 1.0
